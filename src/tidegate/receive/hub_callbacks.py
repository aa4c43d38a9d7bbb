"""Answers to the GET requests of WebSub hubs: verifications of intent, and denials.

Owns what such a request may change in the stored subscriptions. Any node answers; the node that asks the hubs
(`websub.py`) goes on from the stored state. Invariant: a request is answered and believed only at the unguessable
address of a subscription that was asked for, with its topic; so nobody else can end, prolong or forge one. Crash: the
stored state is whole or unchanged.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial

from tidegate.core.clock import Clock
from tidegate.receive.answers import problem
from tidegate.receive.handshakes import ECHO_CHARACTERS, Reply
from tidegate.receive.websub_state import StoredSubscriptions, Subscription
from tidegate.rules.inbound import websub as rules

NOT_ASKED = problem(404, "subscription_unknown", "Not Found", "this subscription was not asked for")
GONE = problem(410, "subscription_ended", "Gone", "this subscription has ended")
DENIAL_NOTED = Reply(200, ((b"content-length", b"0"),), b"")


class HubCallbacks:
    """`sources` are those whose address hubs may know, `leaving` those with a subscription that ends; set by the
    engine."""

    def __init__(self, stored: StoredSubscriptions, clock: Clock, changed: Callable[[], None]) -> None:
        self._stored = stored
        self._clock = clock
        self._changed = changed
        self.sources: set[str] = set()
        self.leaving: set[str] = set()

    def ended(self, source: str) -> bool:
        """Whether hubs may still send to this address, although the source is not configured any more."""
        return source in self.leaving

    async def answer(self, source: str, query_string: bytes) -> Reply | None:
        """The answer to a GET of a hub; None when it is not one, or nothing is subscribed to at this address."""
        request = rules.read_hub_request(query_string)
        if request is None or source not in self.sources:
            return None
        if not await self._stored.change(partial(self._confirm, source, request)):
            return NOT_ASKED
        self._changed()
        if request.mode == rules.DENIED:
            return DENIAL_NOTED
        body = request.challenge.encode("utf-8", "replace")
        kind = (b"content-type", b"text/plain; charset=utf-8")
        return Reply(200, (kind, (b"content-length", b"%d" % len(body)), (b"x-content-type-options", b"nosniff")), body)

    def _confirm(self, source: str, request: rules.HubRequest, found: list[Subscription]) -> bool:
        """Whether it is about something that was asked for; the state is changed accordingly."""
        one = next((one for one in found if one.source == source and _is_at(one, request)), None)
        if one is None:
            return False
        if request.mode == rules.DENIED and not one.leaving:
            _deny(one, request.reason, self._clock.now_us())
            return True
        if not 0 < len(request.challenge) <= ECHO_CHARACTERS:
            return False
        if request.mode == rules.SUBSCRIBE and not one.leaving:
            _verify(one, request.lease_seconds, self._clock.now_us())
            return True
        if request.mode == rules.UNSUBSCRIBE and one.leaving:
            found.remove(one)
            return True
        return False


def _is_at(one: Subscription, request: rules.HubRequest) -> bool:
    same = secrets.compare_digest(request.token.encode("utf-8", "replace"), one.token.encode())
    return same and bool(one.asked_at_us) and request.topic == one.topic


def _deny(one: Subscription, reason: str, now_us: int) -> None:
    one.pending, one.denied, one.ends_at_us = "", True, 0
    one.error = f"the hub denied the subscription: {reason or 'it gave no reason'}"
    one.failures += 1
    one.next_at_us = now_us + int(rules.DENIED_WAIT_SECONDS * 1_000_000)


def _verify(one: Subscription, lease_seconds: float | None, now_us: int) -> None:
    lease = rules.usable_lease(lease_seconds, one.lease_seconds)
    one.pending, one.denied, one.failures, one.error = "", False, 0, ""
    one.secret = one.asked_secret
    one.verified_at_us = now_us
    one.ends_at_us = now_us + int(lease * 1_000_000)
    one.next_at_us = now_us + int(rules.renew_in(lease) * 1_000_000)
