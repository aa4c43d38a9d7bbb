"""`reconcile = "auto"` in the engine: it measures what webhooks miss, and its interval never changes silently."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from support.upstream.pull import PullSetup, StepClock, pull_setup
from tidegate.config.spec import ApiInput
from tidegate.core.figures import ResourceFigures
from tidegate.core.model import Origin
from tidegate.dashboard.pages import summaries
from tidegate.pull.reconciling import rule_of
from tidegate.pull.resource import figures_of
from tidegate.pull.schedule import intervals_of
from tidegate.rules.measure.reconciling import ReconcileRule, first_interval
from tidegate.rules.sync.spec import Resource, WebhookFeed

FEED: dict[str, Any] = {"types": ["orders/*"], "key": "id"}
FIRST = (300.0 * 86_400.0) ** 0.5  # between reconcile_min and reconcile_max


def run(path: Path, work: Callable[[PullSetup], Awaitable[None]], **how: Any) -> None:
    async def main() -> None:
        async with pull_setup(path, **{"webhook": FEED, "reconcile": "auto", "initial": "events", **how}) as one:
            await one.poll()
            await work(one)

    asyncio.run(main())


async def changes(one: PullSetup, brought: int, lost: int = 0) -> None:
    """So many changes within an hour: webhooks bring some, and those of the others are lost. Then it reconciles."""
    first = len(one.shop.items)
    for number in range(brought):
        await one.webhook(one.shop.put(f"{first + number}"))
    await one.settle()
    for number in range(lost):
        one.shop.put(f"{first + brought + number}")
    assert isinstance(one.clock, StepClock)
    one.clock.advance(3_600)
    await one.poll()


def figures(one: PullSetup) -> ResourceFigures:
    return one.engine.statistics()["shop/orders"]


def every(one: PullSetup) -> float:
    found = figures(one).reconcile_every_seconds
    assert found is not None
    return found


def test_more_missed_webhooks_make_it_more_often_and_each_change_of_the_interval_is_shown(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        assert abs(every(one) - FIRST) < 1 and "no change was seen" in (figures(one).reconcile_reason or "")
        await changes(one, 40)
        proven = every(one)
        shown = figures(one)
        assert shown.reconcile_auto and "webhooks missed 0 of 40 changes" in (shown.reconcile_reason or "")
        await changes(one, 5, lost=15)
        assert every(one) < proven / 2 and every(one) >= 300
        shown = figures(one)
        assert "webhooks missed 15 of 60 changes" in (shown.reconcile_reason or "")
        last = shown.reconcile_changes[-1]
        assert (last.after_seconds, last.at, last.reason) == (every(one), shown.reconcile_since, shown.reconcile_reason)
        note = shown.findings["reconcile_interval_changed"]
        assert note.count == len(shown.reconcile_changes) and "missed 15 of 60" in note.samples[-1]
        schedule = one.engine._engines["shop", "orders"].schedule
        following = schedule.next()
        assert following is not None and following[0] is Origin.RECONCILE
        assert 0.85 * every(one) <= following[1] <= 1.15 * every(one)

    run(tmp_path, work)


def test_the_interval_and_its_reason_survive_a_restart_and_are_known_to_other_nodes(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        await changes(one, 40)
        before = figures(one)
        await one.restart()
        engine = one.engine._engines["shop", "orders"]
        await engine._ready.wait()
        after = figures(one)
        for name in ("reconcile_every_seconds", "reconcile_reason", "reconcile_since", "reconcile_changes"):
            assert getattr(after, name) == getattr(before, name), name
        following = engine.schedule.next()
        assert following is not None and following[1] < every(one) + 3, "the chosen interval, and not the first one"
        assert every(one) < FIRST / 2
        elsewhere = figures_of(engine.resource, await one.store.records.state("shop", "orders"))
        assert elsewhere.reconcile_every_seconds == every(one)
        await changes(one, 5)
        assert "of 45 changes" in (figures(one).reconcile_reason or ""), "what was measured is not forgotten"

    run(tmp_path, work)


def test_what_the_bounds_do_not_allow_is_a_finding(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        await changes(one, 2, lost=20)
        assert every(one) == 1800
        assert (
            "reconcile_min allows one every 30 min" in figures(one).findings["reconcile_interval_clamped"].samples[-1]
        )

    run(tmp_path, work, reconcile_min="30m", max_delay="1m")


def test_a_fixed_interval_is_not_touched(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        await changes(one, 5, lost=5)
        shown = figures(one)
        assert (shown.reconcile_every_seconds, shown.reconcile_auto, shown.reconcile_changes) == (86_400, False, [])
        assert "reconcile_interval_changed" not in shown.findings

    run(tmp_path, work, reconcile="1d")


def test_a_failed_reconciliation_changes_no_interval(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        await changes(one, 40)
        before = figures(one)
        one.shop.break_next = [500] * 20
        await one.poll(ok=False)
        assert figures(one).reconcile_since == before.reconcile_since and every(one) == before.reconcile_every_seconds

    run(tmp_path, work)


def test_the_rule_has_the_bounds_prices_and_rate_of_the_configuration() -> None:
    feed = WebhookFeed(types=["x"])
    resource = Resource(path="/x", webhook=feed, reconcile="auto", reconcile_min="1m", max_delay="10m", delay_price=3.6)
    rule = rule_of(resource, ApiInput(base_url="https://x.example", rate="2/m", price_per_call=0.01))
    assert rule == ReconcileRule(
        shortest=60, longest=86_400, max_delay=600, call_price=0.01, delay_price=0.001, budget=30
    )
    assert rule_of(Resource(path="/x", webhook=feed, reconcile="1h")) is None
    assert rule is not None and intervals_of(resource) == {Origin.RECONCILE: first_interval(rule)}


def test_the_page_of_sources_shows_the_chosen_interval_and_why() -> None:
    resource = Resource(path="/x", webhook=WebhookFeed(types=["x"]), reconcile="auto")
    shown = ResourceFigures(reconcile_auto=True, reconcile_every_seconds=1800.0, reconcile_reason="webhooks missed 5")
    label = summaries._resource("x", resource, shown).label
    assert label == "updated by webhooks, reconciled every 30 min (auto: webhooks missed 5)"
