"""WebSub subscriptions of this node: subscribe, renew before the lease ends, unsubscribe; and answers to hubs.

Owns when a hub is asked and what its callbacks mean. The node that holds the partition of a source asks for it; any
node answers a hub, from the stored state. The content that a hub sends is a webhook like any other: `ingress.py`
verifies and stores it. May not know the ingress or the log. Invariants: a callback is answered for a request that was
made, at its unguessable address, and for no other; a failure never ends the loop, it waits longer each time; a renewal
has a third of the lease for its retries. Crash: the stored state says what was asked and when to go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets as random
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import msgspec

from tidegate.core.clock import Clock, rfc3339
from tidegate.core.errors import NotFound, TidegateError, UpstreamError
from tidegate.core.figures import SubscriptionFigures
from tidegate.core.findings import Findings
from tidegate.core.units import seconds
from tidegate.outbound.http import PullResponse
from tidegate.receive.hub_callbacks import HubCallbacks
from tidegate.receive.websub_state import Identity, StoredSubscriptions, Subscription
from tidegate.rules.inbound import websub as rules
from tidegate.rules.inbound.signatures.scheme import tidy
from tidegate.runtime.shapes import ActiveSource
from tidegate.store import Settings, partition_of_name
from tidegate.vault import Vault

log = logging.getLogger("tidegate.receive")
LOOK_SECONDS = 60.0  # at most until the stored state is read again
BUSY_SECONDS = 2.0
AT_ONCE = 8  # requests to hubs and topics at the same time
MAX_ERROR = 500
FAILING_AFTER = 3  # failed renewals while the lease lasts
CODES = ("subscription_failing", "subscription_denied", "subscription_ends_soon")

Fetch = Callable[[str, str, Mapping[str, str], bytes | None], Awaitable[tuple[str, PullResponse]]]
"""A request with its redirects: (method, url, headers, body) -> (last URL, answer)."""


class Wanted(msgspec.Struct, frozen=True):
    """A subscription that the configuration asks for."""

    identity: Identity
    lease_seconds: float
    secret: str


class WebSubPorts(msgspec.Struct, frozen=True):
    """What the engine works with."""

    settings: Settings
    vault: Vault
    fetch: Fetch
    clock: Clock
    findings: Findings


class WebSubEngine:
    """All methods belong to the event loop. `configure` may be called before `start` and any time after."""

    name = "websub"

    def __init__(self, ports: WebSubPorts) -> None:
        self._clock = ports.clock
        self._fetch = ports.fetch
        self._findings = ports.findings
        self._stored = StoredSubscriptions(ports.settings, ports.vault)
        self._wanted: dict[Identity, Wanted] | None = None
        self._known: list[Subscription] = []  # as of the last look
        self._reported: dict[str, tuple[str, int]] = {}  # source -> what its finding says
        self._partitions: frozenset[int] = frozenset()
        self._steps: dict[Identity, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._wake = asyncio.Event()
        self._incomplete: set[str] = set()
        self.callbacks = HubCallbacks(self._stored, ports.clock, self._wake.set)
        self._loop: asyncio.Task[None] | None = None

    # -- the engine of a gateway -------------------------------------------------------------------------

    def configure(self, sources: Mapping[str, ActiveSource], public_url: str) -> None:
        """The sources with a `websub` table. A source without an address for hubs gets a finding."""
        now_us = self._clock.now_us()
        wanted: dict[Identity, Wanted] = {}
        incomplete: set[str] = set()
        for name, source in sources.items():
            spec = source.spec.webhook.websub if source.spec.webhook is not None else None
            if spec is None:
                continue
            signing = [tidy(one) for one in source.secrets(now_us)]
            if not public_url or not signing:
                missing = "[gateway] public_url" if not public_url else "the secret"
                self._findings.report("subscription_failing", f"source:{name}", f"{missing} is not set")
                incomplete.add(name)
                continue
            identity = (name, spec.topic, spec.hub, f"{public_url.rstrip('/')}/in/{name}")
            wanted[identity] = Wanted(identity, seconds(spec.lease), signing[0])
        for name in self._incomplete - incomplete:
            self._findings.resolve("subscription_failing", f"source:{name}")
            self._reported.pop(name, None)
        self._incomplete = incomplete
        self._wanted = wanted
        self._shared()
        self._wake.set()

    def _shared(self) -> None:
        """What answers to hubs depend on, in memory."""
        self.callbacks.sources = {one[0] for one in self._wanted or ()} | {one.source for one in self._known}
        self.callbacks.leaving = {one.source for one in self._known if one.leaving}

    async def start(self) -> None:
        self._loop = asyncio.create_task(self._run(), name="websub")

    async def take(self, partitions: frozenset[int]) -> None:
        self._partitions |= partitions
        self._wake.set()

    async def leave(self, partitions: frozenset[int]) -> None:
        self._partitions -= partitions
        await self._cancel([one for one in self._steps if partition_of_name(one[0]) in partitions])

    def lost(self) -> None:
        """Another node may ask already. A hub that is asked twice renews the same subscription."""
        self._partitions = frozenset()
        for task in self._steps.values():
            task.cancel()

    async def handle(self, call: bytes) -> bytes:
        raise NotFound("the subscriptions take no calls")

    async def stop(self) -> None:
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.wait({self._loop})
        await self._cancel(list(self._steps))

    async def refresh(self) -> None:
        """Read what other nodes stored."""
        if self._wanted or self._known:
            self._known = await self._stored.load()
            self._shared()

    def statistics(self) -> dict[str, SubscriptionFigures]:
        """The state of each subscription by source, as in `GET /stats`."""
        begun = {one[0]: Subscription(*one, token="", lease_seconds=0) for one in self._wanted or ()}
        begun |= {one.source: one for one in self._known if not one.leaving}
        return {source: _figures(one, self._clock.now_us()) for source, one in begun.items()}

    # -- the loop ----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                wait = await self._look()
            except TidegateError as error:
                log.warning("the WebSub subscriptions could not be read: %s", error.message)
                wait = BUSY_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()

    async def _look(self) -> float:
        """Begin what is due. Seconds until there may be something to do."""
        if self._wanted is None or not self._partitions:
            return LOOK_SECONDS
        if not self._wanted and not self._known:
            self._known = await self._stored.load()
            if not self._known:
                return LOOK_SECONDS
        self._known = await self._stored.change(self._compare)
        self._shared()
        now_us = self._clock.now_us()
        soonest = now_us + int(LOOK_SECONDS * 1_000_000)
        for one in self._known:
            if partition_of_name(one.source) not in self._partitions:
                continue
            self._report(one, now_us)
            if one.identity in self._steps:
                continue
            if one.next_at_us <= now_us:
                self._steps[one.identity] = task = asyncio.create_task(self._step(one.identity), name="websub-step")
                task.add_done_callback(partial(self._stepped, one.identity))
            else:
                soonest = min(soonest, one.next_at_us)
        return max(0.0, (soonest - now_us) / 1_000_000)

    def _compare(self, found: list[Subscription]) -> list[Subscription]:
        """Add what the configuration asks for, mark what it does not, and notice another secret."""
        now_us = self._clock.now_us()
        wanted = self._wanted or {}
        for one in found:
            if partition_of_name(one.source) not in self._partitions:
                continue
            want = wanted.get(one.identity)
            if one.leaving != (want is None):
                one.leaving, one.pending, one.failures, one.next_at_us = want is None, "", 0, now_us
            if want is not None:
                one.lease_seconds = want.lease_seconds
                if not one.pending and one.secret and one.secret != want.secret and not one.failures:
                    one.next_at_us = min(one.next_at_us, now_us)
        there = {one.identity for one in found}
        for identity, want in wanted.items():
            if identity not in there and partition_of_name(identity[0]) in self._partitions:
                token = random.token_urlsafe(24)
                found.append(Subscription(*identity, token=token, lease_seconds=want.lease_seconds, next_at_us=now_us))
        return list(found)

    def _stepped(self, identity: Identity, task: asyncio.Task[None]) -> None:
        self._steps.pop(identity, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a WebSub subscription could not be handled", exc_info=error)
            self._findings.report("subscription_failing", f"source:{identity[0]}", "internal error; see the log")
            asyncio.get_running_loop().call_later(LOOK_SECONDS, self._wake.set)
            return
        self._wake.set()

    async def _cancel(self, identities: list[Identity]) -> None:
        tasks = [self._steps[one] for one in identities if one in self._steps]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # -- one subscription --------------------------------------------------------------------------------

    async def _step(self, identity: Identity) -> None:
        async with self._slots:
            one = next((one for one in await self._stored.load() if one.identity == identity), None)
            if one is None or one.next_at_us > self._clock.now_us():
                return  # a hub called, or the step before ended, while the state was read
            try:
                if one.pending:
                    accepted = f"the hub accepted the request and did not call {one.callback}"
                    raise UpstreamError(accepted, code="not_verified", hint="check that the hub can reach it")
                if one.leaving:
                    await self._end(one)
                else:
                    await self._subscribe(one)
            except TidegateError as error:
                try:
                    await self._stored.change_one(one.identity, partial(self._failed, error))
                except TidegateError as again:  # the store: the next look tries again
                    log.warning("a WebSub subscription could not be stored: %s", again.message)
                    await asyncio.sleep(BUSY_SECONDS)

    async def _subscribe(self, one: Subscription) -> None:
        want = (self._wanted or {}).get(one.identity)
        if want is None:
            return
        topic = await self._topic(one)
        hub = one.hub if one.hub in topic.hubs and not one.failures else topic.hubs[one.failures % len(topic.hubs)]
        if not one.hub_url and hub.startswith("http:") and one.topic_url.startswith("https:"):
            raise UpstreamError(
                f"the hub {hub} is not https, so the secret could be read on the way",
                code="hub_not_https",
                hint="set `hub` to its https address, or to this one if you accept it",
            )
        asked = partial(self._asked, rules.SUBSCRIBE, topic.url, hub, want.secret)
        if await self._stored.change_one(one.identity, asked):
            lease = int(one.lease_seconds)
            await self._ask(hub, rules.request_form(rules.SUBSCRIBE, topic.url, one.address, lease, want.secret))

    async def _end(self, one: Subscription) -> None:
        """Unsubscribe; without a hub that may still send, forget it."""
        now_us = self._clock.now_us()
        lasts_until = max(one.ends_at_us, one.asked_at_us + int(2 * rules.VERIFY_SECONDS * 1_000_000))
        if not one.asked_at_us or lasts_until < now_us:
            await self._stored.remove(one.identity)
            return
        asked = partial(self._asked, rules.UNSUBSCRIBE, one.topic, one.hub, "")
        if await self._stored.change_one(one.identity, asked):
            try:
                await self._ask(one.hub, rules.request_form(rules.UNSUBSCRIBE, one.topic, one.address))
            except UpstreamError as error:
                if error.upstream_status not in (404, 410):
                    raise
                await self._stored.remove(one.identity)  # the hub does not know it

    async def _topic(self, one: Subscription) -> rules.Topic:
        if one.hub_url:
            return rules.Topic(one.topic_url, (one.hub_url,))
        accept = {"accept": "application/atom+xml, application/rss+xml, text/html, */*;q=0.5"}
        url, answer = await self._fetch("GET", one.topic_url, accept, None)
        if answer.status != 200:
            raise UpstreamError(f"the topic answered {answer.status}", upstream_status=answer.status)
        return rules.read_topic(url, answer.headers, answer.body)

    async def _ask(self, hub: str, form: bytes) -> None:
        kind = {"content-type": "application/x-www-form-urlencoded"}
        _, answer = await self._fetch("POST", hub, kind, form)
        if not 200 <= answer.status < 300:
            said = answer.body[:MAX_ERROR].decode("utf-8", "replace").strip()
            words = "".join(one if one.isprintable() else " " for one in said)
            raise UpstreamError(f"the hub answered {answer.status}: {words}", upstream_status=answer.status)

    def _asked(self, mode: str, topic: str, hub: str, secret: str, one: Subscription) -> bool:
        """Note a request before it is sent. False when the configuration changed meanwhile."""
        now_us = self._clock.now_us()
        if one.leaving != (mode == rules.UNSUBSCRIBE):
            return False
        one.topic, one.hub, one.asked_secret = topic, hub, secret
        one.pending, one.asked_at_us = mode, now_us
        one.next_at_us = now_us + int(rules.VERIFY_SECONDS * 1_000_000)
        return True

    def _failed(self, error: TidegateError, one: Subscription) -> None:
        now_us = self._clock.now_us()
        if one.next_at_us > now_us and not one.pending:
            return  # the hub verified it, whatever it answered
        one.pending = ""
        one.failures += 1
        hint = "" if error.hint == UpstreamError.hint else error.hint  # that one is about polls
        one.error = f"{error.message}; {hint}"[:MAX_ERROR] if hint else error.message[:MAX_ERROR]
        wait = rules.retry_in(one.failures, one.left_seconds(now_us), self._clock.random())
        one.next_at_us = now_us + int(wait * 1_000_000)

    # -- findings ----------------------------------------------------------------------------------------

    def _report(self, one: Subscription, now_us: int) -> None:
        """One finding of a source, as its state is; a new failure is counted."""
        code = _finding_of(one, now_us)
        if self._reported.get(one.source) == (code, one.failures):
            return
        if one.leaving and one.source in {identity[0] for identity in self._wanted or ()}:
            return  # the new subscription of the same source has the word
        self._reported[one.source] = (code, one.failures)
        for other in CODES:
            if other != code:
                self._findings.resolve(other, f"source:{one.source}")
        if code:
            until = f"; the lease ends at {rfc3339(one.ends_at_us)}" if one.active(now_us) else ""
            self._findings.report(code, f"source:{one.source}", f"{one.topic_url}: {one.error}{until}")


def _finding_of(one: Subscription, now_us: int) -> str:
    """The code of the finding that a subscription is, "" for none."""
    if one.leaving or not one.failures:
        return ""
    if one.denied:
        return "subscription_denied"
    if not one.active(now_us):
        return "subscription_failing"
    lease = (one.ends_at_us - one.verified_at_us) / 1_000_000
    if rules.ends_soon(one.left_seconds(now_us), lease):
        return "subscription_ends_soon"
    return "subscription_failing" if one.failures >= FAILING_AFTER else ""


def _figures(one: Subscription, now_us: int) -> SubscriptionFigures:
    state = "denied" if one.denied else "active" if one.active(now_us) else "failing" if one.failures else "pending"
    return SubscriptionFigures(
        state=state,
        topic=one.topic or one.topic_url,
        hub=one.hub or one.hub_url,
        verified_at=rfc3339(one.verified_at_us or None),
        ends_at=rfc3339(one.ends_at_us or None),
        renews_at=rfc3339(one.next_at_us) if state == "active" and not one.failures and not one.pending else None,
        failures=one.failures,
        last_error=one.error or None,
    )
