"""Whether a client reads its answers: what it took in the last second, and for how long it took too little.

Owns the measure of one connection and the rule. What the kernel holds for the client counts as not taken: its buffer
is much larger than ours, and ours moves only when a third of it is free. May not know requests. Invariant: a client
that takes `READ_RATE` bytes a second on average is never blocked. Crash: nothing is kept.
"""

from __future__ import annotations

import array
import fcntl
import sys
import termios
from typing import Any

READ_SECONDS = 20  # a client that takes less than READ_RATE bytes a second of its answers for so long is cut
READ_RATE = 1024


class Reading:
    """Ask `is_blocked` once a second."""

    __slots__ = ("_missing", "_taken")

    def __init__(self) -> None:
        self._taken = 0  # bytes of answers that the client took, at the last look
        self._missing = 0.0  # seconds that the client is behind READ_RATE

    def is_blocked(self, transport: Any, written: int) -> bool:
        """`written`: bytes of answers that were given to the transport so far."""
        unread = transport.get_write_buffer_size()
        if not unread:  # all is with the kernel, which holds little; what it holds is not asked for here
            self._taken = 0
            self._missing = 0.0
            return False
        taken = written - unread - _in_kernel(transport)
        self._missing = max(0.0, self._missing + 1 - (taken - self._taken) / READ_RATE)
        self._taken = taken
        return self._missing > READ_SECONDS


def _in_kernel(transport: Any) -> int:
    """Bytes that the kernel took and the client has not confirmed; 0 where the system does not say."""
    if sys.platform != "linux":
        return 0
    count = array.array("i", [0])
    try:
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, count)
    except (OSError, ValueError):  # closed meanwhile
        return 0
    return count[0]
