"""Which name is looked up next, so that slow names cannot starve the others.

Owns the names that wait and those that are being looked up. Pure: no clock, no sockets, no threads. Invariants: at most
`workers` lookups run; those of names that are not known to be fast use at most half of them, and at most `PER_DOMAIN`
of one domain; waiting domains take turns. So a name that was fast before always finds a worker, and a hanging domain
holds a few. A crash forgets all of it.
"""

from __future__ import annotations

from collections import OrderedDict, deque

PER_DOMAIN = 4


class LookupOrder:
    """`add` a name, ask `next` for what to start, and say when it is `slow` or `done`."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._running: dict[str, bool] = {}  # name -> whether it uses a worker of the unproven ones
        self._fast: deque[str] = deque()
        self._waiting: OrderedDict[str, deque[str]] = OrderedDict()  # domain -> names

    def __len__(self) -> int:
        """Names that wait."""
        return len(self._fast) + sum(map(len, self._waiting.values()))

    def add(self, name: str, *, fast: bool) -> None:
        """A name to look up; `fast` when its last lookup was."""
        if fast:
            self._fast.append(name)
        else:
            self._waiting.setdefault(domain_of(name), deque()).append(name)

    def next(self) -> str | None:
        """The name to look up now; it counts as running. None when nothing may start."""
        if len(self._running) >= self._workers:
            return None
        if self._fast:
            name = self._fast.popleft()
            self._running[name] = False
            return name
        if sum(self._running.values()) >= self._workers // 2:
            return None
        for domain in list(self._waiting):
            if sum(unproven and domain_of(name) == domain for name, unproven in self._running.items()) < PER_DOMAIN:
                return self._start(domain)
        return None

    def _start(self, domain: str) -> str:
        names = self._waiting.pop(domain)
        name = names.popleft()
        if names:
            self._waiting[domain] = names  # behind the other domains
        self._running[name] = True
        return name

    def slow(self, name: str) -> None:
        """A running lookup takes long: it counts as unproven, whatever it was before."""
        if name in self._running:
            self._running[name] = True

    def done(self, name: str) -> None:
        self._running.pop(name, None)


def domain_of(name: str) -> str:
    """The last two labels: names below usually have the same name server."""
    return ".".join(name.lower().rstrip(".").split(".")[-2:])
