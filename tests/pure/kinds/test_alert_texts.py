"""What a chat says of a system event: sentences, the next step, and a link, with nothing foreign as markup."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.receiver.kinds import event, prepared
from tidegate.core.model import Event, Origin
from tidegate.rules.alerts.body import data_of
from tidegate.rules.alerts.state import Evidence, Outgoing
from tidegate.rules.language.templates import RenderFailed

URL = "https://gate.example.com"


def alert(summary: str = "Destination crm: Answered 500.", public_url: str = URL) -> Event:
    evidence = Evidence(summary, "tidegate test crm", "error")
    one = Outgoing("1-1", "destination.failing", "destination.failing", "destination:crm", "firing", 1, 1, evidence)
    body = json.dumps(data_of(one, public_url, "n1")).encode()
    return Event(7, "tidegate", one.type, Origin.SYSTEM, 1, 1, body, "application/json", key=one.subject)


def text_of(kind: str, one: Event, **keys: Any) -> str:
    sent = json.loads(prepared(kind, one, **keys).body)
    if kind == "teams":
        blocks = sent["attachments"][0]["content"]["body"]
        return "\n".join(block["inlines"][0]["text"] for block in blocks)
    return str(sent["text" if kind == "slack" else "content"])


@pytest.mark.parametrize(
    ("kind", "link"),
    [
        ("slack", f"<{URL}/destinations/crm|Open in Tidegate>"),
        ("discord", f"[Open in Tidegate]({URL}/destinations/crm)"),
        ("teams", f"{URL}/destinations/crm"),
    ],
)
def test_a_chat_without_a_text_says_what_happened_what_to_do_and_where(kind: str, link: str) -> None:
    lines = text_of(kind, alert()).split("\n")
    assert [line.replace("\\", "") for line in lines] == [
        "[error] Destination crm: Answered 500.",
        "Next: tidegate test crm",
        link,
    ]


@pytest.mark.parametrize("kind", ["slack", "discord", "teams"])
def test_without_a_public_url_there_is_no_link(kind: str) -> None:
    assert text_of(kind, alert(public_url="")).endswith("test crm")


def test_the_text_for_other_events_is_not_used_for_alerts_and_alert_text_replaces_theirs() -> None:
    assert "Answered 500" in text_of("slack", alert(), text="{{ data.customer }} paid")
    assert text_of("slack", alert(), alert_text="{{ data.severity }}") == "error"
    assert text_of("slack", event({"customer": "ada"}), text="{{ data.customer }} paid") == "ada paid"


def test_foreign_text_in_an_alert_is_not_markup() -> None:
    assert "<!channel>" not in text_of("slack", alert("<!channel> https://evil.example"))


def test_a_chat_without_a_text_takes_no_other_events() -> None:
    with pytest.raises(RenderFailed, match="takes system events only"):
        prepared("slack", event({"id": 1}))
