"""OAuth 2.0 with a person's consent in a browser (RFC 6749 section 4.1, PKCE of RFC 7636). Pure.

Owns the address that the person is sent to, the exchange of the code, and the refresh. The browser's way, the state and
the single use of a code belong to `outbound/consent.py`. Invariant: without a consent there is no token request.
"""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import urlencode, urlsplit

from tidegate.auth.oauth2 import KEYS, RESERVED, OAuth2Keys, OAuth2Kind, grant_request, refresh_request
from tidegate.auth.tokens import NoGrant, Token, TokenRequest
from tidegate.core.checking import Checker, Path


class AuthorizationCodeAuth(OAuth2Keys, frozen=True, kw_only=True, tag="oauth2_authorization_code"):
    authorization_url: str
    pkce: bool = True
    authorization_extra: dict[str, str] = {}


class AuthorizationCode(OAuth2Kind[AuthorizationCodeAuth]):
    name = "oauth2_authorization_code"
    spec = AuthorizationCodeAuth
    help = "Tokens after a person signed in at the provider: `tidegate auth connect NAME`, or the page `/connect/NAME`."
    keys = {
        **KEYS,
        "authorization_url": "The page of the provider where a person gives consent.",
        "pkce": "Whether to prove with PKCE that the code comes back to the one who asked.",
        "authorization_extra": "More parameters of that page, such as access_type = offline.",
    }
    consent = True
    examples = {
        "access_token_url": "https://auth.example.com/token",
        "authorization_url": "https://auth.example.com/authorize",
    }

    def check(self, checker: Checker, path: Path, auth: AuthorizationCodeAuth) -> None:
        super().check(checker, path, auth)
        checker.url((*path, "authorization_url"), auth.authorization_url)
        if urlsplit(auth.authorization_url).fragment:
            checker.add((*path, "authorization_url"), "the URL has a fragment", "remove the # and everything after it")
        for key in auth.authorization_extra:
            if key in RESERVED | {"scope"}:
                checker.add(
                    (*path, "authorization_extra", key), f"'{key}' is set by Tidegate", "remove it from the table"
                )

    def token_request(self, auth: AuthorizationCodeAuth, token: Token | None, now_s: int) -> TokenRequest:
        if token is None or not token.refresh_token:
            raise NoGrant
        return refresh_request(auth, token.refresh_token)

    def authorization_address(self, auth: AuthorizationCodeAuth, redirect_uri: str, state: str, verifier: str) -> str:
        """Where the person's browser goes."""
        fields = {"response_type": "code", "client_id": auth.client_id, "redirect_uri": redirect_uri, "state": state}
        if auth.scopes:
            fields["scope"] = auth.scope_separator.join(auth.scopes)
        if auth.audience:
            fields["audience"] = auth.audience
        if auth.pkce:
            digest = hashlib.sha256(verifier.encode()).digest()
            fields["code_challenge"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            fields["code_challenge_method"] = "S256"
        joint = "&" if urlsplit(auth.authorization_url).query else "?"
        return auth.authorization_url + joint + urlencode({**fields, **auth.authorization_extra})

    def code_request(self, auth: AuthorizationCodeAuth, code: str, redirect_uri: str, verifier: str) -> TokenRequest:
        """The exchange of the code for the first token."""
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        if auth.pkce:
            fields["code_verifier"] = verifier
        return grant_request(auth, fields)


KIND = AuthorizationCode()
