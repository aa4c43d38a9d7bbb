"""Which connections are kept when there are as many as the process may hold.

Owns the connections by network. Pure: it closes nothing and reads no clock; a connection says how long it is idle.
Invariants: at most `limit` connections count; one network cannot keep others out, because the connection that gives way
is one of the network with the most. Crash: connections end with the process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from tidegate.core.networks import network_of

MAX_CONNECTIONS = 8192
MIN_RESERVE = 64


class Guest(Protocol):
    """A connection, as far as this module needs it."""

    def idle_seconds(self) -> float | None:
        """Seconds since it last did something; None while a request is under way."""
        ...


G = TypeVar("G", bound=Guest)


class Admission(Generic[G]):
    """`admit` every new connection and `release` every lost one."""

    def __init__(self, limit: int, full: Callable[[str], None] = lambda _network: None) -> None:
        """`full` is called with the network of each connection that gives way."""
        self.limit = limit
        self._full = full
        self._networks: dict[str, dict[G, None]] = {}  # connections in the order they came
        self._network: dict[G, str] = {}

    def __len__(self) -> int:
        return len(self._network)

    def admit(self, guest: G, address: str) -> G | None:
        """Count a new connection in. Returns the connection to close now, which may be the new one; None: none.

        1. There is space: none.
        2. The longest idle one of the network with the most connections (the network of the new one, if it is among
           them) gives way.
        3. That network is busy throughout: when it has more than twice as many as the new one's, its oldest gives way.
        4. Otherwise the new one.
        """
        network = network_of(address)
        self._network[guest] = network
        own = self._networks.setdefault(network, {})
        own[guest] = None
        if len(self._network) <= self.limit:
            return None
        largest = max(self._networks.values(), key=lambda guests: (len(guests), guests is own))
        leaving = _longest_idle(largest, guest)
        if leaving is None:
            leaving = next(iter(largest)) if largest is not own and len(largest) > 2 * len(own) else guest
        self._full(self._network[leaving])
        self.release(leaving)
        return leaving

    def release(self, guest: G) -> None:
        """Also of one that was returned by `admit`."""
        network = self._network.pop(guest, None)
        if network is None:
            return
        guests = self._networks[network]
        del guests[guest]
        if not guests:
            del self._networks[network]


def _longest_idle(guests: dict[G, None], new: G) -> G | None:
    """The first of those that came is taken among equals."""
    longest, leaving = -1.0, None
    for guest in guests:
        idle = guest.idle_seconds()
        if guest is not new and idle is not None and idle > longest:
            longest, leaving = idle, guest
    return leaving


def connection_limit(open_files: int) -> int:
    """How many incoming connections a process with this many files may hold.

    The rest is for deliveries, pulls, lookups and the store: half of a small limit, a quarter of a large one.
    """
    reserve = max(MIN_RESERVE, open_files // 2 if open_files < 1024 else open_files // 4)
    return max(8, min(MAX_CONNECTIONS, open_files - reserve))
