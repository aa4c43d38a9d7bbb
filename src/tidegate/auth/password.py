"""A user name and a password for mail servers: IMAP and SMTP. Pure.

HTTP has `http_basic` for the same pair; this kind is refused there.
"""

from __future__ import annotations

import base64

from tidegate.auth.base import Added, AuthKind, MailLogin, RequestFacts, check_value
from tidegate.core.checking import Checker, Path
from tidegate.core.spec import Auth


class PasswordAuth(Auth, frozen=True, kw_only=True, tag="password"):
    username: str
    password: str


class Password(AuthKind[PasswordAuth]):
    name = "password"
    spec = PasswordAuth
    help = "A user name and a password, for mail servers."
    keys = {"username": "User name, usually the mail address.", "password": "Password, or an app password."}
    secret_fields = frozenset({"password"})
    for_http = False

    def check(self, checker: Checker, path: Path, auth: PasswordAuth) -> None:
        check_value(checker, path, "username", auth.username)
        check_value(checker, path, "password", auth.password)

    def add(self, auth: PasswordAuth, *, request: RequestFacts | None = None, token: str = "") -> Added:
        """For the SMTP transport, which takes the line as its login and never sends it."""
        pair = base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode()
        return Added(headers=(("Authorization", f"Basic {pair}"),))

    def mail_login(self, auth: PasswordAuth, username: str) -> MailLogin | None:
        return MailLogin(auth.username, auth.password)


KIND = Password()
