"""What is remembered about alerts, as it is stored, and what people decided about them.

Owns the shapes. One small value of the store has the `State` of all alerts and another the `Marks` of people, so that
the node that decides and the nodes that show read the same. Fields are only added, with a default. Invariant: every
collection is bounded, because each change writes all of it. Crash: events that were decided are in `outbox` before
they are appended, under ids that the log recognizes, so that a restart neither repeats nor forgets one.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

MAX_ALERTS = 4000
MAX_PAIRS = 2000
MAX_MOMENTS = 100
MAX_MARKS = 500
FOREVER_US = 1 << 62
ANY = "*"  # of a mark: every type, or every subject


class Evidence(Struct, omit_defaults=True):
    """What an event shows of the state that it reports."""

    summary: str
    next_step: str = ""
    severity: str = "warning"
    facts: dict[str, Any] = {}


class Alert(Struct, omit_defaults=True):
    """One kind about one subject: while it lasts, and for an hour after its last event. Times are microseconds."""

    type: str
    subject: str
    since_us: int
    evidence: Evidence
    fingerprint: str = ""  # what counts as a change
    announced: bool = False  # an event said that it began
    emitted_us: int = 0  # its last event; 0: none
    emitted_fingerprint: str = ""
    event: int = 0  # offset of the last event
    episodes: int = 0  # times it began since the last event
    missing_us: int = 0  # gone since; 0: it holds
    ended_us: int = 0  # over since; 0: it lasts
    total: int = 0  # of a number that grows


class Activity(Struct, omit_defaults=True):
    """What a source sent, to know when it is quiet. `gaps`: the longest gap of each of the last days, by day."""

    accepted: int = 0
    since_us: int = 0  # when watching began
    last_us: int = 0
    events: int = 0  # since watching began
    gaps: dict[int, int] = {}


class Pair(Struct, array_like=True):
    """A delivery of a system event that is not delivered: open, or exhausted (`dead`)."""

    offset: int
    destination: int
    dead: bool = False


class Outgoing(Struct, omit_defaults=True):
    """A system event to append. `id` is never used again. `subjects`: those that one event stands for."""

    id: str
    type: str
    about: str  # the type of the alert, which differs from `type` for an event that ends it
    subject: str
    state: str  # "firing", "changed", "repeated", "resolved", "happened"
    at_us: int
    since_us: int
    evidence: Evidence
    count: int = 1
    episodes: int = 1
    subjects: list[str] = []
    held_back: int = 0  # events that did not fit into `max_per_hour` since the last one


class Moment(Struct, omit_defaults=True):
    """Something that happened and is not reported yet."""

    type: str
    subject: str
    at_us: int
    evidence: Evidence


class State(Struct, omit_defaults=True):
    """Everything that the engine must not forget."""

    begun_us: int = 0
    sequence: int = 0
    alerts: list[Alert] = []
    reported: dict[str, int] = {}  # "TYPE SUBJECT" of a number that grows -> what was reported of it
    nodes: list[str] | None = None
    activity: dict[str, Activity] = {}
    pairs: list[Pair] = []
    lost_dead: dict[int, int] = {}  # destination -> dead pairs that are no longer in `pairs`
    moments: list[Moment] = []
    outbox: list[Outgoing] = []
    emitted: list[tuple[int, str, bool]] = []  # (when, type, whether it stands for many) of the last hour
    held_back: int = 0


class Mark(Struct, omit_defaults=True):
    """What a person decided about a type and a subject; each can be `*`."""

    type: str
    subject: str
    acknowledged_us: int = 0
    muted_until_us: int = 0
    by: str = ""
    note: str = ""


class Marks(Struct):
    marks: list[Mark] = field(default_factory=list)

    def muted_until(self, type_: str, subject: str, now_us: int) -> int:
        """0 when it is not muted now."""
        until = max((one.muted_until_us for one in self.marks if _covers(one, type_, subject)), default=0)
        return until if until > now_us else 0

    def acknowledged(self, type_: str, subject: str) -> int:
        """When it was acknowledged last; 0: never."""
        return max(
            (one.acknowledged_us for one in self.marks if (one.type, one.subject) == (type_, subject)), default=0
        )


def _covers(mark: Mark, type_: str, subject: str) -> bool:
    return mark.type in (ANY, type_) and mark.subject in (ANY, subject)


def acknowledged_us(marks: Marks, alert: Alert, *, grows: bool) -> int:
    """When the alert as it is now was acknowledged; 0: it was not.

    An acknowledgment is for one episode, and for a number that grows until it is reported again.
    """
    at_us = marks.acknowledged(alert.type, alert.subject)
    return at_us if at_us >= (alert.emitted_us if grows else alert.since_us) else 0
