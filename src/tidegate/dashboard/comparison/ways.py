"""Pull against push: the classic comparison, each row filled with what was measured here.

Both columns of a row share one scale. A row whose figure is not known says so; the last column names the difference.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from msgspec import Struct

from tidegate.core.measured import Delay, Measured
from tidegate.dashboard.charts.strips import bar, delay_strip
from tidegate.dashboard.comparison.subject import NOT_MEASURED, Subject, money, share, span, total
from tidegate.rules.measure import wording
from tidegate.rules.measure.measured import share as share_of

PULLED, PUSHED = ("poll", "reconcile"), ("webhook", "publish")


class Cell(Struct, kw_only=True):
    """`figure` is one number, `text` one caption, `chart` at most one drawing."""

    figure: str = ""
    text: str = ""
    chart: str = ""


class Row(Struct, kw_only=True):
    label: str
    note: str
    pull: Cell
    push: Cell
    word: str  # the difference, in a few words
    why: str


class Ways(Struct, kw_only=True):
    """`pulled` and `pushed`: the names of the resources, for the heads of the columns."""

    pulled: str
    pushed: str
    rows: list[Row]


class Totals(Struct, kw_only=True):
    """The figures of all resources together, by way."""

    per_day: float | None
    webhooks_per_day: float | None
    polls: int
    empty: int
    asked: int  # requests of resources that no webhook updates, without pulls on demand
    pulled: int  # changes of the same
    pushed: int
    reconciling: int  # requests
    missed: int
    looked_for: int  # changes among which missed webhooks were looked for
    used: float | None
    throttled: float
    pull: Delay
    push: Delay


def totals(subjects: Sequence[Subject], made: Measured) -> Totals:
    found = [one.measured for one in subjects]
    polled = [one.measured for one in subjects if "push" not in one.ways]
    missed = [one.webhooks.missed for one in found]
    used = [one.rate_limit.used for one in found if one.rate_limit.used is not None]
    days = made.covered_seconds / 86_400 if made.covered_seconds >= 60 else None
    received = sum(one.webhooks.received for one in found)
    return Totals(
        per_day=total([one.requests for one in subjects]),
        webhooks_per_day=received / days if days else None,
        polls=sum(one.polls.empty.whole for one in found),
        empty=sum(one.polls.empty.part for one in found),
        asked=sum(one.requests.total - one.requests.on_demand for one in polled),
        pulled=sum(one.changes_by_origin.get(way, 0) for one in polled for way in PULLED),
        pushed=sum(one.changes_by_origin.get(way, 0) for one in found for way in PUSHED),
        reconciling=sum(one.requests.reconcile for one in found),
        missed=sum(one.part for one in missed),
        looked_for=sum(one.whole for one in missed),
        used=max(used) if used else None,
        throttled=sum(one.rate_limit.throttled_seconds for one in found),
        pull=made.delay_by_way.get("pull") or Delay(),
        push=made.delay_by_way.get("push") or Delay(),
    )


def ways(subjects: Sequence[Subject], made: Measured) -> Ways:
    sums = totals(subjects, made)
    return Ways(
        pulled=_names(subjects, "pull"),
        pushed=_names(subjects, "push"),
        rows=[
            _transfer(sums), _trigger(), _delay(sums), _per_change(sums), _empty(sums), _missed(sums),
            *_limit(sums), *_cost(subjects), _best(subjects),
        ],
    )  # fmt: skip


def _names(subjects: Sequence[Subject], way: str) -> str:
    sources = sorted({one.name.partition("/")[0] for one in subjects if way in one.ways})
    more = len(sources) - 4
    return ", ".join(sources[:4]) + (f" and {more} more" if more > 0 else "") or "none yet"


def _transfer(sums: Totals) -> Row:
    asked, sent = (NOT_MEASURED if one is None else wording.number(round(one)) for one in _both(sums))
    return Row(
        label="Data transfer",
        note="who begins",
        pull=Cell(text=f"Request-based: Tidegate asks, {asked} times a day."),
        push=Cell(text=f"Event-driven: the source sends, {sent} times a day."),
        word="One log",
        why="either way it becomes the same event",
    )


def _both(sums: Totals) -> tuple[float | None, float | None]:
    return sums.per_day, sums.webhooks_per_day


def _trigger() -> Row:
    return Row(
        label="Trigger",
        note="what starts it",
        pull=Cell(text="By schedule or by hand. A change waits for the next request."),
        push=Cell(text="Automatic, by the event. Nothing is asked in between."),
        word="No waiting",
        why="a change starts its own delivery",
    )


def _delay(sums: Totals) -> Row:
    pull, push = sums.pull.p50.seconds, sums.push.p50.seconds
    word, why = NOT_MEASURED.capitalize(), "one of the two ways has no change yet"
    if pull and push:
        times = pull / push
        word = f"{wording.number(max(times, 1 / times))}x sooner"
        why = f"by {'push' if times >= 1 else 'pull'}, at the median"
    return Row(
        label="Delay",
        note="median and p99",
        pull=_delay_cell("pull", sums.pull),
        push=_delay_cell("push", sums.push),
        word=word,
        why=why,
    )


def _delay_cell(way: str, delay: Delay) -> Cell:
    if not delay.samples:
        return Cell(figure="Not measured", text="no change came this way")
    p99 = delay.p99.seconds
    text = f"p99 {span(p99)}" if p99 is not None else f"{wording.count(delay.samples, 'changes')}; p99 from 100"
    if delay.bounded:
        text += f", median between {span(delay.p50.low)} and {span(delay.p50.high)}"
    drawn = delay_strip(way, delay.p50.seconds, p99)
    return Cell(figure=span(delay.p50.seconds), text=text, chart=Markup(drawn))  # noqa: S704 - escaped there


def _per_change(sums: Totals) -> Row:
    pull = sums.asked / sums.pulled if sums.pulled else None
    push = 1 + sums.reconciling / sums.pushed if sums.pushed else None
    most = max(pull or 0.0, push or 0.0) or 1.0
    word, why = "Not measured", "one of the two ways has no change yet"
    if pull and push:
        word = f"{wording.number(max(pull, push) / min(pull, push))}x fewer"
        why = f"by {'push' if push < pull else 'pull'}"
    elif sums.polls and not sums.pulled:
        word, why = "Nothing found", f"{wording.count(sums.polls, 'polls')} brought no change"
    return Row(
        label="Requests per change",
        note="what a change costs",
        pull=_bar_cell("pull", pull, most, f"{sums.asked:,} requests, {wording.count(sums.pulled, 'changes')}"),
        push=_bar_cell("push", push, most, f"the webhook itself, and {sums.reconciling:,} requests to reconcile"),
        word=word,
        why=why,
    )


def _bar_cell(way: str, value: float | None, most: float, text: str) -> Cell:
    if value is None:
        return Cell(figure="Not measured", text="no change came this way")
    drawn = bar(way, value, value if way == "push" else min(value, 1.0), most)
    return Cell(figure=wording.number(value), text=text, chart=Markup(drawn))  # noqa: S704 - escaped there


def _empty(sums: Totals) -> Row:
    found = share_of(sums.empty, sums.polls)
    pull = Cell(figure="Not measured", text="no poll has finished")
    if found.share is not None:
        text = f"95% interval {share(found.low)} to {share(found.high)}"
        drawn = bar("pull", 1.0, 1.0 - found.share, 1.0)
        pull = Cell(figure=share(found.share), text=text, chart=Markup(drawn))  # noqa: S704 - escaped there
    return Row(
        label="Empty polls",
        note="filled: found a change",
        pull=pull,
        push=Cell(figure="None", text="nothing is polled but to reconcile"),
        word=wording.count(sums.empty, "empty polls"),
        why="in this window",
    )


def _missed(sums: Totals) -> Row:
    found = share_of(sums.missed, sums.looked_for)
    push = Cell(figure="Not measured", text="no poll looks for what webhooks miss: set reconcile")
    if found.share is not None:
        text = f"of {found.whole:,}, 95% interval {share(found.low)} to {share(found.high)}"
        push = Cell(figure=f"{sums.missed:,}", text=text)
    return Row(
        label="Missed changes",
        note="and how they were found",
        pull=Cell(text="Each poll compares the list. Two changes of one record between two polls are seen as one."),
        push=push,
        word="Reconcile" if sums.missed else "None missed" if sums.looked_for else "Not measured",
        why=f"{wording.count(sums.reconciling, 'requests')} looked for what webhooks missed"
        if sums.looked_for
        else "without a poll nobody knows",
    )


def _limit(sums: Totals) -> list[Row]:
    if sums.used is None:
        return []
    drawn = bar("pull", 1.0, sums.used, 1.0)
    paused = f"paused {span(sums.throttled)} in this window" if sums.throttled else "never paused"
    return [
        Row(
            label="Rate limit used",
            note="the highest of all sources",
            pull=Cell(figure=share(sums.used), text="as the source says", chart=Markup(drawn)),  # noqa: S704
            push=Cell(figure="0%", text="webhooks do not count"),
            word="Paused" if sums.throttled else "Not paused",
            why=paused,
        )
    ]


def _cost(subjects: Sequence[Subject]) -> list[Row]:
    prices = [one for one in subjects if one.measured.requests.cost_per_day is not None]
    if not prices:
        return []
    polled = total([one.measured.requests.cost_per_day for one in prices if one.ways == ("pull",)])
    pushed = total([one.measured.requests.cost_per_day for one in prices if "push" in one.ways])
    return [
        Row(
            label="Cost per day",
            note="at price_per_call",
            pull=Cell(figure=money(polled).capitalize(), text="requests of polled resources"),
            push=Cell(figure=money(pushed).capitalize(), text="requests that reconcile and fetch back"),
            word="Priced",
            why="only requests are paid for",
        )
    ]


def _best(subjects: Sequence[Subject]) -> Row:
    pull = [one.name for one in subjects if one.advised.recommendation in ("keep_polling", "poll_every", "cache_for")]
    push = [one.name for one in subjects if one.advised.recommendation in ("subscribe", "keep_both", "reconcile_every")]
    return Row(
        label="Best for",
        note="and which resources here",
        pull=Cell(text=f"Data on demand, records that change rarely, systems without webhooks. {_list(pull)}".strip()),
        push=Cell(text=f"Real-time updates, tight rate limits, changes that must not wait. {_list(push)}".strip()),
        word="Both",
        why="where no change may be lost",
    )


def _list(names: Sequence[str]) -> str:
    if not names:
        return ""
    return "Here: " + ", ".join(names[:2]) + (f" and {len(names) - 2} more." if len(names) > 2 else ".")
