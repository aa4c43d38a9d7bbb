"""The OpenAPI document says what the API does: held against the table, and against the API by schemathesis."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.gateway.api import ADMIN, served
from tidegate.api import openapi
from tidegate.api.routes import PREFIX, TABLE

TOML = """
[sources.crm.publish]
[sources.shop.api]
base_url = "http://127.0.0.1:9/"
[sources.shop.resources.orders]
path = "/orders"
poll = "1h"
[destinations.d]
url = "http://127.0.0.1:9/"
[routes.r]
from = "crm"
to = "d"
types = ["a.*"]
"""

DOCUMENT: dict[str, Any] = msgspec.json.decode(openapi.document())


def test_every_row_of_the_table_is_in_the_document_once() -> None:
    described = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert described == {(entry.method, PREFIX + entry.path) for entry in TABLE}
    assert len(described) == len(TABLE)
    names = [one["operationId"] for methods in DOCUMENT["paths"].values() for one in methods.values()]
    assert len(set(names)) == len(names)


def test_every_reference_of_the_document_leads_somewhere() -> None:
    wanted = set(re.findall(r"#/components/schemas/([^\"]+)", openapi.document().decode()))
    assert wanted == wanted & DOCUMENT["components"]["schemas"].keys()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in DOCUMENT["components"]["schemas"])


def test_the_webhooks_section_names_the_headers_a_destination_receives() -> None:
    names = {one["name"] for one in DOCUMENT["webhooks"]["delivery"]["post"]["parameters"]}
    assert {"webhook-id", "webhook-timestamp", "webhook-signature", "tidegate-attempt", "tidegate-hops"} <= names


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway with a few events in a thread of its own, as schemathesis calls without a loop."""
    folder: Path = tmp_path_factory.mktemp("openapi")
    found: list[str] = []
    ready, done = threading.Event(), threading.Event()

    async def main() -> None:
        async with served(folder, TOML) as gate:
            for type_ in ("a.x", "b.x"):
                await gate.api.post("/events", {"source": "crm", "type": type_, "data": {"n": 1}})
            found.append(gate.url)
            ready.set()
            await asyncio.get_running_loop().run_in_executor(None, done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert ready.wait(20)
    yield found[0]
    done.set()
    thread.join(30)


def operations(*, items: bool) -> list[tuple[str, str]]:
    """The stream has no end, and a backup writes to the path of its body. `items`: only these are written."""
    wanted = {("PUT", f"{PREFIX}/{kind}/{{name}}") for kind in ("sources", "destinations", "credentials")}
    left_out = {f"{PREFIX}/events/stream", f"{PREFIX}/backup"}
    everything = [(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods]
    return [one for one in everything if one[1] not in left_out and (one in wanted) is items]


@pytest.fixture(scope="module")
def documented() -> Any:
    from support.gateway.documented import Documented

    return Documented(DOCUMENT)


@pytest.mark.parametrize("operation", operations(items=False), ids=" ".join)
def test_the_api_answers_as_documented_whatever_is_sent(
    documented: Any, address: str, operation: tuple[str, str]
) -> None:
    documented.check(operation, address, ADMIN)


@pytest.mark.parametrize("operation", operations(items=True), ids=" ".join)
def test_an_item_is_stored_or_refused_as_documented(documented: Any, address: str, operation: tuple[str, str]) -> None:
    """The keys of items have examples, which schemathesis would send one by one: hundreds of requests for little."""
    from support.gateway.documented import GENERATED

    documented.check(operation, address, ADMIN, GENERATED)
