"""The kinds of system event: what each is called, which findings it stands for, and how it ends.

Owns the one table that engine, checks, pages, command line and `docs/guides/alerts.md` read. To add a kind, add a row
and a signal for it in `signals.py`. Invariants: a type is in one row only; a finding stands for at most one kind, so
that a finding on a page and the event about it can be matched by code and subject. Pure.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from tidegate.core.finding_codes import Severity


class Course(Enum):
    """How a kind behaves over time."""

    LASTS = "lasts"  # begins and ends
    GROWS = "grows"  # a number that grows; an event says by how much
    HAPPENS = "happens"  # a single moment


class AlertKind(NamedTuple):
    """One kind. `ended`: the type of the event that says that it is over; "" when none does."""

    course: Course
    severity: Severity
    label: str
    meaning: str
    codes: tuple[str, ...] = ()  # of findings that are the same thing
    ended: str = ""
    settles_seconds: float = 0.0  # it has ended only when it was gone for so long


ERROR, WARNING, NOTICE = Severity
LASTS, GROWS, HAPPENS = Course

KINDS: dict[str, AlertKind] = {
    "destination.failing": AlertKind(
        LASTS,
        ERROR,
        "failing",
        "The circuit of a destination is open for `destination_failing_after`, and deliveries wait for it.",
        ("destination_failing",),
        "destination.recovered",
        60.0,  # a node that takes a destination over needs a moment to know its state
    ),
    "destination.paused": AlertKind(
        LASTS,
        WARNING,
        "paused",
        "A destination is paused: by an operator, by its answer 410, or because it left the configuration file.",
        ("destination_paused", "destination_stopped", "destination_left_file"),
        "destination.resumed",
    ),
    "delivery.exhausted": AlertKind(
        GROWS,
        ERROR,
        "dead letters",
        "Deliveries to a destination used all their attempts: `delivery_exhausted` or more since the last event.",
        ("dead_letters", "cannot_render"),
    ),
    "backlog.growing": AlertKind(
        LASTS,
        WARNING,
        "backlog growing",
        "A destination has `backlog` or more pending deliveries, and more than `backlog_growing_for` ago.",
        ("backlog_growing",),
        "backlog.recovered",
    ),
    "source.quiet": AlertKind(
        LASTS,
        WARNING,
        "quiet",
        "A source sent nothing for `source_quiet_after`, or for much longer than it usually does.",
        ("source_quiet",),
        "source.recovered",
    ),
    "poll.failing": AlertKind(
        LASTS,
        ERROR,
        "polls failing",
        "The polls of a resource fail for `poll_failing_after`.",
        ("polls_failing",),
        "poll.recovered",
    ),
    "rows.skipped": AlertKind(
        GROWS,
        WARNING,
        "rows skipped",
        "Two polls or more skipped rows of a resource: `rows_skipped` or more since the last event.",
        ("rows_skipped",),
    ),
    "webhooks.missed": AlertKind(
        GROWS,
        WARNING,
        "webhooks missed",
        "Polls found `webhooks_missed` or more changes that no webhook had reported.",
        ("webhooks_missed",),
    ),
    "requests.rejected": AlertKind(
        GROWS,
        WARNING,
        "requests rejected",
        "A source rejected `requests_rejected` or more requests within an hour.",
        ("requests_rejected",),
    ),
    "credential.expiring": AlertKind(
        LASTS,
        WARNING,
        "credential expiring",
        "A credential or a certificate ends soon and cannot be renewed without a person.",
        ("credential_expiring", "certificate_expiring"),
        "credential.recovered",
    ),
    "credential.dead": AlertKind(
        LASTS,
        ERROR,
        "credential dead",
        "A credential or a certificate does not work any more, and only a person can renew it.",
        ("credential_dead", "certificate_expired"),
        "credential.recovered",
    ),
    "credential.failing": AlertKind(
        LASTS,
        ERROR,
        "credential failing",
        "A token service has given no token for a minute, or an API rejects a new token.",
        ("credential_failing", "credential_refused"),
        "credential.recovered",
    ),
    "credential.incomplete": AlertKind(
        LASTS,
        WARNING,
        "credential incomplete",
        "A credential lacks scopes or values that the configuration names.",
        ("credential_scopes", "credential_capture"),
        "credential.recovered",
    ),
    "conflict.held": AlertKind(
        LASTS,
        WARNING,
        "conflict needs a decision",
        "Two systems changed the same fields of a record, and a person has to decide.",
        ("conflict_held",),
        "conflict.resolved",
    ),
    "disk.low": AlertKind(
        LASTS,
        ERROR,
        "disk nearly full",
        "Less than `disk_free` is free on the disk of the embedded store.",
        ("disk_low",),
        "disk.recovered",
    ),
    "node.joined": AlertKind(HAPPENS, NOTICE, "node joined", "A node started to work on the store."),
    "node.left": AlertKind(HAPPENS, NOTICE, "node left", "A node stopped or its lease ended."),
}
ENDINGS = tuple(dict.fromkeys(kind.ended for kind in KINDS.values() if kind.ended))
SYSTEM_TYPES: tuple[str, ...] = (*KINDS, *ENDINGS)
KIND_OF_CODE = {code: type_ for type_, kind in KINDS.items() for code in kind.codes}
