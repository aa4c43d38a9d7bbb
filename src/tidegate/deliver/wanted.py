"""Which events a destination wants: the routing decisions of the log, indexed by destination.

Owns the index. May not know lanes, senders or the routes of today: an audience is the decision that was stored with
the event. Invariant: audiences are only added, so the index is rebuilt when their number changed. Crash: it is built
again from the log's audiences.
"""

from __future__ import annotations

from tidegate.core.model import Event
from tidegate.store import Log

SELECTIVE_LIMIT = 200  # audiences of one destination up to which its lane reads by index instead of scanning
SCAN_ROWS = 4096


class WantedIndex:
    """`scan` and `audiences_of` take the number of a destination."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._audiences: dict[int, list[int]] = {}  # destination -> audiences that want it
        self._indexed = 0

    def revision_for(self, event: Event, destination: int) -> int:
        """The revision of the route that sends an event to a destination; 0 when none does."""
        for number, revision in self._log.audiences()[event.audience].wanted:
            if number == destination:
                return revision
        return 0

    async def scan(self, destination: int, after: int, upto: int, limit: int) -> list[int]:
        """Wanted offsets of (after, upto], ascending, at most `limit`. Raises what the log raises."""
        audiences = self.audiences_of(destination)
        if len(audiences) <= SELECTIVE_LIMIT:
            return [offset for offset, _ in await self._log.scan(after, upto, limit, audiences)] if audiences else []
        wanted = set(audiences)
        found: list[int] = []
        while after < upto and len(found) < limit:
            rows = await self._log.scan(after, upto, SCAN_ROWS)
            found.extend(offset for offset, audience in rows if audience in wanted)
            if len(rows) < SCAN_ROWS:
                break
            after = rows[-1][0]
        return found[:limit]

    def audiences_of(self, destination: int) -> list[int]:
        """The numbers of the audiences that want a destination."""
        audiences = self._log.audiences()
        if self._indexed != len(audiences):
            self._audiences = {}
            for audience in audiences.values():
                for number, _ in audience.wanted:
                    self._audiences.setdefault(number, []).append(audience.number)
            self._indexed = len(audiences)
        return self._audiences.get(destination, [])
