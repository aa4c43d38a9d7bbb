"""The health of one resource: everything that was ignored, skipped, clamped, guessed or contradicted.

Owns the notes of a resource: a code, a count and three samples each. They are stored with its statistics, are in the
report of the run that made them, and are reported to the ring of findings. Knows no rules. Invariants: the codes are
rows of `core/finding_codes/`; no sample holds a credential. Crash: a note is as durable as the commit after it, and
the ring is filled again from the stored notes.
"""

from __future__ import annotations

import msgspec

from tidegate.core.clock import Clock, rfc3339
from tidegate.core.figures import NoteFigures
from tidegate.core.finding_codes import CODES
from tidegate.core.findings import KEPT_SECONDS, Findings, mask

MAX_SAMPLES = 3


class Note(msgspec.Struct, omit_defaults=True):
    """How often one thing was noticed, and examples of it, the newest last."""

    count: int = 0
    first_at_us: int = 0
    last_at_us: int = 0
    samples: list[str] = []

    def add(self, sample: str, count: int, now_us: int) -> None:
        self.first_at_us = self.first_at_us or now_us
        self.last_at_us = now_us
        self.count += count
        if sample and sample not in self.samples:
            self.samples = [*self.samples, sample][-MAX_SAMPLES:]

    def figures(self) -> NoteFigures:
        return NoteFigures(
            count=self.count,
            first_at=rfc3339(self.first_at_us),
            last_at=rfc3339(self.last_at_us),
            samples=list(self.samples),
        )


class ResourceHealth:
    """Notes of one resource. `notes` is part of its statistics and is replaced when those are read again."""

    def __init__(self, findings: Findings, clock: Clock, source: str, name: str) -> None:
        self.notes: dict[str, Note] = {}
        self.of_run: dict[str, Note] = {}  # since `begin_run`
        self._findings = findings
        self._clock = clock
        self._subject = f"resource:{source}/{name}"

    def use(self, notes: dict[str, Note]) -> None:
        """Continue with stored notes, and show the recent ones again."""
        self.notes = notes
        for code in CODES.keys() - notes.keys():
            self._findings.resolve(code, self._subject)
        oldest_us = self._clock.now_us() - int(KEPT_SECONDS * 1_000_000)
        for code, one in notes.items():
            if one.last_at_us < oldest_us:
                continue
            self._findings.resolve(code, self._subject)
            for at, sample in enumerate(one.samples or [""]):
                self._findings.report(code, self._subject, sample, count=0 if at else one.count)

    def begin_run(self) -> None:
        self.of_run = {}

    def note(self, code: str, sample: str = "", count: int = 1) -> None:
        """Count `count` more of `code`, with an example."""
        sample, now_us = mask(sample), self._clock.now_us()
        for notes in (self.notes, self.of_run):
            notes.setdefault(code, Note()).add(sample, count, now_us)
        self._findings.report(code, self._subject, sample, count=count)

    def resolve(self, code: str) -> None:
        """The reason for a note is gone: nothing shows it any more."""
        self._findings.resolve(code, self._subject)
        self.notes.pop(code, None)
