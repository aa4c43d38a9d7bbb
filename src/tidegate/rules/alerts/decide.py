"""Which system events follow from the states that hold now and from what is remembered. Pure, except that it changes
the `State` that it is given.

Owns when a state is reported: when it begins, when it changes, again after `repeat_every`, and when it ends.
Invariants:

- Of one kind and subject at most one event an hour says that it holds, unless what it says changes, and a change is
  reported at most every ten minutes. What began and ended in between is counted in `episodes`.
- An end is reported only when the begin was, and only when the subject still exists and was not stopped by a person.
- At most ten events an hour of one kind are about a single subject; beyond, one event every ten minutes stands for all
  subjects that are new. All kinds together make at most `max_per_hour`. What does not fit waits, and is dropped only
  when it is over before its turn.
- Nothing is emitted about what a person muted; what a person acknowledged is not repeated until it ends.

Crash: the caller stores the state with its outbox before it appends anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from tidegate.core import units
from tidegate.core.spec import Alerts
from tidegate.rules.alerts.kinds import KINDS, AlertKind, Course
from tidegate.rules.alerts.signals import Observation, Signal
from tidegate.rules.alerts.state import (
    MAX_ALERTS,
    MAX_MOMENTS,
    Alert,
    Evidence,
    Marks,
    Moment,
    Outgoing,
    State,
    acknowledged_us,
)

HOUR_US = 3_600_000_000
CHANGE_US = 600_000_000  # between two events about changes of one subject
GROUP_US = 600_000_000  # between two events that stand for many subjects
SINGLE_PER_HOUR = 10  # events of one kind about single subjects


class _Wanted(Struct):
    """An event that should go out. `alert` is None for a moment."""

    type: str
    about: str
    subject: str
    state: str
    since_us: int
    evidence: Evidence
    alert: Alert | None = None
    moment: Moment | None = None
    count: int = 1
    key: str = ""  # of `State.reported`, with the number that is reported then
    total: int = 0


def decide(state: State, seen: Observation, held: Sequence[Signal], marks: Marks, alerts: Alerts) -> None:
    """Take what holds now into `state`, and put the events that follow into its outbox."""
    now_us = seen.now_us
    first = not state.begun_us
    if first:
        state.begun_us = now_us
    state.emitted = [one for one in state.emitted if now_us - one[0] < HOUR_US]
    known = {(one.type, one.subject): one for one in state.alerts}
    holding: set[tuple[str, str]] = set()
    over = 0
    for signal in held:
        alert = known.get((signal.type, signal.subject))
        if signal.waits and (alert is None or alert.ended_us):
            continue
        if alert is None and len(state.alerts) >= MAX_ALERTS:  # it is taken when another one has ended
            over += 1
            continue
        holding.add((signal.type, signal.subject))
        if alert is None:
            alert = known[signal.type, signal.subject] = Alert(
                signal.type, signal.subject, signal.since_us, signal.evidence, episodes=1
            )
            state.alerts.append(alert)
        _hold(alert, signal)
        if first and KINDS[signal.type].course is Course.GROWS and not signal.windowed:
            state.reported[_key(alert)] = signal.total  # what is there before watching began is on the pages
    for alert in state.alerts:
        if (alert.type, alert.subject) not in holding:
            _miss(alert, seen)
    state.held_back = max(state.held_back, over)
    _watch_nodes(state, seen)
    wanted = [*_lasting(state, marks, alerts, now_us), *_growing(state, held, known, marks, now_us)]
    _let_out(state, [*wanted, *_moments(state, marks, now_us)], alerts, now_us)
    _forget(state, seen)


def _key(alert: Alert) -> str:
    return f"{alert.type} {alert.subject}"


# -- what holds and what is gone -------------------------------------------------------------------------


def _hold(alert: Alert, signal: Signal) -> None:
    if alert.ended_us:  # it began again within the hour after its last event
        alert.ended_us, alert.since_us, alert.announced = 0, signal.since_us, False
        alert.episodes += 1
    alert.missing_us = 0
    alert.evidence, alert.fingerprint, alert.total = signal.evidence, signal.fingerprint, signal.total


def _miss(alert: Alert, seen: Observation) -> None:
    """It does not hold now. It is over when that lasted for as long as its kind needs to be sure."""
    if alert.ended_us:
        return
    alert.missing_us = alert.missing_us or seen.now_us
    kind = KINDS[alert.type]
    if seen.now_us - alert.missing_us < kind.settles_seconds * 1e6:
        return
    alert.ended_us = alert.missing_us
    if not kind.ended or _left(alert, seen):
        alert.announced = False


def _left(alert: Alert, seen: Observation) -> bool:
    """The subject was deleted, or a person paused it: it did not recover."""
    kind, _, name = alert.subject.partition(":")
    if kind == "destination":
        paused = any(one.subject == alert.subject and one.code in _PAUSED for one in seen.findings)
        return name not in seen.destinations or (paused and alert.type != "destination.paused")
    if kind == "resource":
        return name not in seen.resources
    return kind == "source" and name not in seen.sources


_PAUSED = frozenset(KINDS["destination.paused"].codes)


def _watch_nodes(state: State, seen: Observation) -> None:
    """When none of the nodes that were known still runs, all were restarted, and nobody was there to see it."""
    if seen.nodes is None:
        return
    if state.nodes is not None and any(one in seen.nodes for one in state.nodes):
        came = [one for one in seen.nodes if one not in state.nodes]
        for type_, names in (("node.joined", came), ("node.left", [n for n in state.nodes if n not in seen.nodes])):
            for name in names:
                text = f"Node {name} {type_.rpartition('.')[2]}; {len(seen.nodes)} are running."
                evidence = Evidence(text, "tidegate doctor", "notice", {"nodes": list(seen.nodes)})
                state.moments.append(Moment(type_, f"node:{name}", seen.now_us, evidence))
    state.nodes = list(seen.nodes)
    state.held_back = max(state.held_back, len(state.moments) - MAX_MOMENTS)
    del state.moments[:-MAX_MOMENTS]


# -- what should go out ----------------------------------------------------------------------------------


def _lasting(state: State, marks: Marks, alerts: Alerts, now_us: int) -> Iterator[_Wanted]:
    repeat_us = int(units.seconds(alerts.repeat_every) * 1e6)
    for alert in state.alerts:
        kind = KINDS[alert.type]
        if kind.course is not Course.LASTS:
            continue
        if marks.muted_until(alert.type, alert.subject, now_us):
            alert.announced = alert.announced and not alert.ended_us
            continue
        if alert.ended_us:
            if alert.announced:
                yield _ending(alert, kind)
        elif not alert.missing_us and (what := _what(alert, marks, repeat_us, now_us)):
            yield _Wanted(alert.type, alert.type, alert.subject, what, alert.since_us, alert.evidence, alert)


def _what(alert: Alert, marks: Marks, repeat_us: int, now_us: int) -> str:
    """Why an alert that holds should be reported now; "" when it should not."""
    ago_us = now_us - alert.emitted_us if alert.emitted_us else HOUR_US
    changed = alert.fingerprint != alert.emitted_fingerprint and ago_us >= CHANGE_US
    if not alert.announced:
        return "firing" if ago_us >= HOUR_US or changed else ""
    if acknowledged_us(marks, alert, grows=False):
        return ""
    return "changed" if changed else "repeated" if ago_us >= repeat_us else ""


def _ending(alert: Alert, kind: AlertKind) -> _Wanted:
    kind_of_subject, _, name = alert.subject.partition(":")
    what = kind.ended.rpartition(".")[2]
    text = f"{kind_of_subject.capitalize()} {name} {what}: it was {kind.label} for {_span(alert)}."
    evidence = Evidence(text, "", "notice", {"was": alert.evidence.summary, "ended_us": alert.ended_us})
    return _Wanted(kind.ended, alert.type, alert.subject, "resolved", alert.since_us, evidence, alert)


def _span(alert: Alert) -> str:
    seconds = max(0, alert.ended_us - alert.since_us) // 1_000_000
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _growing(
    state: State, held: Sequence[Signal], known: Mapping[tuple[str, str], Alert], marks: Marks, now_us: int
) -> Iterator[_Wanted]:
    """Numbers that grew by enough, and of which nothing was said for an hour."""
    holding = {f"{one.type} {one.subject}" for one in held}
    for key in [key for key in state.reported if key.startswith("delivery.exhausted ") and key not in holding]:
        del state.reported[key]  # no dead letter is left
    for signal in held:
        if KINDS[signal.type].course is not Course.GROWS:
            continue
        alert = known.get((signal.type, signal.subject))
        if alert is None:  # there are too many
            continue
        key = _key(alert)
        before = 0 if signal.windowed else min(state.reported.get(key, 0), signal.total)
        if not signal.windowed and key in state.reported:
            state.reported[key] = before  # dead letters that were replayed do not hide new ones
        new = signal.total - before
        if new < signal.enough or (alert.emitted_us and now_us - alert.emitted_us < HOUR_US):
            continue
        if not marks.muted_until(alert.type, alert.subject, now_us):
            yield _Wanted(
                alert.type, alert.type, alert.subject, "firing", alert.since_us, alert.evidence, alert,
                count=new, key="" if signal.windowed else key, total=signal.total,
            )  # fmt: skip


def _moments(state: State, marks: Marks, now_us: int) -> Iterator[_Wanted]:
    for one in list(state.moments):
        if marks.muted_until(one.type, one.subject, now_us):
            state.moments.remove(one)
        else:
            yield _Wanted(one.type, one.type, one.subject, "happened", one.at_us, one.evidence, moment=one)


# -- what goes out ---------------------------------------------------------------------------------------

_RANK = {"error": 0, "warning": 1, "notice": 2}


def _let_out(state: State, wanted: Sequence[_Wanted], alerts: Alerts, now_us: int) -> None:
    """Put events into the outbox, the most severe first, as far as the bounds allow."""
    by_type: dict[tuple[str, str], list[_Wanted]] = {}
    for one in sorted(wanted, key=lambda one: _RANK.get(one.evidence.severity, 1)):
        by_type.setdefault((one.type, one.state), []).append(one)
    waiting = 0
    for (type_, _), same in by_type.items():
        singles = sum(1 for _, emitted, slot in state.emitted if emitted == type_ and not slot)
        crowded = singles + len(same) > SINGLE_PER_HOUR
        if crowded and any(emitted == type_ and slot and now_us - at < GROUP_US for at, emitted, slot in state.emitted):
            continue  # they wait for the next event that stands for many
        for group in [same] if crowded else [[one] for one in same]:
            if len(state.emitted) >= alerts.max_per_hour:
                waiting += 1
                continue
            state.outbox.append(_outgoing(state, group, now_us))
            state.emitted.append((now_us, type_, crowded))
    state.held_back = max(state.held_back, waiting)


def _outgoing(state: State, group: Sequence[_Wanted], now_us: int) -> Outgoing:
    state.sequence += 1
    first = group[0]
    made = Outgoing(
        id=f"{state.begun_us}-{state.sequence}",
        type=first.type,
        about=first.about,
        subject=first.subject,
        state=first.state,
        at_us=now_us,
        since_us=min(one.since_us for one in group),
        evidence=first.evidence,
        count=sum(one.count for one in group),
        episodes=max(1, *(one.alert.episodes for one in group if one.alert is not None), 1),
        held_back=state.held_back,
    )
    state.held_back = 0
    if len(group) > 1:
        made.subjects = [one.subject for one in group]
        kind = first.subject.partition(":")[0]
        made.subject = f"{kind}:*"
        text = f"{len(group):,} {kind}s: {_label(first)}. The first: {first.evidence.summary}"
        made.evidence = Evidence(text, "tidegate doctor", first.evidence.severity, first.evidence.facts)
    for one in group:
        _mark_emitted(state, one, now_us)
    return made


def _label(one: _Wanted) -> str:
    return one.type.rpartition(".")[2] if one.type != one.about else KINDS[one.type].label


def _mark_emitted(state: State, one: _Wanted, now_us: int) -> None:
    if one.moment is not None:
        state.moments.remove(one.moment)
    if one.key:
        state.reported[one.key] = one.total
    if one.alert is None:
        return
    one.alert.announced = one.state != "resolved"
    if one.state != "resolved":  # an end does not delay the next begin
        one.alert.emitted_us, one.alert.emitted_fingerprint, one.alert.episodes = now_us, one.alert.fingerprint, 0


def _forget(state: State, seen: Observation) -> None:
    """Drop what is over and not needed for the hour, and numbers of subjects that are gone."""
    state.alerts = [
        one for one in state.alerts if not one.ended_us or one.announced or seen.now_us - one.emitted_us < HOUR_US
    ]
    subjects = {f"destination:{name}" for name in seen.destinations} | {f"resource:{name}" for name in seen.resources}
    state.reported = {key: total for key, total in state.reported.items() if key.partition(" ")[2] in subjects}
