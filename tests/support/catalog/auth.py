"""How doubles check credentials, and what Tidegate is configured with to pass."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import msgspec

from support.catalog.shape import Ask

SECRET = "s3cret-of-the-double"


class Auth(msgspec.Struct, frozen=True):
    """`good` says whether a request is authenticated; `config` is `auth` of the source."""

    good: Callable[[Ask], bool]
    config: dict[str, Any]
    kind: str = "unauthorized"


def bearer(prefix: str = "Bearer ") -> Auth:
    """`Authorization: Bearer TOKEN`; another `prefix` goes to APIs with a word of their own, or none."""
    wanted = prefix + SECRET
    config: dict[str, Any] = {"type": "bearer", "token": SECRET}
    if prefix != "Bearer ":
        config = {"type": "api_key", "name": "Authorization", "api_key": wanted}
    return Auth(lambda ask: ask.headers.get("authorization") == wanted, config)


def basic(username: str = SECRET, password: str = "") -> Auth:
    wanted = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
    config = {"type": "http_basic", "username": username, "password": password}
    return Auth(lambda ask: ask.headers.get("authorization") == wanted, config)


def key_as_user(key: str, password: str = "") -> Auth:
    """A key that is the user name of HTTP Basic."""
    config = {"type": "api_key", "name": password, "api_key": key, "location": "basic"}
    return Auth(basic(key, password).good, config)


def header(name: str) -> Auth:
    config = {"type": "api_key", "name": name, "api_key": SECRET}
    return Auth(lambda ask: ask.headers.get(name.lower()) == SECRET, config)


def query(name: str) -> Auth:
    config = {"type": "api_key", "name": name, "api_key": SECRET, "location": "query"}
    return Auth(lambda ask: ask.get(name) == SECRET, config)


def either(first: Auth, *others: Auth) -> Auth:
    """Any of several; Tidegate uses the first."""
    return Auth(lambda ask: first.good(ask) or any(one.good(ask) for one in others), first.config)
