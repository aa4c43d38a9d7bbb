"""Ends the programs of the sample company when the one who started them is gone without a word (kill -9, a crash).

It reads process ids from its standard input, one a line, which only the starter holds open. At the end of the input it
asks them all to stop, gives the gateway its time to settle, then kills what is left. After a wanted stop there is
nothing left to end, and `done` as the last line says so.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

SETTLE_SECONDS = 12.0


def main() -> None:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it ends with its input, and only then
    watched: list[int] = []
    for line in sys.stdin:
        if line.strip() == "done":
            return
        watched.append(int(line))
    for pid in watched:
        _send(pid, signal.SIGTERM)
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline and any(_send(pid, 0) for pid in watched):
        time.sleep(0.1)
    for pid in watched:
        _send(pid, signal.SIGKILL)


def _send(pid: int, number: int) -> bool:
    """False when there is no such process any more."""
    with contextlib.suppress(OSError):
        os.kill(pid, number)
        return True
    return False


if __name__ == "__main__":
    main()
