"""A key under a name of its own, in a header, a query parameter or a cookie, or as the user name of HTTP Basic. Pure.

A key in a cookie goes out as it was written wherever RFC 6265 section 4.1.1 allows its characters in a cookie's value;
the others (blank, quote, comma, semicolon, backslash, anything beyond ASCII) are percent-encoded as UTF-8. So a base64
key stays what the server compares with, and no key can end the cookie or start another one.
"""

from __future__ import annotations

import base64
from typing import Literal
from urllib.parse import quote

from tidegate.auth.base import Added, AuthKind, RequestFacts, check_value
from tidegate.core.checking import Checker, Path
from tidegate.core.spec import Auth

_COOKIE_SAFE = "!#$%&'()*+-./:<=>?@[]^_`{|}~"


class ApiKeyAuth(Auth, frozen=True, kw_only=True, tag="api_key"):
    name: str
    api_key: str
    location: Literal["header", "query", "cookie", "basic"] = "header"


class ApiKey(AuthKind[ApiKeyAuth]):
    name = "api_key"
    spec = ApiKeyAuth
    help = "A key under a name that the system chose."
    keys = {
        "name": "The name of the header, the query parameter or the cookie; with `basic`, the password, if any.",
        "api_key": "The key.",
        "location": "Where Tidegate sends the key; `basic`: as the user name of HTTP Basic.",
    }
    secret_fields = frozenset({"api_key"})

    def check(self, checker: Checker, path: Path, auth: ApiKeyAuth) -> None:
        check_value(checker, path, "api_key", auth.api_key)
        if auth.location == "basic":
            if ":" in auth.api_key:
                checker.add((*path, "api_key"), "a user name has no ':' (RFC 7617)", "check the key")
            return
        check_value(checker, path, "name", auth.name)
        if auth.name and auth.location != "query":
            checker.header_name((*path, "name"), auth.name)

    def add(self, auth: ApiKeyAuth, *, request: RequestFacts | None = None, token: str = "") -> Added:
        if auth.location == "basic":
            pair = base64.b64encode(f"{auth.api_key}:{auth.name}".encode()).decode()
            return Added(headers=(("Authorization", f"Basic {pair}"),))
        if auth.location == "query":
            return Added(params=((auth.name, auth.api_key),))
        if auth.location == "cookie":
            return Added(headers=(("Cookie", f"{auth.name}={quote(auth.api_key, safe=_COOKIE_SAFE)}"),))
        return Added(headers=((auth.name, auth.api_key),))


KIND = ApiKey()
