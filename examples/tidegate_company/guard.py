"""Ends the programs of the sample company when their supervisor was killed or crashed.

It reads process ids from standard input, one per line, which only the supervisor holds open. At the end of the input it
sends SIGTERM to all of them, waits for the gateway to store its results, then kills the rest. After a requested stop
the last line is `done`, and it ends nothing.
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
        signal.signal(number, signal.SIG_IGN)  # it ends only when its input ends
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
    """Send a signal. False when the process does not exist any more."""
    with contextlib.suppress(OSError):
        os.kill(pid, number)
        return True
    return False


if __name__ == "__main__":
    main()
