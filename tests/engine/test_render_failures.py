"""What cannot be rendered is one finding per destination and cause, with a count and the next step, everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.gateway.api import Served, served
from support.gateway.deployment import DEPLOYMENTS, Deployment
from support.gateway.running import publish, until
from tidegate.core import ids
from tidegate.process.gateway import Gateway
from tidegate.query import stats
from tidegate.query.all_findings import all_findings
from tidegate.query.render_failures import cause_of

TOML = """
[sources.shop.publish]
[destinations.chat]
type = "slack"
url = "http://127.0.0.1:9/services/x"
text = "{{ data.amount / 100 }}{{ data.nothing }}"
rate = "1000/s"
concurrency = 8
[destinations.crm]
url = "http://127.0.0.1:9/crm"
[routes.all]
from = "shop"
to = "chat"
"""
MISSING = "'amount' is missing, so it cannot be used in a calculation"


@pytest.fixture(params=["sqlite", "postgres"])
def deployed(request: pytest.FixtureRequest, tmp_path: Path) -> Deployment:
    return DEPLOYMENTS[request.param](tmp_path)


async def fail(gateway: Gateway, bodies: list[Any]) -> list[str]:
    """Publish events that cannot be rendered, and wait until all are dead letters; the ids of the events."""
    before = (await stats.snapshot(gateway)).totals.exhausted
    offsets = [await publish(gateway, json.dumps(body).encode()) for body in bodies]

    async def dead() -> bool:
        await gateway.deliver.settler.flush()
        return (await stats.snapshot(gateway)).totals.exhausted == before + len(bodies)

    await until(dead)
    return [ids.event_id(gateway.store.log.instance, offset) for offset in offsets]


async def rendered(gateway: Gateway) -> list[Any]:
    found = await all_findings(gateway, await stats.snapshot(gateway))
    return [one for one in found if one.code == "cannot_render"]


async def test_deliveries_are_grouped_by_cause_also_after_a_restart(deployed: Deployment) -> None:
    async with deployed.running(TOML) as gateway:
        await fail(gateway, [{}] * 7 + [{"amount": "ten"}] * 2)
    async with deployed.running(TOML) as gateway:
        first, second = await rendered(gateway)
        assert first.summary.startswith(f"7 deliveries cannot be rendered by `text`: {MISSING}")
        assert (first.count, second.count) == (7, 2)
        assert "unsupported operand" in second.summary
        assert first.remedy == "correct `text`, then: tidegate replay --destination chat --state exhausted"
        assert first.subject == second.subject == "destination:chat"


async def test_the_finding_is_read_again_when_more_fail_and_ends_when_they_are_canceled(tmp_path: Path) -> None:
    async with DEPLOYMENTS["sqlite"](tmp_path).running(TOML) as gateway:
        await fail(gateway, [{}])
        assert (await rendered(gateway))[0].summary.startswith("1 delivery cannot be rendered")
        await fail(gateway, [{}])
        assert [one.count for one in await rendered(gateway)] == [2]


async def test_a_transform_of_the_route_is_named(tmp_path: Path) -> None:
    toml = TOML + '[routes.all.transform]\nset = { "data.x" = "{{ data.id }}" }\n'
    async with DEPLOYMENTS["sqlite"](tmp_path).running(toml) as gateway:
        await fail(gateway, [{}])
        assert "by `text` and the transform of route all:" in (await rendered(gateway))[0].summary


async def test_doctor_explain_and_the_page_show_the_same_sentence(tmp_path: Path) -> None:
    async with served(tmp_path, TOML) as gate:
        (event, *_) = await fail(gate.gateway, [{}] * 3)
        sentence = f"3 deliveries cannot be rendered by `text`: {MISSING}"
        for path in ("/doctor", f"/explain/{event}"):
            found = [one for one in (await gate.api.get(path))["findings"] if one["code"] == "cannot_render"]
            assert len(found) == 1, path
            assert found[0]["summary"].startswith(sentence)
            assert found[0]["samples"][0] == event
        assert "3 deliveries cannot be rendered" in await page(gate)


async def page(gate: Served) -> str:
    """The page of the destination, as a signed-in browser gets it."""
    body = f"token={gate.context.sessions.new_link()}".encode()
    form = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
    entered = await gate.api.with_key(None)("POST", "/login", body, headers=form)
    cookie = {"cookie": entered.headers["set-cookie"].partition(";")[0]}
    reply = await gate.api.with_key(None)("GET", "/destinations/chat", headers=cookie)
    assert reply.status == 200
    return reply.body.decode()


def test_a_cause_has_no_prefix_and_no_credential() -> None:
    assert cause_of("RenderFailed: the template could not be rendered: 'a' is missing.") == "'a' is missing"
    assert "s3cret" not in cause_of("ValueError: password=s3cretvalue is wrong")
