"""The data of a system event: what happened, the evidence, and the next step, for people and for programs. Pure.

Owns the members, which are a promise to users: they are added and never renamed. Invariant: `text` alone is enough for
a mail, and `message` with `url` for a chat; no member holds a credential, because findings mask their samples.
"""

from __future__ import annotations

from typing import Any

from tidegate.core.clock import rfc3339
from tidegate.core.model import JsonObject
from tidegate.rules.alerts.state import Outgoing

SUBJECTS_SHOWN = 20  # of an event that stands for many
_PAGES = {"destination": "/destinations/{name}", "resource": "/sources", "source": "/sources", "credential": "/sources"}
_SIGNS = {"error": "[error]", "warning": "[warning]", "notice": "[ok]"}


def page_of(subject: str) -> str:
    """The path of the page about a subject."""
    kind, _, name = subject.partition(":")
    if name == "*":
        return "/alerts"
    return _PAGES.get(kind, "/alerts").replace("{name}", name)


def data_of(event: Outgoing, public_url: str, node: str) -> JsonObject:
    """The data of one event. `public_url`: "" when the gateway does not know its own address."""
    kind, _, name = event.subject.partition(":")
    page = page_of(event.subject)
    data: dict[str, Any] = {
        "alert": event.about,
        "state": event.state,
        "severity": event.evidence.severity,
        "subject": event.subject,
        "kind": kind,
        "name": name,
        "summary": event.evidence.summary,
        "next_step": event.evidence.next_step,
        "page": page,
        "url": public_url.rstrip("/") + page if public_url else "",
        "since": rfc3339(event.since_us),
        "count": event.count,
        "episodes": event.episodes,
        "held_back": event.held_back,
        "evidence": event.evidence.facts,
        "node": node,
    }
    if event.subjects:
        data["subjects"] = event.subjects[:SUBJECTS_SHOWN]
        data["more_subjects"] = max(0, len(event.subjects) - SUBJECTS_SHOWN)
    data["message"] = _message(event)
    data["text"] = "\n".join(filter(None, (data["message"], data["url"])))
    return data


def _message(event: Outgoing) -> str:
    """A few lines for a chat or a mail, without the link."""
    sign = _SIGNS["notice"] if event.state == "resolved" else _SIGNS.get(event.evidence.severity, "")
    lines = [f"{sign} {event.evidence.summary}".strip()]
    if event.state == "repeated":
        lines[0] += f" (since {rfc3339(event.since_us)})"
    if event.subjects:
        more = len(event.subjects) - SUBJECTS_SHOWN
        names = ", ".join(one.partition(":")[2] for one in event.subjects[:SUBJECTS_SHOWN])
        lines.append(f"{names} and {more} more" if more > 0 else names)
    if event.episodes > 1:
        lines.append(f"It began {event.episodes} times since the last message.")
    if event.evidence.next_step:
        lines.append(f"Next: {event.evidence.next_step}")
    if event.held_back:
        lines.append(f"{event.held_back} more alerts wait for the limit of [alerts] max_per_hour.")
    return "\n".join(lines)
