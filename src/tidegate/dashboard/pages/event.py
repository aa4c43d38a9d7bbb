"""One event: what it was, was it genuine, who got it, who did not and why, what happens next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from tidegate.config.checks import names_of
from tidegate.core.clock import parse_instant
from tidegate.core.model import Origin
from tidegate.dashboard import badges as signs
from tidegate.dashboard import formatting as words
from tidegate.dashboard import payload
from tidegate.dashboard.charts import Try, attempt_timeline
from tidegate.dashboard.page_context import PageContext
from tidegate.dashboard.pages import health
from tidegate.deliver import ReplayQuery
from tidegate.query import events, explain
from tidegate.query.schemas import AttemptSchema, DeliverySchema, EventSchema, Explanation

if TYPE_CHECKING:
    from tidegate.process.gateway import Gateway

ATTEMPTS = 4  # of a delivery, shown with their answers; the API has all
ROUTES = 10
ANSWER_TEXT = 600
# A page stays under 60 KB: what is told of deliveries, what far sides answered and the payload share these bytes.
PAGE_BYTES = 20_000
CARDS_BYTES = 8_000  # deliveries are shown in full until this is used, the rest in a line each
CARD_BYTES, ATTEMPT_BYTES, LINE_BYTES = 1_250, 560, 240
LINES = 15
FOREIGN = 3_000
LEAST_PAYLOAD = 4_500
FINDABLE = 12  # values from which on a payload has a field to find one
_URGENT = ("exhausted", "pending", "sending", "canceled", "delivered")  # who did not get it, first
VIEWS = ("tree", "raw", "headers")


async def page(context: PageContext, request: Request) -> Response:
    """`/events/ID?view=tree|raw|headers`."""
    event_id = request.path_params["id"]
    stored = await events.one(context.gateway, event_id)
    told = await explain.explain(context.gateway, event_id)
    wanted = request.query_params.get("view", "tree")
    shown = view(
        told,
        held=health.held_back(context.gateway),
        elsewhere=_elsewhere(context.gateway, told.event.source),
        now_us=context.gateway.clock.now_us(),
        genuine=_genuine(context.gateway, told.event),
        addresses={one.name: signs.where_to(one.spec)[1] for one in context.gateway.active.destinations.values()},
        shown=wanted if wanted in VIEWS else "tree",
        first=request.query_params.get("delivery", ""),
        body=stored.body,
    )
    again = ReplayQuery(event=told.event.id, dry_run=True)
    shown["again"] = (await context.gateway.deliver.replay(again)).matched
    return context.pages.page(request, "event.html", section="events", **shown)


def _elsewhere(gateway: Gateway, source: str) -> frozenset[str]:
    """Routes of today that name other sources: they say nothing about an event of this one."""
    return frozenset(
        one.name for one in gateway.active.routes.values() if not {"*", source} & set(names_of(one.spec.from_))
    )


def view(
    told: Explanation,
    *,
    now_us: int,
    genuine: dict[str, str],
    addresses: dict[str, str],
    shown: str,
    body: bytes,
    held: dict[str, str] | None = None,
    elsewhere: frozenset[str] = frozenset(),
    first: str = "",
) -> dict[str, Any]:
    """Everything the template needs. Pure."""
    event, held = told.event, held or {}
    ordered = sorted(told.deliveries, key=lambda one: (one.id != first, _URGENT.index(one.state)))
    deliveries, used = _cards(ordered, addresses, now_us, held)
    others = [_line(one, event.id) for one in ordered[len(deliveries) :][:LINES]]
    used += LINE_BYTES * len(others)
    space = payload.Space(min(payload.MAX_PAGE, max(LEAST_PAYLOAD, PAGE_BYTES - used - FOREIGN)))
    verdict, got, following = _summary(told.deliveries, held, told.fed)
    looked = [one for one in told.routes if one.took or one.route not in elsewhere]
    what, what_more = _what(event)
    return {
        "verdict": verdict,
        "what": what,
        "what_more": what_more,
        "genuine": genuine,
        "got": got,
        "next": following,
        "fed": _named(told.fed),
        "deliveries": deliveries,
        "back": f"/events/{event.id}" + (f"?delivery={ordered[0].id}" if ordered and ordered[0].id == first else ""),
        "others": others,
        "others_more": len(ordered) - len(deliveries) - len(others),
        "routes": [msgspec.to_builtins(one) for one in looked[:ROUTES]],
        "routes_more": len(looked) - len(looked[:ROUTES]),
        "routes_elsewhere": len(told.routes) - len(looked),
        "moving": any(one.state in ("pending", "sending") for one in told.deliveries),
        "again": len(told.deliveries),
        **_contents(event, body, shown, space),
    }


def _cards(
    ordered: list[DeliverySchema], addresses: dict[str, str], now_us: int, held: dict[str, str]
) -> tuple[list[dict[str, Any]], int]:
    """(the deliveries that are shown in full, the bytes of the page that they use)."""
    foreign, used = payload.Space(FOREIGN), 0
    cards: list[dict[str, Any]] = []
    for one in ordered:
        if used >= CARDS_BYTES:
            break
        cards.append(_delivery(one, addresses, now_us, held.get(one.destination, ""), foreign))
        used += CARD_BYTES + len(cards[-1]["timeline"]) + ATTEMPT_BYTES * len(cards[-1]["attempts"])
    return cards, used


def _contents(event: EventSchema, body: bytes, shown: str, space: payload.Space) -> dict[str, Any]:
    """What it holds: the event, what changed, and the one view of its payload that is `shown`."""
    half = payload.Space(space.left // 2)
    diff = payload.differences(event.change.before, event.data, half) if event.change is not None else []
    space.left -= space.left // 2 - half.left
    raw, cut = payload.raw(body, space) if shown == "raw" else ("", False)
    tree = payload.tree(event.data, space) if shown == "tree" and event.data is not None else None
    return {
        "e": {**msgspec.to_builtins(event), "headers": _headers(event, space) if shown == "headers" else []},
        "diff": diff,
        "readable": event.data is not None,
        "view": shown,
        "tree": tree,
        "findable": payload.nodes(tree) >= FINDABLE,
        "raw": raw,
        "raw_cut": cut,
        "tabs": {name: f"/events/{event.id}?view={name}#payload" for name in VIEWS},
    }


def _headers(event: EventSchema, space: payload.Space) -> list[tuple[str, str]]:
    pairs = [] if event.headers is msgspec.UNSET else event.headers
    shown = []
    for name, value in pairs[:60]:
        if space.left <= 0:
            break
        space.left -= payload.NODE_BYTES
        shown.append((space.take(name, 80), space.take(value, 300)))
    return shown


def _what(event: EventSchema) -> tuple[str, str]:
    if event.change is not None:
        kind = event.type.rpartition(".")[2]
        learnt = "found by asking" if words.way(event.origin) == "pull" else "told by its source"
        return (
            f"A record of {event.change.resource} was {kind}",
            f"change {event.change.number} of {event.key}, {learnt}",
        )
    told = {
        "webhook": f"{event.source} told us by webhook",
        "form": f"somebody sent a form of {event.source}",
        "publish": f"{event.source} published it through the API",
    }.get(event.origin, f"{event.source} was asked, by {event.origin}")
    return told[:1].upper() + told[1:], f"{words.size(event.body_bytes)}, offset {words.count(event.offset)}"


def _genuine(gateway: Gateway, event: EventSchema) -> dict[str, str]:
    """What stands behind its origin. An event with a bad signature never enters the log."""
    live = gateway.active.sources.get(event.source)
    input = live.spec.webhook if live is not None else None
    again = "; the same delivery id came again with another body" if event.differs else ""
    if event.origin == Origin.WEBHOOK.value and event.change is None:
        if input is None:
            return {"words": "It was checked when it came", "more": f"{event.source} has no webhook today{again}"}
        if input.verify == "none":
            return {
                "words": "Nobody checked",
                "more": f"{event.source} takes unsigned requests (verify = none){again}",
            }
        name = input.verify if isinstance(input.verify, str) else f"your own {input.verify.digest}"
        return {"words": "Yes, its signature was right", "more": f"by the {name} scheme, before it was stored{again}"}
    if event.origin == Origin.FORM.value:
        return {"words": "A form has no signature", "more": "anybody can send it"}
    if event.origin == Origin.PUBLISH.value:
        return {"words": "Yes, by a key", "more": f"whoever sent it holds a key for {event.source}"}
    if event.origin == Origin.WEBHOOK.value:
        return {"words": "Yes, from a checked webhook", "more": "the webhook stands in the log too"}
    return {"words": "Yes, we asked the source", "more": "the answer came from its own address"}


def _summary(
    deliveries: list[DeliverySchema], held: dict[str, str], fed: list[str]
) -> tuple[str, dict[str, str], dict[str, Any]]:
    """(verdict, who got it, what happens next)."""
    done = [one.destination for one in deliveries if one.state == "delivered"]
    dead = [one.destination for one in deliveries if one.state == "exhausted"]
    waiting = [one for one in deliveries if one.state in ("pending", "sending")]
    total = len(deliveries)
    if not total and fed:
        records = {"words": f"The records of {_named(fed)}", "more": "no route takes it as it came"}
        changes = {"words": "Nothing, it is settled", "more": "what changed is an event of its own", "at": None}
        return f"fed {_named(fed)}", records, changes
    if not total:
        nobody = {"words": "Nobody", "more": "no route wanted it"}
        return (
            "wanted by no route",
            nobody,
            {"words": "Nothing", "more": "it stays in the log until retention", "at": None},
        )
    verdict = f"{len(done)} of {total} delivered"
    got = {"words": _named(done) or "Nobody yet", "more": f"{len(done)} of {words.plural(total, 'destination')}"}
    following: dict[str, Any] = {"words": "Nothing, it is settled", "more": "every delivery has ended", "at": None}
    if waiting:
        following = _following(waiting, held)
    elif dead:
        following = {"words": "Nothing until replayed", "more": f"{_named(dead)} gave up", "at": None}
    return verdict, got, following


def _following(waiting: list[DeliverySchema], held: dict[str, str]) -> dict[str, Any]:
    """What comes next of the open deliveries: the tries with a moment, else why they wait."""
    free = [one for one in waiting if not held.get(one.destination)]
    paused = [one.destination for one in waiting if held.get(one.destination) == "paused"]
    probed = [one.destination for one in waiting if held.get(one.destination) == "open"]
    notes = [f"{_named(probed)} when it answers a probe"] * bool(probed)
    notes += [f"{_named(paused)} when it is resumed"] * bool(paused)
    if not free:
        return {"words": "It waits", "more": "goes to " + ", to ".join(notes), "at": None}
    times = sorted(one.next_attempt_at for one in free if one.next_attempt_at)
    found = {"words": f"Another try at {_named([one.destination for one in free])}", "more": "", "at": None}
    if not any(one.attempts for one in free):
        found["words"] = f"It goes to {_named([one.destination for one in free])}"
    rest = f"; {'; '.join(notes)}" if notes else ""
    return {**found, "at": times[0] if times else None, "more": rest if times else f"in its turn{rest}"}


def _named(names: list[str]) -> str:
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def _delivery(
    one: DeliverySchema, addresses: dict[str, str], now_us: int, held: str, foreign: payload.Space
) -> dict[str, Any]:
    sign = signs.delivery(one.state, len(one.attempts))
    tries = [Try(a.number, parse_instant(a.started_at), a.outcome == "ok", signs.answer(a)) for a in one.attempts]
    due = parse_instant(one.next_attempt_at) if one.next_attempt_at and not held else None
    shown = one.attempts[-ATTEMPTS:]
    sending = one.state == "sending"
    told = len(tries) + (due is not None) + sending > 1  # one try needs no axis of time
    line = attempt_timeline(tries, next_at_us=due, now_us=now_us, sending=sending) if told else ""
    return {
        "id": one.id,
        "destination": one.destination,
        "state": one.state,
        "sign": sign.sign,
        "word": sign.word,
        "words": signs.delivery_words(one, held),
        "route": one.route,
        "url": addresses.get(one.destination, ""),
        "next_attempt_at": one.next_attempt_at if not held else None,
        "timeline": Markup(line),  # noqa: S704 - escaped by the chart
        "attempts": [_attempt(a, foreign, open_=a is shown[-1] and a.outcome != "ok") for a in reversed(shown)],
        "earlier": len(one.attempts) - len(shown),
        "can_retry": one.state in ("exhausted", "canceled", "delivered")
        or (one.state == "pending" and held != "paused"),
        "can_cancel": one.state == "pending",
    }


def _line(one: DeliverySchema, event_id: str) -> dict[str, str]:
    """A delivery in a line; its address shows it in full."""
    sign = signs.delivery(one.state, len(one.attempts))
    href = f"/events/{event_id}?delivery={one.id}"
    return {"destination": one.destination, "sign": sign.sign, "word": sign.word, "href": href}


def _attempt(one: AttemptSchema, foreign: payload.Space, *, open_: bool) -> dict[str, Any]:
    return {
        **msgspec.to_builtins(one),
        "answer": signs.answer(one),
        "error": one.error[:200],
        "answer_headers": [
            (foreign.take(name, 80), foreign.take(value, 120))
            for name, value in one.answer_headers[:12]
            if foreign.left > 0
        ],
        "answer_body": foreign.take(one.answer_body, ANSWER_TEXT),
        "answer_cut": one.answer_bytes > len(one.answer_body)
        or len(one.answer_body) > ANSWER_TEXT
        or foreign.left <= 0,
        "open": open_,
    }
