"""Installation tokens of a GitHub App: a signed assertion for the app, an hour's token for one installation. Pure.

GitHub takes an assertion of at most ten minutes and suggests to date it a minute back, so that a clock that is ahead
does no harm.
"""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.auth.base import check_value
from tidegate.auth.jwt_bearer import check_private_key
from tidegate.auth.private_keys import sign_jwt
from tidegate.auth.tokens import Paths, Token, TokenAnswer, TokenError, TokenKind, TokenRequest, read_answer
from tidegate.core.checking import Checker, Path
from tidegate.core.spec import Auth

_BACKDATED_SECONDS = 60
_LIFETIME_SECONDS = 540


class GithubAppAuth(Auth, frozen=True, kw_only=True, tag="github_app"):
    app_id: str
    installation_id: str
    private_key: str
    api_url: str = "https://api.github.com"


class GithubApp(TokenKind[GithubAppAuth]):
    name = "github_app"
    spec = GithubAppAuth
    help = "Tokens for one installation of a GitHub App."
    keys = {
        "app_id": "The id of the app, or its client id.",
        "installation_id": "The number of the installation, from the address of its settings page.",
        "private_key": "The private key of the app in PEM form.",
        "api_url": "The address of the API; another one for GitHub Enterprise.",
    }
    secret_fields = frozenset({"private_key"})
    examples = {"installation_id": "1234"}

    def check(self, checker: Checker, path: Path, auth: GithubAppAuth) -> None:
        check_value(checker, path, "app_id", auth.app_id)
        checker.url((*path, "api_url"), auth.api_url, bare=True)
        check_private_key(checker, path, auth.private_key, "RS256")
        if not (auth.installation_id.isascii() and auth.installation_id.isdecimal()):
            checker.add(
                (*path, "installation_id"),
                f"{auth.installation_id[:40]!r} is not a number",
                'copy it from the address of the installation: installation_id = "1234567"',
            )

    def identity(self, auth: GithubAppAuth) -> Sequence[str]:
        return (auth.api_url, auth.app_id, auth.installation_id)

    def token_url(self, auth: GithubAppAuth) -> str:
        return auth.api_url

    def token_request(self, auth: GithubAppAuth, token: Token | None, now_s: int) -> TokenRequest:
        claims = {"iat": now_s - _BACKDATED_SECONDS, "exp": now_s + _LIFETIME_SECONDS, "iss": auth.app_id}
        assertion = sign_jwt(claims, auth.private_key, "RS256")
        url = f"{auth.api_url.rstrip('/')}/app/installations/{auth.installation_id}/access_tokens"
        headers = (
            ("Accept", "application/vnd.github+json"),
            ("Authorization", f"Bearer {assertion}"),
            ("Content-Type", "application/json"),
        )
        return TokenRequest(url, headers, b"{}")

    def read_answer(
        self, auth: GithubAppAuth, answer: TokenAnswer, last: Token | None, now_s: float
    ) -> Token | TokenError:
        return read_answer(answer, Paths(token="token", expires="expires_at"), None, now_s)  # noqa: S106 - a field


KIND = GithubApp()
