"""Reads the log for a lane that lags, a window at a time.

Owns the one reading of its lane that may be under way. May not know what is sent or when. Invariant: the last step of a
reading, from the published offset to the lane following again, has no await, so no event can be published in between
unseen. Failure: given to the sender, which tries again a second later. Crash: the lane's row says where to read on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tidegate.core.errors import TidegateError
from tidegate.deliver.backlog import READ_AHEAD, Backlog
from tidegate.deliver.key_queues import KEY_QUEUE_LIMIT
from tidegate.deliver.ports import Ports


class LaneReader:
    """`arrived` is called after a reading, `failed` when the log could not be read."""

    def __init__(
        self, ports: Ports, backlog: Backlog, arrived: Callable[[], None], failed: Callable[[TidegateError], None]
    ) -> None:
        self._ports = ports
        self._backlog = backlog
        self._arrived = arrived
        self._failed = failed
        self._reading: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Read on, when the lane lags and has room."""
        lane = self._backlog.lane
        if (
            lane.following
            or self._reading is not None
            or (lane.room < READ_AHEAD and lane.open)  # with nothing open, only reading on makes room
            or len(self._backlog.key_queues) > KEY_QUEUE_LIMIT
        ):
            return
        self._reading = asyncio.get_running_loop().create_task(self._read(), name="read lane")

    async def _read(self) -> None:
        backlog, ports = self._backlog, self._ports
        lane = backlog.lane
        try:
            upto, room, after = ports.log.published_offset, max(lane.room, READ_AHEAD), lane.read_to
            offsets = await ports.wanted.scan(lane.destination, after, upto, room)
            if backlog.suspended or lane.read_to != after:
                return  # a bulk settlement began meanwhile and settles what was read; its end pumps again
            end = upto if len(offsets) < room else offsets[-1]
            backlog.ready.extend(lane.read(offsets, end, ports.log.published_offset))
            backlog.changed()
        except TidegateError as error:
            self._failed(error)
            return
        finally:
            self._reading = None
        self._arrived()
