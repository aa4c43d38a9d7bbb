"""A fixed bearer token (RFC 6750 section 2.1). Pure."""

from __future__ import annotations

from tidegate.auth.base import Added, AuthKind, MailLogin, RequestFacts, check_value
from tidegate.core.checking import Checker, Path
from tidegate.core.spec import Auth


class BearerAuth(Auth, frozen=True, kw_only=True, tag="bearer"):
    token: str


class Bearer(AuthKind[BearerAuth]):
    name = "bearer"
    spec = BearerAuth
    help = "A fixed token."
    keys = {"token": "Sent as `Authorization: Bearer TOKEN`."}
    secret_fields = frozenset({"token"})

    def check(self, checker: Checker, path: Path, auth: BearerAuth) -> None:
        check_value(checker, path, "token", auth.token)

    def add(self, auth: BearerAuth, *, request: RequestFacts | None = None, token: str = "") -> Added:
        return Added(headers=(("Authorization", f"Bearer {auth.token}"),))

    def mail_login(self, auth: BearerAuth, username: str) -> MailLogin | None:
        return MailLogin(username, auth.token, xoauth2=True)


KIND = Bearer()
