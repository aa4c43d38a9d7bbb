"""The receive door against a real store: what is turned away, with which status and reason, and what was read of it."""

from __future__ import annotations

import asyncio

import pytest

from support.ingress import on_bench, scope
from tidegate.core.errors import StoreBusy
from tidegate.receive.ingress import BODY_SECONDS


def test_the_reason_of_a_401_is_recorded_and_not_told(tmp_path):
    async def work(bench):
        cases = {
            "signature_missing": ("shop", []),
            "signature_wrong": ("shop", bench.signed(key=b"x" * 32)),
            "too_old": ("shop", bench.signed(at=bench.now - 301)),
            "too_new": ("shop", bench.signed(at=bench.now + 301)),
            "timestamp_missing": ("shop", [h for h in bench.signed() if h[0] != "webhook-timestamp"]),
            "malformed": ("shop", [("webhook-id", "x"), ("webhook-timestamp", "1"), ("webhook-signature", "v1=!")]),
            "secret_unset": ("unset", bench.signed()),
        }
        bodies = set()
        for source, headers in cases.values():
            answer = await bench.call(source, headers=headers)
            assert answer.status == 401
            assert answer.headers["content-type"] == "application/problem+json"
            bodies.add(answer.body)
        assert len(bodies) == 1, "the answers tell the cases apart"
        assert [refusal.reason for refusal in bench.rejections] == list(cases)
        assert {(r.source, r.remote) for r in bench.rejections} == {("shop", "192.0.2.7"), ("unset", "192.0.2.7")}
        assert await bench.events() == ()

    on_bench(tmp_path, work)


@pytest.mark.parametrize("source", ["nothing", "", "open//", "open/x", "crm", "../open"])
def test_an_unknown_source_is_404(tmp_path, source):
    async def work(bench):
        answer = await bench.call(source)
        assert (answer.status, answer.json["status"], answer.json["code"]) == (404, 404, "source_unknown")
        assert [(one.reason, one.detail) for one in bench.rejections] == [("source_unknown", f"POST /in/{source}")]

    on_bench(tmp_path, work)


def test_a_declared_length_over_the_limit_is_413_before_a_byte_is_read(tmp_path):
    async def work(bench):
        unread = [{"type": "never"}]
        answer = await bench.call("open", headers=[("content-length", "1025")], messages=unread)
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert (await bench.call("open", headers=[("content-length", "9" * 5000)], messages=unread)).status == 413
        assert bench.rejections[0].reason == "too_large"

    on_bench(tmp_path, work)


def test_an_endless_body_is_413_without_reading_it_all(tmp_path):
    async def work(bench):
        pieces = [{"type": "http.request", "body": b"x" * 400, "more_body": True} for _ in range(50)]
        left = list(pieces)
        sent = []

        async def receive():
            return left.pop(0)

        async def send(message):
            sent.append(message)

        await bench.door(scope("open"), receive, send)
        assert sent[0]["status"] == 413
        assert len(pieces) - len(left) == 3
        assert (await bench.call("open", b"x" * 1024)).status == 202
        assert (await bench.call("open", b"x" * 1025)).status == 413

    on_bench(tmp_path, work)


@pytest.mark.parametrize("messages", [[], [{"type": "http.request", "body": b"x", "more_body": True}]])
def test_a_body_that_does_not_come_is_408_after_fifteen_seconds(tmp_path, messages):
    async def work(bench):
        stuck = [*messages, {"type": "wait"}]
        started = asyncio.Event()
        sent = []

        async def receive():
            message = stuck.pop(0)
            if message["type"] == "wait":
                started.set()
                await asyncio.Event().wait()
            return message

        async def send(message):
            sent.append(message)

        request = asyncio.ensure_future(bench.door(scope("open"), receive, send))
        await started.wait()
        bench.clock.advance(BODY_SECONDS - 1)
        bench.door.sweep()
        await asyncio.sleep(0)
        assert sent == []
        bench.clock.advance(2)
        bench.door.sweep()
        await request
        assert sent[0]["status"] == 408
        assert request.cancelling() == 0, "the cancel was used up by the answer"
        assert bench.rejections[0].reason == "too_slow"
        assert (await bench.call("open")).status == 202

    on_bench(tmp_path, work)


def test_a_request_that_is_cancelled_by_the_server_stays_cancelled(tmp_path):
    async def work(bench):
        request = asyncio.ensure_future(
            bench.call("open", messages=[{"type": "http.request", "body": b"", "more_body": True}])
        )
        await asyncio.sleep(0)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request

    on_bench(tmp_path, work)


def test_a_caller_that_hangs_up_in_the_body_stores_nothing(tmp_path):
    async def work(bench):
        for messages in (
            [{"type": "http.disconnect"}],
            [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}],
        ):
            assert await bench.call("open", messages=messages) is None
        assert await bench.events() == ()
        assert bench.rejections == []

    on_bench(tmp_path, work)


def test_another_method_is_405_and_says_what_is_allowed(tmp_path):
    async def work(bench):
        for method in ("GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"):
            answer = await bench.call("open", method=method)
            assert (answer.status, answer.headers["allow"]) == (405, "POST")
        assert (await bench.call("people", method="GET")).headers["allow"] == "GET, POST"

    on_bench(tmp_path, work)


def test_over_capacity_is_503_with_retry_after_and_no_byte_is_read(tmp_path):
    async def work(bench):
        bench.full = True
        answer = await bench.call("open", messages=[{"type": "never"}])
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert bench.rejections == []

    on_bench(tmp_path, work)


class RefusingLog:
    """Stands for a store whose disk does not confirm."""

    instance = "000000"

    def append(self, events, strict=False):
        raise StoreBusy("the disk did not confirm a write in time", retry_after_seconds=7)


def test_what_cannot_be_stored_is_503_with_retry_after(tmp_path):
    async def work(bench):
        answer = await bench.call("open")
        assert (answer.status, answer.headers["retry-after"]) == (503, "7")
        assert bench.rejections[0].reason == "over_capacity"
        assert b"disk" not in answer.body

    on_bench(tmp_path, work, log=RefusingLog())


def test_an_inlet_that_contradicts_itself_is_our_fault_and_no_4xx(tmp_path):
    async def work(bench):
        assert (await bench.call("broken")).status == 503
        assert bench.rejections[0].reason == "config_invalid"

    on_bench(tmp_path, work)


@pytest.mark.parametrize(
    ("value", "status", "hops"), [("0", 202, 1), ("5", 202, 6), ("6", 400, None), ("x", 202, 1), ("9" * 30, 400, None)]
)
def test_what_came_through_more_than_five_gateways_is_refused(tmp_path, value, status, hops):
    async def work(bench):
        answer = await bench.call("open", headers=[("tidegate-hops", value)])
        assert answer.status == status
        if hops is None:
            assert bench.rejections[0].reason == "hops_exceeded"
        else:
            assert (await bench.events())[0].hops == hops

    on_bench(tmp_path, work)
