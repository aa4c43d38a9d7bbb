"""API or webhook: what each resource costs by asking and by being told, how late each is, and what to do about it."""

from __future__ import annotations

from typing import Any

import msgspec
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from tidegate.dashboard import formatting as words
from tidegate.dashboard.charts import Bar, bars
from tidegate.dashboard.page_context import PageContext
from tidegate.dashboard.pages.health import PULLED
from tidegate.query import advice, stats

_VERDICTS = {
    "not_enough_data": ("not enough data yet", ""),
    "not_polled": ("asked on demand only", ""),
    "polls_fail": ("polls fail", "fail"),
    "keep": ("keep it as it is", "ok"),
    "poll_less_often": ("poll less often", "wait"),
    "poll_more_often": ("poll more often", "wait"),
    "prefer_webhook": ("ask for a webhook", "push"),
}


async def page(context: PageContext, request: Request) -> Response:
    snapshot = await stats.snapshot(context.gateway)
    told = {one.resource: msgspec.to_builtins(one) for one in await advice.all_resources(context.gateway)}
    rows = [view(name, counted, told.get(name, {})) for name, counted in sorted(snapshot.resources.items())]
    return context.pages.page(request, "compare.html", section="compare", rows=rows)


def view(name: str, counted: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """One resource: figures by way, a sentence, a chart and the advice. Pure."""
    by_origin: dict[str, int] = counted.get("by_origin") or {}
    late: dict[str, dict[str, float | None]] = counted.get("staleness_by_origin") or {}
    asked = late.get("poll") or late.get("reconcile") or {}
    pulled = sum(by_origin.get(origin, 0) for origin in PULLED) if by_origin else counted.get("changes") or 0
    pull: dict[str, Any] = {
        "way": "pull",
        "requests": counted.get("requests") or 0,
        "changes": pulled,
        "empty_share": counted.get("empty_share"),
        "p50": asked.get("p50_seconds") if late else counted.get("staleness_p50_seconds"),
        "p99": asked.get("p99_seconds") if late else counted.get("staleness_p99_seconds"),
    }
    push: dict[str, Any] = {
        "way": "push",
        "requests": counted.get("webhooks") or 0,
        "changes": by_origin.get("webhook", 0),
        "empty_share": None,
        "p50": late.get("webhook", {}).get("p50_seconds"),
        "p99": late.get("webhook", {}).get("p99_seconds"),
    }
    ways = [way for way in (pull, push) if way["requests"] or way["changes"]] or [pull]
    for way in ways:
        way["cost"] = _cost(way["requests"], way["changes"])
    verdict, tone = _VERDICTS.get(told.get("advice", ""), (str(told.get("advice", "no advice")).replace("_", " "), ""))
    reason = _reason(told)
    if told.get("advice") == "not_polled" and push["requests"]:
        verdict, tone, reason = "told by webhook", "push", _healed(counted, by_origin)
    return {
        "name": name,
        "verdict": verdict,
        "tone": tone,
        "words": _sentence(name.partition("/")[2], pull, push, counted),
        "reason": reason,
        "ways": ways,
        "chart": Markup(bars([_bar(way) for way in ways], f"Requests for {name} by way")),  # noqa: S704 - escaped there
    }


def _bar(way: dict[str, Any]) -> Bar:
    """A bar of requests, filled as far as they found something."""
    requests, changes = float(way["requests"]), way["changes"]
    useful = requests * (1 - way["empty_share"]) if way["empty_share"] is not None else min(requests, changes)
    asked = words.plural(way["requests"], "request" if way["way"] == "pull" else "webhook")
    return Bar(way["way"], requests, useful, f"{asked}, {words.plural(changes, 'change')}")


def _cost(requests: int, changes: int) -> str:
    return f"{requests / changes:.1f}" if changes else words.DASH


def _healed(counted: dict[str, Any], by_origin: dict[str, int]) -> str:
    """What is known of webhooks that got lost."""
    if counted.get("reconcile_every_seconds") is None:
        return "Nothing looks for webhooks that got lost: set reconcile."
    healed = words.plural(by_origin.get("reconcile", 0), "change")
    return f"Reconciling found {healed} that no webhook told."


def _sentence(resource: str, pull: dict[str, Any], push: dict[str, Any], counted: dict[str, Any]) -> str:
    parts = []
    if counted.get("pulls"):
        cached = counted.get("pull_hits") or 0
        text = f"Asked on demand {words.plural(counted['pulls'], 'time')}"
        parts.append(f"{text}, {words.count(cached)} of them answered from the cache.")
    if pull["requests"]:
        text = f"Asked {words.plural(pull['requests'], 'time')}, found {words.plural(pull['changes'], 'change')}"
        if pull["empty_share"] is not None:
            text += f"; {words.percent(pull['empty_share'])} of the polls found nothing"
        parts.append(text + ".")
    if push["requests"]:
        text = f"Told {words.plural(push['requests'], 'time')} by webhook, {words.plural(push['changes'], 'change')}"
        if push["p50"] is not None:
            text += f", {words.seconds(push['p50'])} after it happened"
        parts.append(text + ".")
    return " ".join(parts) or f"Nothing was asked or told about {resource} yet."


def _reason(told: dict[str, Any]) -> str:
    reason = str(told.get("reason", ""))
    return reason[:1].upper() + reason[1:] + "." if reason else ""
