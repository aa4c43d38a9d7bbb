"""Figures for the page "API or webhook?": five resources as the rules see them, at a fixed instant.

One is polled at its limit although webhooks exist, one is read on demand, one polled for little, one pushed and
reconciled, and one pushed with nothing that looks for what is missed. The advice is that of the rules, not made up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

import msgspec

from tidegate.config.spec import ApiInput, Source
from tidegate.core.clock import rfc3339
from tidegate.core.histogram import bucket_of
from tidegate.core.measured import (
    Delay,
    Measured,
    Polls,
    Pulls,
    Quantile,
    RateLimit,
    Requests,
    ResourceMeasured,
    Timeline,
    TimelineBin,
    Webhooks,
)
from tidegate.dashboard.pages import compare
from tidegate.query.schemas import AdviceSchema, ApplySchema, SettingSchema
from tidegate.query.shadow import ShadowSchema, compared
from tidegate.rules.measure.advice import Case
from tidegate.rules.measure.advise import advise
from tidegate.rules.measure.measured import share
from tidegate.rules.measure.observed import Delays, Observed, Offers, Setting, Wishes
from tidegate.rules.measure.shadow import ShadowFigures, Sightings
from tidegate.rules.sync.shadow import tag_of
from tidegate.rules.sync.spec import Resource, Shadow
from tidegate.store import ResourceState

_VIEW = compare.view  # as it is without a test's own
DAY_US = 86_400_000_000
UNTIL_US = 1_764_080_400_000_000
WEEK = 7 * 86_400.0
PUSHES = Offers(webhooks=True, receives=True, described=True, webhook_delay=Delays(1.1, 7.6, 2000))
CASES: dict[str, tuple[tuple[str, ...], Case]] = {
    "support/tickets": (("pull",), Case(
        observed=Observed(seconds=WEEK, requests=9968, polls=9900, empty_polls=8990, polled=1025, limit_used=0.98,
                          throttled_seconds=4320.0, poll_delay=Delays(31.0, 66.0, 1025), records=4000),
        setting=Setting(poll_seconds=60.0),
        offers=Offers(webhooks=True, receives=True, webhook_delay=Delays(1.1, 7.6, 2000)),
        wishes=Wishes(price_per_call=0.002))),
    "accounting/customers": (("pull",), Case(
        observed=Observed(seconds=WEEK, requests=2016, polls=2016, empty_polls=1952, polled=71,
                          poll_delay=Delays(149.0, None, 71), records=900),
        setting=Setting(poll_seconds=300.0), offers=Offers(), wishes=Wishes(price_per_call=0.002))),
    "shop/orders": (("pull",), Case(
        observed=Observed(seconds=WEEK, requests=0, reads=24_401, read_hits=10_086, read_requests=14_315),
        setting=Setting(cache_seconds=5.0), offers=Offers(), wishes=Wishes(price_per_call=0.002))),
    "payments/charges": (("pull", "push"), Case(
        observed=Observed(seconds=WEEK, requests=168, polls=168, empty_polls=165, polled=3, pushed=2894, webhooks=2894,
                          webhook_delay=Delays(1.1, 7.6, 2894), poll_delay=Delays(1500.0, None, 3), records=5000),
        setting=Setting(webhook=True, reconcile_seconds=3600.0), offers=PUSHES)),
    "crm/deals": (("push",), Case(
        observed=Observed(seconds=WEEK, pushed=14, webhooks=14, webhook_delay=Delays(1.5, None, 14)),
        setting=Setting(webhook=True), offers=PUSHES)),
}  # fmt: skip


def advised(name: str, case: Case) -> AdviceSchema:
    """As `query/advice.py` sends it."""
    said = advise(case)
    lines = [f"[sources.{name.replace('/', '.resources.')}]"]
    lines += [f"-{key}" if value is None else f"+{key} = {value!r}" for key, value in said.edits.items()]
    apply = None
    if said.edits:
        settings = [SettingSchema(key=key, before=None, after=value) for key, value in said.edits.items()]
        owner = "api" if name == "accounting/customers" else "file"
        apply = ApplySchema(owner=owner, settings=settings, toml=lines, ready=not said.needs, needs=said.needs)
    return AdviceSchema(
        resource=name, recommendation=said.recommendation, label=said.label, every_seconds=said.every_seconds,
        reason=said.reason, sentence=said.sentence, confidence=said.confidence,
        confidence_reason=said.confidence_reason, would_change=said.would_change, measured_seconds=WEEK,
        evidence=said.evidence, assumptions=said.assumptions, interval=said.interval, now=said.now, after=said.after,
        apply=apply, undo=False, curve=said.curve,
    )  # fmt: skip


def figures(case: Case) -> ResourceMeasured:
    """As `query/measured.py` has them."""
    seen = case.observed
    requests = seen.requests + seen.read_requests
    per_day, pushed = requests / 7, seen.webhooks > 0
    price = case.wishes.price_per_call
    return ResourceMeasured(
        covered_seconds=WEEK,
        changes=seen.changes,
        changes_by_origin={key: n for key, n in (("poll", seen.polled), ("webhook", seen.pushed)) if n},
        requests=Requests(
            total=requests, polls=seen.polls, on_demand=seen.read_requests, per_day=per_day,
            reconcile=seen.requests if pushed else 0, cost_per_day=None if price is None else per_day * price,
        ),
        polls=Polls(finished=seen.polls, found=seen.found_polls, empty=share(seen.empty_polls, seen.polls)),
        webhooks=Webhooks(
            received=seen.webhooks, changed=seen.pushed, healed=seen.polled if pushed else 0,
            missed=share(seen.polled, seen.changes) if pushed and seen.polls else share(0, 0),
        ),
        pulls=Pulls(total=seen.reads, hits=seen.read_hits),
        rate_limit=RateLimit(used=seen.limit_used, throttled_seconds=seen.throttled_seconds),
    )  # fmt: skip


def delay(p50: float, p99: float | None, samples: int) -> Delay:
    def at(seconds: float | None) -> Quantile:
        return Quantile(seconds=seconds, low=seconds, high=seconds)

    return Delay(samples=samples, p50=at(p50), p95=at(p99), p99=at(p99))


def bins(name: str, case: Case) -> list[TimelineBin]:
    """A day in half hours, more by day than by night."""
    chance = Random(name)
    found = []
    for place in range(48):
        busy = 0.3 + math.sin(place / 48 * math.pi) ** 2
        seen = case.observed
        reconciles = seen.webhooks > 0 and place % 2 == 0 and case.setting.reconcile_seconds is not None
        found.append(TimelineBin(
            at=rfc3339(UNTIL_US - DAY_US + place * 1_800_000_000) or "",
            polls=int(reconciles) if seen.webhooks else round(seen.polls / 336),
            found=0 if seen.webhooks else sum(chance.random() < busy * seen.found_polls / 672 for _ in range(2)),
            pulls=round(busy * seen.reads / 336),
            webhooks=round(chance.random() * busy * 2 * seen.webhooks / 336),
            healed=3 if name == "payments/charges" and place == 26 else 0,
            throttled_seconds=900.0 if seen.throttled_seconds and 18 <= place < 21 else 0.0,
        ))  # fmt: skip
    return found


def shadow(name: str) -> ShadowSchema:
    """Both ways of a resource at once: 88 changes found by both, 12 by polls alone."""
    figures = ShadowFigures(
        tag="x", started_us=UNTIL_US - DAY_US, pairs=88, only_poll=12, webhook_first={bucket_of(22_000): 88}
    )
    rule = Shadow(way="webhook")
    figures.tag = tag_of(rule)
    poll = Sightings(tag=figures.tag, based_us=1, requests=1440, bytes=14_400_000)
    webhook = Sightings(tag=figures.tag, webhooks=88, webhook_bytes=44_000)
    states = [
        ResourceState("crm", name, engine_state=msgspec.json.encode({"sightings": seen, "shadow": figures}))
        for seen in (poll, webhook)
    ]
    resource = Resource(path="/deals", poll="1m", version="v", shadow=rule)
    api = ApiInput(base_url="https://crm.example.com", price_per_call=0.002)
    source, _, deals = name.partition("/")
    return compared(source, Source(api=api, resources={deals: resource}), deals, (states[0], states[1]), UNTIL_US)


def page(
    copies: int = 1, chosen: compare.Chosen = compare.DEFAULT, shadows: Sequence[ShadowSchema] = ()
) -> compare.Comparison | None:
    """The page of these resources; `copies` of each with long names for the weight of a page."""
    cases = dict(CASES)
    for copy in range(1, copies):
        cases |= {f"{name}-of-a-rather-long-name-{copy}": case for name, case in CASES.items()}
    made = Measured(
        window="7d",
        until=rfc3339(UNTIL_US) or "",
        covered_seconds=WEEK,
        resources={name: figures(case) for name, (_, case) in cases.items()},
        delay_by_way={"pull": delay(33.0, 424.0, 1096), "push": delay(1.1, 7.6, 2908)},
    )
    timeline = Timeline(
        since=rfc3339(UNTIL_US - DAY_US) or "",
        until=rfc3339(UNTIL_US) or "",
        bin_seconds=1800,
        resources={name: bins(name, case) for name, (_, case) in cases.items()},
    )
    return _VIEW(
        [advised(name, case) for name, (_, case) in cases.items()], made, timeline,
        {name: ways for name, (ways, _) in cases.items()}, chosen, shadows,
    )  # fmt: skip
