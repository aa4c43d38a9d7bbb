"""OAuth 2.0 with a refresh token that somebody got elsewhere (RFC 6749 section 6). Pure.

The configured refresh token is the first one. When the provider rotates, the stored one is newer and is used instead;
a changed `refresh_token` in the configuration starts again with that one.
"""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.auth.base import check_value
from tidegate.auth.oauth2 import KEYS, OAuth2Keys, OAuth2Kind, refresh_request
from tidegate.auth.tokens import Token, TokenRequest
from tidegate.core.checking import Checker, Path


class RefreshTokenAuth(OAuth2Keys, frozen=True, kw_only=True, tag="oauth2_refresh_token"):
    refresh_token: str


class RefreshToken(OAuth2Kind[RefreshTokenAuth]):
    name = "oauth2_refresh_token"
    spec = RefreshTokenAuth
    help = "Tokens from a refresh token (OAuth 2.0); a rotated one is stored before it is used."
    keys = {**KEYS, "refresh_token": "The first refresh token."}
    secret_fields = frozenset({"client_secret", "refresh_token"})

    def check(self, checker: Checker, path: Path, auth: RefreshTokenAuth) -> None:
        super().check(checker, path, auth)
        check_value(checker, path, "refresh_token", auth.refresh_token)

    def identity(self, auth: RefreshTokenAuth) -> Sequence[str]:
        return (*super().identity(auth), auth.refresh_token)

    def token_request(self, auth: RefreshTokenAuth, token: Token | None, now_s: int) -> TokenRequest:
        kept = token.refresh_token if token is not None else ""
        return refresh_request(auth, kept or auth.refresh_token)


KIND = RefreshToken()
