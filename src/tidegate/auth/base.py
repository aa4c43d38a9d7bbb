"""What a kind of credential is: its struct, its checks, its secrets, and what it adds to a request. Pure.

Owns the protocol of `tidegate/auth/`. It may not know who sends the request: sources and destinations use the same
credential in the same way. Invariant: `add` depends on its arguments alone, and so do the checks.

Kinds that need more than their own keys fit in without a change to those that exist:

- A credential whose token comes from a token service (`oauth2_*`, `jwt_bearer`, `github_app`) sets `needs_token`. The
  code in `outbound/` that acquires, refreshes and stores tokens is asynchronous and is not part of this package; it
  passes the token to `add`. Such a kind still only declares: its keys, its checks, and where the token goes.
- A credential that signs each request (`hmac`, `aws_sigv4`, `digest`) sets `per_request`. The caller then calls `add`
  for each request with the facts about it; for all other kinds it may call once and keep the answer.
- `mtls` adds nothing to a request: the dialer shows its certificate. `tidegate.auth.request_auth` is the credential
  beside it, and every caller of `add` goes through that.

No kind with `needs_token` or `per_request` exists yet; the first one also needs the calls in `pull/sources.py`
and `deliver/request_builder.py`. `test_auth.py` fails until both callers support it.
"""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

import msgspec

from tidegate.core.checking import Checker, Path
from tidegate.core.spec import Auth
from tidegate.rules.inbound.redaction import value_safe

S = TypeVar("S", bound=Auth)
Pairs = tuple[tuple[str, str], ...]


class Added(msgspec.Struct, frozen=True):
    """What a credential adds to a request. Parameters are not encoded yet."""

    headers: Pairs = ()
    params: Pairs = ()


class RequestFacts(msgspec.Struct, frozen=True):
    """The request that a `per_request` kind signs: the URL with its query, the exact body bytes, Unix seconds."""

    method: str
    url: str
    headers: Pairs
    body: bytes
    timestamp: int


class AuthKind(Generic[S]):
    """One kind of credential; the registry keeps one instance of each."""

    name: ClassVar[str]  # the value of `type`
    spec: type[S]
    help: ClassVar[str]  # one sentence for the reference
    keys: ClassVar[dict[str, str]]  # key -> one sentence for the reference
    secret_fields: ClassVar[frozenset[str]]  # keys that are masked wherever the configuration is shown
    needs_token: ClassVar[bool] = False
    per_request: ClassVar[bool] = False

    def check(self, checker: Checker, path: Path, auth: S) -> None:
        """Adds a problem for each key whose value cannot work."""
        raise NotImplementedError

    def add(self, auth: S, *, request: RequestFacts | None = None, token: str = "") -> Added:
        """Headers and query parameters for a request."""
        raise NotImplementedError


def check_value(checker: Checker, path: Path, key: str, value: str) -> None:
    """Refuses an empty value and one that cannot be sent in a header."""
    if not value:
        checker.add((*path, key), f"'{key}' is empty", "check the variable it comes from")
    elif not value_safe(value):
        checker.add((*path, key), f"'{key}' has a control character", "check the file or variable it comes from")
