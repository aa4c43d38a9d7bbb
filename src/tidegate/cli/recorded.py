"""The trace of a resource: its changes as the gateway recorded them, read from its API.

Owns the way from change events to a trace, and what of them is uncertain. Changes nothing. Errors: those of the API,
and ValueError for a resource that was not watched yet or has too many changes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tidegate.cli.client import Client, find_gateway
from tidegate.core.clock import Clock, parse_instant, rfc3339
from tidegate.rules.measure.traces import Trace, recorded

MAX_CHANGES = 100_000
_KINDS = ("created", "updated", "deleted")
_PAGE = 500


def recorded_trace(place: tuple[str, str], seconds: float, data: Path) -> Trace:
    """The changes of SOURCE/RESOURCE in the last `seconds`, or since the gateway watches and keeps them."""
    source, resource = place
    client = find_gateway(data)
    figures = client.get("/stats")["resources"].get(f"{source}/{resource}")
    if figures is None or not figures.get("since"):
        raise ValueError(f"the gateway keeps no records of {source}/{resource}; set poll, reconcile or webhook there")
    end_us = Clock().now_us()
    oldest = client.get_page("/events", {"limit": 1, "order": "asc"})["data"]
    begins = [end_us - int(seconds * 1e6), parse_instant(figures["since"])]
    begins += [parse_instant(oldest[0]["received_at"])] if oldest else []
    start_us = max(begins)
    events = [event for kind in _KINDS for event in _events(client, source, f"{resource}.{kind}", start_us)]
    return _made(events, f"{source}/{resource}", start_us, end_us)


def _events(client: Client, source: str, type_: str, start_us: int) -> list[dict[str, Any]]:
    """(time, key) of the events of one type, without their data."""
    found: list[dict[str, Any]] = []
    query = {"source": source, "type": type_, "since": rfc3339(start_us), "limit": _PAGE}
    while True:
        page = client.get_page("/events", query)
        for event in page["data"]:
            if event.get("change"):
                found.append({name: event[name] for name in ("time", "received_at", "key")})
        if len(found) > MAX_CHANGES:
            raise ValueError(f"there are more than {MAX_CHANGES:,} changes; take a shorter time: --for 1d")
        if not page.get("next_cursor"):
            return found
        query["cursor"] = page["next_cursor"]


def _made(events: list[dict[str, Any]], name: str, start_us: int, end_us: int) -> Trace:
    changes = [(parse_instant(event["time"]) / 1e6, str(event["key"])) for event in events]
    early = sum(at < start_us / 1e6 for at, _ in changes)
    bounded = sum(event["time"] == event["received_at"] for event in events)
    notes: tuple[str, ...] = ()
    if bounded:
        notes += (f"{bounded:,} of {len(events):,} changes have no time of their own: that of the look is used",)
    if early:
        notes += (f"left out, as they happened before the trace begins: {early:,}",)
    return recorded(changes, start_us / 1e6, end_us / 1e6, name, notes)
