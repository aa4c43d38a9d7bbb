"""A wrong fact in a provider file fails the tests of the catalog: each row breaks one, and says what is noticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.catalog.cases import MODULES, double_of
from support.catalog.configured import source_of
from support.catalog.doubles import hubspot
from support.catalog.driver import polled
from support.catalog.operations import Operations
from tidegate.config.spec import Source
from tidegate.providers import provider_data, provider_names
from tidegate.rules.sync.spec import Resource

CHANGES = 80
WRONG: list[tuple[str, str, dict[str, Any], str]] = [
    ("github", "issues", {"params": {"state": "open"}}, "is not a record|should be at"),
    ("github", "issues", {"incremental": {"param": "updated_since"}}, "a quiet poll reads"),
    ("github", "issues", {"params": {"state": "all", "order": "asc"}}, "does not have the parameters"),
    ("github", "pulls", {"primary_key": "title"}, "is not a record|is two records|is a record"),
    ("stripe", "customers", {"paginator": {"cursor_param": "after"}}, "is not a record"),
    ("hubspot", "contacts", {"incremental": {"format": "epoch_s"}}, "a quiet poll reads"),
    ("salesforce", "contacts", {"incremental": {"format": "epoch_ms"}}, "no run finished"),
    ("salesforce", "contacts", {"path": "/query"}, "was deleted and is a record"),
    ("slack", "channels", {"paginator": {"cursor_path": "next_cursor"}}, "is not a record|should be at"),
    ("slack", "messages", {"params": {"limit": 200}}, "no run finished"),
    ("zendesk", "tickets", {"deletes": {"values": ["closed"]}}, "the tombstone|is a record"),
    ("paypal", "transactions", {"incremental": {"window": "40d"}}, "no run finished"),
    ("paypal", "transactions", {"incremental": {"lag": "30m"}}, "is not a record"),
    ("discourse", "posts", {"paginator": {"cursor_param": "after"}}, "is not a record"),
    ("monday", "items", {"paginator": {"cursor_body_path": "variables.after"}}, "is not a record|should be at"),
    ("google_sheets", "rows", {"header_row": False}, "no run finished"),
    ("gmail", "threads", {"params": {"q": "newer_than:1d"}}, "is not a record|should be at"),
    ("shopify", "orders", {"paginator": {"cursor_body_path": "variables.cursor"}}, "is not a record|should be at"),
]


def broken(source: Source, name: str, wrong: dict[str, Any]) -> Source:
    """The source with other keys in one resource. `params` replace all parameters."""
    tree = msgspec.to_builtins(source.resources[name])
    for key, value in wrong.items():
        tree[key] = {**tree[key], **value} if isinstance(value, dict) and key != "params" else value
    return msgspec.structs.replace(source, resources={**source.resources, name: msgspec.convert(tree, Resource)})


@pytest.mark.parametrize(("name", "resource", "wrong", "noticed"), WRONG, ids=[f"{a}-{c}" for a, _, c, _ in WRONG])
async def test_a_wrong_fact_is_noticed(
    tmp_path: Path, name: str, resource: str, wrong: dict[str, Any], noticed: str
) -> None:
    double = double_of(name)
    with pytest.raises(AssertionError, match=noticed):
        for seed in range(1, 4):
            async with polled(tmp_path / str(seed), double, broken(source_of(double), resource, wrong), seed) as one:
                await one.live(CHANGES)
                await one.check(resource)


@pytest.mark.parametrize("name", ["github", "slack", "shopify"])
async def test_a_wrong_credential_is_an_error_and_no_record(tmp_path: Path, name: str) -> None:
    """Whether the API says so by its status or in a body with status 200."""
    double = double_of(name)
    source = source_of(double)
    assert source.api is not None and source.api.auth is not None
    key = "token" if hasattr(source.api.auth, "token") else "api_key"
    auth = msgspec.structs.replace(source.api.auth, **{key: "another"})
    source = msgspec.structs.replace(source, api=msgspec.structs.replace(source.api, auth=auth))
    async with polled(tmp_path, double, source) as one:
        report = await one.engine.poll_now("s", one.names[0])
        assert report.error
        assert await one._records(one.names[0]) == {}


async def test_a_search_that_ends_after_10000_rows_is_read_on_from_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a hundredth of the size: two pages of 50 rows, as 50 pages of 200 in the real one."""
    monkeypatch.setattr(hubspot, "CAP", 100)
    source = source_of(hubspot.DOUBLE)
    contacts = source.resources["contacts"]
    contacts = msgspec.structs.replace(contacts, paginator=msgspec.structs.replace(contacts.paginator, max_pages=2))
    resources = {"contacts": contacts, "archived_contacts": source.resources["archived_contacts"]}
    async with polled(tmp_path, hubspot.DOUBLE, msgspec.structs.replace(source, resources=resources)) as one:
        for _ in range(140):
            one.world.rows("contacts").create()
            one.clock.advance(one.world.random.choice([0, 1, 60]))
        await one.live(100)
        await one.check("contacts")


async def test_a_repeat_that_creates_twice_is_noticed(tmp_path: Path) -> None:
    double = double_of("stripe")
    source = source_of(double)
    create = msgspec.structs.replace(source.operations["create_customer"], idempotency_header="")
    source = msgspec.structs.replace(source, operations={"create_customer": create})
    async with polled(tmp_path, double, source) as one:
        with pytest.raises(AssertionError, match="2 rows after a repeat"):
            await Operations(one).check("create_customer")


def test_every_provider_file_that_says_it_was_tested_with_a_double_has_one() -> None:
    tested = {name for name in provider_names() if provider_data(name).get("api", {}).get("tested_with") == "double"}
    assert tested <= {double_of(module).name for module in MODULES}
