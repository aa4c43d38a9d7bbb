"""OAuth 2.0 with a signed assertion (RFC 7523): Google service accounts, Salesforce. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from tidegate.auth.base import check_value
from tidegate.auth.private_keys import Algorithm, private_key_problem, sign_jwt
from tidegate.auth.tokens import Paths, Token, TokenAnswer, TokenError, TokenKind, TokenRequest, read_answer
from tidegate.core.checking import Checker, Path
from tidegate.core.spec import Auth

LIFETIME_SECONDS = 180  # of the assertion; Salesforce takes at most 3 minutes
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_OWN_CLAIMS = ("iss", "sub", "aud", "iat", "exp", "scope")


class JwtBearerAuth(Auth, frozen=True, kw_only=True, tag="jwt_bearer"):
    token_url: str
    issuer: str
    private_key: str
    subject: str = ""
    audience: str = ""
    algorithm: Algorithm = "RS256"
    key_id: str = ""
    scopes: list[str] = []
    claims: dict[str, Any] = {}
    capture: list[str] = []


class JwtBearer(TokenKind[JwtBearerAuth]):
    name = "jwt_bearer"
    spec = JwtBearerAuth
    help = "Tokens for an assertion that a private key signs (RFC 7523), as Google and Salesforce use it."
    keys = {
        "token_url": "The token endpoint of the provider.",
        "issuer": "Who signs: the address of the service account, or the client id.",
        "private_key": "The private key in PEM form; for HS256 to HS512 the shared key.",
        "subject": "The user to act for, where the provider wants one.",
        "audience": "The audience of the assertion; by default the token endpoint.",
        "algorithm": "How the assertion is signed.",
        "key_id": "The id of the key, in the head of the assertion.",
        "scopes": "What the token may do, as the claim `scope`.",
        "claims": "More claims of the assertion.",
        "capture": "Fields of the answer to keep, such as instance_url.",
    }
    secret_fields = frozenset({"private_key"})
    examples = {"token_url": "https://auth.example.com/token"}

    def check(self, checker: Checker, path: Path, auth: JwtBearerAuth) -> None:
        checker.url((*path, "token_url"), auth.token_url)
        check_value(checker, path, "issuer", auth.issuer)
        check_private_key(checker, path, auth.private_key, auth.algorithm)
        for claim in auth.claims:
            if claim in _OWN_CLAIMS:
                checker.add((*path, "claims", claim), f"'{claim}' is set by Tidegate", "use the key of its own")

    def identity(self, auth: JwtBearerAuth) -> Sequence[str]:
        return (auth.token_url, auth.issuer, auth.subject, auth.audience, *sorted(auth.scopes))

    def token_url(self, auth: JwtBearerAuth) -> str:
        return auth.token_url

    def wanted_scopes(self, auth: JwtBearerAuth) -> Sequence[str]:
        return auth.scopes

    def token_request(self, auth: JwtBearerAuth, token: Token | None, now_s: int) -> TokenRequest:
        claims: dict[str, Any] = {"iss": auth.issuer, "aud": auth.audience or auth.token_url}
        if auth.subject:
            claims["sub"] = auth.subject
        if auth.scopes:
            claims["scope"] = " ".join(auth.scopes)
        claims |= {"iat": now_s, "exp": now_s + LIFETIME_SECONDS, **auth.claims}
        head = {"kid": auth.key_id} if auth.key_id else {}
        fields = {"grant_type": _GRANT, "assertion": sign_jwt(claims, auth.private_key, auth.algorithm, head)}
        headers = (("Accept", "application/json"), ("Content-Type", "application/x-www-form-urlencoded"))
        return TokenRequest(auth.token_url, headers, urlencode(fields).encode())

    def read_answer(
        self, auth: JwtBearerAuth, answer: TokenAnswer, last: Token | None, now_s: float
    ) -> Token | TokenError:
        return read_answer(answer, Paths(capture=auth.capture), last, now_s)


def check_private_key(checker: Checker, path: Path, key: str, algorithm: str) -> None:
    """Adds what is wrong with a key; the key itself is in no message."""
    if not key:
        checker.add((*path, "private_key"), "'private_key' is empty", "check the variable or file it comes from")
    elif problem := private_key_problem(key, algorithm):
        checker.add((*path, "private_key"), problem, 'write private_key = "${file:./key.pem}"')


KIND = JwtBearer()
