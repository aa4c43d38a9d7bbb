"""The short way of received webhooks: what it takes and what it leaves, and that both ways answer and store alike."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from support.gateway.ingress import (
    BODY,
    OneRouter,
    ask_directly,
    decided,
    send_directly,
    with_ingress,
)
from support.gateway.running import until
from tidegate.core.errors import StoreBusy

SPACED = b'{"type":"order.paid", "n":1}'


def test_both_ways_answer_and_store_alike(tmp_path):
    async def work(setup):
        await decided(setup)
        requests = [
            ("open", BODY, []), ("shop", BODY, setup.signed()), ("shop", BODY, setup.signed(key=b"wrong" * 8)),
            ("shop", BODY, []), ("open", BODY, [("tidegate-hops", "9")]), ("open", b"\xff", [("x-a", 'quo"te')]),
            ("slackish", b'{"type":"url_verification","challenge":"q"}', []),
            ("fixed", BODY, [("authorization", "Bearer hidden"), ("x-b", "\xe9")]),
        ]  # fmt: skip
        for number, (source, body, headers) in enumerate(requests):
            short = [*headers, ("webhook-id", f"s{number}")] if source == "open" else headers
            usual = [*headers, ("webhook-id", f"u{number}")] if source == "open" else headers
            status, head, answer = await ask_directly(setup, source, body, short)
            if status == 202 and source == "shop":
                usual = setup.signed(id_="msg_2")
            other = await setup.call(source, body, usual)
            lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            assert (status, lines) == (other.status, other.headers), source
            assert (answer == other.body) or status == 202
        events = await setup.events()
        assert len(events) % 2 == 0
        for one, two in zip(events[::2], events[1::2], strict=True):
            same = msgspec.structs.replace(two, offset=one.offset, headers=one.headers)
            assert one == same
            assert b"hidden" not in one.headers
            assert len(one.headers) == len(two.headers)
        assert len(setup.rejections) == 2 * 3

    with_ingress(tmp_path, work)


def test_a_repeat_gets_the_first_id_on_both_ways(tmp_path):
    async def work(setup):
        await decided(setup)
        first = await ask_directly(setup, "shop", BODY, setup.signed())
        again = await ask_directly(setup, "shop", BODY, setup.signed())
        usual = await setup.call("shop", BODY, setup.signed())
        assert (first[0], again[0], usual.status) == (202, 200, 200)
        assert first[2] == again[2] == usual.body
        assert len(await setup.events()) == 1

    with_ingress(tmp_path, work)


def test_an_id_that_comes_again_with_another_body_is_run_the_usual_way_with_nothing_stored(tmp_path):
    async def work(setup):
        await decided(setup)
        await ask_directly(setup, "shop", BODY, setup.signed())
        taken, connection = send_directly(setup, "shop", SPACED, setup.signed(SPACED))
        assert taken
        await until(lambda: connection.runs_again)
        assert connection.answers == []
        assert len(await setup.events()) == 1

    with_ingress(tmp_path, work)


@pytest.mark.parametrize("source", ["", "nobody", "broken", "leads", "plain", "crm"])
def test_what_is_not_one_event_of_a_known_source_is_left_to_the_usual_way(tmp_path, source):
    async def work(setup):
        await decided(setup)
        assert send_directly(setup, source)[0] is False
        assert (setup.rejections, await setup.events()) == ([], ())

    with_ingress(tmp_path, work)


def test_without_a_number_of_its_decision_or_over_a_limit_nothing_is_taken(tmp_path):
    async def work(setup):
        assert send_directly(setup, "open")[0] is False, "no decision yet"
        await decided(setup)
        assert send_directly(setup, "open", b"x" * 1025)[0] is False, "over max_body"
        setup.full = True
        status, head, body = await ask_directly(setup, "open")
        assert (status, msgspec.json.decode(body)["code"]) == (503, "over_capacity"), "answered without a task"
        assert b"retry-after: 1" in head
        setup.full = False
        held = setup.door.budget.held
        setup.door.budget._total = held + len(BODY) - 1
        assert send_directly(setup, "open")[0] is False, "too many bytes are held"
        assert await setup.events() == ()

    with_ingress(tmp_path, work)


def test_bytes_are_held_until_the_answer_and_given_back(tmp_path):
    async def work(setup):
        await decided(setup)
        taken, connection = send_directly(setup, "open")
        assert taken
        assert setup.door.budget.held == len(BODY)
        await until(lambda: connection.answers)
        assert (setup.door.budget.held, setup.door.budget.by_source) == (0, {})

    with_ingress(tmp_path, work)


class LateLog:
    """Stands for a store whose disk does not confirm."""

    instance = "000000"

    def append_one(self, event, receipt):
        asyncio.get_running_loop().call_soon(receipt.set_exception, StoreBusy("the disk", retry_after_seconds=7))


def test_what_cannot_be_stored_is_503_with_retry_after_and_recorded(tmp_path):
    async def work(setup):
        setup.router = OneRouter(setup.store.log)
        await decided(setup)
        setup.door._accepter._router.number = 1
        status, head, body = await ask_directly(setup, "open")
        assert status == 503
        assert b"retry-after: 7" in head
        assert b"disk" not in body
        assert [one.reason for one in setup.rejections] == ["over_capacity"]
        assert setup.door.budget.held == 0

    with_ingress(tmp_path, work, log=LateLog())
