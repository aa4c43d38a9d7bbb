"""The recommendations: one card for each resource with its word, its figures now and after, and the evidence.

A page has the cards of a few resources, so that it stays small (`paging.py`); the report has all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from msgspec import Struct

from tidegate.dashboard.charts.strips import interval_strip
from tidegate.dashboard.comparison.subject import Subject, money, per_day, share, span
from tidegate.query.schemas import AdviceSchema
from tidegate.rules.measure.advice import Interval

FIGURES = (
    ("Requests per day", "requests_per_day", per_day), ("Median delay", "delay_p50_seconds", span),
    ("p99 delay", "delay_p99_seconds", span), ("Empty polls", "empty_share", share),
    ("Missed changes", "missed_share", share), ("From the cache", "cached_share", share),
    ("Rate limit used", "limit_used", share), ("Cost per day", "cost_per_day", money),
)  # fmt: skip
MOST_FIGURES, MOST_FACTS = 3, 4


class Figure(Struct, kw_only=True):
    label: str
    now: str
    after: str


class Line(Struct, kw_only=True):
    """A line of a change of the file; `sign` is "-", "+" or ""."""

    sign: str
    text: str


class Card(Struct, kw_only=True):
    """`apply` is the address of the button, "" where the file owns the source or a person has to fill in something."""

    name: str
    anchor: str
    ways: tuple[str, ...]
    label: str
    sentence: str
    confidence: str
    confidence_reason: str
    figures: list[Figure]
    expected: bool
    interval: str
    interval_text: str
    evidence: list[tuple[str, str]]
    lines: list[Line]
    needs: str
    command: str
    apply: str
    undo: str


def cards(subjects: Sequence[Subject]) -> list[Card]:
    return [card(one) for one in subjects]


def card(subject: Subject) -> Card:
    one = subject.advised
    source, _, resource = subject.name.partition("/")
    owned = one.apply is not None and one.apply.owner == "api" and one.apply.ready
    path = f"/api-or-webhook/{source}/{resource}"
    facts = [(found.name, found.text) for found in one.evidence]
    facts += [("Assumption", text) for text in one.assumptions]
    facts += [("What would change this", one.would_change)] if one.would_change else []
    facts += [("Confidence", one.confidence_reason)] if one.confidence_reason else []
    return Card(
        name=subject.name,
        anchor=subject.anchor,
        ways=subject.ways,
        label=one.label,
        sentence=one.sentence,
        confidence={"none": "None yet", "medium": "Medium confidence", "high": "High confidence"}[one.confidence],
        confidence_reason=one.confidence_reason,
        figures=_figures(one),
        expected=one.after is not None and one.after.expected,
        interval=_interval(subject.ways[-1], one.interval),
        interval_text=_interval_text(one.interval),
        evidence=facts[:MOST_FACTS],
        lines=[line_of(text) for text in one.apply.toml] if one.apply is not None else [],
        needs=one.apply.needs if one.apply is not None else "",
        command=f"tidegate advise --apply {subject.name}" if one.apply is not None and not owned else "",
        apply=f"{path}/apply" if owned else "",
        undo=f"{path}/undo" if one.undo else "",
    )


def _figures(one: AdviceSchema) -> list[Figure]:
    rows = []
    for label, name, shown in FIGURES:
        now = getattr(one.now, name)
        after = getattr(one.after, name) if one.after is not None else None
        if now is not None or after is not None:
            rows.append(Figure(label=label, now=shown(now), after=shown(after) if after is not None else ""))
    return rows[:MOST_FIGURES]


def _interval(way: str, found: Interval | None) -> str:
    if found is None:
        return ""
    drawn = interval_strip(way, found.low, found.estimate, found.high, found.threshold)
    return Markup(drawn)  # noqa: S704 - escaped there


def _interval_text(found: Interval | None) -> str:
    if found is None:
        return ""
    shown = share if found.high <= 1 else per_day
    estimate = f"{shown(found.estimate)}, " if found.estimate is not None else ""
    text = f"{found.name}: {estimate}interval {shown(found.low)} to {shown(found.high)}"
    return f"{text}; {found.threshold_text}" if found.threshold_text else text


def line_of(text: str) -> Line:
    sign = text[:1] if text[:1] in ("-", "+") else ""
    return Line(sign=sign, text=text)
