"""What it cost: the counters and the two lanes of the story page, from what the systems and the gateway say. Pure.

Pull is what the systems' APIs were asked, by the gateway on behalf of whoever wanted to know. Push is what the systems
told the gateway unasked. What the gateway tells on is the same for both and is counted apart. A change counts for the
way by which it was learnt.
"""

from __future__ import annotations

import math
import statistics
from datetime import datetime
from typing import Any

from tidegate_company.story import State, count, seconds_between

LANE_SECONDS = 60.0
ASKED = ("shop", "accounting", "payments")  # what has an API


def figures(states: dict[str, State], stats: State) -> dict[str, str]:
    """The texts of the page's figures, by name; `stats` is the gateway's own count, {} when it did not answer."""
    demanded = count(states, "shop", "api_requests")
    polled = sum(count(states, name, "api_requests") for name in ASKED) - demanded
    told = count(states, "payments", "webhooks_sent") + count(states, "crm", "webhooks_sent") + len(_leads(states))
    pulled, pushed = lateness(states)
    texts = count(states, "chat", "texts")
    told_changes = len(pushed) + texts
    totals = stats.get("totals", {})
    return {
        "pull_requests": str(polled + demanded),
        "pull_requests_about": f"{polled} polls, {demanded} on demand",
        "pull_changes": str(len(pulled)),
        "pull_changes_about": f"{polled / len(pulled):.1f} polls for each" if pulled else "nothing new so far",
        "pull_late": _late(pulled),
        "pull_late_about": "median, to the CRM",
        "push_requests": str(told),
        "push_requests_about": "webhooks and forms",
        "push_changes": str(told_changes),
        "push_changes_about": f"{told / told_changes:.1f} requests for each" if told_changes else "nobody has told yet",
        "push_late": _late(pushed),
        "push_late_about": "median, to the CRM",
        "gateway": (
            f"Tidegate's own books: {_things(totals['accepted'], 'event')} kept, "
            f"{_things(totals['delivered'], 'delivery')} made to the CRM and the chat, {totals['pending']} waiting."
            if totals else "The gateway has not answered yet."
        ),
    }  # fmt: skip


def lateness(states: dict[str, State]) -> tuple[list[float], list[float]]:
    """Seconds from the occurrence to the CRM, of what was learnt by asking and of what was told."""
    asked: list[float] = []
    told: list[float] = []
    for entry in _arrivals(states):
        late = seconds_between(entry["happened_at"], entry["arrived_at"]) if entry["happened_at"] else 0.0
        (asked if _asked_of(states, entry) else told).append(late)
    return asked, told


def lanes(states: dict[str, State], now_seconds: float) -> dict[str, list[list[float]]]:
    """The requests of the last minute for each way: `[seconds since 1970, 1 when it brought something else 0]`."""
    since = now_seconds - LANE_SECONDS
    brought = {_last_before(states, system, entry["arrived_at"])
               for entry in _arrivals(states) if (system := _asked_of(states, entry))}  # fmt: skip
    pull = [
        [_epoch(at), 1 if system == "shop" or (system, at) in brought else 0]
        for system in ASKED
        for at in states.get(system, {}).get("asked", [])
    ]
    told = [at for name in ("payments", "crm") for at in states.get(name, {}).get("told", [])]
    told += [entry["happened_at"] for entry in _leads(states) if entry["happened_at"]]
    push = [[_epoch(at), 1] for at in told]
    return {way: sorted(one for one in found if one[0] >= since) for way, found in (("pull", pull), ("push", push))}


def next_poll(stats: State, resource: str, now_seconds: float) -> str:
    """`in 6 s`, or "" when it is not known or at once."""
    at = stats.get("resources", {}).get(resource, {}).get("next_poll_at")
    left = math.ceil(_epoch(at) - now_seconds) if at else 0
    return f"in {left} s" if left > 0 else ""


def _arrivals(states: dict[str, State]) -> list[State]:
    return list(states.get("crm", {}).get("arrivals", []))


def _leads(states: dict[str, State]) -> list[State]:
    return [entry for entry in _arrivals(states) if entry["type"].startswith("lead.")]


def _asked_of(states: dict[str, State], entry: State) -> str:
    """The system that had to be asked for this, "" when it was told."""
    if entry["type"].startswith("customers."):
        return "accounting"
    return "payments" if entry["key"] in states.get("payments", {}).get("lost", []) else ""


def _last_before(states: dict[str, State], system: str, until: str) -> tuple[str, str]:
    asked = [at for at in states.get(system, {}).get("asked", []) if at <= until]
    return system, asked[-1] if asked else ""


def _epoch(at: str) -> float:
    return round(datetime.fromisoformat(at).timestamp(), 2)


def _late(values: list[float]) -> str:
    if not values:
        return "-"
    median = statistics.median(values)
    return f"{median:.{3 if median < 0.1 else 2 if median < 10 else 0}f} s"


def _things(number: Any, name: str) -> str:
    plural = name if number == 1 else f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"
    return f"{number} {plural}"
