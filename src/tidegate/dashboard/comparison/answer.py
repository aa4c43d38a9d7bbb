"""The answer of the page: one sentence, what it would change, every resource with its word, and four figures."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from msgspec import Struct

from tidegate.core.measured import Measured
from tidegate.dashboard import formatting
from tidegate.dashboard.charts.strips import bar
from tidegate.dashboard.comparison.subject import NOT_MEASURED, Subject, money, per_day, span, total
from tidegate.rules.measure import wording

NO_BREAK = "\u00a0"


class AnswerRow(Struct, kw_only=True):
    name: str
    anchor: str
    ways: tuple[str, ...]
    label: str
    bar: str
    now: str
    after: str  # "" where nothing changes


class Tile(Struct, kw_only=True):
    label: str
    figure: str
    context: str


class Answer(Struct, kw_only=True):
    """`push` and `pull` are the two parts of the headline; one is "" where that way is not used."""

    push: str
    pull: str
    sentence: str
    wanted: int
    rows: list[AnswerRow]
    tiles: list[Tile]


def answer(subjects: Sequence[Subject], shown: Sequence[Subject], made: Measured) -> Answer:
    """The sentence and the tiles are those of all resources; the rows those of the ones that are shown."""
    wanted = [one for one in subjects if one.changes_something]
    return Answer(
        push=_push(made),
        pull=_pull(subjects, made),
        sentence=_sentence(subjects, wanted),
        wanted=len(wanted),
        rows=_rows(shown),
        tiles=_tiles(subjects, made),
    )


def _push(made: Measured) -> str:
    delay = made.delay_by_way.get("push")
    return f"reach you in {_whole(span(delay.p50.seconds))}" if delay is not None and delay.samples else ""


def _pull(subjects: Sequence[Subject], made: Measured) -> str:
    delay = made.delay_by_way.get("pull")
    if delay is not None and delay.samples:
        asked = _requests_per_change(subjects)
        cost = f" and {wording.number(asked)} requests per change" if asked is not None else ""
        return f"takes {_whole(span(delay.p50.seconds))}{cost}"
    polls = sum(one.measured.polls.empty.whole for one in subjects)
    return f"found nothing in {wording.count(polls, 'polls')}" if polls else ""


def _whole(text: str) -> str:
    """A number and its unit on one line."""
    return text.replace(" ", NO_BREAK)


def _requests_per_change(subjects: Sequence[Subject]) -> float | None:
    """Of the resources that no webhook updates, as the table has it."""
    polled = [one.measured for one in subjects if one.measured.polls.finished and "push" not in one.ways]
    changes = sum(sum(one.changes_by_origin.get(way, 0) for way in ("poll", "reconcile")) for one in polled)
    requests = sum(one.requests.total - one.requests.on_demand for one in polled)
    return requests / changes if changes else None


def _sentence(subjects: Sequence[Subject], wanted: Sequence[Subject]) -> str:
    if not subjects:
        return ""
    if not wanted:
        waiting = sum(one.advised.recommendation == "not_enough_data" for one in subjects)
        more = f" {wording.count(waiting, 'resources')} need more data." if waiting else ""
        return f"No resource has a better setting.{more}"
    now, after = total([one.requests for one in subjects]), total([one.requests_after for one in subjects])
    text = f"{len(wanted)} of {wording.count(len(subjects), 'resources')} have a better setting"
    if now and after is not None:
        change = (now - after) / now
        text += f": {wording.share(abs(change))} {'fewer' if change >= 0 else 'more'} requests"
    best = next((one for one in wanted if one.advised.after is not None and _sooner(one)), None)
    if best is not None and best.advised.after is not None:
        late, soon = best.advised.now.delay_p50_seconds, best.advised.after.delay_p50_seconds
        text += f", and {best.name} in {span(soon)} instead of {span(late)}"
    return text + "."


def _sooner(one: Subject) -> bool:
    now = one.advised.now.delay_p50_seconds
    after = one.advised.after.delay_p50_seconds if one.advised.after is not None else None
    return now is not None and after is not None and after < now / 2


def _rows(subjects: Sequence[Subject]) -> list[AnswerRow]:
    most = max([1.0, *(max(one.requests or 0.0, one.requests_after or 0.0) for one in subjects)])
    return [
        AnswerRow(
            name=one.name,
            anchor=one.anchor,
            ways=one.ways,
            label=one.advised.label,
            bar=_bar(one, most),
            now=per_day(one.requests),
            after=per_day(one.requests_after) if one.requests_after != one.requests else "",
        )
        for one in subjects
    ]


def _bar(one: Subject, most: float) -> str:
    drawn = bar(one.ways[0], one.requests or 0.0, one.requests_after or 0.0, most)
    return Markup(drawn)  # noqa: S704 - escaped there


def _tiles(subjects: Sequence[Subject], made: Measured) -> list[Tile]:
    now, after = total([one.requests for one in subjects]), total([one.requests_after for one in subjects])
    pull, push = (made.delay_by_way.get(way) for way in ("pull", "push"))
    missed = [one.measured.webhooks.missed for one in subjects if one.measured.webhooks.missed.whole]
    part, whole = sum(one.part for one in missed), sum(one.whole for one in missed)
    costs = [total([one.advised.now.cost_per_day for one in subjects]), _costs_after(subjects)]
    changed = now is not None and after is not None and round(now) != round(after)
    tiles = [
        Tile(
            label="Requests per day",
            figure=f"{per_day(now)} → {per_day(after)}" if changed else per_day(now),
            context="now → with all recommendations" if changed else "polls, fetch-backs and pulls on demand",
        ),
        Tile(
            label="Median delay",
            figure=" / ".join(span(one.p50.seconds) for one in (push, pull) if one is not None and one.samples)
            or NOT_MEASURED,
            context=" / ".join(way for way, one in (("push", push), ("pull", pull)) if one is not None and one.samples),
        ),
        Tile(
            label="Missed webhooks",
            figure=f"{part:,} of {whole:,}" if whole else NOT_MEASURED,
            context="all healed by polls" if part else "none was missed" if whole else "no poll looks for them",
        ),
    ]
    if costs[0] is not None:
        after_cost = f" → {money(costs[1])}" if costs[1] != costs[0] else ""
        tiles.append(Tile(label="Cost per day", figure=f"{money(costs[0])}{after_cost}", context="at price_per_call"))
    else:
        used = [one.measured.rate_limit.used for one in subjects if one.measured.rate_limit.used is not None]
        figure = formatting.percent(max(used)) if used else NOT_MEASURED
        tiles.append(Tile(label="Rate limit used", figure=figure, context="the highest of all sources"))
    return tiles


def _costs_after(subjects: Sequence[Subject]) -> float | None:
    costs = []
    for one in subjects:
        after = one.advised.after.cost_per_day if one.advised.after is not None else None
        costs.append(one.advised.now.cost_per_day if after is None else after)
    return total(costs)
