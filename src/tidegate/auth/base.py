"""What a kind of credential is: its struct, its checks, its secrets, and what it adds to a request. Pure.

Owns the protocol of `tidegate/auth/`. It may not know who sends the request: sources and destinations use the same
credential in the same way. Invariant: `add` depends on its arguments alone, and so do the checks.

Kinds that need more than their own keys fit in without a change to those that exist:

- A credential whose token comes from a token service (`oauth2_*`, `jwt_bearer`, `github_app`) sets `needs_token`; it is
  a `TokenKind` (`auth/tokens.py`), which also declares the token request and reads its answer. The code in `outbound/`
  that acquires, refreshes and stores tokens passes the token to `add`.
- A credential that signs each request (`hmac`, `aws_sigv4`, `digest`) sets `per_request`. The caller then calls `add`
  for each request with the facts about it; for all other kinds it may call once and keep the answer. `challenged`
  kinds sign with the last `WWW-Authenticate` of a 401, which the caller passes as `token`.
- A reference to a shared credential (`auth/credential.py`) names another one and adds nothing by itself.
- `mtls` adds nothing to a request: the dialer shows its certificate. `tidegate.auth.request_auth` is the credential
  beside it, and every caller of `add` goes through that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

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
    count: int = 1  # how many requests used the same challenge, this one included


class MailLogin(msgspec.Struct, frozen=True):
    """How a mailbox logs in: with a password, or with an access token by XOAUTH2."""

    username: str
    secret: str
    xoauth2: bool = False


class AuthKind(Generic[S]):
    """One kind of credential; the registry keeps one instance of each."""

    name: ClassVar[str]  # the value of `type`
    spec: type[S]
    help: ClassVar[str]  # one sentence for the reference
    keys: ClassVar[dict[str, str]]  # key -> one sentence for the reference
    secret_fields: ClassVar[frozenset[str]]  # keys that are masked wherever the configuration is shown
    needs_token: ClassVar[bool] = False
    per_request: ClassVar[bool] = False
    challenged: ClassVar[bool] = False  # signs with the challenge of an earlier 401
    examples: ClassVar[Mapping[str, Any]] = {}  # a value that works for a required key that cannot be any text
    for_http: ClassVar[bool] = True  # False: for mail servers only

    def check(self, checker: Checker, path: Path, auth: S) -> None:
        """Adds a problem for each key whose value cannot work."""
        raise NotImplementedError

    def add(self, auth: S, *, request: RequestFacts | None = None, token: str = "") -> Added:
        """Headers and query parameters for a request."""
        raise NotImplementedError

    def header_names(self, auth: S) -> tuple[str, ...]:
        """The headers that `add` sets; their values are shown nowhere. A kind for mail servers sets none."""
        return tuple(name for name, _ in self.add(auth).headers) if self.for_http else ()

    def mail_login(self, auth: S, username: str) -> MailLogin | None:
        """The login of a mail server with what is configured, else None. `username` is that of the mailbox."""
        return None


def check_value(checker: Checker, path: Path, key: str, value: str) -> None:
    """Refuses an empty value and one that cannot be sent in a header."""
    if not value:
        checker.add((*path, key), f"'{key}' is empty", "check the variable it comes from")
    elif not value_safe(value):
        checker.add((*path, key), f"'{key}' has a control character", "check the file or variable it comes from")
