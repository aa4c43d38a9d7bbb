"""A JSON object with the same member twice is reported and explained."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from support.gateway.api import served
from support.gateway.ingress import IngressSetup, with_ingress
from tidegate.config.spec import Source
from tidegate.core.spec import WebhookInput
from tidegate.receive.accepting import LOOKED_BYTES, LOOKS_PER_SECOND
from tidegate.receive.inputs import compile_input
from tidegate.rules.language.repeated_members import repeated_members
from tidegate.rules.language.view import payload

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("body", "content_type", "encoding", "names"),
    [
        (b'{"a":1,"a":2}', JSON, "", ["a"]),
        (b'{"a":1,"\\u0061":2}', JSON, "", ["a"]),
        (b'[{"x":{"b":1,"c":2,"b":1,"c":4}}]', JSON, "", ["b", "c"]),
        (b'{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}],"A":1}', JSON, "", []),
        (b'{"a":"\\"a\\":1,\\"a\\":2"}', JSON, "", []),
        (b'{"a":1}\n{"a":1,"b":1,"b":2}\n', "application/x-ndjson", "", ["b"]),
        ('{"é":1,"é":2}'.encode("utf-16"), JSON, "", ["é"]),
        (gzip.compress(b'{"a":1,"a":2}', mtime=0), JSON, "gzip", ["a"]),
        (b"payload=%7B%22a%22%3A1%2C%22a%22%3A2%7D&b=1", FORM, "", ["a"]),
        (b"a=1&a=2", FORM, "", []),
        (b'{"a":1,"a":', JSON, "", []),
        (b"[" * 100_000, JSON, "", []),
        (b'{"a":1,"a":"' + b"x" * (1 << 20) + b'"}', JSON, "", []),
        (b'{"' + b"n" * 500 + b'":1,"' + b"n" * 500 + b'":2}', JSON, "", ["n" * 60]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_members_that_come_twice_in_one_object_are_found(
    body: bytes, content_type: str, encoding: str, names: list[str]
) -> None:
    assert repeated_members(body, content_type, encoding) == names


def test_they_are_reported_and_everybody_here_reads_the_last_one(tmp_path: Path) -> None:
    async def work(setup: IngressSetup) -> None:
        one = WebhookInput(verify="none", type_path="data.kind")
        split = WebhookInput(verify="none", split="items")
        setup.extra = {
            "one": compile_input("one", Source(webhook=one), ""),
            "split": compile_input("split", Source(webhook=split), ""),
        }
        body = b'{"data":{"kind":"first"},"data":{"kind":"x","kind":"last"}}'
        assert (await setup.call("one", body)).status == 202
        assert (await setup.call("split", b'{"items":[{"n":1}],"items":[{"n":2}]}')).status == 202
        event, item = await setup.events()
        assert (event.type, payload(event)) == ("last", {"data": {"kind": "last"}})
        assert payload(item) == {"n": 2}
        found = [(one.code, one.subject, one.samples) for one in setup.findings.listed()]
        assert sorted(found) == [
            ("members_repeated", "source:one", ["kind, data"]), ("members_repeated", "source:split", ["items"])
        ]  # fmt: skip

    with_ingress(tmp_path, work)


@pytest.mark.parametrize(("size", "times"), [(0, LOOKS_PER_SECOND), (LOOKED_BYTES // 4, 3), (LOOKED_BYTES, 0)])
def test_a_flood_is_looked_at_as_far_as_it_costs_nothing(tmp_path: Path, size: int, times: int) -> None:
    async def work(setup: IngressSetup) -> None:
        setup.extra = {"s": compile_input("s", Source(webhook=WebhookInput(verify="none")), "")}
        body = json.dumps({"pad": "x" * size}).encode()[:-1] + b',"a":1,"a":2}'
        for _ in range(LOOKS_PER_SECOND + 5):
            assert (await setup.call("s", body)).status == 202
        assert sum(one.count for one in setup.findings.listed()) == times
        setup.clock.advance(1.0)
        await setup.call("s", b'{"a":1,"a":2}')
        assert sum(one.count for one in setup.findings.listed()) == times + 1

    with_ingress(tmp_path, work)


async def test_explain_looks_at_each_event(tmp_path: Path) -> None:
    async with served(tmp_path, '[sources.s.webhook]\nverify = "none"\nmax_body = "2MiB"\n') as gate:

        async def notes(body: bytes) -> str:
            made = (await gate.api("POST", "/in/s", body, headers={"content-type": JSON})).json()["id"]
            return " ".join((await gate.api.get(f"/explain/{made}"))["notes"])

        assert "an object of the body has these members twice: 'a', 'b'; filters" in await notes(
            b'{"a":1,"a":2,"b":[],"b":0}'
        )
        assert "twice" not in await notes(b'{"a":1,"b":2}')
        assert "longer than 1 MiB, so nobody looked" in await notes(b'{"a":"' + b"x" * (1 << 20) + b'"}')
