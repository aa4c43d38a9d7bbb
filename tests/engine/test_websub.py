"""WebSub against a real hub: subscribe, verify, receive, renew, unsubscribe, and what hubs do wrong.

The cases are those of the implementation report of W3C WebSub for subscribers (100 to 104, 200 to 205, 300 to 302).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.gateway.api import Served, served
from support.gateway.running import until
from support.gateway.sample_config import rejections
from support.postgres.server import server
from support.upstream.hub import GATE, Hub
from tidegate.core.clock import Clock
from tidegate.core.model import Event
from tidegate.receive.websub_state import Subscription
from tidegate.store import EventQuery, partition_of_name

ATOM = (
    '<feed xmlns="http://www.w3.org/2005/Atom"><link rel="hub" href="{url}/hub"/><link rel="self" href="{url}/self"/>'
    "<entry><id>e1</id><link rel='self' href='{url}/wrong'/></entry></feed>"
)
DAY = 86_400_000_000
KEY = {"TIDEGATE_SECRET_KEY": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="}


def config(topic: str, more: str = "", *, name: str = "blog", secret: str = '"s3cret"', top: str = "") -> str:
    return (
        f'[gateway]\npublic_url = "{GATE}"\n'
        f'[sources.{name}.webhook]\nverify = "websub"\nsecret = {secret}\n{top}\n'
        f'[sources.{name}.webhook.websub]\ntopic = "{topic}"\n{more}\n'
    )


@asynccontextmanager
async def subscribing(folder: Path, hub: Hub, toml: str, clock: Clock | None = None) -> AsyncIterator[Served]:
    async with served(folder, toml, clock) as gateway:
        hub.gate = gateway.url
        yield gateway


async def stored(gateway: Served) -> list[Subscription]:
    return await gateway.gateway.websub._stored.load()


async def state(gateway: Served) -> dict[str, Any]:
    return dict((await gateway.api.get("/stats"))["subscriptions"]["blog"])


async def active(gateway: Served) -> None:
    async def there() -> bool:
        return bool((await state(gateway))["state"] == "active")

    await until(there)


async def events(gateway: Served) -> list[Event]:
    return (await gateway.gateway.store.log.page(EventQuery(ascending=True))).events


def finding(gateway: Served, code: str) -> str:
    return next((one.samples[-1] for one in gateway.gateway.findings.listed() if one.code == code), "")


async def passes(gateway: Served, clock: Clock, days: float) -> None:
    """Time goes on: the next look sees it."""
    clock.correction_us += int(days * DAY)
    gateway.gateway.websub._wake.set()


@pytest.mark.parametrize(
    ("name", "documents"),
    [
        ("100 headers", {"/t": {"link": '<{url}/hub>; rel="hub", <{url}/self>; rel="self"'}}),
        ("100 headers of several lines", {"/t": {"link": "<{url}/hub>; rel=hub, </self>; rel=self"}}),
        ("101 HTML", {"/t": {"body": "<html><head><LINK href='{url}/hub' rel='HUB'><link rel=self href=/self>"}}),
        ("102 Atom", {"/t": {"body": ATOM}}),
        (
            "103 RSS",
            {"/t": {"body": '<rss xmlns:atom="http://www.w3.org/2005/Atom"><channel><link>{url}/</link><atom:link'
                    ' rel="hub" href="{url}/hub"/><atom:link rel="self" href="{url}/self"/></channel></rss>'}},
        ),
        (
            "104 headers before content",
            {"/t": {"body": ATOM.replace("/hub", "/no"), "link": "<{url}/hub>; rel=hub, <{url}/self>; rel=self"}},
        ),
        ("201 the topic moved", {"/t": {"status": 302, "location": "/u"}, "/u": {"body": ATOM}}),
        ("202 the topic moved for good", {"/t": {"status": 301, "location": "{url}/u"}, "/u": {"body": ATOM}}),
        ("203 the hub moved", {"/t": {"body": ATOM.replace("/hub", "/moved")}}),
    ],
)  # fmt: skip
async def test_the_hub_of_a_topic_is_found_and_asked(
    tmp_path: Path, name: str, documents: dict[str, dict[str, Any]]
) -> None:
    async with Hub().open() as hub:
        for path, document in documents.items():
            hub.serve(path, **document)
        async with subscribing(tmp_path, hub, config(f"{hub.url}/t")) as gateway:
            await active(gateway)
            (asked,) = hub.asked
            assert asked["hub.topic"] == f"{hub.url}/self" and asked["hub.mode"] == "subscribe", name
            assert asked["hub.secret"] == "s3cret" and asked["hub.lease_seconds"] == "864000"
            assert asked["hub.callback"].startswith(f"{GATE}/in/blog?token=")
            assert await hub.publish(b"{}", "application/json") == [202]


async def test_content_is_verified_and_becomes_events(tmp_path: Path) -> None:
    """300 to 302. Each entry of a feed is an event once; a changed one is an event again."""

    def feed(*entries: tuple[str, str]) -> bytes:
        rows = "".join(
            f"<entry><id>{id_}</id><title>{id_}</title><updated>{at}</updated></entry>" for id_, at in entries
        )
        return f'<feed xmlns="http://www.w3.org/2005/Atom">{rows}</feed>'.encode()

    old, new = "2026-11-20T10:00:00Z", "2026-11-21T10:00:00Z"
    async with Hub().open() as hub:
        toml = config(hub.serve("/t", ATOM), top='split = "auto"')
        async with subscribing(tmp_path, hub, toml) as gateway:
            await active(gateway)
            kind = "application/atom+xml"
            assert await hub.publish(feed(("b", old), ("a", old)), kind) == [202]
            assert await hub.publish(feed(("b", old), ("a", old)), kind, method="sha1") == [202]
            assert await hub.publish(feed(("b", new), ("a", old)), kind, method="sha384") == [202]
            assert await hub.publish(b"not a feed", "text/plain", method="sha512") == [202]
            assert await hub.publish(b"x", "text/plain", key="wrong") == [401]
            assert await hub.publish(b"x", "text/plain", method="") == [401]
            found = await events(gateway)
            entries = [msgspec.json.decode(one.body) for one in found[:3]]
            assert [(one["id"], one["updated"]) for one in entries] == [("a", old), ("b", old), ("b", new)]
            assert [(one.type, one.key) for one in found] == [("topic.updated", key) for key in ("a", "b", "b", None)]
            assert found[3].body == b"not a feed"
            assert not finding(gateway, "delivery_id_reused") and finding(gateway, "split_not_a_list")


async def test_only_a_hub_that_was_asked_is_answered(tmp_path: Path) -> None:
    """205, and what strangers may try with the address of a source."""
    async with Hub().open() as hub:
        hub.lease_seconds = None
        async with subscribing(tmp_path, hub, config(hub.serve("/t", ATOM))) as gateway:
            await active(gateway)
            before = (await stored(gateway))[0]
            assert before.left_seconds(gateway.gateway.clock.now_us()) > 863_000  # as asked
            callback = hub.asked[0]["hub.callback"]
            ask = {
                "hub.mode": "subscribe",
                "hub.topic": f"{hub.url}/self",
                "hub.challenge": "c",
                "hub.lease_seconds": "9",
            }
            for address, changed in (
                (callback, {"hub.topic": f"{hub.url}/other"}),
                (callback.partition("?")[0], {}),
                (f"{GATE}/in/blog?token=guessed", {}),
                (callback, {"hub.mode": "unsubscribe"}),
                (callback, {"hub.mode": "wished"}),
                (callback, {"hub.challenge": ""}),
                (callback, {"hub.challenge": "x" * 2049}),
                (f"{GATE}/in/blog", {"hub.mode": "denied"}),
            ):
                assert (await hub.call(address, ask | changed))[0] == 404, (address, changed)
            assert (await stored(gateway))[0] == before
            await gateway.gateway.rejections._write()
            reasons = {one["reason"] for one in (await gateway.api.get("/rejections"))["data"]}
            assert reasons == {"subscription_unknown"}
            status, body, headers = await hub.call(callback, ask | {"hub.challenge": "<b>"})
            assert (status, body, headers["X-Content-Type-Options"]) == (200, "<b>", "nosniff")
            assert (await hub.call(f"{GATE}/in/blog", {}))[0] == 405
            assert (await hub.call(f"{GATE}/in/else", ask))[0] == 404


async def test_it_is_renewed_before_the_lease_ends_and_retried_when_that_fails(tmp_path: Path) -> None:
    async with Hub().open() as hub:
        clock = Clock()
        toml = config(hub.serve("/t", ATOM))
        async with subscribing(tmp_path, hub, toml, clock) as gateway:
            await active(gateway)
            await passes(gateway, clock, 6)
            assert len(hub.asked) == 1
            await passes(gateway, clock, 1)  # two thirds of ten days
            await until(lambda: len(hub.asked) == 2)
            assert hub.asked[1] == hub.asked[0]

            async def renewed() -> bool:
                return not (await stored(gateway))[0].pending

            await until(renewed)
            ends = (await state(gateway))["ends_at"]
            hub.statuses = [(500, "down"), (503, "still\ndown")] * 2
            await passes(gateway, clock, 7)
            for tries in range(3, 7):
                await until(lambda tries=tries: len(hub.asked) >= tries)

                async def failed(tries: int = tries) -> bool:
                    return (await state(gateway))["failures"] == tries - 2

                await until(failed)
                if tries < 6:
                    await passes(gateway, clock, 0.001)
            await until(lambda: "the hub answered 503: still down" in finding(gateway, "subscription_failing"))
            found = await state(gateway)
            assert found["state"] == "active" and found["ends_at"] == ends and found["renews_at"] is None
            hub.statuses = [(500, "down")]
            await passes(gateway, clock, 2.2)  # less than a day is left
            await until(lambda: finding(gateway, "subscription_ends_soon"))

            async def failed_again() -> bool:
                return (await state(gateway))["failures"] == 5

            await until(failed_again)  # the next attempt counts from this failure
            await passes(gateway, clock, 0.5)
            await until(lambda: not finding(gateway, "subscription_ends_soon"))
            assert (await state(gateway))["failures"] == 0 and (await state(gateway))["ends_at"] > ends


async def test_a_restart_and_a_crash_in_the_middle_go_on(tmp_path: Path) -> None:
    """What was asked is known before it is sent: a verification that comes after a crash is answered."""
    async with Hub().open() as hub:
        toml = config(hub.serve("/t", ATOM))
        hub.verifies = False
        async with subscribing(tmp_path, hub, toml) as gateway:
            await until(lambda: hub.asked)
        async with subscribing(tmp_path, hub, toml) as gateway:
            await hub._verify(hub.asked[0])
            await active(gateway)
            assert len(hub.asked) == 1 and await hub.publish(b"{}", "application/json") == [202]
        async with subscribing(tmp_path, hub, toml) as gateway:
            await active(gateway)
            assert len(hub.asked) == 1


async def test_a_hub_that_cannot_reach_the_gateway_is_named(tmp_path: Path) -> None:
    async with Hub().open() as hub:
        clock = Clock()
        hub.verifies = False
        async with subscribing(tmp_path, hub, config(hub.serve("/t", ATOM)), clock) as gateway:
            await until(lambda: hub.asked)
            assert (await state(gateway))["state"] == "pending"
            await passes(gateway, clock, 0.004)
            await until(lambda: finding(gateway, "subscription_failing"))
            assert f"did not call {GATE}/in/blog" in finding(gateway, "subscription_failing")
            page = await gateway.api("GET", "/sources")
            assert page.status in (200, 303)
            hub.verifies = True
            await passes(gateway, clock, 0.001)
            await active(gateway)
            await until(lambda: not finding(gateway, "subscription_failing"))


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"body": "<html><head></head><body><link rel=hub href=/hub>"}, "names no hub"),
        ({"body": ATOM.replace("{url}/hub", "ftp://x/hub")}, "names no hub"),
        ({"status": 404}, "the topic answered 404"),
        ({"status": 302, "location": "/t"}, "more than 5 redirects"),
        ({"status": 302, "location": "http://10.1.2.3/"}, "10.1.2.3"),
        ({"body": ATOM.replace("{url}/hub", "http://169.254.169.254/")}, "169.254.169.254"),
    ],
)
async def test_topics_without_a_usable_hub_say_why(tmp_path: Path, document: dict[str, Any], words: str) -> None:
    async with Hub().open() as hub:
        async with subscribing(tmp_path, hub, config(hub.serve("/t", **document))) as gateway:
            await until(lambda: finding(gateway, "subscription_failing"))
            assert words in finding(gateway, "subscription_failing")
            assert (await state(gateway))["state"] == "failing" and not hub.asked


async def test_a_denial_is_shown_and_asked_again_later(tmp_path: Path) -> None:
    async with Hub().open() as hub:
        clock = Clock()
        async with subscribing(tmp_path, hub, config(hub.serve("/t", ATOM)), clock) as gateway:
            await active(gateway)
            assert await hub.deny(f"{hub.url}/self", "members\x1b only") == 200
            await until(lambda: finding(gateway, "subscription_denied"))
            assert finding(gateway, "subscription_denied").endswith("denied the subscription: members only")
            assert (await state(gateway))["state"] == "denied"
            await passes(gateway, clock, 0.3)
            await active(gateway)
            assert len(hub.asked) == 2 and not finding(gateway, "subscription_denied")


async def test_a_source_that_is_removed_or_changed_unsubscribes(tmp_path: Path) -> None:
    async with Hub().open() as hub:
        toml = config(hub.serve("/t", ATOM))
        async with subscribing(tmp_path, hub, toml) as gateway:
            await active(gateway)
            other = hub.serve("/other", ATOM.replace("/self", "/other"))
            file = tmp_path / "tidegate.toml"
            file.write_text(file.read_text().replace(f"{hub.url}/t", other))
            await gateway.gateway.reload()
            await until(lambda: [topic for _, topic in hub.subscribed] == [other])
            assert sorted(one["hub.mode"] for one in hub.asked[1:]) == ["subscribe", "unsubscribe"]
            await active(gateway)
            callback = next(iter(hub.subscribed))[0]
            hub.statuses = [(500, "down")]  # the hub goes on to send for a while
            file.write_text(file.read_text().partition("[sources")[0])
            await gateway.gateway.reload(prune=True)
            await until(lambda: len(hub.asked) == 4)
            assert await hub.publish(b"{}", "application/json") == [410]
            hub.subscribed[callback, other] = {}
            clock = gateway.gateway.clock
            clock.correction_us += DAY
            gateway.gateway.websub._wake.set()
            await until(lambda: not hub.subscribed)

            async def forgotten() -> bool:
                return not await stored(gateway)

            await until(forgotten)
            assert hub.asked[-1]["hub.mode"] == "unsubscribe" and "hub.secret" not in hub.asked[-1]


async def test_of_two_nodes_one_asks_and_either_answers(tmp_path: Path) -> None:
    database = server().new_database()
    async with Hub().open() as hub:
        hub.verifies = False
        toml = config(hub.serve("/t", ATOM))
        one, two = AsyncExitStack(), AsyncExitStack()
        first = await one.enter_async_context(served(tmp_path / "a", toml, database=database, environ=KEY))
        second = await two.enter_async_context(served(tmp_path / "b", toml, database=database, environ=KEY))
        async with one, two:
            await until(lambda: len(second.gateway.store.leases.held) == 32)
            await until(lambda: hub.asked)
            asker, other, ending = (first, second, one) if _holds(first) else (second, first, two)
            for node in (other, asker):
                hub.gate = node.url
                await hub._verify(hub.asked[0])
                await active(first)
                await active(second)
            assert len({form["hub.callback"] for form in hub.asked}) == 1
            await ending.aclose()
            await until(lambda: _holds(other), 20)
            hub.gate = other.url
            assert await hub.publish(b"{}", "application/json") == [202]
            assert (await state(other))["state"] == "active"


def _holds(gateway: Served) -> bool:
    return partition_of_name("blog") in gateway.gateway.store.leases.held


async def test_a_rotated_secret_is_given_to_the_hub(tmp_path: Path) -> None:
    async with Hub().open() as hub:
        async with subscribing(tmp_path, hub, config(hub.serve("/t", ATOM))) as gateway:
            await active(gateway)
            await gateway.gateway.editor.rotate_source("blog", "fresh", 3_600_000_000)
            await until(lambda: [one["hub.secret"] for one in hub.subscribed.values()] == ["fresh"])
            assert await hub.publish(b"1", "text/plain") == await hub.publish(b"2", "text/plain", key="s3cret") == [202]


async def test_the_secret_is_neither_in_the_store_nor_in_the_figures(tmp_path: Path) -> None:
    async with Hub().open() as hub:
        toml = config(hub.serve("/t", ATOM), secret='"canary-4711"')
        async with subscribing(tmp_path, hub, toml) as gateway:
            await active(gateway)
            value = await gateway.gateway.store.settings.value("websub")
            assert value and b"canary-4711" not in value
            shown = msgspec.json.encode(await gateway.api.get("/stats"))
            token = hub.asked[0]["hub.callback"].partition("token=")[2]
            assert b"canary" not in shown and token.encode() not in shown
            await hub.publish(b"{}", "application/json")
            assert token.encode() not in (await events(gateway))[0].headers


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        (config("https://b.example/f").replace('"websub"', '"github"'), "needs both"),
        ('[sources.b.webhook]\nverify = "websub"\nsecret = "x"\n', "needs both"),
        (config("blog.example/f"), "scheme"),
        (config("https://b.example/f", 'hub = "ftp://b.example/"'), "scheme"),
        (config("https://b.example/f", 'lease = "1s"'), "out of range"),
        (config("https://b.example/f", secret=f'"{"x" * 200}"'), "at most 199 bytes"),
        (config("https://b.example/f").replace(f'public_url = "{GATE}"', ""), "public_url"),
    ],
)
def test_what_a_subscription_needs_is_checked(toml: str, words: str) -> None:
    assert words in "\n".join(rejections(toml))
