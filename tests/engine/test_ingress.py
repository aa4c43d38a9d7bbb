"""The receive door against a real store: what is accepted, and what is a duplicate."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import threading

import pytest

from support.gateway.ingress import BODY, with_ingress
from tidegate.core.model import Origin
from tidegate.process.edge.server import bind, make_server
from tidegate.rules.language.view import event_view

# -- accepted --------------------------------------------------------------------------------------------


def test_a_valid_delivery_is_answered_202_with_the_id_of_the_stored_event(tmp_path):
    async def work(setup):
        answer = await setup.call("shop", headers=[*setup.signed(), ("authorization", "Bearer hidden")])
        assert answer.status == 202
        assert answer.headers["content-type"] == "application/json"
        (event,) = await setup.events()
        assert list(answer.json) == ["id"]
        assert answer.json["id"].startswith(f"evt_{setup.store.log.instance}")
        assert (event.source, event.type, event.origin, event.body) == ("shop", "order.paid", Origin.WEBHOOK, BODY)
        assert event.content_type == "application/json"
        assert event.received_at_us == setup.clock.now_us()
        assert event.audience == setup.router.number
        assert b"hidden" not in event.headers
        assert b"msg_1" in event.headers
        assert setup.rejections == []

    with_ingress(tmp_path, work)


def test_the_answer_waits_for_the_disk(tmp_path):
    async def work(setup):
        await setup.call("open")
        gate, entered = threading.Event(), threading.Event()

        def hold(connection):
            entered.set()
            assert gate.wait(10)

        held = setup.store.log._engine.write(hold)
        await asyncio.get_running_loop().run_in_executor(None, entered.wait, 10)
        request = asyncio.ensure_future(setup.call("open"))
        done, _ = await asyncio.wait({request}, timeout=0.05)
        assert not done, "answered before the commit"
        gate.set()
        assert (await request).status == 202
        await held
        assert len(await setup.events()) == 2

    with_ingress(tmp_path, work)


@pytest.mark.parametrize("body", [b"", b"\x00\xff\xfe", b"not json", b"[" * 5000, b'{"a":"\\ud800"}', b"[]"])
def test_any_bytes_are_accepted_and_kept_exactly(tmp_path, body):
    async def work(setup):
        answer = await setup.call("fixed", body)
        assert answer.status == 202
        (event,) = await setup.events()
        assert (event.body, event.type, event.key) == (body, "ping.received", None)

    with_ingress(tmp_path, work)


def test_a_body_in_pieces_is_put_together(tmp_path):
    async def work(setup):
        pieces = [{"type": "http.request", "body": bytes([b]), "more_body": True} for b in BODY]
        pieces.append({"type": "http.request", "body": b"", "more_body": False})
        assert (await setup.call("open", messages=pieces)).status == 202
        assert (await setup.events())[0].body == BODY

    with_ingress(tmp_path, work)


def test_a_provider_file_says_where_type_key_id_and_time_stand(tmp_path):
    async def work(setup):
        body = b'{"id":"evt_9","type":"charge.succeeded","created":1700000000,"data":{"object":{"id":"ch_1"}}}'
        mac = hmac.digest(b"whsec_x", f"{setup.now}.".encode() + body, "sha256").hex()
        answer = await setup.call("payments", body, [("Stripe-Signature", f"t={setup.now},v1={mac}")])
        assert answer.status == 202
        (event,) = await setup.events()
        assert (event.type, event.key, event.data_path) == ("charge.succeeded", "ch_1", "data")
        assert event.occurred_at_us == 1_700_000_000_000_000
        assert setup.router.views[-1]["data"] == {"object": {"id": "ch_1"}}
        again = await setup.call("payments", body, [("Stripe-Signature", f"t={setup.now},v1={mac}")])
        assert (again.status, again.json) == (200, answer.json)

    with_ingress(tmp_path, work)


def test_what_a_sender_calls_the_type_is_bounded(tmp_path):
    async def work(setup):
        for type_ in ("x" * 201, "a\nb", "a\x00b", 7, True, None, {}):
            await setup.call("open", json.dumps({"type": type_}).encode()[:1024])
        types = [event.type for event in await setup.events()]
        assert types == ["webhook.received"] * 3 + ["7"] + ["webhook.received"] * 3

    with_ingress(tmp_path, work)


def test_an_address_that_is_signed_is_the_public_one_with_its_query(tmp_path):
    async def work(setup):
        url = "https://gate.example.com/in/squares?a=1"
        mac = base64.b64encode(hmac.digest(b"s", url.encode() + BODY, "sha256"))
        headers = [("x-square-hmacsha256-signature", mac), ("host", "evil.example")]
        assert (await setup.call("squares", headers=headers, query=b"a=1")).status == 202
        assert (await setup.call("squares", headers=headers)).status == 401

    with_ingress(tmp_path, work)


def test_a_provider_may_demand_another_answer(tmp_path):
    async def work(setup):
        mac = base64.b64encode(hmac.digest(b"s", b"https://gate.example.com/in/phone" + b"a1", "sha1"))
        headers = [("x-twilio-signature", mac), ("content-type", "application/x-www-form-urlencoded")]
        answer = await setup.call("phone", b"a=1", headers)
        assert (answer.status, answer.body) == (200, b"<Response/>")
        assert len(await setup.events()) == 1

    with_ingress(tmp_path, work)


# -- again -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["webhook-id", "Idempotency-Key"])
def test_the_same_delivery_again_is_200_with_the_first_id_and_stored_once(tmp_path, name):
    async def work(setup):
        first = await setup.call("open", headers=[(name, "d-1")])
        again = await setup.call("open", headers=[(name, "d-1")])
        other = await setup.call("open", headers=[(name, "d-2")])
        assert (first.status, again.status, other.status) == (202, 200, 202)
        assert again.json == first.json != other.json
        assert [event.differs for event in await setup.events()] == [False, False]

    with_ingress(tmp_path, work)


def test_the_same_id_with_other_content_is_an_event_of_its_own_and_reported(tmp_path):
    async def work(setup):
        contents = [b'{"type":"a","n":1}', b'{"type":"b","n":1}', b'{"type":"a","n":2}', BODY, b"", b"\xff"]
        first = [await setup.call("open", body, [("webhook-id", "d-1")]) for body in contents]
        again = [await setup.call("open", body, [("webhook-id", "d-1")]) for body in contents]
        assert [answer.status for answer in first] == [202] * 6
        assert [(answer.status, answer.json) for answer in again] == [(200, answer.json) for answer in first]
        assert [event.body for event in await setup.events()] == contents
        (finding,) = [one for one in setup.findings.listed() if one.code == "delivery_id_reused"]
        assert (finding.subject, finding.count) == ("source:open", 5)

    with_ingress(tmp_path, work)


def test_a_repeat_that_differs_in_volatile_paths_only_is_one_event_and_marked(tmp_path):
    async def work(setup):
        bodies = [b'{"type":"a","n":1,"meta":{"attempt":%d,"tries":[{"no":%d}]}}' % (n, n) for n in range(3)]
        answers = [await setup.call("retrying", body, [("webhook-id", "d-1")]) for body in bodies]
        assert [answer.status for answer in answers] == [202, 200, 200]
        other = bodies[1].replace(b'"n":1', b'"n":2')
        assert (await setup.call("retrying", other, [("webhook-id", "d-1")])).status == 202
        events = await setup.events()
        assert [(event.body, event.differs) for event in events] == [(bodies[0], True), (other, False)]

    with_ingress(tmp_path, work)


def test_what_an_id_is_unique_by_and_whether_to_dedupe_are_set_per_source(tmp_path):
    async def work(setup):
        async def send(source, n, **headers):
            headers = [("webhook-id", "d-1"), *((name.replace("_", "-"), value) for name, value in headers.items())]
            return (await setup.call(source, b'{"type":"a","n":%d,"shop":"s%d"}' % (n, n), headers)).status

        assert [await send("scoped", 1, x_topic="t"), await send("scoped", 1, x_topic="u")] == [202, 202]
        assert [await send("scoped", 2, x_topic="t"), await send("scoped", 1, x_topic="t")] == [202, 200]
        assert [await send("undeduped", 1), await send("undeduped", 1)] == [202, 202]
        assert [one.code for one in setup.findings.listed()] == []

    with_ingress(tmp_path, work)


def test_one_hundred_copies_at_once_are_one_event(tmp_path):
    async def work(setup):
        calls = [setup.call("open", BODY, [("webhook-id", "d-1")]) for _ in range(100)]
        other = [setup.call("open", b"{}", [("webhook-id", "d-1")]) for _ in range(100)]
        answers = await asyncio.gather(*calls, *other)
        assert len({answer.json["id"] for answer in answers}) == 2
        assert sorted(answer.status for answer in answers) == [200] * 198 + [202] * 2
        assert len(await setup.events()) == 2

    with_ingress(tmp_path, work)


def test_an_id_whose_first_event_was_trimmed_loses_nothing(tmp_path):
    async def work(setup):
        await setup.call("open", BODY, [("webhook-id", "d-1")])
        await setup.call("open")
        await setup.store.log.trim(1, 10)
        assert (await setup.call("open", b"{}", [("webhook-id", "d-1")])).status == 202
        assert [event.body for event in await setup.events()] == [BODY, b"{}"]

    with_ingress(tmp_path, work)


def test_a_trailing_slash_is_the_same_address(tmp_path):
    async def work(setup):
        assert (await setup.call("open/")).status == 202
        mac = base64.b64encode(hmac.digest(b"s", b"https://gate.example.com/in/squares/" + BODY, "sha256"))
        assert (await setup.call("squares/", headers=[("x-square-hmacsha256-signature", mac)])).status == 202
        assert len(await setup.events()) == 2

    with_ingress(tmp_path, work)


def test_the_query_is_kept_without_its_credentials(tmp_path):
    async def work(setup):
        await setup.call("open", query=b"order=77&order=78&a=%20b&token=hidden&flag")
        (event,) = await setup.events()
        assert b"hidden" not in event.headers
        view = event_view(event)
        assert view["query"] == {"order": ["77", "78"], "a": " b", "token": "[redacted]", "flag": ""}
        assert view["headers"] == {}

    with_ingress(tmp_path, work)


def test_ids_of_two_sources_do_not_meet_and_none_means_no_dedupe(tmp_path):
    async def work(setup):
        for source, headers in (
            ("open", [("webhook-id", "d")]),
            ("fixed", [("webhook-id", "d")]),
            ("open", []),
            ("open", []),
        ):
            assert (await setup.call(source, headers=headers)).status == 202

    with_ingress(tmp_path, work)


def test_a_long_delivery_id_is_recognised_too(tmp_path):
    async def work(setup):
        long = "d" * 5000
        assert (await setup.call("open", headers=[("webhook-id", long)])).status == 202
        assert (await setup.call("open", headers=[("webhook-id", long)])).status == 200
        assert (await setup.call("open", headers=[("webhook-id", long + "x")])).status == 202

    with_ingress(tmp_path, work)


# -- over real HTTP --------------------------------------------------------------------------------------


async def raw(port, data):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()
    return answer


def test_over_http_the_door_answers_the_same(tmp_path):
    async def work(setup):
        listener = bind("127.0.0.1", 0)
        port = listener.getsockname()[1]
        server = make_server(setup.door)
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        head = b"POST /in/open HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        whole = await raw(port, head + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
        assert whole.startswith(b"HTTP/1.1 202")
        assert json.loads(whole.partition(b"\r\n\r\n")[2])["id"].startswith("evt_")
        chunked = await raw(port, head + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
        assert chunked.startswith(b"HTTP/1.1 202")
        large = await raw(
            port, b"POST /in/open HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999\r\n\r\n"
        )
        assert large.startswith(b"HTTP/1.1 413"), "the body was asked for"
        assert [event.body for event in await setup.events()] == [BODY, b"{}"]
        server.should_exit = True
        await serving

    with_ingress(tmp_path, work)
