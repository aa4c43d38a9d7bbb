"""Destinations and sources as the pages show them: configuration, counters and the sender's health in one dict.

Reads the active configuration, the snapshot of the counters and each sender's health. Shows no secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidegate.config.spec import Source
from tidegate.core.clock import rfc3339
from tidegate.core.spec import Resource
from tidegate.dashboard import badges as signs
from tidegate.dashboard import formatting as words
from tidegate.kinds import kind_of
from tidegate.query import health as troubles
from tidegate.query.schemas import DestinationCounters, Stats
from tidegate.rules.outbound import causes
from tidegate.runtime import ActiveDestination, ActiveSource

if TYPE_CHECKING:
    from tidegate.process.gateway import Gateway

PULLED = ("poll", "reconcile", "pull", "imap")


def destination(gateway: Gateway, live: ActiveDestination, stats: Stats) -> dict[str, Any]:
    """One destination: sign, circuit, what waits, limits, address."""
    counters = stats.destinations.get(live.name) or DestinationCounters()
    health = gateway.deliver.health(live.number)
    paused = live.paused_at_us is not None
    sign = signs.destination(
        paused=paused,
        reason=live.pause_reason,
        circuit=health.circuit,
        held=health.hold_until_us is not None,
        pending=counters.pending,
        delivered=counters.delivered,
        exhausted=counters.exhausted,
        retrying=troubles.retrying(live, health),
        failing=troubles.failing_word(health),
    )
    host, url = signs.where_to(live.spec)
    tried = counters.delivered + counters.exhausted
    return {
        "name": live.name,
        "type": kind_of(live.spec).name,
        "owner": live.owner,
        "sign": sign.sign,
        "word": sign.word,
        "paused": paused,
        "paused_at": rfc3339(live.paused_at_us),
        "circuit_open": health.circuit != "closed",
        "circuit": {"closed": "closed", "open": "open", "half_open": "probing"}.get(health.circuit, health.circuit),
        "circuit_at": rfc3339(health.opened_at_us),
        "probe_at": rfc3339(health.probe_at_us),
        "hold_until": rfc3339(health.hold_until_us),
        "retrying": troubles.retrying(live, health),
        "fails": troubles.failure(health) if health.outcome or health.circuit != "closed" else "",
        "advice": causes.what_to_do(health.outcome, health.status),
        "in_flight": health.in_flight,
        "rate": live.spec.rate,
        "host": host,
        "url": url,
        "delivered": counters.delivered,
        "pending": counters.pending,
        "exhausted": counters.exhausted,
        "filtered": counters.filtered,
        "delivered_share": f"{words.percent(counters.delivered / tried)} of what is settled"
        if tried
        else "nothing sent yet",
    }


def held_back(gateway: Gateway) -> dict[str, str]:
    """Of every destination by name: why it is not sent to, or ""."""
    return {
        live.name: signs.held_back(live.paused_at_us is not None, gateway.deliver.health(live.number).circuit)
        for live in gateway.active.destinations.values()
    }


def source(live: ActiveSource, stats: Stats, public_url: str) -> dict[str, Any]:
    """One source: its inputs, its counters, and what each resource cost."""
    spec = live.spec
    counters = stats.sources.get(live.name)
    inputs = [
        {"way": way, "words": text}
        for way, text, there in (
            ("push", f"webhook, {_verify(spec)}", spec.webhook is not None),
            ("push", "form", spec.form is not None),
            ("push", "publish", spec.publish is not None),
            ("pull", "API", spec.api is not None),
        )
        if there
    ]
    resources = [
        _resource(name, resource, stats.resources.get(f"{live.name}/{name}", {}))
        for name, resource in sorted(spec.resources.items())
    ]
    pulled = sum(one["pulled"] for one in resources)
    accepted = counters.accepted if counters is not None else 0
    address = f"{public_url}/in/{live.name}" if spec.webhook is not None or spec.form is not None else ""
    if not address:
        address = signs.bare(spec.api.base_url) if spec.api is not None else "POST /api/v1/events"
    return {
        "name": live.name,
        "inputs": inputs,
        "address": address,
        "accepted": accepted,
        "pulled": pulled,
        "pushed": max(0, accepted - pulled),
        "resources": resources,
        "requests": sum(one["requests"] for one in resources) if resources else None,
        "changes": sum(one["changes"] for one in resources) if resources else None,
    }


def _verify(spec: Source) -> str:
    verify = spec.webhook.verify if spec.webhook is not None else ""
    if verify == "none":
        return "not verified"
    return verify if isinstance(verify, str) else f"{verify.digest} signature"


def _resource(name: str, spec: Resource, counted: dict[str, Any]) -> dict[str, Any]:
    by_origin = counted.get("by_origin") or {}
    ways = []
    if spec.poll:
        ways.append(f"polled every {spec.poll}")
    if spec.webhook is not None:
        ways.append("fed by webhooks")
    if spec.reconcile:
        ways.append(f"reconciled every {spec.reconcile}")
    return {
        "name": name,
        "path": spec.path,
        "words": ", ".join(ways) or "asked on demand",
        "requests": counted.get("requests") or 0,
        "changes": counted.get("changes") or 0,
        "empty_share": counted.get("empty_share"),
        "late": counted.get("staleness_p50_seconds"),
        "pulls": counted.get("pulls") or 0,
        "asked": bool(spec.poll or spec.reconcile),
        "fails": (counted.get("last_error") or "its polls fail") if counted.get("failing_since") else "",
        "fails_since": counted.get("failing_since"),
        "pulled": sum(by_origin.get(origin, 0) for origin in PULLED),
    }
