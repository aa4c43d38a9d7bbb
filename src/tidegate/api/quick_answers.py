"""Cached pulls, answered while the request is parsed: no task, no ASGI messages.

Owns the conditions under which a request may be answered at once: a GET whose key is known in memory, for a copy that
is in the cache and young enough, asked for without parameters or conditions. Everything else is None, and takes the
usual way (`app.py`), which answers the same: `tests/web/test_quick_answers.py` compares the two over sockets.
Invariant: the caller's rights are checked before the cache is looked at. Crash: nothing here is durable.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tidegate.api.calls import Context
from tidegate.api.endpoint import SAFE_HEADERS, decode_segment
from tidegate.api.keys import Grant
from tidegate.api.routes import PREFIX
from tidegate.core.errors import TidegateError
from tidegate.pull import PullEngine
from tidegate.pull.on_demand import CachedCopy

Headers = Mapping[bytes, bytes]

_PULL = f"{PREFIX}/pull/".encode()
KEPT_HEADS = 1024
KEPT_REQUESTS = 4096
KEPT_BYTES = 1024  # of one of them
_STATUS = b"HTTP/1.1 200 OK\r\n"


Answer = tuple[bytes, bytes]
"""(status line, what follows the server's own headers)"""


class _Call(msgspec.Struct, gc=False):
    """What a request asks for, and the key that allows it as of `epoch` of the keyring."""

    source: str
    resource: str
    key: str | None
    grant: Grant
    epoch: int


class QuickAnswers:
    """Called by a connection with each GET that has no body; gives the whole response, or None for the usual way.

    Clients repeat a request byte for byte, so what the newest of them ask for is kept: they need not be parsed again.
    Keys are checked each time; what was kept is forgotten when they are read again, within ten seconds.
    """

    def __init__(self, context: Context, pull: PullEngine) -> None:
        self._context = context
        self._keyring = context.keyring
        self._pull = pull
        self._heads: dict[int, tuple[object, int, int, bytes]] = {}
        self._calls: dict[bytes, _Call] = {}

    def again(self, data: bytes) -> Answer | None:
        """The answer to a request, if it is one that `answer` answered before."""
        call = self._calls.get(data)
        if call is None:
            return None
        if not self._keyring.still_holds(call.grant, call.epoch):
            self._calls.clear()
            return None
        return self._serve(call)

    def answer(self, target: bytes, headers: Headers, data: bytes) -> Answer | None:
        """`target` is the request target as it came, `headers` by lower-case name, `data` the whole request."""
        if not target.startswith(_PULL) or b"?" in target or b"%" in target:
            return None
        names = target[len(_PULL) :].split(b"/")
        if len(names) not in (2, 3) or not all(names):
            return None
        token = _token(headers)
        grant = None if token is None else self._keyring.known(token)
        if grant is None or not grant.may("pull"):
            return None
        try:
            source, resource, *key = (decode_segment(name) for name in names)
        except TidegateError:
            return None
        if grant.sources is not None and source not in grant.sources:
            return None
        call = _Call(source, resource, key[0] if key else None, grant, self._keyring.epoch)
        answer = self._serve(call)
        if answer is not None and len(data) <= KEPT_BYTES:
            if len(self._calls) >= KEPT_REQUESTS:
                self._calls.clear()
            self._calls[data] = call
        return answer

    def _serve(self, call: _Call) -> Answer | None:
        try:
            found = self._pull.cached(call.source, call.resource, call.key)
        except TidegateError:
            return None
        if found is None:
            return None
        request_id = self._context.next_request_id().encode()
        return _STATUS, b"%sx-request-id: %s\r\n\r\n%s" % (self._head(found), request_id, found.entry.body)

    def _head(self, copy: CachedCopy) -> bytes:
        """The headers of a copy but for the request id. They change once a second, so they are kept for as long."""
        age, ttl = int(copy.age), int(copy.ttl)
        kept = self._heads.get(id(copy.entry))
        if kept is not None and kept[0] is copy.entry and kept[1] == age and kept[2] == ttl:
            return kept[3]
        found = copy.answer()
        own = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in found.headers]
        names = {name for name, _ in own}
        own += [pair for pair in SAFE_HEADERS if pair[0] not in names]
        own.append((b"content-length", b"%d" % len(found.body)))
        head = b"".join([b"%s: %s\r\n" % pair for pair in own])
        if len(self._heads) >= KEPT_HEADS:
            self._heads.clear()
        self._heads[id(copy.entry)] = (copy.entry, age, ttl, head)
        return head


def _token(headers: Headers) -> str | None:
    """The key of the request; None when it has none, or asks for something that only the usual way answers."""
    if b"cache-control" in headers or b"if-none-match" in headers:  # they change what a pull answers
        return None
    value = headers.get(b"authorization", b"")
    return value[7:].strip().decode("latin-1") or None if value[:7].lower() == b"bearer " else None
