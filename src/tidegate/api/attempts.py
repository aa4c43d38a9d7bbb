"""Backing off from guesses at a key: how long an address, and everybody together, must wait after failures.

Owns the failures of the last minutes. Pure: the caller brings the time. May not know keys or requests. Invariant:
memory is bounded (`MAX_ADDRESSES`), and an address that never failed waits only when very many others fail at the same
time. A crash forgets the failures.
"""

from __future__ import annotations

from collections import OrderedDict

from tidegate.core.errors import TidegateError
from tidegate.core.networks import network_of

FREE_FAILURES = 10  # of one address before it waits; then each failure doubles the wait
MAX_WAIT_SECONDS = 60.0
FORGET_SECONDS = 600.0  # without a failure
ALL_FREE_FAILURES = 200  # of all addresses together
ALL_SECONDS_PER_FAILURE = 1.0
MAX_ADDRESSES = 10_000


class TooManyAttempts(TidegateError):
    """This address, or all together, sent too many wrong keys. Nothing was checked."""

    code = "too_many_attempts"
    status = 429
    retryable = True
    hint = "wait, or log in with a link: tidegate keys login"


class Attempts:
    """Failed attempts by address. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, float, float]] = OrderedDict()  # (count, last, waits until)
        self._all = 0.0  # failures of all that are not forgiven yet
        self._all_at = 0.0

    def wait_seconds(self, address: str, now: float) -> float:
        """0 when `address` may try now."""
        found = self._failures.get(network_of(address))
        own = max(0.0, found[2] - now) if found is not None else 0.0
        excess = self._all_left(now) - ALL_FREE_FAILURES
        return max(own, (excess + 1) * ALL_SECONDS_PER_FAILURE if excess >= 0 else 0.0)

    def check(self, address: str, now: float) -> None:
        """Raises TooManyAttempts."""
        wait = self.wait_seconds(address, now)
        if wait > 0:
            raise TooManyAttempts("too many attempts with a wrong key", retry_after_seconds=wait)

    def failed(self, address: str, now: float) -> None:
        network = network_of(address)
        count, last, _ = self._failures.pop(network, (0, now, 0.0))
        count = 1 if now - last > FORGET_SECONDS else count + 1
        excess = count - FREE_FAILURES
        wait = min(MAX_WAIT_SECONDS, 2.0 ** min(excess, 10)) if excess >= 0 else 0.0
        self._failures[network] = (count, now, now + wait)
        if len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)
        self._all = self._all_left(now) + 1
        self._all_at = now

    def _all_left(self, now: float) -> float:
        return max(0.0, self._all - (now - self._all_at) / ALL_SECONDS_PER_FAILURE)
