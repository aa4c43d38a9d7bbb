"""The advice as a report to send to somebody: one HTML file that needs nothing else, or Markdown. Pure.

Owns the text and the layout of both. Names and errors of outside systems are text here: escaped, with invisible
characters made visible. The HTML has one style element, whose digest is in its own policy, no script and no address, so
it is as harmless on disk as from the gateway. Figures are those of `GET /advice`; what is not known is a dash.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from tidegate.core.unseen import visible_lines
from tidegate.query.schemas import AdviceSchema
from tidegate.rules.measure import wording
from tidegate.rules.measure.advice import Effect

DASH = "-"
STYLE = """
:root{color-scheme:light}
body{font:14px/1.5 system-ui,sans-serif;color:#16222b;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .25rem;break-after:avoid}p{margin:.25rem 0 .5rem}
.word{font-weight:600}.quiet{color:#5d666d}table{border-collapse:collapse;width:100%;margin:.5rem 0;break-inside:avoid}
th,td{text-align:left;padding:.3rem .6rem .3rem 0;border-bottom:1px solid #d9d3c4;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}pre{background:#ece8dd;padding:.6rem;white-space:pre-wrap}
section{break-inside:avoid-page}@media print{body{margin:0;max-width:none}}
"""
_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'"
_MARKDOWN = re.compile(r"[\\`*_\[\]<>|#~]")
_WINDOWS = {"1h": "the last hour", "24h": "the last 24 hours", "7d": "the last 7 days", "30d": "the last 30 days"}
_ROWS = (
    ("Requests per day", "requests_per_day"), ("Median delay", "delay_p50_seconds"), ("p99 delay", "delay_p99_seconds"),
    ("Empty polls", "empty_share"), ("Missed changes", "missed_share"), ("Answered from the cache", "cached_share"),
    ("Rate limit used", "limit_used"), ("Cost per day", "cost_per_day"),
)  # fmt: skip


class Summary(NamedTuple):
    """`changes`: how many resources have another recommendation than to keep what is set."""

    title: str
    sentence: str
    changes: int


def summary(advised: Sequence[AdviceSchema]) -> Summary:
    """The headline, and what following all recommendations changes."""
    wanted = [one for one in advised if one.after is not None and one.recommendation != "not_enough_data"]
    title = "No resource has a better setting"
    if wanted:
        have = "has" if len(wanted) == 1 else "have"
        title = f"{len(wanted)} of {wording.count(len(advised), 'resources')} {have} a better setting"
    now = sum(one.now.requests_per_day or 0.0 for one in advised)
    after = now
    for one in wanted:
        if one.after is not None and one.after.requests_per_day is not None:
            after += one.after.requests_per_day - (one.now.requests_per_day or 0.0)
    sentence = f"{wording.number(round(now))} requests a day now"
    if wanted:
        sentence += f", {wording.number(round(max(0.0, after)))} with all of them"
    return Summary(title, sentence + ".", len(wanted))


def figure(effect: Effect | None, name: str) -> str:
    """One figure of an effect as people write it; a dash where it is not known."""
    value = getattr(effect, name) if effect is not None else None
    if value is None:
        return DASH
    if name.endswith("_seconds"):
        return wording.span(value)
    if name == "cost_per_day":
        return f"{value:,.2f}"
    return wording.number(value) if name == "requests_per_day" else wording.share(value)


def _overview(advised: Sequence[AdviceSchema]) -> list[tuple[str, ...]]:
    requests = "requests_per_day"
    return [
        (one.resource, one.label, one.confidence, figure(one.now, requests), figure(one.after, requests))
        for one in advised
    ]


def _shown_rows(one: AdviceSchema) -> list[tuple[str, str, str]]:
    """(name, now, after) of what is known."""
    rows = [(name, figure(one.now, key), figure(one.after, key)) for name, key in _ROWS]
    return [row for row in rows if row[1:] != (DASH, DASH)]


def _curve_rows(one: AdviceSchema) -> list[tuple[str, ...]]:
    return [
        (
            wording.span(at.poll_every_seconds),
            wording.number(at.requests_per_day) + ("" if at.within_limit else " (over the limit)"),
            wording.span(at.delay_p50_seconds),
            wording.span(at.delay_p99_seconds),
            DASH if at.missed_share is None else wording.share(at.missed_share),
        )
        for at in one.curve
    ]


_OVERVIEW = ("Resource", "Recommendation", "Confidence", "Requests per day", "After")
_CURVE = ("Poll every", "Requests per day", "Median delay", "p99 delay", "Missed changes")


def _facts(one: AdviceSchema) -> list[tuple[str, str]]:
    facts = [(found.name, found.text) for found in one.evidence]
    facts += [("Note", text) for text in one.assumptions]
    facts += [("What would change this", one.would_change)] if one.would_change else []
    return facts


# -- Markdown --------------------------------------------------------------------------------------------


def markdown(advised: Sequence[AdviceSchema], made_at: str, window: str) -> str:
    """The report as GitHub-flavored Markdown."""
    head = summary(advised)
    lines = ["# API or webhook?", "", f"**{_md(head.title)}.** {_md(head.sentence)}", ""]
    lines += [f"Measured in {_WINDOWS.get(window, window)}, until {made_at}.", ""]
    lines += _md_table(_OVERVIEW, _overview(advised))
    for one in advised:
        lines += [f"## {_md(one.resource)}: {_md(one.label)}", "", _md(one.sentence), ""]
        lines += [f"Confidence {_md(one.confidence)}: {_md(one.confidence_reason)}.", ""]
        lines += _md_table(("", "Now", "After"), _shown_rows(one))
        lines += [*(f"- {_md(name)}: {_md(text)}" for name, text in _facts(one)), ""]
        if one.apply is not None:
            lines += ["```diff", *(line.replace("`", "'") for line in one.apply.toml), "```", ""]
            lines += [f"First: {_md(one.apply.needs)}.", ""] if one.apply.needs else []
        lines += _md_table(_CURVE, _curve_rows(one)) if one.curve else []
    return "\n".join(lines).rstrip() + "\n"


def _md_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(_md(cell) for cell in row) + " |" for row in rows]
    if not lines:
        return []
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *lines, ""]


def _md(text: str) -> str:
    """As text: nothing in it is markup."""
    plain = " ".join(visible_lines(text).split()).replace("&", "&amp;")
    return _MARKDOWN.sub(lambda found: "\\" + found[0], plain)


# -- HTML ------------------------------------------------------------------------------------------------


def html(advised: Sequence[AdviceSchema], made_at: str, window: str) -> str:
    """The report as one page that needs no other file."""
    head = summary(advised)
    parts = [
        Markup("<!doctype html><html lang=en><head><meta charset=utf-8><title>API or webhook?</title>"),
        Markup('<meta http-equiv="Content-Security-Policy" content="{}">').format(POLICY),
        Markup('<meta name="viewport" content="width=device-width"><style>{}</style></head><body><main>').format(
            Markup(STYLE)  # noqa: S704 - our own constant
        ),
        Markup("<h1>API or webhook?</h1><p class=word>{}.</p><p>{}</p>").format(_t(head.title), _t(head.sentence)),
        Markup("<p class=quiet>Measured in {}, until {}.</p>").format(_WINDOWS.get(window, window), made_at),
    ]
    parts.append(_table(_OVERVIEW, _overview(advised), 3))
    parts += [_section(one) for one in advised]
    return "".join([*parts, Markup("</main></body></html>\n")])


def _section(one: AdviceSchema) -> Markup:
    made = Markup("<section><h2>{}: {}</h2><p>{}</p><p class=quiet>Confidence {}: {}.</p>").format(
        *map(_t, (one.resource, one.label, one.sentence, one.confidence, one.confidence_reason))
    )
    made += _table(("", "Now", "After"), _shown_rows(one), 1)
    facts = [Markup("<li>{}: {}</li>").format(_t(name), _t(text)) for name, text in _facts(one)]
    made += Markup("<ul>{}</ul>").format(Markup("").join(facts))
    if one.apply is not None:
        made += Markup("<pre>{}</pre>").format(_t("\n".join(one.apply.toml)))
        made += Markup("<p>First: {}.</p>").format(_t(one.apply.needs)) if one.apply.needs else Markup("")
    made += _table(_CURVE, _curve_rows(one), 0) if one.curve else Markup("")
    return made + Markup("</section>")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int) -> Markup:
    """Cells from `numbers_from` on are numbers."""

    def cells(row: Sequence[str], tag: str) -> Markup:
        made = Markup("")
        for place, cell in enumerate(row):
            start = f"{tag} class=n" if place >= numbers_from else tag
            made += Markup("<{}>{}</{}>").format(Markup(start), _t(cell), Markup(tag))  # noqa: S704 - our own words
        return Markup("<tr>{}</tr>").format(made)

    body = Markup("").join(cells(row, "td") for row in rows)
    return Markup("<table><thead>{}</thead><tbody>{}</tbody></table>").format(cells(head, "th"), body) if body else body


def _t(text: str) -> Markup:
    return escape(visible_lines(text))
