"""The lease that a hub names: whatever it is, a subscription is renewed before it can have ended."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tidegate.rules.inbound import websub

ASKED = 864_000.0
DAY = 86_400.0


@pytest.mark.parametrize(
    ("named", "lease"),
    [
        ("", ASKED),
        ("0", ASKED),
        ("000", ASKED),
        ("3600", 3600.0),
        (" 3600 ", 3600.0),
        ("3600.0", 3600.0),
        ("0.25", 1.0),
        ("999999999999", 30 * DAY),
        ("-5", DAY),
        ("1e9", DAY),
        ("+3600", DAY),
        ("soon", DAY),
        ("9" * 400, DAY),
        ("\u0663\u0666\u0660\u0660", DAY),
        ("nan", DAY),
    ],
)
def test_a_lease_that_is_odd_is_never_taken_to_be_longer_than_it_may_be(named: str, lease: float) -> None:
    query = f"hub.mode=subscribe&hub.topic=t&hub.challenge=c&hub.lease_seconds={quote(named)}"
    request = websub.read_hub_request(query.encode())
    assert request is not None
    assert websub.usable_lease(request.lease_seconds, ASKED) == lease
