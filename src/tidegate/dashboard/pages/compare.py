"""API or webhook: what polling and webhooks cost and bring for each resource, their delays, and the advice.

Owns the view models of this page. Reads the figures and the advice of `query/`. `view` is pure.
"""

from __future__ import annotations

from markupsafe import Markup
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from tidegate.core.figures import DelayFigures, ResourceFigures
from tidegate.dashboard import formatting
from tidegate.dashboard.charts import Bar, bars
from tidegate.dashboard.page_context import PageContext
from tidegate.dashboard.pages.summaries import PULLED
from tidegate.query import advice, stats
from tidegate.query.schemas import AdviceSchema

_TONES = {
    "keep_polling": "ok", "keep_both": "ok", "poll_every": "wait", "reconcile_every": "wait", "cache_for": "wait",
    "subscribe": "push", "drop_webhook": "fail", "stop_polling": "wait", "not_enough_data": "",
}  # fmt: skip


class WayFigures(Struct, kw_only=True):
    """The figures of one way: "pull" (requests and polls) or "push" (webhooks)."""

    way: str
    requests: int
    changes: int
    empty_share: float | None
    p50: float | None
    p99: float | None

    @property
    def cost(self) -> str:
        """Requests per change."""
        return f"{self.requests / self.changes:.1f}" if self.changes else formatting.DASH


class Comparison(Struct, kw_only=True):
    """One resource on the page."""

    name: str
    label: str
    tone: str
    summary: str
    reason: str
    ways: list[WayFigures]
    chart: str


async def show(context: PageContext, request: Request) -> Response:
    snapshot = await stats.snapshot(context.gateway)
    advised = {one.resource: one for one in await advice.all_resources(context.gateway)}
    rows = [view(name, figures, advised.get(name)) for name, figures in sorted(snapshot.resources.items())]
    return context.templates.response(request, "compare.html", section="compare", rows=rows)


def view(name: str, figures: ResourceFigures, advised: AdviceSchema | None) -> Comparison:
    """One resource: figures by way, a sentence, a chart and the advice. Pure."""
    pull, push = _pull(figures), _push(figures)
    ways = [way for way in (pull, push) if way.requests or way.changes] or [pull]
    return Comparison(
        name=name,
        label=advised.label if advised is not None else "No advice",
        tone=_TONES.get(advised.recommendation, "") if advised is not None else "",
        summary=_summary(name.partition("/")[2], pull, push, figures),
        reason=advised.sentence if advised is not None else "",
        ways=ways,
        chart=Markup(bars([_bar(way) for way in ways], f"Requests for {name} by way")),  # noqa: S704 - escaped there
    )


def _pull(figures: ResourceFigures) -> WayFigures:
    delays = figures.staleness_by_origin
    polled = delays.get("poll") or delays.get("reconcile") or DelayFigures()
    changes = figures.changes
    if figures.by_origin:
        changes = sum(figures.by_origin.get(origin, 0) for origin in PULLED)
    return WayFigures(
        way="pull",
        requests=figures.requests,
        changes=changes,
        empty_share=figures.empty_share,
        p50=polled.p50_seconds if delays else figures.staleness_p50_seconds,
        p99=polled.p99_seconds if delays else figures.staleness_p99_seconds,
    )


def _push(figures: ResourceFigures) -> WayFigures:
    delay = figures.staleness_by_origin.get("webhook") or DelayFigures()
    return WayFigures(
        way="push",
        requests=figures.webhooks,
        changes=figures.by_origin.get("webhook", 0),
        empty_share=None,
        p50=delay.p50_seconds,
        p99=delay.p99_seconds,
    )


def _bar(way: WayFigures) -> Bar:
    """A bar of requests, filled as far as they found something."""
    useful = way.requests * (1 - way.empty_share) if way.empty_share is not None else min(way.requests, way.changes)
    requests = formatting.plural(way.requests, "request" if way.way == "pull" else "webhook")
    return Bar(way.way, float(way.requests), useful, f"{requests}, {formatting.plural(way.changes, 'change')}")


def _summary(resource: str, pull: WayFigures, push: WayFigures, figures: ResourceFigures) -> str:
    plural = formatting.plural
    parts = []
    if figures.pulls:
        cached = formatting.count(figures.pull_hits)
        parts.append(f"Pulled on demand {plural(figures.pulls, 'time')}, {cached} of them served from the cache.")
    if pull.requests:
        text = f"{plural(pull.requests, 'request')} found {plural(pull.changes, 'change')}"
        if pull.empty_share is not None:
            text += f"; {formatting.percent(pull.empty_share)} of the polls were empty"
        parts.append(text + ".")
    if push.requests:
        text = f"{plural(push.requests, 'webhook')} brought {plural(push.changes, 'change')}"
        if push.p50 is not None:
            text += f", with a median delay of {formatting.seconds(push.p50)}"
        parts.append(text + ".")
    return " ".join(parts) or f"No requests for {resource} and no webhooks yet."
