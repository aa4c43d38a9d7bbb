"""Both ways of a resource at once, as the API, the command line and the page show it: which is sooner, cheaper, more
complete.

Owns the way from the stored states of the two parts to a result in figures and sentences. Reads only. What was not
measured is null, and a way is called better only when its interval says so.
"""

from __future__ import annotations

import msgspec

from tidegate.config.spec import Source
from tidegate.core.clock import rfc3339
from tidegate.core.units import seconds
from tidegate.query.context import ReadContext
from tidegate.rules.measure import shadow as rules
from tidegate.rules.measure import wording
from tidegate.rules.measure.shadow import OTHER, POLL, WEBHOOK, Bounded, ShadowFigures, Sightings, StoredShadow
from tidegate.rules.sync.shadow import shadow_name, tag_of
from tidegate.rules.sync.spec import Shadow
from tidegate.store import ResourceState

DAY_SECONDS = 86_400.0
SHORTEST_SECONDS = 60.0  # figures a day need at least so much


class WaySchema(msgspec.Struct, kw_only=True):
    """One of the two ways. `missed` are changes that only the other way found, of the `of` that it found."""

    way: str
    makes_records: bool  # False: it only measures
    found: int
    missed: int
    of: int
    missed_share: Bounded
    requests: int
    requests_per_day: float | None = None
    bytes: int = 0  # of the answers
    cost_per_day: float | None = None
    webhooks: int = 0
    webhook_bytes: int = 0
    error: str = ""  # of its last poll, when that failed


class ShadowSchema(msgspec.Struct, kw_only=True):
    """The comparison of the two ways of one resource. `state`: starting, measuring or ended.

    `sooner`, `cheaper` and `more_complete` name a way, or are empty where the figures do not decide.
    `poll_later_seconds`: the median of how much later polls found a change than webhooks, of `pairs` that both found.
    """

    resource: str
    state: str
    started_at: str | None
    ends_at: str | None
    measured_seconds: float
    pairs: int
    poll_later_seconds: Bounded
    webhook_first: int
    sooner: str
    cheaper: str
    more_complete: str
    ways: list[WaySchema]
    undecided: int  # found by one way, and it is too early to say that the other missed it
    left_out: int  # did not fit
    own_writes: int  # left out: the answer to an operation had them before a poll could
    sentences: list[str]


async def all_shadows(gateway: ReadContext, allowed: frozenset[str] | None = None) -> list[ShadowSchema]:
    """One for each resource that has `shadow`, by name; of the sources `allowed`, None: of all."""
    found = []
    for name, source in sorted(gateway.active.sources.items()):
        if allowed is None or name in allowed:
            for resource, spec in sorted(source.spec.resources.items()):
                if spec.shadow is not None:
                    found.append(await one_shadow(gateway, name, source.spec, resource))
    return found


async def one_shadow(gateway: ReadContext, source: str, spec: Source, resource: str) -> ShadowSchema:
    """The comparison of a resource that has `shadow`."""
    states = [await gateway.store.records.state(source, one) for one in (resource, shadow_name(resource))]
    return compared(source, spec, resource, (states[0], states[1]), gateway.clock.now_us())


def compared(
    source: str, spec: Source, resource: str, states: tuple[ResourceState, ResourceState], now_us: int
) -> ShadowSchema:
    """`states`: of the part that makes records and of the one that measures. Pure."""
    rule = spec.resources[resource].shadow
    assert rule is not None
    main, own = (_stored(state, tag_of(rule)) for state in states)
    figures = own.shadow
    sightings = {rule.way: own.sightings, OTHER[rule.way]: main.sightings}
    until_us = figures.ended_us or now_us
    measured = max(0.0, (until_us - figures.started_us) / 1e6) if figures.started_us else 0.0
    price = spec.api.price_per_call if spec.api is not None else None
    errors = {rule.way: _error(states[1]), OTHER[rule.way]: _error(states[0])}
    ways = [_way(way, rule, figures, sightings[way], measured, price) for way in (POLL, WEBHOOK)]
    for one in ways:
        one.error = errors[one.way]
    made = ShadowSchema(
        resource=f"{source}/{resource}",
        state=_state(figures, sightings[POLL]),
        started_at=rfc3339(figures.started_us or None),
        ends_at=rfc3339(figures.started_us + int(seconds(rule.duration) * 1e6)) if figures.started_us else None,
        measured_seconds=round(measured, 3),
        pairs=figures.pairs,
        poll_later_seconds=rules.later(figures),
        webhook_first=sum(figures.webhook_first.values()),
        sooner=rules.fresher(figures),
        cheaper=_cheaper(ways),
        more_complete=rules.more_complete(figures),
        ways=ways,
        undecided=_undecided(figures, sightings),
        left_out=sum(one.dropped for one in sightings.values()),
        own_writes=figures.own_writes,
        sentences=[],
    )
    made.sentences = sentences(made)
    return made


def _way(
    way: str, rule: Shadow, figures: ShadowFigures, seen: Sightings, measured: float, price: float | None
) -> WaySchema:  # fmt: skip
    missed, of = rules.missed(figures, way)
    alone = figures.only_poll if way == POLL else figures.only_webhook
    per_day = seen.requests * DAY_SECONDS / measured if measured >= SHORTEST_SECONDS else None
    return WaySchema(
        way=way, makes_records=way != rule.way, found=figures.pairs + figures.untimed + alone, missed=missed, of=of,
        missed_share=rules.share(missed, of), requests=seen.requests,
        requests_per_day=None if per_day is None else round(per_day, 3), bytes=seen.bytes,
        cost_per_day=None if price is None or per_day is None else round(price * per_day, 6),
        webhooks=seen.webhooks, webhook_bytes=seen.webhook_bytes,
    )  # fmt: skip


def _stored(state: ResourceState, tag: str) -> StoredShadow:
    """What belongs to this comparison; nothing, where the stored figures are of another one."""
    found = msgspec.json.decode(state.engine_state, type=StoredShadow)
    return StoredShadow(
        found.sightings if found.sightings.tag == tag else Sightings(),
        found.shadow if found.shadow.tag == tag else ShadowFigures(),
    )


def _error(state: ResourceState) -> str:
    class Failing(msgspec.Struct):
        failing_since_us: int | None = None
        last_error: str = ""

    found = msgspec.json.decode(state.statistics, type=Failing)
    return found.last_error if found.failing_since_us is not None else ""


def _state(figures: ShadowFigures, poll: Sightings) -> str:
    if figures.ended_us:
        return "ended"
    return "measuring" if poll.based_us else "starting"


def _cheaper(ways: list[WaySchema]) -> str:
    poll, webhook = ways
    if poll.requests_per_day is None or webhook.requests_per_day is None or poll.requests == webhook.requests:
        return ""
    return POLL if poll.requests < webhook.requests else WEBHOOK


def _undecided(figures: ShadowFigures, sightings: dict[str, Sightings]) -> int:
    after = max(figures.settled_us, sightings[POLL].based_us)
    first: dict[str, int] = {}
    for one in sightings.values():
        for version, at in one.found.items():
            first[version] = min(at, first.get(version, at))
    return sum(at > after for at in first.values()) if sightings[POLL].based_us else 0


# -- sentences -------------------------------------------------------------------------------------------


def sentences(one: ShadowSchema) -> list[str]:
    """What the figures say, for people."""
    if one.state == "starting":
        return ["It begins to compare after the first poll that finishes; what is there before is left out."]
    poll, webhook = one.ways
    return [_sooner(one), _complete(one), _cost(one, poll, webhook)]


def _sooner(one: ShadowSchema) -> str:
    late = one.poll_later_seconds
    if late.estimate is None:
        return "No change was found by both ways yet, so nothing is known of their delays."
    pairs = wording.count(one.pairs, "changes")
    if late.low is None or late.high is None:
        return f"Both ways found {pairs}; {rules.FEWEST_PAIRS} are needed to compare their delays."
    bounds = f"95% interval {_signed(late.low)} to {_signed(late.high)}"
    if not one.sooner:
        return f"Neither way is sooner: polls are {_signed(late.estimate)} later by the median of {pairs} ({bounds})."
    first, other = ("Webhooks", "polls") if one.sooner == WEBHOOK else ("Polls", "webhooks")
    late = late if one.sooner == WEBHOOK else Bounded(estimate=-late.estimate, low=-late.high, high=-late.low)
    bounds = f"95% interval {_signed(late.low or 0.0)} to {_signed(late.high or 0.0)}"
    return f"{first} are sooner: {other} are {_signed(late.estimate or 0)} later by the median of {pairs} ({bounds})."


def _complete(one: ShadowSchema) -> str:
    known = [way for way in one.ways if way.of]
    if not known:
        return "Nothing is known yet of what each way misses."
    missed = ", ".join(_missed(way) for way in known)
    missed = missed[:1].upper() + missed[1:]
    if not one.more_complete:
        return f"{missed}. That does not prove that one way is more complete."
    return f"{missed}: {_PLURAL[one.more_complete]} are more complete."


_PLURAL = {POLL: "polls", WEBHOOK: "webhooks"}


def _missed(way: WaySchema) -> str:
    bounds = way.missed_share
    text = f"{wording.share(bounds.low or 0.0)} to {wording.share(bounds.high or 0.0)}"
    return f"{_PLURAL[way.way]} missed {way.missed:,} of {way.of:,} changes (95% interval {text})"


def _cost(one: ShadowSchema, poll: WaySchema, webhook: WaySchema) -> str:
    if poll.requests_per_day is None or webhook.requests_per_day is None:
        return "It runs too short to say what each way costs a day."
    parts = [f"polls take {_per_day(poll)}", f"webhooks {_per_day(webhook)}"]
    word = {POLL: "Polls are cheaper", WEBHOOK: "Webhooks are cheaper", "": "Both cost the same"}[one.cheaper]
    return f"{word}: {', '.join(parts)}."


def _per_day(way: WaySchema) -> str:
    money = f" for {way.cost_per_day:,.2f}" if way.cost_per_day is not None else ""
    return f"{wording.number(way.requests_per_day or 0.0)} requests a day{money}"


def _signed(value: float) -> str:
    return wording.span(value) if value >= 0 else f"-{wording.span(-value)}"
