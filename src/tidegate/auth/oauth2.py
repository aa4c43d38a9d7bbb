"""What the three OAuth 2.0 kinds share: their keys, the token request, and where the token goes (RFC 6749). Pure.

Owns the common keys. Each grant's own file has its grant. It may not know locks, stores or browsers. Invariant: the
client secret goes only into the token request. Crash: nothing is kept.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar
from urllib.parse import quote_plus, urlencode

import msgspec

from tidegate.auth.base import Added, RequestFacts, check_value
from tidegate.auth.tokens import Paths, Token, TokenAnswer, TokenError, TokenKind, TokenRequest, read_answer
from tidegate.core.checking import Checker, Path
from tidegate.core.spec import Auth

RESERVED = frozenset({
    "grant_type", "client_id", "client_secret", "refresh_token", "code", "code_verifier", "redirect_uri", "state",
    "response_type", "code_challenge", "code_challenge_method", "assertion",
})  # fmt: skip


class OAuth2Keys(Auth, frozen=True, kw_only=True, tag=None):
    """The keys that all OAuth 2.0 kinds have."""

    access_token_url: str
    client_id: str
    client_secret: str = ""
    scopes: list[str] = []
    scope_separator: str = " "
    audience: str = ""
    client_auth: Literal["basic", "body"] = "basic"
    token_format: Literal["form", "json"] = "form"  # noqa: S105 - a word
    token_path: str = "access_token"  # noqa: S105 - a field name
    expires_path: str = "expires_in"
    token_header: str = "Authorization"  # noqa: S105 - a header name
    token_prefix: str = "Bearer"  # noqa: S105 - a word
    extra: dict[str, str] = {}
    capture: list[str] = []


S = TypeVar("S", bound=OAuth2Keys)

KEYS = {
    "access_token_url": "The token endpoint of the provider.",
    "client_id": "The client id of your app at the provider.",
    "client_secret": "The client secret; empty for a public client.",
    "scopes": "What the token may do.",
    "scope_separator": "The separator of scopes: a blank, or a comma at some providers.",
    "audience": "The API that the token is for, where the provider asks for it.",
    "client_auth": "How the client proves itself at the token endpoint: `basic` or `body`.",
    "token_format": "How the token request is written: `form` (RFC 6749) or `json`.",
    "token_path": "Where the answer has the token, as a dotted path.",
    "expires_path": "Where the answer has the lifetime in seconds, or an instant.",
    "token_header": "The header that carries the token.",
    "token_prefix": "The word before the token; empty for the token alone.",
    "extra": "More fields of the token request.",
    "capture": "Fields of the answer or of the redirect to keep, such as instance_url or realmId.",
}


class OAuth2Kind(TokenKind[S]):
    """What the kinds share; each one brings its grant."""

    examples = {"access_token_url": "https://auth.example.com/token"}
    secret_fields = frozenset({"client_secret"})

    def check(self, checker: Checker, path: Path, auth: S) -> None:
        checker.url((*path, "access_token_url"), auth.access_token_url)
        check_value(checker, path, "client_id", auth.client_id)
        if auth.client_secret:
            check_value(checker, path, "client_secret", auth.client_secret)
        for key in auth.extra:
            if key in RESERVED:
                checker.add((*path, "extra", key), f"'{key}' is set by Tidegate", "remove it from extra")
        for number, scope in enumerate(auth.scopes):
            if not scope or (auth.scope_separator and auth.scope_separator in scope):
                checker.add(
                    (*path, "scopes", number), f"{scope!r} is not one scope", "write each scope as an entry of its own"
                )
        checker.header_name((*path, "token_header"), auth.token_header)
        if not auth.token_header.isascii() or auth.token_header.lower() in ("host", "content-length", "cookie"):
            checker.add((*path, "token_header"), "the token cannot be in this header", "leave token_header out")

    def header_names(self, auth: S) -> tuple[str, ...]:
        return (auth.token_header,)

    def add(self, auth: S, *, request: RequestFacts | None = None, token: str = "") -> Added:
        return Added(headers=((auth.token_header, f"{auth.token_prefix} {token}".strip()),))

    def identity(self, auth: S) -> Sequence[str]:
        return (auth.access_token_url, auth.client_id, auth.audience)

    def token_url(self, auth: S) -> str:
        return auth.access_token_url

    def wanted_scopes(self, auth: S) -> Sequence[str]:
        return auth.scopes

    def read_answer(self, auth: S, answer: TokenAnswer, last: Token | None, now_s: float) -> Token | TokenError:
        return read_answer(answer, Paths(auth.token_path, auth.expires_path, auth.capture), last, now_s)


def grant_request(auth: OAuth2Keys, grant: Mapping[str, str], *, uses_up: bool = False) -> TokenRequest:
    """The token request of a grant, with the client's proof where `client_auth` wants it."""
    fields = {**grant, **({"audience": auth.audience} if auth.audience else {}), **auth.extra}
    headers: list[tuple[str, str]] = [("Accept", "application/json")]
    if auth.client_auth == "basic" and auth.client_secret:
        # RFC 6749 section 2.3.1: both are form-encoded before they are joined.
        pair = f"{quote_plus(auth.client_id)}:{quote_plus(auth.client_secret)}".encode()
        headers.append(("Authorization", f"Basic {base64.b64encode(pair).decode()}"))
    else:
        fields["client_id"] = auth.client_id
        if auth.client_secret:
            fields["client_secret"] = auth.client_secret
    if auth.token_format == "json":  # noqa: S105 - a word
        headers.append(("Content-Type", "application/json"))
        return TokenRequest(auth.access_token_url, tuple(headers), msgspec.json.encode(fields), uses_up)
    headers.append(("Content-Type", "application/x-www-form-urlencoded"))
    return TokenRequest(auth.access_token_url, tuple(headers), urlencode(fields).encode(), uses_up)


def refresh_request(auth: OAuth2Keys, refresh_token: str) -> TokenRequest:
    """Section 6 of RFC 6749. The provider may answer with another refresh token and end this one."""
    return grant_request(auth, {"grant_type": "refresh_token", "refresh_token": refresh_token}, uses_up=True)
