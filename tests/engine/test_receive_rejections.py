"""The receive door against a real store: what is rejected, with which status and reason, and what was read of it."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time

import pytest

from support.gateway.ingress import BODY, scope, with_ingress
from tidegate.config.spec import Source
from tidegate.core.errors import StoreBusy
from tidegate.core.spec import WebhookInput
from tidegate.receive.ingress import BODY_SECONDS
from tidegate.receive.inputs import compile_input
from tidegate.rules.language.view import VERIFIED, noted


def test_the_reason_of_a_401_is_recorded_and_not_sent(tmp_path):
    async def work(setup):
        cases = {
            "signature_missing": ("shop", []),
            "signature_wrong": ("shop", setup.signed(key=b"x" * 32)),
            "too_old": ("shop", setup.signed(at=setup.now - 301)),
            "too_new": ("shop", setup.signed(at=setup.now + 301)),
            "timestamp_missing": ("shop", [h for h in setup.signed() if h[0] != "webhook-timestamp"]),
            "malformed": ("shop", [("webhook-id", "x"), ("webhook-timestamp", "1"), ("webhook-signature", "v1=!")]),
            "secret_unset": ("unset", setup.signed()),
        }
        bodies = set()
        for source, headers in cases.values():
            answer = await setup.call(source, headers=headers)
            assert answer.status == 401
            assert answer.headers["content-type"] == "application/problem+json"
            bodies.add(answer.body)
        assert len(bodies) == 1, "the answers tell the cases apart"
        assert [rejection.reason for rejection in setup.rejections] == list(cases)
        assert {(r.source, r.remote) for r in setup.rejections} == {("shop", "192.0.2.7"), ("unset", "192.0.2.7")}
        assert await setup.events() == ()

    with_ingress(tmp_path, work)


@pytest.mark.parametrize("source", ["nothing", "", "open//", "open/x", "crm", "../open"])
def test_an_unknown_source_is_404(tmp_path, source):
    async def work(setup):
        answer = await setup.call(source)
        assert (answer.status, answer.json["status"], answer.json["code"]) == (404, 404, "source_unknown")
        assert answer.json["type"] == "urn:tidegate:problem:source_unknown", "the same form as the errors of the API"
        (rejection,) = setup.rejections
        assert rejection.reason == "source_unknown"
        assert rejection.detail.startswith(f"POST /in/{source}")
        assert ("did the sender mean /in/open?" in rejection.detail) is (source in ("open//", "open/x", "../open"))

    with_ingress(tmp_path, work)


def test_a_declared_length_over_the_limit_is_413_before_a_byte_is_read(tmp_path):
    async def work(setup):
        unread = [{"type": "never"}]
        answer = await setup.call("open", headers=[("content-length", "1025")], messages=unread)
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert (await setup.call("open", headers=[("content-length", "9" * 5000)], messages=unread)).status == 413
        assert setup.rejections[0].reason == "too_large"

    with_ingress(tmp_path, work)


def test_an_endless_body_is_413_without_reading_it_all(tmp_path):
    async def work(setup):
        pieces = [{"type": "http.request", "body": b"x" * 400, "more_body": True} for _ in range(50)]
        left = list(pieces)
        sent = []

        async def receive():
            return left.pop(0)

        async def send(message):
            sent.append(message)

        await setup.door(scope("open"), receive, send)
        assert sent[0]["status"] == 413
        assert len(pieces) - len(left) == 3
        assert (await setup.call("open", b"x" * 1024)).status == 202
        assert (await setup.call("open", b"x" * 1025)).status == 413

    with_ingress(tmp_path, work)


@pytest.mark.parametrize("messages", [[], [{"type": "http.request", "body": b"x", "more_body": True}]])
def test_a_body_that_does_not_come_is_408_after_fifteen_seconds(tmp_path, messages):
    async def work(setup):
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

        request = asyncio.ensure_future(setup.door(scope("open"), receive, send))
        await started.wait()
        setup.clock.advance(BODY_SECONDS - 1)
        setup.door.sweep()
        await asyncio.sleep(0)
        assert sent == []
        setup.clock.advance(2)
        setup.door.sweep()
        await request
        assert sent[0]["status"] == 408
        assert request.cancelling() == 0, "the cancel was used up by the answer"
        assert setup.rejections[0].reason == "too_slow"
        assert (await setup.call("open")).status == 202

    with_ingress(tmp_path, work)


def test_a_request_that_is_canceled_by_the_server_stays_canceled(tmp_path):
    async def work(setup):
        request = asyncio.ensure_future(
            setup.call("open", messages=[{"type": "http.request", "body": b"", "more_body": True}])
        )
        await asyncio.sleep(0)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request

    with_ingress(tmp_path, work)


def test_a_caller_that_hangs_up_in_the_body_stores_nothing(tmp_path):
    async def work(setup):
        for messages in (
            [{"type": "http.disconnect"}],
            [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}],
        ):
            assert await setup.call("open", messages=messages) is None
        assert await setup.events() == ()
        assert setup.rejections == []

    with_ingress(tmp_path, work)


def test_another_method_is_405_and_says_what_is_allowed(tmp_path):
    async def work(setup):
        for method in ("GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"):
            answer = await setup.call("open", method=method)
            assert (answer.status, answer.headers["allow"]) == (405, "POST")
        assert (await setup.call("people", method="GET")).headers["allow"] == "GET, POST"

    with_ingress(tmp_path, work)


def test_over_capacity_is_503_with_retry_after_and_no_byte_is_read(tmp_path):
    async def work(setup):
        setup.full = True
        answer = await setup.call("open", messages=[{"type": "never"}])
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert setup.rejections == []

    with_ingress(tmp_path, work)


class RefusingLog:
    """Stands for a store whose disk does not confirm."""

    instance = "000000"

    def append(self, events, strict=False):
        raise StoreBusy("the disk did not confirm a write in time", retry_after_seconds=7)


def test_what_cannot_be_stored_is_503_with_retry_after(tmp_path):
    async def work(setup):
        answer = await setup.call("open")
        assert (answer.status, answer.headers["retry-after"]) == (503, "7")
        assert setup.rejections[0].reason == "over_capacity"
        assert b"disk" not in answer.body

    with_ingress(tmp_path, work, log=RefusingLog())


def test_an_input_that_contradicts_itself_is_an_internal_error_and_not_4xx(tmp_path):
    async def work(setup):
        assert (await setup.call("broken")).status == 503
        assert setup.rejections[0].reason == "config_invalid"

    with_ingress(tmp_path, work)


@pytest.mark.parametrize(
    ("value", "status", "hops"), [("0", 202, 1), ("5", 202, 6), ("6", 400, None), ("x", 202, 1), ("9" * 30, 400, None)]
)
def test_what_came_through_more_than_five_gateways_is_refused(tmp_path, value, status, hops):
    async def work(setup):
        answer = await setup.call("open", headers=[("tidegate-hops", value)])
        assert answer.status == status
        if hops is None:
            assert setup.rejections[0].reason == "hops_exceeded"
        else:
            assert (await setup.events())[0].hops == hops

    with_ingress(tmp_path, work)


# -- what a rejection says to the operator ---------------------------------------------------------------


def github(body, secret=b"s"):
    return [("x-hub-signature-256", "sha256=" + hmac.digest(secret, body, "sha256").hex())]


def square(signed):
    return base64.b64encode(hmac.digest(b"s", signed, "sha256"))


DETAILS = {
    "another source": ("code2", BODY, github(BODY), "fits the secret of source 'code'"),
    "a line end": ("code", BODY + b"\n", github(BODY), "changed on its way, probably by a proxy"),
    "compact JSON": ("code", b'{ "a": 1 }', github(b'{"a":1}'), "as compact JSON"),
    "no secret": ("code", BODY, github(BODY, b"x"), "no secret of this source fits"),
    "another provider": ("code", BODY, [("stripe-signature", "t=1,v1=a")], "it has stripe-signature, as stripe sends"),
    "nothing": ("code", BODY, [], "the request has no x-hub-signature-256"),
    "another time": (
        "chat", BODY, [("x-slack-signature", "v0=aa"), ("x-slack-request-timestamp", "yesterday")],
        "the time in x-slack-request-timestamp cannot be read",
    ),
    "no id": (
        "shop", BODY, [("webhook-signature", "v1,YQ=="), ("webhook-timestamp", "1800000000")],
        "the request has a signature and no webhook-id",
    ),
    "another slash": (
        "squares", BODY,
        [("x-square-hmacsha256-signature", square(b"https://gate.example.com/in/squares/" + BODY))],
        "with another slash at its end",
    ),
    "another form": ("code", BODY, [("x-hub-signature-256", "zz")], "x-hub-signature-256 with sha256=, hex"),
}  # fmt: skip


@pytest.mark.parametrize("name", DETAILS)
def test_a_wrong_signature_is_explained_to_the_operator_only(tmp_path, name):
    async def work(setup):
        source, body, headers, words = DETAILS[name]
        setup.extra = {"code2": compile_input("code2", Source(webhook=WebhookInput(verify="github", secret="o")), "")}
        answer = await setup.call(source, body, headers)
        assert answer.status == 401
        assert words in setup.rejections[0].detail
        plain = await setup.call("code", BODY, github(BODY, b"y"))
        assert answer.body == plain.body, "the sender learns nothing"

    with_ingress(tmp_path, work)


def test_an_address_that_is_not_the_public_one_is_named(tmp_path):
    async def work(setup):
        mac = base64.b64encode(hmac.digest(b"s", b"http://gate.internal/in/squares" + BODY, "sha256"))
        headers = [("x-square-hmacsha256-signature", mac), ("host", "gate.internal")]
        assert (await setup.call("squares", BODY, headers)).status == 401
        assert "the sender signed the address http://gate.internal/in/squares" in setup.rejections[0].detail

    with_ingress(tmp_path, work)


@pytest.mark.parametrize(
    ("off", "date", "words"),
    [
        (-3600, None, "60 minutes behind this machine's clock; 300 s are allowed; compare both clocks"),
        (3600, None, "60 minutes ahead of this machine's clock"),
        (-3600, "Fri, 15 Jan 2027 08:00:00 GMT", "an old one that was sent again"),
        (-3600, "Fri, 15 Jan 2027 07:00:00 GMT", "one of the two clocks is wrong"),
    ],
)
def test_a_clock_that_is_off_is_said_with_its_difference(tmp_path, off, date, words):
    async def work(setup):
        headers = setup.signed(at=setup.now + off) + ([("date", date)] if date else [])
        assert (await setup.call("shop", headers=headers)).status == 401
        assert words in setup.rejections[0].detail

    with_ingress(tmp_path, work)


def test_diagnoses_are_bounded_and_no_detail_holds_a_secret(tmp_path):
    async def work(setup):
        for _ in range(50):
            await setup.call("code", BODY, github(BODY, b"x"))
        details = [one.detail for one in setup.rejections]
        assert sum("no secret of this source fits" in detail for detail in details) == 20
        assert details[-1] == f"{len(BODY)} bytes"
        assert not any("sha256=" in detail for detail in details)

    with_ingress(tmp_path, work)


def test_large_bodies_with_wrong_signatures_do_not_hold_the_loop(tmp_path):
    async def work(setup):
        body = json.dumps([{"a": n} for n in range(4500)]).encode()
        began = time.thread_time()
        for _ in range(50):
            assert (await setup.call("code", body, github(body, b"x"))).status == 401
        assert time.thread_time() - began < 0.5, "it was 1 s of 1 s"
        details = [one.detail for one in setup.rejections]
        assert sum("no secret of this source fits" in detail for detail in details) == 2
        assert details[-1] == f"{len(body)} bytes", "what is left out says how large it was"

    with_ingress(tmp_path, work)


def test_hundreds_of_candidates_are_malformed(tmp_path):
    async def work(setup):
        headers = setup.signed()
        many = [(n, "v1,AAAA " * 200 + v) if n == "webhook-signature" else (n, v) for n, v in headers]
        assert (await setup.call("shop", headers=many)).status == 401
        assert setup.rejections[0].reason == "malformed"
        twice = [*headers, ("webhook-signature", "v1,AAAA")]
        assert (await setup.call("shop", headers=twice)).status == 202, "a repeated header is joined"

    with_ingress(tmp_path, work)


def test_an_id_cannot_take_a_part_of_the_signed_text_into_itself(tmp_path):
    async def work(setup):
        body = b'123.{"type":"order.paid"}'
        headers = dict(setup.signed(body))
        moved = [
            ("webhook-id", f"msg_1.{headers['webhook-timestamp']}"),
            ("webhook-timestamp", "123"),
            *headers.items(),
        ]
        moved = [*moved[:2], ("webhook-signature", headers["webhook-signature"])]
        assert (await setup.call("shop", b'{"type":"order.paid"}', moved)).status == 401
        assert setup.rejections[0].reason == "malformed"

    with_ingress(tmp_path, work)


# -- several events in one request -----------------------------------------------------------------------


def splitting(path, **more):
    return compile_input("s", Source(webhook=WebhookInput(verify="none", split=path, id_path="id", **more)), "")


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("$", b'[{"type":"a","id":1, "n":10.50},{"type":"b","id":2}]', []),
        ("events", b'{"events":[{"type":"a","id":1, "n":10.50},{"type":"b","id":2}],"x":[[[1]]]}', []),
        ('a."b.c"', b'{"a":{"b.c":[{"type":"a","id":1, "n":10.50},{"type":"b","id":2}]}}', []),
        ("$", b'{"type":"a","id":1, "n":10.50}\n{"type":"b","id":2}\n', [("content-type", "application/x-ndjson")]),
    ],
)
def test_each_item_is_an_event_with_its_own_type_and_id(tmp_path, path, body, headers):
    async def work(setup):
        setup.extra = {"s": splitting(path)}
        first = await setup.call("s", body, headers)
        again = await setup.call("s", body, headers)
        assert (first.status, again.status) == (202, 200)
        assert len(first.json["data"]) == 2
        assert again.json == first.json
        events = await setup.events()
        assert [event.type for event in events] == ["a", "b"]
        assert b"10.50" in events[0].body
        assert {event.content_type for event in events} == {"application/json"}

    with_ingress(tmp_path, work)


def test_a_batch_without_ids_is_known_by_the_id_of_its_request(tmp_path):
    async def work(setup):
        setup.extra = {"s": splitting("events")}
        body = b'{"events":[{"type":"a"},{"type":"a"},{"type":"b"}]}'
        for status in (202, 200):
            assert (await setup.call("s", body, [("webhook-id", "d-1")])).status == status
        assert len(await setup.events()) == 3

    with_ingress(tmp_path, work)


def test_an_empty_batch_and_a_body_without_the_list_are_reported(tmp_path):
    async def work(setup):
        setup.extra = {"s": splitting("events")}
        empty = await setup.call("s", b'{"events":[]}')
        assert (empty.status, empty.json) == (202, {"data": []})
        assert (await setup.call("s", b'{"type":"x"}')).status == 202
        assert (await setup.call("s", b'{"events":[' + b",".join([b"{}"] * 1001) + b"]}")).status == 413
        assert sorted(one.code for one in setup.findings.listed()) == ["batch_empty", "split_not_a_list"]
        assert [one.reason for one in setup.rejections] == ["too_many_items"]
        assert [event.type for event in await setup.events()] == ["x"]

    with_ingress(tmp_path, work)


def test_what_verified_a_request_is_stored_with_its_event(tmp_path):
    async def work(setup):
        rotated = Source(webhook=WebhookInput(verify="github", secret=["new", "s"]))
        setup.extra = {"code": compile_input("code", rotated, "")}
        await setup.call("code", BODY, github(BODY))
        await setup.call("open", BODY)
        signed, unsigned = await setup.events()
        assert noted(signed.headers, VERIFIED) == "github 1 2"
        assert noted(unsigned.headers, VERIFIED) == ""

    with_ingress(tmp_path, work)
