"""The answer to our own write is in the records at once, and the next poll does not report it as a foreign change."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from support.gateway import write_worker
from support.gateway.deployment import Deployment
from support.gateway.running import publish, running, until
from support.postgres.server import database_for
from support.receiver.scripted import Request, ScriptedServer
from tidegate.core.model import Event, RecordState
from tidegate.process.gateway import Gateway
from tidegate.pull import PollOptions, PollReport
from tidegate.query import explanation
from tidegate.query.events import schema_of
from tidegate.query.measured import measured
from tidegate.vault import KEY_FILE

STORES = pytest.mark.parametrize("store", ["sqlite", "postgres"])


class Crm:
    """Contacts. `listed` and `answered` make the row of the list and the answer to a write from a contact."""

    def __init__(self) -> None:
        self.contacts: dict[str, dict[str, Any]] = {}
        self.writes = 0
        self.listed: Callable[[dict[str, Any]], Any] = lambda contact: contact
        self.answered: Callable[[dict[str, Any]], Any] = lambda contact: contact
        self.derives = False
        self._version = 0
        self.server = ScriptedServer(self._serve)

    def put(self, key: str, **fields: Any) -> dict[str, Any]:
        self._version += 1
        one = {"id": key, **self.contacts.get(key, {}), **fields, "updated": self._version}
        if self.derives:
            one["shown_as"] = f"{one['name']} ({self._version})"
        self.contacts[key] = one
        return one

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        method, target, _ = request.line.split(" ")
        if method == "GET":
            answer = [self.listed(one) for one in self.contacts.values()]
        else:
            self.writes += 1
            key = target.rpartition("/")[2] if method == "PATCH" else f"c{len(self.contacts) + 1}"
            answer = self.answered(self.put(key, **json.loads(request.body)))
        body = json.dumps(answer).encode()
        writer.write(
            b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )


FILE = """
[sources.site.publish]
[sources.crm.api]
base_url = "{url}"
[sources.crm.resources.contacts]
path = "/contacts"
version = "updated"
poll = "1h"
initial = "events"
[sources.crm.operations.create]
path = "/contacts"
json = {{ name = "{{{{ data.name }}}}", phone = "{{{{ data.phone }}}}" }}
remember = {{ id = "id" }}
resource = "contacts"
[sources.crm.operations.update]
method = "PATCH"
path = "/contacts/{{{{ remembered.id }}}}"
json = {{ name = "{{{{ data.name }}}}" }}
resource = "contacts"
record_key = "{{{{ remembered.id }}}}"
[destinations.create]
type = "operation"
operation = "crm/create"
[destinations.update]
type = "operation"
operation = "crm/update"
[routes.new]
from = "site"
types = ["lead.new"]
to = "create"
[routes.changed]
from = "site"
types = ["lead.changed"]
to = "update"
"""


def toml(crm: Crm) -> str:
    return FILE.format(url=crm.server.url)


@asynccontextmanager
async def gateway_with(crm: Crm, folder: Path, store: str = "sqlite", more: str = "") -> AsyncIterator[Gateway]:
    database = database_for(folder) if store == "postgres" else None
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(crm.server)
        gateway = await stack.enter_async_context(running(folder, toml(crm) + more, database=database))
        await poll(gateway)
        yield gateway


async def poll(gateway: Gateway, source: str = "crm") -> PollReport:
    report = await gateway.pull.poll_now(source, "contacts", PollOptions())
    assert not report.error
    return report


async def lead(gateway: Gateway, type: str, **data: Any) -> None:
    """Publish an event, and wait until its delivery is over."""
    await publish(gateway, json.dumps(data).encode(), source="site", type=f"lead.{type}", key="lead-1")
    await until(lambda: is_idle(gateway))


def is_idle(gateway: Gateway) -> bool:
    health = [gateway.deliver.health(one.number) for one in gateway.active.destinations.values()]
    return all(one.waiting + one.in_flight == 0 for one in health)


async def record(gateway: Gateway, key: str = "c1") -> RecordState | None:
    return (await gateway.store.records.known("crm", "contacts", [key])).get(key)


def explained_origin(event: Event) -> str:
    return explanation.origin(schema_of("test", event)).detail


async def changes(gateway: Gateway, source: str = "crm") -> list[Event]:
    offsets = list(range(1, gateway.store.log.published_offset + 1))
    return [one for one in await gateway.store.log.read(offsets) if one.source == source]


@STORES
async def test_a_write_is_in_the_records_before_its_delivery_ends_and_a_poll_finds_it_known(
    tmp_path: Path, store: str
) -> None:
    crm = Crm()
    async with gateway_with(crm, tmp_path, store) as gateway:
        await lead(gateway, "new", name="Ada", phone="1")
        made = await record(gateway)
        assert made is not None and json.loads(made.body) == crm.contacts["c1"] and made.origin.value == "write"
        await lead(gateway, "changed", name="Grace")
        changed = await record(gateway)
        assert changed is not None and json.loads(changed.body)["name"] == "Grace" and changed.number == 2
        report = await poll(gateway)
        assert (report.created, report.updated, report.records_seen) == (0, 0, 1)
        events = await changes(gateway)
        assert [(one.type, one.origin.value) for one in events] == [
            ("contacts.created", "write"), ("contacts.updated", "write"),
        ]  # fmt: skip
        causes = [json.loads(one.change or b"")["caused_by"] for one in events]
        assert all(cause.startswith("evt_") for cause in causes) and len(set(causes)) == 2
        shown = explained_origin(events[1])
        assert "written by an operation" in shown and causes[1] in shown
        crm.put("c1", name="Eve")
        assert (await poll(gateway)).updated == 1
        assert [one.origin.value for one in await changes(gateway)] == ["write", "write", "poll"]


async def test_a_write_is_neither_a_poll_nor_a_webhook_in_statistics(tmp_path: Path) -> None:
    crm = Crm()
    async with gateway_with(crm, tmp_path) as gateway:
        await lead(gateway, "new", name="Ada", phone="1")
        await lead(gateway, "changed", name="Grace")
        await poll(gateway)
        figures = gateway.pull.statistics()["crm/contacts"]
        assert figures.by_origin == {"write": 2} and figures.changes == 2
        assert figures.requests_per_change is None  # no request found a change
        seen = (await measured(gateway, "1h")).resources["crm/contacts"]
        assert seen.changes_by_origin == {"write": 2} and seen.requests.per_change is None
        assert seen.polls.empty.part == seen.polls.empty.whole == 2 and seen.webhooks.received == 0


async def test_an_answer_that_shows_an_id_only_is_left_to_the_next_poll(tmp_path: Path) -> None:
    crm = Crm()
    crm.answered = lambda contact: {"id": contact["id"], "updated": contact["updated"], "success": True}
    async with gateway_with(crm, tmp_path) as gateway:
        await lead(gateway, "new", name="Ada", phone="1")
        assert await record(gateway) is None and not await changes(gateway)
        assert (await poll(gateway)).created == 1
        (event,) = await changes(gateway)
        assert event.origin.value == "poll" and "caused_by" in json.loads(event.change or b"")


async def test_an_answer_older_than_the_record_changes_nothing(tmp_path: Path) -> None:
    crm = Crm()
    async with gateway_with(crm, tmp_path) as gateway:
        await lead(gateway, "new", name="Ada", phone="1")
        stale = dict(crm.contacts["c1"])
        crm.put("c1", name="Eve")
        await poll(gateway)
        crm.answered = lambda contact: {**stale, "name": "stale"}  # by a replica that is behind
        await lead(gateway, "changed", name="Grace")
        kept = await record(gateway)
        assert kept is not None and json.loads(kept.body)["name"] == "Eve"
        await poll(gateway)
        kept = await record(gateway)
        assert kept is not None and json.loads(kept.body) == crm.contacts["c1"]


@pytest.mark.parametrize("list_has_more", [True, False])
async def test_a_list_with_other_fields_than_the_answers_makes_no_change_of_its_own(
    tmp_path: Path, list_has_more: bool
) -> None:
    crm = Crm()

    def wide(contact: dict[str, Any]) -> dict[str, Any]:
        return {**contact, "phone": str(contact["phone"]), "owner": {"id": 7}, "link": f"/contacts/{contact['id']}"}

    crm.listed, crm.answered = (wide, lambda one: one) if list_has_more else (lambda one: one, wide)
    async with gateway_with(crm, tmp_path) as gateway:
        await lead(gateway, "new", name="Ada", phone=1)
        await lead(gateway, "changed", name="Grace")  # twice before a poll
        for _ in range(2):
            report = await poll(gateway)
            assert (report.created, report.updated) == (0, 0)
        await lead(gateway, "changed", name="Lin")
        changed = await record(gateway)
        assert changed is not None and json.loads(changed.body) == crm.listed(crm.contacts["c1"])
        assert (await poll(gateway)).updated == 0
        assert [one.origin.value for one in await changes(gateway)] == ["write"] * 3


BACK = """
[sources.erp.api]
base_url = "{url}"
[sources.erp.resources.contacts]
path = "/contacts"
version = "updated"
poll = "1h"
initial = "events"
[sources.erp.operations.create]
path = "/contacts"
json = {{ name = "{{{{ data.name }}}}", phone = "{{{{ data.phone }}}}" }}
remember = {{ id = "id" }}
resource = "contacts"
[sources.erp.operations.update]
method = "PATCH"
path = "/contacts/{{{{ remembered.id }}}}"
json = {{ name = "{{{{ data.name }}}}", phone = "{{{{ data.phone }}}}" }}
resource = "contacts"
record_key = "{{{{ remembered.id }}}}"
[destinations.erp-create]
type = "operation"
operation = "erp/create"
[destinations.erp-update]
type = "operation"
operation = "erp/update"
[routes.crm-created]
from = "crm"
filter = {{ type = "contacts.created" }}
changes = ["contacts"]
to = "erp-create"
[routes.crm-updated]
from = "crm"
filter = {{ type = "contacts.updated" }}
changes = ["contacts"]
to = "erp-update"
[routes.erp-updated]
from = "erp"
filter = {{ type = "contacts.updated" }}
changes = ["contacts"]
to = "update"
"""


@pytest.mark.parametrize("derives", [False, True])
async def test_a_change_by_somebody_else_that_the_answer_shows_too_is_not_lost(tmp_path: Path, derives: bool) -> None:
    """A person changed the phone in the CRM, no poll saw it, and our write of the name is answered with both."""
    crm, erp = Crm(), Crm()
    crm.derives = erp.derives = derives  # a field of each system changes with every write
    async with erp.server, gateway_with(crm, tmp_path, more=BACK.format(url=erp.server.url)) as gateway:
        await poll(gateway, "erp")
        crm.put("c1", name="Ada", phone="1")
        for _ in range(2):
            await poll(gateway)
            await until(lambda: is_idle(gateway))
            await poll(gateway, "erp")
        assert erp.contacts["c1"]["name"] == "Ada" and crm.writes == 0
        crm.put("c1", phone="2")
        erp.put("c1", name="Grace")
        await poll(gateway, "erp")
        await until(lambda: is_idle(gateway))
        assert erp.contacts["c1"]["phone"] == "2" and crm.contacts["c1"]["name"] == "Grace"
        writes = crm.writes + erp.writes
        for _ in range(4):
            await poll(gateway)
            await poll(gateway, "erp")
            await until(lambda: is_idle(gateway))
        assert crm.writes + erp.writes == writes == 3  # created, name, phone: nothing circles
        assert crm.contacts["c1"]["phone"] == erp.contacts["c1"]["phone"] == "2"


async def killed(folder: Path, database: str | None, when: str) -> int:
    job = json.dumps({"folder": str(folder), "database": database, "kill": when, "data": {"name": "Ada", "phone": "1"}})
    env = {**os.environ, "PYTHONPATH": str(Path(write_worker.__file__).parents[2])}
    process = await asyncio.create_subprocess_exec(sys.executable, write_worker.__file__, job, env=env)
    return await process.wait()


@STORES
async def test_a_kill_between_the_answer_and_the_merge_repeats_nothing_and_loses_nothing(
    tmp_path: Path, store: str
) -> None:
    crm = Crm()
    database = database_for(tmp_path) if store == "postgres" else None
    async with crm.server:
        async with running(tmp_path, toml(crm), database=database) as gateway:
            await poll(gateway)
        assert await killed(tmp_path, database, "before_merge") == -signal.SIGKILL
        assert crm.writes == 1
        async with running(tmp_path, toml(crm), database=database) as gateway:
            await until(lambda: is_idle(gateway))
            await until(lambda: record(gateway))
            report = await poll(gateway)
            assert (report.created, report.updated) == (0, 0) and crm.writes == 1
            (event,) = await changes(gateway)
            assert event.origin.value == "write"


async def test_a_kill_before_the_answer_is_stored_is_repaired_by_the_poll(tmp_path: Path) -> None:
    crm = Crm()
    async with crm.server:
        async with running(tmp_path, toml(crm)) as gateway:
            await poll(gateway)
        assert await killed(tmp_path, None, "before_answer") == -signal.SIGKILL
        assert crm.writes == 1
        async with running(tmp_path, toml(crm)) as gateway:
            await until(lambda: crm.writes == 2 and is_idle(gateway))
            await poll(gateway)
            events = await changes(gateway)
            assert len(events) == len(crm.contacts) == crm.writes == 2  # at least once, as the guide says
            assert all("caused_by" in json.loads(one.change or b"") for one in events)


async def test_the_answer_to_a_node_that_does_not_poll_reaches_the_one_that_does(tmp_path: Path) -> None:
    crm, database = Crm(), database_for(tmp_path)
    one, two = (Deployment(tmp_path / name, database) for name in ("one", "two"))
    async with crm.server, running(one.folder, toml(crm), database=database) as first:
        await poll(first)
        two.data.mkdir(parents=True)
        (two.data / KEY_FILE).write_bytes((one.data / KEY_FILE).read_bytes())
        async with running(two.folder, toml(crm), database=database) as second:
            await until(lambda: len(first.store.leases.held) == len(second.store.leases.held) == 32)
            both = [one.pull.answers for one in (first, second)]
            await until(lambda: sum(one.keeps("crm", "contacts") for one in both) == 1)
            other = second if both[0].keeps("crm", "contacts") else first
            view = {"key": "k", "data": {"name": "Ada", "phone": "1"}, "delivery_id": "call_1"}
            await other.operations.run("crm", "create", view)
            assert await record(other) is not None
            assert (await poll(other)).created == 0
