"""Discourse: lists that are newest first, pinned topics before them, a wait that only the body of a 429 has."""

from __future__ import annotations

from typing import Any

from support.catalog.auth import header
from support.catalog.calls import Custom, Listing, Write, order_param
from support.catalog.limits import Left, Quota
from support.catalog.pages import Numbered, Page
from support.catalog.shape import Ask, Double, Needed, Refused, Reply, State, Table, Test, Unseen
from support.catalog.times import iso_ms
from support.catalog.where import hides_gone
from support.catalog.world import World

SAME_US = 120_000_000  # a second call that is the same is answered as the first
POSTS = 50  # on a page


def topic(state: State) -> dict[str, Any]:
    return {
        "id": state.number,
        "title": state.mark,
        "slug": "topic",
        "posts_count": 1,
        "created_at": iso_ms(state.created_us),
        "bumped_at": iso_ms(state.at_us),
        "pinned": pinned(state),
        "pinned_globally": pinned(state),
        "category_id": 1,
        "views": state.n,
        "unseen": False,
        "last_read_post_number": 1,
        "unread_posts": 0,
    }


def pinned(state: State) -> bool:
    return state.number % 40 == 3


def post(state: State) -> dict[str, Any]:
    return {
        "id": state.number,
        "topic_id": state.values.get("topic_id", 1),
        "post_number": 1,
        "raw": state.mark,
        "cooked": f"<p>{state.mark}</p>",
        "version": state.n,
        "created_at": iso_ms(state.created_us),
        "updated_at": iso_ms(state.at_us),
        "reads": 1,
        "readers_count": 0,
        "score": 0.2,
        "incoming_link_count": 0,
    }


def user(state: State) -> dict[str, Any]:
    ages = {"last_seen_age": 1.5, "last_emailed_age": None, "created_at_age": 7.5}
    counts = {"time_read": 0, "days_visited": 1, "posts_read_count": 0, "topics_entered": 0}
    return {
        "id": state.number, "username": f"user{state.number}", "name": state.mark, "active": True, "admin": False,
        "trust_level": 1, "last_seen_at": iso_ms(state.at_us), **ages, **counts,
    }  # fmt: skip


def order(ask: Ask) -> Any:
    chosen = order_param("order", {"activity": "updated", "created": "created"}, (("updated", True),))(ask)
    descending = ask.get("ascending") != "true"
    ordered = tuple((field, descending) for field, _ in chosen)
    return (("pinned", True), *ordered) if ordered[0][0] == "updated" else ordered


def users_order(ask: Ask) -> Any:
    if ask.get("order") not in (None, "created"):
        raise Refused("bad_request", "order")
    return (("created", ask.get("asc") != "true"),)


def extra(ask: Ask, world: World, page: Page) -> dict[str, Any]:
    return {"users": [], "topic_list.per_page": 30}


def latest_posts(ask: Ask, world: World) -> Reply:
    before = int(ask.get("before") or 0)
    states = [one for one in world.rows("posts").visible() if not one.gone and (before <= 0 or one.number < before)]
    states.sort(key=lambda one: -one.number)
    return Reply(200, {"latest_posts": [post(one) for one in states[:POSTS]]})


def create(ask: Ask, world: World) -> Reply:
    """A topic with its first post, or a post in a topic; the same call within 2 minutes is answered as before."""
    given = ask.body or {}
    if not given.get("raw") or not (given.get("title") or given.get("topic_id")):
        raise Refused("unprocessable", "Body is too short")
    signature = repr(sorted((key, str(value)) for key, value in given.items()))
    at_us, before = world.kept.get(signature, (0, None))
    if before is not None and ask.now_us - at_us < SAME_US:
        return Reply(200, before)
    topics = world.rows("topics")
    if given.get("topic_id"):
        found = topics.find(str(given["topic_id"]))
        if found is None or found.gone:
            raise Refused("not_found", "The topic does not exist")
        number = topics.update(found.number).number
    else:
        taken = (topics.states[one][-1].values.get("external_id") for one in topics.live())
        if given.get("external_id") and given["external_id"] in taken:
            raise Refused("unprocessable", "External has already been taken")
        number = topics.create({"external_id": given.get("external_id")}).number
    made = post(world.rows("posts").create({"topic_id": number}))
    world.kept[signature] = (ask.now_us, made)
    return Reply(200, made)


def refuse(left: Left) -> Reply:
    body = {"errors": ["slow down"], "error_type": "rate_limit", "extras": {"wait_seconds": left.wait_seconds}}
    return Reply(429, body)


TOPICS = Numbered(number="page", first=0, size="per_page", default=30, maximum=100, served=25)

DOUBLE = Double(
    name="discourse",
    sources=(
        "https://github.com/discourse/discourse_api_docs/blob/main/openapi.json",
        "https://github.com/discourse/discourse/blob/main/lib/topic_query.rb",
        "https://github.com/discourse/discourse/blob/main/app/controllers/posts_controller.rb",
        "https://github.com/discourse/discourse/blob/main/app/controllers/application_controller.rb",
    ),
    auth=header("Api-Key"),
    values={"host": "forum.example.com"},
    needs=(Needed("Api-Username", lambda value: value == "system", "forbidden"),),
    quotas=(Quota(limit=60, seconds=60, refuse=refuse),),
    error=lambda kind, status, message: {"errors": [message], "error_type": kind},
    tables=(
        Table(name="topics", row=topic, first=120, resolution_us=1000, fields={"pinned": pinned}),
        Table(name="posts", row=post, first=120, resolution_us=1000),
        Table(name="users", row=user, first=60),
    ),
    resources={"topics": "topics", "posts": "posts", "users": "users"},
    unseen={"posts": Unseen("ud", "the list has new posts first; an edit or a delete moves nothing")},
    calls=(
        Listing(
            path="/latest.json", table="topics", put="topic_list.topics", pages=TOPICS, where=(hides_gone(),),
            order=order, extra=extra,
        ),
        Custom(path="/posts.json", run=latest_posts, lists=True),
        Listing(
            path="/admin/users/list/active.json", table="users", pages=Numbered(number="page", served=20),
            where=(hides_gone(),), order=users_order,
        ),
        Custom(path="/posts.json", method="POST", run=create),
        Write(
            path="/t/-/{id}.json", method="PUT", table="topics", does="update",
            answers=lambda state, ask: {"basic_topic": {"id": state.number, "title": state.mark}},
        ),
    ),
    operations={
        "create_topic": Test(data={"title": "A new topic {n}", "raw": "Its text", "category": 1}, table="topics"),
        "reply": Test(
            data={"title": "T {n}", "raw": "More {n}", "category": 1}, table="posts", after=("create_topic",),
        ),
        "update_topic": Test(
            data={"title": "T {n}", "raw": "R", "category": 1}, table="topics", after=("create_topic",), creates=False,
        ),
    },
)  # fmt: skip
