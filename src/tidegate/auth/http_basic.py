"""User name and password (RFC 7617, in UTF-8). Pure."""

from __future__ import annotations

import base64

from tidegate.auth.base import Added, AuthKind, RequestFacts, check_value
from tidegate.core.checking import Checker, Path
from tidegate.core.spec import Auth


class BasicAuth(Auth, frozen=True, kw_only=True, tag="http_basic"):
    username: str
    password: str


class Basic(AuthKind[BasicAuth]):
    name = "http_basic"
    spec = BasicAuth
    help = "A user name and a password."
    keys = {"username": "The user name.", "password": "The password; it may be empty."}
    secret_fields = frozenset({"password"})

    def check(self, checker: Checker, path: Path, auth: BasicAuth) -> None:
        check_value(checker, path, "username", auth.username)
        if ":" in auth.username:
            checker.add((*path, "username"), "a user name has no ':' (RFC 7617)", "check the credentials")

    def add(self, auth: BasicAuth, *, request: RequestFacts | None = None, token: str = "") -> Added:
        pair = base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode()
        return Added(headers=(("Authorization", f"Basic {pair}"),))


KIND = Basic()
