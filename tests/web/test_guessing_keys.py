"""Guesses at a key: how soon an address must wait, what still works meanwhile, and that memory is bounded."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest

from support.gateway.api import Reply, Served, served
from tidegate.api import attempts
from tidegate.api.attempts import Attempts, TooManyAttempts
from tidegate.api.keys import MIN_ADMIN_KEY
from tidegate.core.clock import ManualClock
from tidegate.core.errors import TidegateError

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SHORT = "chosen-by-a-person-12345"  # long enough for a key, short enough to count as guessable


async def _log_in(gate: Served, key: str) -> Reply:
    return await gate.api.with_key(None)("POST", "/login", urlencode({"key": key}).encode(), headers=FORM)


async def test_after_ten_wrong_keys_a_login_waits_even_with_the_right_one_and_a_link_still_works(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    async with served(tmp_path, "", clock) as gate:
        gate.context.keyring.fix(SHORT, "short")
        for number in range(attempts.FREE_FAILURES):
            clock.advance(0.01)
            assert (await _log_in(gate, f"wrong-{number}")).status == 401
        refused = await _log_in(gate, SHORT)
        assert refused.status == 429 and int(refused.headers["retry-after"]) >= 1
        assert "set-cookie" not in refused.headers
        link = gate.context.sessions.new_link()
        entered = await gate.api.with_key(None)("POST", "/login", urlencode({"token": link}).encode(), headers=FORM)
        assert entered.status == 303
        clock.advance(2)
        assert (await _log_in(gate, SHORT)).status == 303


async def test_a_guessable_key_is_not_accepted_while_its_address_waits_and_other_keys_are(tmp_path: Path) -> None:
    clock = ManualClock()
    async with served(tmp_path, "", clock) as gate:
        gate.context.keyring.fix(SHORT, "short")
        used = "another-key-of-a-person-1"
        gate.context.keyring.fix(used, "used before")
        assert (await gate.api.with_key(used)("GET", "/api/v1/events")).status == 200
        statuses = []
        for number in range(attempts.FREE_FAILURES + 1):
            clock.advance(0.01)
            statuses.append((await gate.api.with_key(f"guess-{number}")("GET", "/api/v1/events")).status)
        assert statuses == [401] * attempts.FREE_FAILURES + [429]
        refused = await gate.api.with_key(SHORT)("GET", "/api/v1/events")
        assert (refused.status, refused.json()["code"]) == (429, "too_many_attempts"), "a hit must not show"
        assert "retry-after" in refused.headers
        assert (await gate.api("GET", "/api/v1/events")).status == 200, "43 characters cannot be guessed"
        assert (await gate.api.with_key(used)("GET", "/api/v1/events")).status == 200, "this address used it before"
        clock.advance(2)
        assert (await gate.api.with_key(SHORT)("GET", "/api/v1/events")).status == 200


def test_waits_double_up_to_a_minute_and_end_after_ten_quiet_minutes() -> None:
    kept, now, waits = Attempts(), 0.0, []
    for _ in range(attempts.FREE_FAILURES + 8):
        kept.failed("192.0.2.1", now)
        waits.append(kept.wait_seconds("192.0.2.1", now))
        now += waits[-1]
    assert waits == [0.0] * 9 + [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert kept.wait_seconds("192.0.2.2", now) == 0, "another address"
    now += attempts.FORGET_SECONDS + 1
    kept.failed("192.0.2.1", now)
    assert kept.wait_seconds("192.0.2.1", now) == 0


def test_many_addresses_together_make_everybody_wait_and_take_bounded_memory() -> None:
    kept = Attempts()
    for number in range(attempts.MAX_ADDRESSES + 500):
        kept.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 1.0)
    assert len(kept._failures) == attempts.MAX_ADDRESSES
    with pytest.raises(TooManyAttempts):
        kept.check("192.0.2.9", 1.0)
    kept.check("192.0.2.9", 1.0 + attempts.MAX_ADDRESSES + 500)


def test_addresses_of_one_ipv6_network_count_as_one() -> None:
    kept = Attempts()
    for number in range(attempts.FREE_FAILURES):
        kept.failed(f"2001:db8:1:2::{number:x}", 1.0)
    assert kept.wait_seconds("2001:db8:1:2:ffff::1", 1.0) > 0
    assert kept.wait_seconds("2001:db8:1:3::1", 1.0) == 0


async def test_the_length_of_an_admin_key_decides_and_not_its_look(tmp_path: Path) -> None:
    async with served(tmp_path, "") as gate:
        gate.context.keyring.fix("a" * MIN_ADMIN_KEY, "long")
        for key in ("", "a" * (MIN_ADMIN_KEY - 1), "R7#kq"):
            with pytest.raises(TidegateError) as error:
                gate.context.keyring.fix(key, "short")
            assert error.value.code == "key_too_short"
