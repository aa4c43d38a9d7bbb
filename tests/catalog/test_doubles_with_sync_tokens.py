"""Sync tokens and delta links against a list that has them: only changes are read, an expired token loses nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from support.catalog.auth import bearer
from support.catalog.calls import Item
from support.catalog.cases import folder
from support.catalog.driver import polled
from support.catalog.shape import Double, State, Table
from support.catalog.sync import Synced
from support.catalog.times import iso_ms
from tidegate.config.spec import ApiInput, Source
from tidegate.rules.sync.spec import Resource


def row(state: State) -> dict[str, Any]:
    return {"id": f"e{state.number}", "summary": state.mark, "updated": iso_ms(state.at_us), "status": "confirmed"}


def tombstone(state: State) -> dict[str, Any]:
    return {"id": f"e{state.number}", "status": "removed", "summary": state.mark}


TABLE = Table(name="events", row=row, tombstone=tombstone, ident=lambda number: f"e{number}", resolution_us=1000)
TOKENS = Synced(path="/events", table="events", put="items", size="maxResults", alone=("maxResults",))
LINKS = Synced(
    path="/events", table="events", put="value", links=True, page="$skiptoken", sync="$deltatoken",
    page_out="@odata\\.nextLink", sync_out="@odata\\.deltaLink",
)  # fmt: skip
RESOURCES: dict[str, tuple[Synced, dict[str, Any]]] = {
    "tokens": (
        TOKENS,
        {
            "data_selector": "items",
            "params": {"maxResults": 250},
            "paginator": {"type": "cursor", "cursor_path": "nextPageToken", "cursor_param": "pageToken"},
            "incremental": {"token_path": "nextSyncToken", "param": "syncToken"},
        },
    ),
    "links": (
        LINKS,
        {
            "data_selector": "value",
            "paginator": {"type": "json_link", "next_url_path": '"@odata.nextLink"'},
            "incremental": {"link_path": '"@odata.deltaLink"'},
        },
    ),
}


@pytest.mark.parametrize("item_path", ["", "/events/{id}"], ids=["twice_missing", "asked_for"])
@pytest.mark.parametrize("kind", RESOURCES)
async def test_a_list_with_tokens_is_read_by_its_changes(kind: str, item_path: str) -> None:
    """What was deleted while a token expired is in no list: the full run misses it."""
    call, keys = RESOURCES[kind]
    double = Double(
        name=f"synced-{kind}", sources=("this test",), auth=bearer(), tables=(TABLE,), resources={"events": "events"},
        calls=(call, Item(path="/events/{id}", table="events", gone="shown")),
    )  # fmt: skip
    flag = {"mode": "flag", "path": "status", "values": ["removed"]}
    found = {"path": "/events", "poll": "1h", "version": "updated", "deletes": flag, "item_path": item_path, **keys}
    api = msgspec.convert({"base_url": "http://127.0.0.1", "auth": double.auth.config}, ApiInput)
    source = Source(api=api, resources={"events": msgspec.convert(found, Resource)})
    for seed in range(1, 4):
        with folder() as path:
            async with polled(path, double, source, seed) as one:
                await one.live(100)
                await one.check("events")
