"""Which request headers of a source go on to its receivers: those that are named, and no others. Pure.

Owns the meaning of `forward_headers`. Knows no provider and no destination. Invariants: no credential, no header of the
connection and none of Tidegate's own is ever forwarded, whatever is named; a header that the destination configures
wins over a forwarded one. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tidegate.core.errors import ConfigError
from tidegate.rules.inbound.redaction import REDACTED, egress_safe, is_credential, value_safe
from tidegate.rules.language.stored_headers import marks_of
from tidegate.rules.language.view import header_list

MAX_NAMES = 100
MAX_MARKS = 30
_BODY_CODING = "content-encoding"  # bytes that came compressed go out compressed, and the receiver needs this
_NOT_OF_THE_EVENT = frozenset({"accept", "accept-encoding", "content-type", "user-agent"})

Pairs = tuple[tuple[str, str], ...]
Forwards = Callable[[str], "HeaderNames"]
"""From a source's name to the headers that it forwards."""


class HeaderNames:
    """The names of one source. A name may end in `*`."""

    __slots__ = ("_exact", "_marks", "_prefixes")

    def __init__(self, names: Sequence[str]) -> None:
        lower = [name.lower() for name in names]
        self._exact = frozenset(name for name in lower if not name.endswith("*") and _may_go_on(name)) | {_BODY_CODING}
        self._prefixes = tuple(name[:-1] for name in lower if name.endswith("*"))
        marks = [mark for name in self._exact for mark in marks_of(name)]
        marks += [mark for name in self._prefixes for mark in marks_of(name, beginning=True)]
        self._marks = tuple(marks) if len(marks) <= MAX_MARKS else ()

    def takes(self, name: str) -> bool:
        """Whether a header of this lower-case name goes on."""
        return name in self._exact or (bool(self._prefixes) and name.startswith(self._prefixes) and _may_go_on(name))

    def of(self, headers: bytes, configured: frozenset[str] = frozenset()) -> Pairs:
        """Of stored headers those that go on. `configured`: lower-case names that the destination sets itself."""
        if not headers or not self._may_take(headers):
            return ()
        return tuple(
            [
                (name, value)
                for name, value in header_list(headers)
                if self.takes(name) and name not in configured and value != REDACTED and value_safe(value)
            ]
        )

    def _may_take(self, headers: bytes) -> bool:
        """False when none of a few names is there, as in most events: their bytes show it without a parser."""
        for mark in self._marks:
            if mark in headers:
                return True
        return not self._marks

    def left(self, headers: bytes) -> list[str]:
        """Names of stored headers that describe the event and stay behind because nobody names them."""
        names = dict.fromkeys(name for name, _ in header_list(headers))
        return [
            name
            for name in names
            if not self.takes(name)
            and name not in _NOT_OF_THE_EVENT
            and _may_go_on(name)
            and not name.startswith(_INFRASTRUCTURE)
        ]


def _may_go_on(name: str) -> bool:
    return egress_safe(name) and not is_credential(name)


NOTHING = HeaderNames(())

# What proxies and clouds in front of the gateway added: it describes the connection, not the event.
_INFRASTRUCTURE = (
    "x-forwarded-", "x-real-ip", "x-envoy-", "x-amzn-", "x-amz-cf-", "x-cloud-trace-", "x-azure-", "x-appengine-",
    "x-request-start", "x-b3-", "x-fly-", "x-railway-", "cf-", "cdn-loop", "via", "forwarded", "traceparent",
    "tracestate", "accept-", "cache-control", "pragma", "origin", "referer", "sec-", "dnt", "from", "if-", "range",
)  # fmt: skip


def check_names(names: Sequence[str]) -> None:
    """ConfigError for a name that could never go on."""
    if len(names) > MAX_NAMES:
        raise ConfigError(f"forward_headers names {len(names)} headers; at most {MAX_NAMES} are allowed")
    for name in names:
        lower = name.lower()
        if lower == _BODY_CODING:
            continue
        plain = lower.removesuffix("*")
        if "*" in plain or len(plain) < 2 or not egress_safe(plain + ("x" if plain != lower else "")):
            raise ConfigError(
                f"{name!r} cannot be forwarded",
                hint="name a request header such as x-github-event, or several by their beginning: x-github-*",
            )
        if is_credential(plain):
            raise ConfigError(
                f"{name!r} holds a credential, which is never stored or forwarded",
                hint="give the destination a credential of its own: auth = {...}",
            )
