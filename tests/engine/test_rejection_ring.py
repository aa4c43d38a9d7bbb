"""What is kept of many rejected requests at once."""

from __future__ import annotations

from tidegate.core.clock import ManualClock
from tidegate.core.findings import Findings
from tidegate.receive.rejections import UNKNOWN_PER_MINUTE, RejectionRing
from tidegate.store import Rejection


class Kept:
    def __init__(self) -> None:
        self.rows: list[Rejection] = []

    async def rejections(self, *, put=(), limit=100):
        self.rows += put
        return []


async def test_a_flood_to_unknown_addresses_leaves_the_others_in_the_list() -> None:
    clock, kept = ManualClock(), Kept()
    findings = Findings(clock)
    ring = RejectionRing(kept, findings)
    for minute in range(3):
        for number in range(200):
            ring.add(Rejection(clock.now_us() + minute * 60_000_000, f"x{number}", "source_unknown", "", ""))
        ring.add(Rejection(clock.now_us(), "shop", "signature_wrong", "", ""))
    await ring.close()
    reasons = [one.reason for one in kept.rows]
    assert reasons.count("signature_wrong") == 3
    assert reasons.count("source_unknown") == 3 * UNKNOWN_PER_MINUTE
    (finding,) = findings.listed()
    assert (finding.code, finding.subject, finding.count) == (
        "rejections_dropped",
        "source:unknown",
        3 * (200 - UNKNOWN_PER_MINUTE),
    )
