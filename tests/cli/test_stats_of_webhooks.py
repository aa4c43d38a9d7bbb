"""`tidegate stats` shows what was healed and for how long, and the interval that `reconcile = "auto"` chose."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from tidegate.cli import stats
from tidegate.core.figures import IntervalChange, ResourceFigures
from tidegate.core.measured import Delay, Measured, Quantile, ResourceMeasured, Webhooks

AT = "2026-11-24T12:00:00Z"


def shown(monkeypatch: pytest.MonkeyPatch, webhooks: Webhooks, figures: ResourceFigures) -> str:
    made = Measured(since=AT, covered_seconds=3600.0, resources={"shop/orders": ResourceMeasured(webhooks=webhooks)})
    answer = {"measured": msgspec.to_builtins(made), "resources": {"shop/orders": msgspec.to_builtins(figures)}}

    class Gateway:
        def get(self, path: str, query: dict[str, Any]) -> dict[str, Any]:
            return answer

    monkeypatch.setattr(stats, "find_gateway", lambda _data: Gateway())
    done = CliRunner().invoke(stats.stats, [], env={"COLUMNS": "220"})
    assert done.exit_code == 0, done.output
    return done.output


def test_healed_changes_and_the_chosen_interval_have_a_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = Quantile(seconds=30.0, low=0.0, high=60.0)
    webhooks = Webhooks(healed=3, late=1, missing_for=Delay(samples=3, bounded=3, p50=bound, p95=bound))
    change = IntervalChange(at=AT, before_seconds=7200.0, after_seconds=3600.0, reason="why")
    figures = ResourceFigures(
        reconcile_auto=True, reconcile_every_seconds=3600.0, reconcile_since=AT, reconcile_changes=[change],
        reconcile_reason="webhooks missed 3 of 400 changes",
    )  # fmt: skip
    text = shown(monkeypatch, webhooks, figures)
    assert "shop/orders: 3 changes healed, missing for median ~30 s (0 ms-60 s)" in text
    assert "1 of their webhooks came later" in text
    assert "shop/orders: every 60 min since " in text and ": webhooks missed 3 of 400 changes" in text
    assert "2 h to 60 min" in text


def test_without_either_nothing_is_said_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, Webhooks(), ResourceFigures(reconcile_every_seconds=3600.0))
    assert "Healed" not in text and "Reconciled" not in text
