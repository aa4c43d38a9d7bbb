"""What needs a person, and what was ignored, skipped, clamped or guessed: one struct and one bounded ring.

Owns `Finding` and the ring of one process. An engine reports a code, a subject and a short sample; reports of the same
code and subject are merged into one finding with a count. `query/health.py` is the one place that reads the ring.
Knows no engine, no store and no HTTP. Invariants: at most MAX_FINDINGS findings, each with at most MAX_SAMPLES samples
of at most MAX_SAMPLE_CHARACTERS characters; no sample holds a credential; what does not fit is counted and is a finding
itself. Crash: the ring is empty after a restart. What must survive a restart belongs in the store.
"""

from __future__ import annotations

import re

from msgspec import Struct

from tidegate.core.clock import Clock, rfc3339
from tidegate.core.finding_codes import CODES, UNKNOWN, Severity

MAX_FINDINGS = 256
MAX_SAMPLES = 5
MAX_SAMPLE_CHARACTERS = 200
MAX_NAME_CHARACTERS = 200  # of a code or a subject
KEPT_SECONDS = 86_400.0  # a finding that nobody reported for a day is dropped
SAMPLE_EVERY_US = 1_000_000  # once the samples are full, at most one a second replaces the oldest

MASKED = "[masked]"
_CREDENTIAL_NAME = (
    r"\b[\w-]{0,40}(?:token|secret|passw|passphrase|api[_-]?key|access[_-]?key|private|credential|cookie|session"
    r"|signature|jwt|csrf)[\w-]{0,40}[\"']?\s*[=:]\s*"
)
_SECRETS = (
    (re.compile(r"(\b[\w-]{0,40}authoriz\w*[\"']?\s*[=:]\s*)[^\r\n,;}]+", re.IGNORECASE), rf"\1{MASKED}"),
    (re.compile(r"\b(bearer|basic)\s+[\w+/=.~-]{8,}", re.IGNORECASE), rf"\1 {MASKED}"),
    (re.compile(r"//[^\s/@]+@"), f"//{MASKED}@"),  # https://user:password@host
    (re.compile(rf"({_CREDENTIAL_NAME})(\"[^\"]*\"?|'[^']*'?|[^\s&,;}}\"']+)", re.IGNORECASE), rf"\1{MASKED}"),
    # Keys with the prefix of the system that made them, and JSON Web Tokens.
    (re.compile(r"\b(?:tg|whsec|sk|rk|ghp|gho|ghs|github_pat|xox[a-z]|glpat)[_-][\w./+=-]{8,}"), MASKED),
    (re.compile(r"\beyJ[\w-]{8,}(?:\.[\w-]*)*"), MASKED),
)
RANK = {severity: rank for rank, severity in enumerate(Severity)}  # the most severe is 0


class Finding(Struct, kw_only=True):
    """One thing that needs a person, or that was ignored, skipped, clamped or guessed.

    `subject` is `KIND:NAME`: destination:crm, resource:shop/orders, source:shop, store:fsync; `kind` and `name` are its
    parts. `title` is a label of a few words, `summary` one sentence, `remedy` what to do ("" when nothing can be done).
    `first_at` is null when the start is not known; `last_at` is null for a state that lasts.
    """

    code: str
    subject: str
    severity: Severity
    title: str
    summary: str
    remedy: str
    count: int = 1
    first_at: str | None = None
    last_at: str | None = None
    samples: list[str] = []
    kind: str = ""
    name: str = ""
    acknowledged_at: str | None = None  # a person knows of it
    muted_until: str | None = None  # a person muted its alerts

    def __post_init__(self) -> None:
        self.kind, _, self.name = self.subject.partition(":")


class _Entry(Struct):
    first_us: int
    last_us: int
    count: int
    sample_us: int
    samples: list[str]
    remedy: str


class Findings:
    """The ring of one process. All methods belong to the event loop; none blocks or raises."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[tuple[str, str], _Entry] = {}  # the least recently reported first

    def report(self, code: str, subject: str, sample: str = "", *, remedy: str = "", count: int = 1) -> None:
        """Count `count` more of `code` for `subject`.

        `code` is a row of `finding_codes.CODES`; `subject` is `KIND:NAME`; `sample` is one example, which is cut and
        masked here; `remedy` replaces the remedy of the table where the reporter knows more.
        """
        key = (code[:MAX_NAME_CHARACTERS], subject[:MAX_NAME_CHARACTERS])
        now_us = self._clock.now_us()
        entry = self._entries.pop(key, None)
        if entry is None:
            self._make_space(now_us)
            entry = _Entry(now_us, now_us, 0, 0, [], "")
        self._entries[key] = entry
        entry.last_us = now_us
        entry.count += count
        entry.remedy = remedy or entry.remedy
        if sample and (len(entry.samples) < MAX_SAMPLES or now_us - entry.sample_us >= SAMPLE_EVERY_US):
            _add_sample(entry, mask(sample), now_us)

    def resolve(self, code: str, subject: str) -> None:
        """The reason for a finding is gone: remove it. Removing one that is not there does nothing."""
        self._entries.pop((code[:MAX_NAME_CHARACTERS], subject[:MAX_NAME_CHARACTERS]), None)

    def listed(self) -> list[Finding]:
        """All findings, the most severe first, then the most recent first."""
        self._drop_old(self._clock.now_us())
        found = [_finding(code, subject, entry) for (code, subject), entry in reversed(self._entries.items())]
        return sorted(found, key=lambda one: RANK[one.severity])

    def _make_space(self, now_us: int) -> None:
        if len(self._entries) < MAX_FINDINGS:
            return
        self._drop_old(now_us)
        if len(self._entries) < MAX_FINDINGS:
            return
        # The least severe goes, of those the least recently reported. The note of it stays.
        notes = ("findings_dropped", "process:findings")
        noted = self._entries.pop(notes, None) or _Entry(now_us, now_us, 0, 0, [], "")
        while len(self._entries) > MAX_FINDINGS - 2:
            victim = max(self._entries, key=lambda key: RANK[CODES.get(key[0], UNKNOWN).severity])
            del self._entries[victim]
            noted.count += 1
            noted.last_us = now_us
            _add_sample(noted, mask(f"{victim[0]} {victim[1]}"), now_us)
        self._entries[notes] = noted

    def _drop_old(self, now_us: int) -> None:
        oldest_us = now_us - int(KEPT_SECONDS * 1_000_000)
        for key in [key for key, entry in self._entries.items() if entry.last_us < oldest_us]:
            del self._entries[key]


def mask(text: str) -> str:
    """`text` with credentials replaced, on one line, cut to MAX_SAMPLE_CHARACTERS."""
    text = text[: MAX_SAMPLE_CHARACTERS * 4]  # bounds the work; the last cut comes after masking
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    text = " ".join(text.split())
    return text if len(text) <= MAX_SAMPLE_CHARACTERS else text[: MAX_SAMPLE_CHARACTERS - 3] + "..."


def finding(
    code: str,
    subject: str,
    summary: str,
    remedy: str | None = None,
    title: str | None = None,
    since: str | None = None,
) -> Finding:
    """A finding that describes a lasting state. What is None comes from the table's row of `code`."""
    row = CODES[code]
    return Finding(
        code=code,
        subject=subject,
        severity=row.severity,
        title=row.title if title is None else title,
        summary=summary,
        remedy=_remedy(row.remedy, subject) if remedy is None else remedy,
        first_at=since,
    )


def _finding(code: str, subject: str, entry: _Entry) -> Finding:
    row = CODES.get(code, UNKNOWN)
    return Finding(
        code=code,
        subject=subject,
        severity=row.severity,
        title=row.title,
        summary=row.meaning,
        remedy=entry.remedy or _remedy(row.remedy, subject),
        count=entry.count,
        first_at=rfc3339(entry.first_us),
        last_at=rfc3339(entry.last_us),
        samples=list(entry.samples),
    )


def _remedy(text: str, subject: str) -> str:
    return text.replace("{name}", subject.partition(":")[2])


def _add_sample(entry: _Entry, sample: str, now_us: int) -> None:
    if sample in entry.samples:
        return
    entry.samples.append(sample)
    entry.sample_us = now_us
    del entry.samples[:-MAX_SAMPLES]
