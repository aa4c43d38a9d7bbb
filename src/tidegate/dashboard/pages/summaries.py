"""Destinations and sources as the pages show them: configuration, counters and health in one struct each.

Owns these view models. Reads the active configuration, the snapshot of the counters and each sender's health. Shows no
secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from tidegate.config.spec import ImapInput, Source
from tidegate.core.clock import rfc3339
from tidegate.core.figures import MailboxFigures, NoteFigures, ResourceFigures, SubscriptionFigures
from tidegate.core.finding_codes import CODES, UNKNOWN
from tidegate.dashboard import badges, formatting
from tidegate.kinds import kind_of
from tidegate.query import health
from tidegate.query.schemas import DestinationCounters, Stats
from tidegate.rules.measure import wording
from tidegate.rules.outbound import causes
from tidegate.rules.sync.spec import Resource
from tidegate.runtime import ActiveDestination, ActiveSource

if TYPE_CHECKING:
    from tidegate.process.gateway import Gateway

PULLED = ("poll", "reconcile", "pull", "imap")
_CIRCUITS = {"half_open": "probing"}


class DestinationSummary(Struct, kw_only=True):
    """One destination. Instants are RFC 3339 text or None; `failure` and `remedy` are "" while it is healthy."""

    name: str
    type: str
    owner: str
    icon: str
    label: str
    paused: bool
    paused_at: str | None
    circuit_open: bool
    circuit: str
    circuit_at: str | None
    probe_at: str | None
    hold_until: str | None
    retrying: bool
    failure: str
    remedy: str
    in_flight: int
    rate: str | None
    host: str
    url: str
    delivered: int
    pending: int
    exhausted: int
    filtered: int

    @property
    def delivered_share(self) -> str:
        finished = self.delivered + self.exhausted
        if not finished:
            return "no deliveries yet"
        return f"{formatting.percent(self.delivered / finished)} of finished deliveries"


class InputSummary(Struct, kw_only=True):
    """One input of a source. `way` is "push" or "pull"."""

    way: str
    label: str


class ResourceSummary(Struct, kw_only=True):
    """One resource of a source. `delay` is the median in seconds; `failure` is "" while its polls work."""

    name: str
    path: str
    label: str
    requests: int
    changes: int
    empty_share: float | None
    delay: float | None
    pulls: int
    polled: bool
    failure: str
    failing_since: str | None
    pulled: int
    notes: list[str] = []  # what was skipped, clamped or contradicted: label, count and the latest example


class SourceSummary(Struct, kw_only=True):
    """One source. `pushed` and `pulled` are its events by way."""

    name: str
    inputs: list[InputSummary]
    address: str
    accepted: int
    pulled: int
    resources: list[ResourceSummary]

    @property
    def pushed(self) -> int:
        return max(0, self.accepted - self.pulled)

    @property
    def requests(self) -> int | None:
        return sum(one.requests for one in self.resources) if self.resources else None

    @property
    def changes(self) -> int | None:
        return sum(one.changes for one in self.resources) if self.resources else None


def destination(gateway: Gateway, live: ActiveDestination, stats: Stats) -> DestinationSummary:
    counters = stats.destinations.get(live.name) or DestinationCounters()
    seen = gateway.deliver.health(live.number)
    paused = live.paused_at_us is not None
    retrying = health.retrying(live, seen)
    badge = badges.of_destination(
        pause_reason=live.pause_reason if paused else None,
        circuit=seen.circuit,
        held=seen.hold_until_us is not None,
        retrying=retrying,
        failing_label=health.failing_word(seen),
        counts=(counters.pending, counters.delivered, counters.exhausted),
    )
    host, url = badges.shown_address(live.spec)
    return DestinationSummary(
        name=live.name,
        type=kind_of(live.spec).name,
        owner=live.owner,
        icon=badge.icon,
        label=badge.label,
        paused=paused,
        paused_at=rfc3339(live.paused_at_us),
        circuit_open=seen.circuit != "closed",
        circuit=_CIRCUITS.get(seen.circuit, seen.circuit),
        circuit_at=rfc3339(seen.opened_at_us),
        probe_at=rfc3339(seen.probe_at_us),
        hold_until=rfc3339(seen.hold_until_us),
        retrying=retrying,
        failure=health.failure(seen) if seen.outcome or seen.circuit != "closed" else "",
        remedy=causes.what_to_do(seen.outcome, seen.status),
        in_flight=seen.in_flight,
        rate=live.spec.rate,
        host=host,
        url=url,
        delivered=counters.delivered,
        pending=counters.pending,
        exhausted=counters.exhausted,
        filtered=counters.filtered,
    )


def source(live: ActiveSource, stats: Stats, public_url: str) -> SourceSummary:
    """`public_url` is where its webhooks arrive; "" leaves the address relative."""
    spec = live.spec
    counters = stats.sources.get(live.name)
    resources = [
        _resource(name, resource, stats.resources.get(f"{live.name}/{name}") or ResourceFigures())
        for name, resource in sorted(spec.resources.items())
    ]
    address = f"{public_url}/in/{live.name}" if spec.webhook is not None or spec.form is not None else ""
    if spec.imap is not None:
        resources.append(_mailbox(spec.imap, stats.mailboxes.get(live.name) or MailboxFigures()))
        address = address or f"{spec.imap.login_name} at {spec.imap.host}"
    if (figures := stats.subscriptions.get(live.name)) is not None:
        resources.append(_subscription(figures))
    if not address:
        address = badges.bare_url(spec.api.base_url) if spec.api is not None else "POST /api/v1/events"
    return SourceSummary(
        name=live.name,
        inputs=_inputs(spec),
        address=address,
        accepted=counters.accepted if counters is not None else 0,
        pulled=sum(one.pulled for one in resources),
        resources=resources,
    )


def _inputs(spec: Source) -> list[InputSummary]:
    known = (
        ("push", f"webhook, {_verify(spec)}", spec.webhook is not None),
        ("push", "form", spec.form is not None),
        ("push", "publish", spec.publish is not None),
        ("pull", "API", spec.api is not None),
        ("pull" if spec.imap is not None and spec.imap.mode == "poll" else "push", "mailbox", spec.imap is not None),
    )
    return [InputSummary(way=way, label=label) for way, label, there in known if there]


def _verify(spec: Source) -> str:
    verify = spec.webhook.verify if spec.webhook is not None else ""
    if verify == "none":
        return "not verified"
    return verify if isinstance(verify, str) else f"{verify.digest} signature"


def _mailbox(spec: ImapInput, figures: MailboxFigures) -> ResourceSummary:
    """A mailbox beside the resources: commands are its requests, and mails its changes."""
    way = f"polled every {spec.poll}" if figures.mode == "poll" else "IDLE: the server says when mail comes"
    delay = figures.delay_by_mode.get(figures.mode or spec.mode)
    return ResourceSummary(
        name="mail",
        path=spec.folder if isinstance(spec.folder, str) else ", ".join(spec.folder),
        label=way,
        requests=figures.commands,
        changes=figures.mails,
        empty_share=figures.empty_looks / figures.looks if figures.looks else None,
        delay=delay.p50_seconds if delay is not None else None,
        pulls=0,
        polled=True,
        failure=(figures.last_error or "not readable") if figures.failing_since else "",
        failing_since=figures.failing_since,
        pulled=figures.mails if figures.mode == "poll" else 0,
    )


def _subscription(figures: SubscriptionFigures) -> ResourceSummary:
    """A WebSub subscription beside the resources; its content counts as events of the source."""
    ends = f", lease until {figures.ends_at[:16].replace('T', ' ')} UTC" if figures.ends_at else ""
    return ResourceSummary(
        name="subscription",
        path=figures.topic,
        label=f"WebSub, {figures.state}{ends}",
        requests=0,
        changes=0,
        empty_share=None,
        delay=None,
        pulls=0,
        polled=False,
        failure=figures.last_error or "",
        failing_since=None,
        pulled=0,
    )


def _resource(name: str, spec: Resource, figures: ResourceFigures) -> ResourceSummary:
    ways = []
    if spec.poll:
        ways.append(f"polled every {spec.poll}")
    if spec.schedule:
        ways.append(f"polled at {spec.schedule} {spec.timezone}")
    if spec.webhook is not None:
        ways.append("updated by webhooks")
    if spec.reconcile:
        ways.append(_reconciled(spec.reconcile, figures))
    return ResourceSummary(
        name=name,
        path=spec.path,
        label=", ".join(ways) or "pulled on demand",
        requests=figures.requests,
        changes=figures.changes,
        empty_share=figures.empty_share,
        delay=figures.staleness_p50_seconds,
        pulls=figures.pulls,
        polled=bool(spec.polls or spec.reconcile),
        failure=(figures.last_error or "polls fail") if figures.failing_since else "",
        failing_since=figures.failing_since,
        pulled=sum(figures.by_origin.get(origin, 0) for origin in PULLED),
        notes=[_note(code, one) for code, one in figures.findings.items()],
    )


def _reconciled(setting: str, figures: ResourceFigures) -> str:
    """`reconciled every 1 h (auto: webhooks missed 3 of 400 changes ...)`, or the interval that is set."""
    if not figures.reconcile_auto or figures.reconcile_every_seconds is None:
        return f"reconciled every {setting}"
    every = wording.span(figures.reconcile_every_seconds)
    return f"reconciled every {every} (auto: {figures.reconcile_reason})"


def _note(code: str, one: NoteFigures) -> str:
    sample = f": {one.samples[-1]}" if one.samples else ""
    return f"{CODES.get(code, UNKNOWN).title} ({one.count:,}){sample}"
