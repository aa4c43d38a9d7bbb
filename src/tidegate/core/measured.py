"""What was measured in a window: the figures of each resource, source and destination, from the rollups.

Owns the shapes that `rules/measure/measured.py` makes, `query/measured.py` reads, `GET /stats?window=` sends, and
`tidegate stats`, `/metrics`, advice and pages show. Holds no logic. Instants are RFC 3339 text, durations seconds,
shares numbers from 0 to 1. None stands where nothing was counted or nothing is known; it is never a 0.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Instant = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class Share(Struct, kw_only=True, frozen=True):
    """`part` of `whole`. `low` and `high`: the exact 95% interval (Clopper and Pearson); all three None of nothing."""

    part: int = 0
    whole: int = 0
    share: float | None = None
    low: float | None = None
    high: float | None = None


class Quantile(Struct, kw_only=True, frozen=True):
    """A delay. `low` and `high` differ where some changes have no time of their own: a poll only bounds those."""

    seconds: float | None = None
    low: float | None = None
    high: float | None = None


class Delay(Struct, kw_only=True, frozen=True):
    """Delays of `samples` changes or deliveries, each quantile at most 7.2% off.

    `bounded` of them have no time of their own: they came at any time between two looks. Their delay is taken as spread
    evenly over that time, and the quantiles say how low and how high they can be. `p99` needs 100 samples.
    """

    samples: int = 0
    bounded: int = 0
    mean_seconds: float | None = None
    p50: Quantile = Quantile()
    p95: Quantile = Quantile()
    p99: Quantile = Quantile()


class Requests(Struct, kw_only=True, frozen=True):
    """Requests to the API of a source, each counted under one kind."""

    total: int = 0
    polls: int = 0  # the first page of a poll
    pages: int = 0  # its other pages
    reconcile: int = 0  # all pages of a reconciling poll
    fetch_backs: int = 0  # of single items
    retries: int = 0  # of pages, within a run
    on_demand: int = 0  # pulls that the cache could not answer
    bytes_in: int = 0  # of the bodies of their answers
    per_day: float | None = None
    per_change: float | None = None
    cost: float | None = None  # total x `price_per_call`, where it is set
    cost_per_day: float | None = None


class Polls(Struct, kw_only=True, frozen=True):
    """Finished polls and reconciling polls. Empty ones found no change: not modified, unchanged, or an empty list."""

    finished: int = 0  # those that did not fail
    failed: int = 0
    found: int = 0  # at least one change
    not_modified: int = 0  # the source answered 304
    unchanged: int = 0  # every record was known already
    empty_list: int = 0
    snapshot: int = 0  # the first one, which makes records and no changes
    empty: Share = Share()  # of those that looked for changes
    took_mean_seconds: float | None = None  # from the first request until everything was stored


class Webhooks(Struct, kw_only=True, frozen=True):
    """Webhooks of one resource, and how well they reported its changes.

    A change is missed when a look found it and no webhook came for it later (late). Without looks nothing is known of
    missed ones: `missed` is a share of nothing then.
    """

    received: int = 0
    changed: int = 0  # brought a change
    healed: int = 0  # changes that a look found first
    late: int = 0  # came after a look had found the change
    own: int = 0  # came after the answer to our own write had shown the change
    repeated: int = 0  # brought what an earlier webhook had brought
    out_of_order: int = 0  # older than what an earlier webhook had brought
    to_fetch: int = 0  # were only a hint, so that the item was fetched
    unreadable: int = 0
    missed: Share = Share()  # of the changes that webhooks and looks found
    late_share: Share = Share()
    repeated_share: Share = Share()  # of those received
    out_of_order_share: Share = Share()
    missing_for: Delay = Delay()  # how long healed changes were missing, at most


class Pulls(Struct, kw_only=True, frozen=True):
    """Pulls on demand. Each of hits, shared and not_modified saved something: a request, or the body of an answer."""

    total: int = 0
    hits: int = 0  # answered from the cache
    shared: int = 0  # waited for the request of another caller (single flight)
    not_modified: int = 0  # the source answered 304
    stale: int = 0  # answered with an old copy because the source failed


class RateLimit(Struct, kw_only=True, frozen=True):
    """`used`: the greatest share of the quota that an answer of the source named, rounded up to a twentieth."""

    used: float | None = None
    waits: int = 0
    throttled_seconds: float = 0.0


class ResourceMeasured(Struct, kw_only=True):
    """One resource. `covered_seconds`: how much of the window was measured; figures a day are taken from it."""

    covered_seconds: float = 0.0
    changes: int = 0
    changes_by_origin: dict[str, int] = {}
    changes_per_hour: float | None = None
    requests: Requests = Requests()
    polls: Polls = Polls()
    delay: Delay = Delay()
    delay_by_origin: dict[str, Delay] = {}
    webhooks: Webhooks = Webhooks()
    pulls: Pulls = Pulls()
    rate_limit: RateLimit = RateLimit()
    saved: int = 0  # requests that the cache and single flight saved
    saved_bodies: int = 0  # answers without a body, because nothing was modified


class SourceMeasured(Struct, kw_only=True):
    """One source: what arrived, and the requests of all its resources."""

    accepted: int = 0
    accepted_by_origin: dict[str, int] = {}
    bytes_in: int = 0
    doubled: Share = Share()  # webhooks whose delivery id was stored before, of those that came
    changes: int = 0
    requests: Requests = Requests()
    rate_limit: RateLimit = RateLimit()


class DestinationMeasured(Struct, kw_only=True):
    """One destination. `delay`: from the arrival of the event to its delivery, without replays."""

    delivered: int = 0
    failed: int = 0  # attempts
    retried: int = 0  # attempts after the first one
    exhausted: int = 0
    attempts: int = 0
    failed_share: Share = Share()  # of the attempts
    bytes_out: int = 0  # of event bodies
    delay: Delay = Delay()
    pending_mean: float | None = None  # of samples, about one a minute


class Measured(Struct, kw_only=True):
    """Everything that was measured in a window. `until` is the end of the minute that was running."""

    window: str = ""
    since: Instant | None = None  # None: nothing was measured yet
    until: Instant = ""
    covered_seconds: float = 0.0
    resources: dict[str, ResourceMeasured] = {}  # by SOURCE/RESOURCE
    sources: dict[str, SourceMeasured] = {}
    destinations: dict[str, DestinationMeasured] = {}
    delay_by_way: dict[str, Delay] = {}  # of the changes of all resources: "pull" and "push"


class TimelineBin(Struct, kw_only=True):
    """What one resource did in one stretch of time, for charts."""

    at: Instant
    polls: int = 0
    found: int = 0  # polls that found a change
    requests: int = 0
    pulls: int = 0
    webhooks: int = 0
    changes: int = 0
    healed: int = 0
    missing_seconds: float = 0.0  # the sum of how long the healed ones were missing, at most
    throttled_seconds: float = 0.0
    failed: int = 0


class Timeline(Struct, kw_only=True):
    """Bins of equal length, oldest first, without the empty ones."""

    since: Instant
    until: Instant
    bin_seconds: int
    resources: dict[str, list[TimelineBin]] = {}
