"""The figures of one resource: what polling and webhooks cost, and what they found.

Owns the shape that the pull engine fills, `GET /stats` sends, and advice, pages and metrics read. Holds no logic.
Instants are RFC 3339 text, durations seconds, shares numbers from 0 to 1; None stands where there is nothing to divide
by. Crash: nothing here is kept; the pull engine stores the counters that these figures are made from.
"""

from __future__ import annotations

from msgspec import Struct


class DelayFigures(Struct, kw_only=True):
    """How long after a change at the source its event was stored, of the latest samples of one origin."""

    p50_seconds: float | None = None
    p99_seconds: float | None = None
    samples: int = 0


class NoteFigures(Struct, kw_only=True):
    """How often something was ignored, skipped, clamped, guessed or contradicted, with up to three examples."""

    count: int = 0
    first_at: str | None = None
    last_at: str | None = None
    samples: list[str] = []


class IntervalChange(Struct, kw_only=True):
    """A change of an interval that Tidegate chose by itself."""

    at: str
    before_seconds: float
    after_seconds: float
    reason: str


class ResourceFigures(Struct, kw_only=True):
    """What one resource costs and brings. Counters start at `since`; those of `pull` when the process started."""

    since: str | None = None
    history_since: str | None = None  # from then on every change of a record has an event
    requests: int = 0
    bytes: int = 0
    changes: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    by_origin: dict[str, int] = {}
    polls: int = 0
    empty_polls: int = 0
    failed_polls: int = 0
    not_modified: int = 0
    empty_share: float | None = None
    not_modified_share: float | None = None
    requests_per_change: float | None = None
    staleness_p50_seconds: float | None = None
    staleness_p99_seconds: float | None = None
    staleness_samples: int = 0
    staleness_by_origin: dict[str, DelayFigures] = {}
    healed: int = 0  # changes that a look found and no webhook had reported
    healed_longest_seconds: float | None = None  # the longest that one of them can have been missing
    healed_samples: list[str] = []  # type and key of the last three
    last_healed_at: str | None = None
    webhooks: int = 0
    older_ignored: int = 0
    unreadable: int = 0
    fetch_backs: int = 0
    scans: int = 0
    scans_stopped_by_ratio: int = 0
    retries: int = 0  # of pages, within a run
    resumed: int = 0  # runs that went on at the page where an earlier one stopped
    empty_forms: dict[str, int] = {}  # empty lists, by their form: [], null, absent, 204, empty body
    findings: dict[str, NoteFigures] = {}  # by the code of the finding
    errors: int = 0
    last_error: str | None = None
    last_remedy: str | None = None
    last_error_at: str | None = None
    failing_since: str | None = None
    last_poll_at: str | None = None
    last_change_at: str | None = None
    # Of the schedule and the place in the log; None for a resource that is only pulled on demand.
    next_poll_at: str | None = None
    polled_at: str | None = None
    reconciled_at: str | None = None
    scanned_at: str | None = None
    poll_every_seconds: float | None = None
    reconcile_every_seconds: float | None = None
    reconcile_auto: bool = False  # the interval follows what webhooks miss; then also why, since when, what it was
    reconcile_reason: str | None = None
    reconcile_since: str | None = None
    reconcile_changes: list[IntervalChange] = []
    waiting_for_fetch: int = 0
    committed_offset: int | None = None
    # Of pulls on demand, on this node.
    pulls: int = 0
    pull_hits: int = 0
    pull_requests: int = 0
    pull_stale: int = 0


class MailboxFigures(Struct, kw_only=True):
    """What one mailbox costs and brings. `commands` are requests to the mail server; delays are by mode."""

    since: str | None = None
    mode: str = ""  # "idle" or "poll", as it runs now
    connected: bool = False
    commands: int = 0
    connections: int = 0
    looks: int = 0
    empty_looks: int = 0
    idles: int = 0
    mails: int = 0
    too_large: int = 0
    commands_per_mail: float | None = None
    delay_by_mode: dict[str, DelayFigures] = {}
    failures: int = 0
    last_error: str | None = None
    last_error_at: str | None = None
    failing_since: str | None = None
    last_look_at: str | None = None
    last_mail_at: str | None = None


class SubscriptionFigures(Struct, kw_only=True):
    """One WebSub subscription. `state`: pending, active, failing or denied."""

    state: str
    topic: str
    hub: str = ""
    verified_at: str | None = None
    ends_at: str | None = None
    renews_at: str | None = None
    failures: int = 0
    last_error: str | None = None
