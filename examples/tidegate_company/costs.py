"""The figures and the two lanes of the story page, computed from the counters of the systems and the gateway. Pure.

Pull is what the gateway requests from the APIs of the systems. Push is what the systems send to the gateway. The
deliveries of the gateway are the same for both and counted separately. A change counts for the way by which the gateway
learned about it.
"""

from __future__ import annotations

import math
import statistics
from datetime import datetime
from typing import Any

from tidegate_company.story import State, count, seconds_between

LANE_SECONDS = 60.0
WITH_API = ("shop", "accounting", "payments")


def figures(states: dict[str, State], stats: State) -> dict[str, str]:
    """The figures of the page, by name. `stats` are the gateway's counters, {} when it did not answer."""
    demanded = count(states, "shop", "api_requests")
    polled = sum(count(states, name, "api_requests") for name in WITH_API) - demanded
    pushes = count(states, "payments", "webhooks_sent") + count(states, "crm", "webhooks_sent") + len(_leads(states))
    pushes += count(states, "mailbox", "mails")  # IDLE says once that each came
    pulled, pushed = lateness(states)
    pushed_changes = len(pushed) + count(states, "chat", "messages")
    totals = stats.get("totals", {})
    return {
        "pull_requests": str(polled + demanded),
        "pull_requests_about": f"{polled} polls, {demanded} on demand",
        "pull_changes": str(len(pulled)),
        "pull_changes_about": f"{polled / len(pulled):.1f} polls per change" if pulled else "none so far",
        "pull_late": _late(pulled),
        "pull_late_about": "median, to the CRM",
        "push_requests": str(pushes),
        "push_requests_about": "webhooks, forms, mail",
        "push_changes": str(pushed_changes),
        "push_changes_about": f"{pushes / pushed_changes:.1f} requests per change" if pushed_changes else "none so far",
        "push_late": _late(pushed),
        "push_late_about": "median, to the CRM",
        "gateway": (
            f"Counters of Tidegate: {_things(totals['accepted'], 'event')} stored, "
            f"{_things(totals['delivered'], 'delivery')} made to the CRM and the chat, {totals['pending']} pending."
            if totals else "The gateway has not answered yet."
        ),
    }  # fmt: skip


def lateness(states: dict[str, State]) -> tuple[list[float], list[float]]:
    """Seconds from the occurrence to the CRM: of pulled changes, and of pushed changes."""
    pulled: list[float] = []
    pushed: list[float] = []
    for entry in _arrivals(states):
        happened = _mails(states).get(entry["key"]) or entry["happened_at"]  # mail servers give whole seconds only
        late = seconds_between(happened, entry["arrived_at"]) if happened else 0.0
        (pulled if _pulled_from(states, entry) else pushed).append(late)
    return pulled, pushed


def lanes(states: dict[str, State], now_seconds: float) -> dict[str, list[list[float]]]:
    """The requests of the last minute, by way: `[seconds since 1970, 1 if it brought something new, else 0]`."""
    since = now_seconds - LANE_SECONDS
    brought = {_last_before(states, system, entry["arrived_at"])
               for entry in _arrivals(states) if (system := _pulled_from(states, entry))}  # fmt: skip
    pull = [
        [_epoch(at), 1 if system == "shop" or (system, at) in brought else 0]
        for system in WITH_API
        for at in states.get(system, {}).get("requests", [])
    ]
    sent = [at for name in ("payments", "crm") for at in states.get(name, {}).get("webhooks", [])]
    sent += [entry["happened_at"] for entry in _leads(states) if entry["happened_at"]]
    sent += _mails(states).values()
    push = [[_epoch(at), 1] for at in sent]
    return {way: sorted(one for one in found if one[0] >= since) for way, found in (("pull", pull), ("push", push))}


def next_poll(stats: State, resource: str, now_seconds: float) -> str:
    """`in 6 s`, or "" when the time is unknown or has come."""
    at = stats.get("resources", {}).get(resource, {}).get("next_poll_at")
    left = math.ceil(_epoch(at) - now_seconds) if at else 0
    return f"in {left} s" if left > 0 else ""


def _arrivals(states: dict[str, State]) -> list[State]:
    return list(states.get("crm", {}).get("arrivals", []))


def _leads(states: dict[str, State]) -> list[State]:
    return [entry for entry in _arrivals(states) if entry["type"].startswith("lead.")]


def _mails(states: dict[str, State]) -> dict[str, str]:
    """When each mail arrived in the mailbox, by its Message-ID."""
    return {one["key"]: one["at"] for one in states.get("mailbox", {}).get("mails", [])}


def _pulled_from(states: dict[str, State], entry: State) -> str:
    """The system from which this was pulled, "" when it was pushed."""
    if entry["type"].startswith("customers."):
        return "accounting"
    return "payments" if entry["key"] in states.get("payments", {}).get("lost", []) else ""


def _last_before(states: dict[str, State], system: str, until: str) -> tuple[str, str]:
    requests = [at for at in states.get(system, {}).get("requests", []) if at <= until]
    return system, requests[-1] if requests else ""


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
