"""Both ways at once, from sightings: known losses and delays are within the intervals, and nothing counts twice."""

from __future__ import annotations

from random import Random

import pytest

from tidegate.rules.measure.shadow import (
    KEPT_US,
    MAX_SIGHTINGS,
    POLL,
    WEBHOOK,
    ShadowFigures,
    Sightings,
    due,
    fresher,
    later,
    missed,
    more_complete,
    quantile_ranks,
    settle,
    share,
)

SECOND = 1_000_000
HOUR = 3600 * SECOND


def compared(changes: int, loss: float, webhook_late: float, poll_every: float, seed: int) -> ShadowFigures:
    """Changes of many records with a lossy webhook and a poll: as the gateway sees them, settled now and then."""
    chance = Random(seed)
    figures, poll, webhook = ShadowFigures(), Sightings(based_us=1), Sightings()
    at = 0.0
    for number in range(changes):
        at += chance.expovariate(1 / 30)
        if chance.random() >= loss:
            webhook.add(f"r\x1f{number}", int((at + chance.uniform(0, 2) * webhook_late) * SECOND))
        begun = (at // poll_every + 1) * poll_every
        poll.add(f"r\x1f{number}", int(begun * SECOND) + 1)
        poll.began_us = int(at // poll_every * poll_every * SECOND)
        if number % 7 == 0:
            decide(figures, poll, webhook, int(at * SECOND))
    poll.began_us = int((at + 10 * poll_every) * SECOND)
    decide(figures, poll, webhook, poll.began_us + HOUR)
    return figures


def decide(figures: ShadowFigures, poll: Sightings, webhook: Sightings, now_us: int, wait_us: int = HOUR // 6) -> None:
    made = due(figures, poll, webhook, now_us, wait_us)
    if made is not None:
        settle(figures, poll, webhook, made, {})


def test_a_version_that_our_own_write_made_is_counted_and_decided_for_no_way() -> None:
    figures, poll, webhook = ShadowFigures(), Sightings(based_us=1, began_us=HOUR), Sightings()
    poll.write("a\x1f1", 10)
    poll.write("a\x1f1", 20)
    webhook.add("a\x1f1", 30)
    webhook.add("b\x1f1", 40)
    decide(figures, poll, webhook, 2 * HOUR)
    assert (figures.own_writes, figures.only_webhook, figures.pairs) == (1, 1, 0)
    for number in range(MAX_SIGHTINGS + 3):
        poll.write(f"c{number}\x1f1", 3 * HOUR)
    assert len(poll.written) == MAX_SIGHTINGS and poll.dropped == 4 and poll.dropped_us == 3 * HOUR
    poll.forget(3 * HOUR + KEPT_US)
    assert poll.written == {}


def test_known_losses_and_delays_are_covered_by_their_intervals() -> None:
    """60 comparisons of 300 changes: 5% of the webhooks are lost; a webhook takes 1 s, a poll half of 60 s."""
    covered = sooner = 0
    for seed in range(60):
        figures = compared(300, 0.05, 1.0, 60.0, seed)
        lost, seen = missed(figures, WEBHOOK)
        assert seen == 300 and figures.pairs == 300 - lost
        found = share(lost, seen)
        assert found.low is not None and found.high is not None
        covered += found.low <= 0.05 <= found.high
        late = later(figures)
        assert late.low is not None and late.high is not None
        sooner += late.low <= 29.0 <= late.high
        assert fresher(figures) == WEBHOOK and missed(figures, POLL)[0] == 0
    assert covered >= 55 and sooner >= 55


def test_the_way_that_misses_fewer_is_named_only_when_chance_does_not_explain_it() -> None:
    assert more_complete(ShadowFigures(only_poll=20)) == POLL
    assert more_complete(ShadowFigures(only_webhook=20)) == WEBHOOK
    assert more_complete(ShadowFigures(only_poll=3, only_webhook=1)) == ""
    assert more_complete(ShadowFigures()) == "" and fresher(ShadowFigures()) == ""


def test_a_version_is_decided_after_the_wait_and_after_a_poll_that_began_later() -> None:
    figures, poll, webhook = ShadowFigures(), Sightings(based_us=1, began_us=5 * SECOND), Sightings()
    webhook.add("a\x1f1", 10 * SECOND)
    decide(figures, poll, webhook, HOUR, 60 * SECOND)
    assert missed(figures, POLL) == (0, 0)
    poll.began_us = 11 * SECOND
    decide(figures, poll, webhook, 69 * SECOND, 60 * SECOND)
    assert missed(figures, POLL) == (0, 0)
    decide(figures, poll, webhook, 71 * SECOND, 60 * SECOND)
    assert missed(figures, POLL) == (1, 1)


def test_what_was_decided_is_not_decided_again_when_the_other_way_comes_late() -> None:
    figures, poll, webhook = ShadowFigures(), Sightings(based_us=1), Sightings()
    poll.add("a\x1f1", 10 * SECOND)
    poll.began_us = HOUR
    decide(figures, poll, webhook, HOUR)
    assert figures.only_poll == 1
    webhook.add("a\x1f1", 2 * HOUR)
    poll.began_us = 5 * HOUR
    decide(figures, poll, webhook, 5 * HOUR)
    assert (figures.only_poll, figures.only_webhook, figures.pairs) == (1, 0, 0)


def test_what_the_records_of_the_other_way_have_was_not_missed() -> None:
    figures, poll, webhook = ShadowFigures(), Sightings(based_us=1, began_us=HOUR), Sightings()
    webhook.add("a\x1f1", SECOND)
    webhook.add("b\x1f1", SECOND)
    made = due(figures, poll, webhook, 2 * HOUR, HOUR)
    assert made is not None
    settle(figures, poll, webhook, made, {WEBHOOK: ["a\x1f1"]})
    assert (figures.untimed, figures.only_webhook) == (1, 1) and missed(figures, POLL) == (1, 2)


def test_what_was_there_before_the_first_poll_is_left_out() -> None:
    figures, poll, webhook = ShadowFigures(), Sightings(based_us=HOUR, began_us=3 * HOUR), Sightings()
    poll.add("old\x1f1", HOUR)
    webhook.add("new\x1f1", HOUR + 1)
    decide(figures, poll, webhook, 4 * HOUR)
    assert (figures.only_poll, figures.only_webhook) == (0, 1)


def test_sightings_are_bounded_and_what_did_not_fit_is_counted() -> None:
    seen = Sightings()
    for number in range(MAX_SIGHTINGS + 5):
        seen.add(f"k\x1f{number}", number)
        seen.add(f"k\x1f{number}", number + 1)
    assert len(seen.found) == MAX_SIGHTINGS and seen.dropped == 5 and seen.found["k\x1f7"] == 7
    seen.forget(KEPT_US)
    assert len(seen.found) == MAX_SIGHTINGS // 2
    seen.forget(KEPT_US + 10**7)
    assert not seen.found


@pytest.mark.parametrize(("count", "ranks"), [(5, None), (6, (1, 6)), (10, (2, 9)), (100, (40, 61))])
def test_ranks_of_the_median_are_those_of_the_tables(count: int, ranks: tuple[int, int] | None) -> None:
    """As in Conover, Practical Nonparametric Statistics, for a confidence of at least 95%."""
    assert quantile_ranks(count, 0.5) == ranks


def test_a_comparison_without_pairs_has_no_figure_and_no_way_is_better() -> None:
    assert later(ShadowFigures()).estimate is None and share(0, 0).estimate is None
    equal = ShadowFigures(pairs=10, webhook_first={20: 5}, poll_first={20: 5})
    assert fresher(equal) == ""
    assert fresher(ShadowFigures(pairs=10, poll_first={20: 10})) == POLL
