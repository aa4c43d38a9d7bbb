"""`tidegate events --healed` asks for healed events only and shows for how long each was missing."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from tidegate.cli import events


def event(longest: float | None, shortest: float = 0.0) -> dict[str, Any]:
    return {
        "received_at": "2026-11-24T12:00:00Z", "origin": "reconcile", "source": "shop", "type": "orders.updated",
        "key": "7", "id": "evt_1",
        "change": {"healed": {"missed_for_seconds": longest, "missed_for_at_least_seconds": shortest}},
    }  # fmt: skip


class Gateway:
    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def get_page(self, path: str, query: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(query)
        return {"data": [event(720.0, 720.0), event(3600.0), event(None)], "next_cursor": "more"}


def test_only_healed_events_are_asked_for_and_their_time_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway()
    monkeypatch.setattr(events, "find_gateway", lambda _data: gateway)
    done = CliRunner().invoke(events.events, ["--healed"], env={"COLUMNS": "160"})
    assert done.exit_code == 0, done.output
    assert gateway.asked[0]["healed"] == "true"
    for text in ("missing for", "12 min", "at most 60 min", "unknown", "--healed"):
        assert text in done.output, done.output
    CliRunner().invoke(events.events, [])
    assert "healed" not in gateway.asked[1]
