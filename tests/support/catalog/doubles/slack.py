"""Slack: errors with status 200, cursors in the body, a history that only shows what is posted, limits by method."""

from __future__ import annotations

from typing import Any

from support.catalog.auth import bearer
from support.catalog.calls import Custom, Listing
from support.catalog.limits import Left, Quota
from support.catalog.pages import Tokens
from support.catalog.shape import Ask, Double, Refused, Reply, State, Table, Test, Unseen
from support.catalog.times import epoch_s
from support.catalog.where import Condition, hides_gone, needed
from support.catalog.world import World

CHANNEL = "C024BE91L"


def ts_of(state: State) -> str:
    """The time in seconds with six digits, which is the id of a message in its channel."""
    return f"{ts_us(state) // 10**6}.{ts_us(state) % 10**6:06d}"


def ts_us(state: State) -> int:
    """No two messages of a channel have the same."""
    return state.created_us + state.number


def channel(state: State) -> dict[str, Any]:
    return {
        "id": f"C0{state.number:07d}",
        "name": state.mark,
        "is_channel": True,
        "is_archived": state.n % 5 == 0,
        "created": epoch_s(state.created_us),
        "num_members": state.n,
    }


def user(state: State) -> dict[str, Any]:
    return {
        "id": f"U0{state.number:07d}",
        "name": f"user{state.number}",
        "real_name": state.mark,
        "deleted": state.gone,
        "updated": epoch_s(state.at_us),
    }


def message(state: State) -> dict[str, Any]:
    return {"type": "message", "user": "U00000001", "text": state.mark, "ts": ts_of(state)}


def history(ask: Ask) -> list[Condition]:
    """After `oldest`, or from it on with `inclusive`."""
    oldest = ask.get("oldest")
    inclusive = str(ask.get("inclusive", "")).lower() in ("1", "true")
    if oldest in (None, "", "0"):
        return []
    whole, _, fraction = str(oldest).partition(".")
    if not whole.isdecimal():
        raise Refused("invalid_ts_oldest")
    return [Condition("ts", ">=" if inclusive else ">", int(whole) * 10**6 + int(fraction.ljust(6, "0")[:6]))]


def pages(maximum: int, served: int, **more: Any) -> Tokens:
    return Tokens(
        token="cursor",
        out="response_metadata.next_cursor",
        empty="",
        size="limit",
        default=100,
        maximum=maximum,
        served=served,
        **more,
    )


def ok(ask: Ask, world: World, page: Any) -> dict[str, Any]:
    return {"ok": True}


def info(ask: Ask, world: World) -> Reply:
    state = world.rows("channels").find(str(ask.get("channel")))
    if state is None or state.gone:
        raise Refused("channel_not_found")
    return Reply(200, {"ok": True, "channel": channel(state)})


def post(ask: Ask, world: World) -> Reply:
    if ask.get("body:channel") != CHANNEL:
        raise Refused("channel_not_found")
    if not ask.get("body:text"):
        raise Refused("no_text")
    state = world.rows("messages").create({"text": ask.get("body:text")})
    return Reply(200, {"ok": True, "channel": CHANNEL, "ts": ts_of(state), "message": message(state)})


def update(ask: Ask, world: World) -> Reply:
    rows = world.rows("messages")
    state = next((one[-1] for one in rows.states.values() if ts_of(one[-1]) == ask.get("body:ts")), None)
    if state is None or state.gone:
        raise Refused("message_not_found")
    rows.update(state.number)
    return Reply(200, {"ok": True, "channel": CHANNEL, "ts": ts_of(state), "text": ask.get("body:text")})


def limited(left: Left) -> Reply:
    return Reply(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": str(left.wait_seconds)})


def tier(method: str, a_minute: int) -> Quota:
    return Quota(limit=a_minute, seconds=60, refuse=limited, counts=lambda ask: ask.path == f"/{method}")


DOUBLE = Double(
    name="slack",
    sources=(
        "https://docs.slack.dev/reference/methods/conversations.history",
        "https://docs.slack.dev/reference/methods/conversations.list",
        "https://docs.slack.dev/reference/methods/users.list",
        "https://docs.slack.dev/apis/web-api/rate-limits",
    ),
    auth=bearer(),
    base="/api",
    values={"channel": CHANNEL},
    quotas=(
        tier("conversations.list", 20),
        tier("users.list", 20),
        tier("conversations.history", 50),
        tier("conversations.info", 50),
        tier("chat.postMessage", 60),
    ),
    # Every error is an answer with status 200.
    statuses=dict.fromkeys(
        (
            "unauthorized",
            "not_found",
            "bad_request",
            "invalid_ts_oldest",
            "channel_not_found",
            "no_text",
            "message_not_found",
            "method",
            "expired",
        ),
        200,
    ),
    error=lambda kind, status, message: {
        "ok": False,
        "error": {"unauthorized": "invalid_auth", "expired": "invalid_cursor"}.get(kind, kind),
    },
    tables=(
        Table(name="channels", row=channel, ident=lambda number: f"C0{number:07d}", first=50),
        Table(name="users", row=user, tombstone=user, ident=lambda number: f"U0{number:07d}", first=50),
        Table(name="messages", row=message, first=60, fields={"ts": ts_us}),
    ),
    resources={"channels": "channels", "users": "users", "messages": "messages"},
    unseen={"messages": Unseen("ud", "the history is asked for by the time of posting")},
    calls=(
        Listing(
            path="/conversations.list",
            table="channels",
            put="channels",
            pages=pages(1000, 30),
            where=(hides_gone(),),
            extra=ok,
        ),
        Custom(path="/conversations.info", run=info),
        Listing(path="/users.list", table="users", put="members", pages=pages(1000, 30), extra=ok),
        Listing(
            path="/conversations.history",
            table="messages",
            put="messages",
            pages=pages(999, 30, has_more="has_more"),
            where=(needed("channel", "channel_not_found", CHANNEL), history, hides_gone()),
            order=(("ts", True),),
            extra=ok,
        ),
        Custom(path="/chat.postMessage", method="POST", run=post),
        Custom(path="/chat.update", method="POST", run=update),
    ),
    ignored=("types", "exclude_archived"),
    operations={
        "post_message": Test(data={"text": "hello {n}"}, table="messages", repeat="again"),
        "update_message": Test(data={"text": "hello"}, table="messages", creates=False, after=("post_message",)),
        "reply": Test(data={"text": "hello"}, table="messages", after=("post_message",), repeat="again"),
    },
)
