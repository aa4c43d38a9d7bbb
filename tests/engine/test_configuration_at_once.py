"""Changes of the configuration at the same moment: none undoes another, and nobody sees a half of one.

"Two nodes" are two active configurations over one store, as gateways on one database have them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from support.faults.paused_call import PausedCall, meanwhile
from support.gateway.deployment import DEPLOYMENTS, Deployment
from support.gateway.running import run, until
from tidegate.config.spec import Config, Source
from tidegate.core.clock import Clock
from tidegate.core.errors import ConfigError, Conflict, NotFound, StoreBusy
from tidegate.core.spec import Route
from tidegate.kinds.webhook import WebhookDestination
from tidegate.process.gateway import Gateway
from tidegate.runtime import ActiveConfiguration, ConfigurationEditor
from tidegate.store import Item

TOML = '[sources.shop.publish]\n[destinations.file]\nurl = "https://file.example/"\n'
SECRET = "whsec_" + "c2VjcmV0" * 4
CRM = WebhookDestination(url="https://crm.example/")


@pytest.fixture(params=DEPLOYMENTS)
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Deployment:
    return DEPLOYMENTS[request.param](tmp_path)


def on(deployment: Deployment, work: Callable[[Gateway], Awaitable[None]]) -> None:
    async def main() -> None:
        async with deployment.running(TOML) as gateway:
            await put(gateway.editor, "destination", "crm", CRM)
            await work(gateway)

    run(main)


def to(url: str) -> WebhookDestination:
    return WebhookDestination(url=f"https://{url}.example/")


async def put(editor: ConfigurationEditor, kind: str, name: str, spec: WebhookDestination | Route) -> bool:
    return await editor.put(kind, name, lambda _old: spec)


async def kept(gateway: Gateway) -> ActiveConfiguration:
    """What a restart would find."""
    active = ActiveConfiguration(gateway.store, gateway.active._vault, Clock())
    await active.load()
    return active


async def other_node(gateway: Gateway) -> ConfigurationEditor:
    """An editor of another node on the same store."""
    return ConfigurationEditor(await kept(gateway), gateway.store, gateway.active._vault, Clock())


def test_a_pause_and_a_change_of_the_same_destination_both_stand(deployment: Deployment) -> None:
    async def work(gateway: Gateway) -> None:
        active, editor = gateway.active, gateway.editor
        async with PausedCall(gateway.store.settings, "put_items") as held:
            change = asyncio.ensure_future(put(editor, "destination", "crm", to("new")))
            await held.reached.wait()
            (pause,) = await meanwhile(editor.pause("crm"))
            held.go.set()
            await asyncio.gather(change, pause)
        for one in (active.destinations["crm"], (await kept(gateway)).destinations["crm"]):
            assert (one.spec.url, one.pause_reason) == ("https://new.example/", "operator")

    on(deployment, work)


def test_a_secret_that_was_shown_outlives_a_change_of_its_destination(deployment: Deployment) -> None:
    async def work(gateway: Gateway) -> None:
        active, editor = gateway.active, gateway.editor
        async with PausedCall(gateway.store.settings, "put_items") as held:
            change = asyncio.ensure_future(put(editor, "destination", "crm", to("new")))
            await held.reached.wait()
            (rotation,) = await meanwhile(editor.rotate("crm"))
            held.go.set()
            await change
            secret = await rotation
        assert active.destinations["crm"].secrets[0] == secret

    on(deployment, work)


def test_a_rotation_that_is_asked_for_twice_keeps_the_secret_that_receivers_have(deployment: Deployment) -> None:
    async def work(gateway: Gateway) -> None:
        before = gateway.active.destinations["crm"].secrets
        first, second = await asyncio.gather(gateway.editor.rotate("crm"), gateway.editor.rotate("crm"))
        assert gateway.active.destinations["crm"].secrets == (second, first, *before)

    on(deployment, work)


def test_the_same_name_made_twice_at_once_is_made_once(deployment: Deployment) -> None:
    async def work(gateway: Gateway) -> None:
        editor = gateway.editor
        made = await asyncio.gather(
            put(editor, "destination", "new", to("a")), put(editor, "destination", "new", to("b"))
        )
        assert sorted(made) == [False, True]
        assert [one.name for one in await gateway.store.settings.items() if one.name == "new"] == ["new"]

    on(deployment, work)


def test_a_change_does_not_bring_back_what_is_deleted_meanwhile(deployment: Deployment) -> None:
    async def work(gateway: Gateway) -> None:
        active, editor = gateway.active, gateway.editor
        number = active.destinations["crm"].number
        async with PausedCall(gateway.store.settings, "put_items") as held:
            change = asyncio.ensure_future(put(editor, "destination", "crm", to("new")))
            await held.reached.wait()
            (gone,) = await meanwhile(editor.delete("destination", "crm"))
            held.go.set()
            await asyncio.gather(change, gone)
        assert "crm" not in active.destinations and number in active.deleted

    on(deployment, work)


def test_a_file_that_is_read_twice_at_once_is_applied_once(deployment: Deployment) -> None:
    async def work(gateway: Gateway) -> None:
        config = Config(
            egress=gateway.active.settings.egress,
            sources={"shop": Source(publish=gateway.active.sources["shop"].spec.publish)},
            destinations={"file": to("file"), "more": to("more")},
        )
        changes = await asyncio.gather(gateway.editor.apply(config), gateway.editor.apply(config))
        assert sorted(len(one) for one in changes) == [0, 1], changes

    on(deployment, work)


def test_a_file_that_could_not_be_stored_is_not_in_force(deployment: Deployment) -> None:
    async def work(gateway: Gateway) -> None:
        settings, before = gateway.store.settings, gateway.active.settings

        async def busy(*_: object, **__: object) -> None:
            raise StoreBusy("the database does not answer")

        settings.put_items = busy  # type: ignore[method-assign]
        with pytest.raises(StoreBusy):
            await gateway.editor.apply(Config(destinations={"more": to("more")}))
        del settings.put_items  # type: ignore[method-assign]
        assert gateway.active.settings is before

    on(deployment, work)


def test_routes_stand_while_a_change_is_taken_up(deployment: Deployment) -> None:
    """Else a destination could be deleted under a route that is only being read again."""

    async def work(gateway: Gateway) -> None:
        active, editor = gateway.active, gateway.editor
        await put(editor, "route", "a", Route(from_="shop", to="crm"))
        await put(editor, "route", "b", Route(from_="shop", to="file"))
        async with PausedCall(gateway.store.settings, "route_revision") as held:
            change = asyncio.ensure_future(put(editor, "route", "a", Route(from_="shop", to=["crm", "file"])))
            await held.reached.wait()
            assert sorted(active.routes) == ["a", "b"]
            (gone,) = await meanwhile(editor.delete("destination", "crm"))
            held.go.set()
            await change
        with pytest.raises(Conflict) as error:
            await gone
        assert error.value.code == "in_use"
        rule = active.revision(active.routes["a"].revision)
        assert rule is not None
        assert rule.destinations == tuple(active.destinations[name].number for name in ("crm", "file"))

    on(deployment, work)


def test_a_reading_that_breaks_off_leaves_the_configuration_whole(deployment: Deployment) -> None:
    async def work(gateway: Gateway) -> None:
        active, editor, settings = gateway.active, gateway.editor, gateway.store.settings
        await put(editor, "route", "a", Route(from_="shop", to="crm"))
        await put(editor, "route", "b", Route(from_="shop", to="file"))

        async def busy(*_: object) -> int:
            raise StoreBusy("the database does not answer")

        settings.route_revision = busy  # type: ignore[method-assign]
        with pytest.raises(StoreBusy):
            await put(editor, "route", "a", Route(from_="shop", to=["crm", "file"]))
        del settings.route_revision  # type: ignore[method-assign]
        assert sorted(active.routes) == ["a", "b"]
        await active.load()
        assert active.routes["a"].spec.to == ["crm", "file"], "it was stored, and is taken up with the next reading"

    on(deployment, work)


def test_a_change_that_was_stored_and_answered_503_comes_into_force_by_itself(deployment: Deployment) -> None:
    async def work(gateway: Gateway) -> None:
        active, editor, settings = gateway.active, gateway.editor, gateway.store.settings

        async def busy() -> list[Item]:
            raise StoreBusy("the database does not answer")

        settings.items = busy  # type: ignore[method-assign]
        with pytest.raises(StoreBusy):
            await put(editor, "destination", "more", to("more"))
        assert "more" not in active.destinations
        del settings.items  # type: ignore[method-assign]
        await until(lambda: "more" in active.destinations)

    on(deployment, work)


def test_a_node_that_has_not_heard_yet_undoes_nothing(deployment: Deployment) -> None:
    async def work(gateway: Gateway) -> None:
        here, elsewhere = gateway.editor, await other_node(gateway)
        await elsewhere.pause("crm")
        assert await put(here, "destination", "crm", to("new")) is False
        assert here.active.destinations["crm"].pause_reason == "operator"
        await elsewhere.active.load()
        await here.delete("destination", "crm")
        with pytest.raises(NotFound):
            await elsewhere.resume("crm")
        assert await put(elsewhere, "destination", "crm", CRM) is True, "it is a new one, with a number of its own"

    on(deployment, work)


def test_what_is_refused_is_refused_by_what_the_store_holds_now(deployment: Deployment) -> None:
    async def work(gateway: Gateway) -> None:
        here, elsewhere = gateway.editor, await other_node(gateway)
        await put(elsewhere, "destination", "new", to("new"))
        await put(here, "route", "all", Route(from_="shop", to=["crm", "new"]))
        with pytest.raises(Conflict) as error:
            await elsewhere.delete("destination", "new")
        assert error.value.code == "in_use"
        await elsewhere.delete("route", "all")
        await here.delete("destination", "new")
        with pytest.raises(ConfigError) as refused:
            await put(elsewhere, "route", "all", Route(from_="shop", to=["crm", "new"]))
        assert refused.value.code == "unknown_name"
        assert "all" not in (await kept(gateway)).routes

    on(deployment, work)


def test_a_secret_that_is_left_out_is_the_one_that_another_change_has_set_just_now(deployment: Deployment) -> None:
    async def work(gateway: Gateway) -> None:
        here, elsewhere = gateway.editor, await other_node(gateway)

        def moved(old: WebhookDestination) -> WebhookDestination:
            return msgspec.structs.replace(old, url="https://new.example/")

        await put(elsewhere, "destination", "crm", msgspec.structs.replace(CRM, secret=SECRET))
        await here.put("destination", "crm", moved)
        assert (here.active.destinations["crm"].spec.url, here.active.destinations["crm"].secrets[0]) == (
            "https://new.example/",
            SECRET,
        )

    on(deployment, work)
