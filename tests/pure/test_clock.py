"""A clock that a shared clock corrects: by an hour, not by small differences, and not because of a slow answer."""

from __future__ import annotations

import pytest

from tidegate.core.clock import Clock, parse_instant

SECOND = 1_000_000
NOW = 1_800_000_000 * SECOND


class Machine(Clock):
    """Its time is what the test says."""

    machine = NOW

    def machine_us(self) -> int:
        return self.machine


@pytest.mark.parametrize(
    ("off", "trip", "corrected"),
    [
        (0, 0, 0),
        (0.9, 0, 0),  # as a time service keeps it
        (-0.9, 0, 0),
        (2, 0, 2),
        (3600, 0.1, 3600),
        (-3600, 0.1, -3600),
        (2.5, 4, 0),  # the answer took so long that all of it may be the trip's
        (-2.5, 4, 0),
        (3600, 4, 3600),
    ],
)
def test_only_what_is_off_by_more_than_a_second_is_put_right(off: float, trip: float, corrected: float) -> None:
    clock = Machine()
    clock.machine = NOW + int(trip * SECOND)
    middle = NOW + int(trip * SECOND / 2)
    assert clock.agree(middle + int(off * SECOND), NOW) == bool(corrected)
    assert clock.now_us() - clock.machine_us() == int(corrected * SECOND)


def test_a_corrected_clock_is_used_again() -> None:
    clock = Machine()
    assert clock.agree(NOW - 3600 * SECOND, NOW)
    assert not clock.agree(NOW - 3600 * SECOND + SECOND // 2, NOW)  # it wobbles
    assert clock.now_us() == NOW - 3600 * SECOND
    assert clock.agree(NOW + SECOND // 2, NOW)  # the time service of the machine is there
    assert clock.correction_us == 0


@pytest.mark.parametrize("text", ["2026-11-25T12:00:00z", "2026-11-25t12:00:00Z", "2026-11-25t13:00:00+01:00"])
def test_small_letters_of_an_instant_are_those_of_rfc_3339(text: str) -> None:
    assert parse_instant(text) == parse_instant("2026-11-25T12:00:00Z")
