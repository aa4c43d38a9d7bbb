"""The receive door against a real store: every row of the contract's table of push in."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import threading
from pathlib import Path

import msgspec
import pytest

from support.stores import with_store
from tidegate.clock import ManualClock
from tidegate.config.model import FormInlet, HmacScheme, PublishInlet, Source, WebhookInlet
from tidegate.errors import StoreBusy
from tidegate.model import Origin
from tidegate.receive.door import BODY_SECONDS, ReceiveDoor
from tidegate.receive.inlets import compile_inlet
from tidegate.server import bind, make_server
from tidegate.store import EventQuery
from tidegate.store.sqlite import open_sqlite

HANDSHAKES = json.loads((Path(__file__).parent.parent / "data" / "vectors.json").read_text())["handshakes"]
BODY = b'{"type":"order.paid","n":1}'
KEY = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
SOURCES = {
    "open": Source(webhook=WebhookInlet(verify="none", max_body="1KiB")),
    "fixed": Source(webhook=WebhookInlet(verify="none", event_type="ping.received", key_path="data.id")),
    "shop": Source(webhook=WebhookInlet(verify="standard-webhooks", secret=SECRET)),
    "unset": Source(webhook=WebhookInlet(verify="standard-webhooks", secret="")),
    "broken": Source(webhook=WebhookInlet(verify=HmacScheme(header="X", signed="{timestamp}{body}"), secret="s")),
    "payments": Source(webhook=WebhookInlet(verify="stripe", secret="whsec_x")),
    "code": Source(webhook=WebhookInlet(verify="github", secret="s")),
    "chat": Source(webhook=WebhookInlet(verify="slack", secret="s")),
    "meetings": Source(webhook=WebhookInlet(verify="zoom", secret="s")),
    "people": Source(webhook=WebhookInlet(verify="okta", secret="Bearer x")),
    "squares": Source(webhook=WebhookInlet(verify="square", secret="s")),
    "phone": Source(webhook=WebhookInlet(verify="twilio", secret="s")),
    "leads": Source(
        form=FormInlet(event_type="lead.submitted", redirect="https://www.example.com/thanks", honeypot="website",
                       key_field="email", max_body="1KiB")
    ),
    "plain": Source(form=FormInlet()),
    "crm": Source(publish=PublishInlet()),
}  # fmt: skip


class Answered(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class OneRouter:
    """Everything is wanted by destination 1; the first decision has to be interned, as in a real start."""

    def __init__(self, log):
        self.log = log
        self.number = None
        self.views = []

    def decide(self, source, type, view, resource=None):
        self.views.append(view())
        return self.number

    async def decide_slow(self, source, type, view, resource=None):
        self.number = (await self.log.audience(source, (1,), ((1, 1),), ())).number
        return self.number


class Bench:
    """The door on a real store, called through ASGI."""

    def __init__(self, store, log=None):
        self.store = store
        self.clock = ManualClock()
        self.refusals = []
        self.full = False
        self.router = OneRouter(store.log)
        self.door = ReceiveDoor(
            log or store.log, self.inlet, self.router, self.clock, self.refusals.append, lambda: self.full
        )

    def inlet(self, name):
        source = SOURCES.get(name)
        if source is None or (source.webhook is None and source.form is None):
            return None
        return compile_inlet(name, source, "https://gate.example.com")

    @property
    def now(self):
        return self.clock.now_us() // 1_000_000

    async def call(self, source, body=BODY, headers=(), method="POST", query=b"", messages=None):
        """One request. `messages` are the ASGI messages of the body when they are not simply one."""
        left = list(messages or [{"type": "http.request", "body": body, "more_body": False}])
        sent = []

        async def receive():
            if not left:
                await asyncio.Event().wait()  # a sender that stopped in the middle
            return left.pop(0)

        async def send(message):
            sent.append(message)

        given = [
            (name.lower().encode(), value if isinstance(value, bytes) else value.encode()) for name, value in headers
        ]
        scope = {"type": "http", "method": method, "path": f"/in/{source}", "query_string": query,
                 "headers": given, "client": ("192.0.2.7", 4711)}  # fmt: skip
        await self.door(scope, receive, send)
        if not sent:
            return None
        pairs = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        answered = Answered(sent[0]["status"], pairs, b"".join(part["body"] for part in sent[1:]))
        assert pairs["content-length"] == str(len(answered.body))
        return answered

    def signed(self, body=BODY, id_="msg_1", at=None, key=KEY):
        stamp = str(self.now if at is None else at)
        digest = hmac.digest(key, f"{id_}.{stamp}.".encode() + body, "sha256")
        return [
            ("webhook-id", id_), ("webhook-timestamp", stamp),
            ("webhook-signature", "v1," + base64.b64encode(digest).decode()), ("content-type", "application/json"),
        ]  # fmt: skip

    async def events(self):
        page = await self.store.log.page(EventQuery(ascending=True, after=0))
        return page.events


def on_bench(tmp_path, work, **more):
    async def main(store):
        await work(Bench(store, **more))

    with_store(open_sqlite, tmp_path, main)


# -- accepted --------------------------------------------------------------------------------------------


def test_a_valid_delivery_is_answered_202_with_the_id_of_the_stored_event(tmp_path):
    async def work(bench):
        answer = await bench.call("shop", headers=[*bench.signed(), ("authorization", "Bearer hidden")])
        assert answer.status == 202
        assert answer.headers["content-type"] == "application/json"
        (event,) = await bench.events()
        assert list(answer.json) == ["id"]
        assert answer.json["id"].startswith(f"evt_{bench.store.log.instance}")
        assert (event.source, event.type, event.origin, event.body) == ("shop", "order.paid", Origin.WEBHOOK, BODY)
        assert event.content_type == "application/json"
        assert event.received_at_us == bench.clock.now_us()
        assert event.audience == bench.router.number
        assert b"hidden" not in event.headers
        assert b"msg_1" in event.headers
        assert bench.refusals == []

    on_bench(tmp_path, work)


def test_the_answer_waits_for_the_disk(tmp_path):
    async def work(bench):
        await bench.call("open")
        gate, entered = threading.Event(), threading.Event()

        def hold(connection):
            entered.set()
            assert gate.wait(10)

        held = bench.store.log._engine.write(hold)
        await asyncio.get_running_loop().run_in_executor(None, entered.wait, 10)
        request = asyncio.ensure_future(bench.call("open"))
        done, _ = await asyncio.wait({request}, timeout=0.05)
        assert not done, "answered before the commit"
        gate.set()
        assert (await request).status == 202
        await held
        assert len(await bench.events()) == 2

    on_bench(tmp_path, work)


@pytest.mark.parametrize("body", [b"", b"\x00\xff\xfe", b"not json", b"[" * 5000, b'{"a":"\\ud800"}', b"[]"])
def test_any_bytes_are_accepted_and_kept_exactly(tmp_path, body):
    async def work(bench):
        answer = await bench.call("fixed", body)
        assert answer.status == 202
        (event,) = await bench.events()
        assert (event.body, event.type, event.key) == (body, "ping.received", None)

    on_bench(tmp_path, work)


def test_a_body_in_pieces_is_put_together(tmp_path):
    async def work(bench):
        pieces = [{"type": "http.request", "body": bytes([b]), "more_body": True} for b in BODY]
        pieces.append({"type": "http.request", "body": b"", "more_body": False})
        assert (await bench.call("open", messages=pieces)).status == 202
        assert (await bench.events())[0].body == BODY

    on_bench(tmp_path, work)


def test_a_provider_file_says_where_type_key_id_and_time_stand(tmp_path):
    async def work(bench):
        body = b'{"id":"evt_9","type":"charge.succeeded","created":1700000000,"data":{"object":{"id":"ch_1"}}}'
        mac = hmac.digest(b"whsec_x", f"{bench.now}.".encode() + body, "sha256").hex()
        answer = await bench.call("payments", body, [("Stripe-Signature", f"t={bench.now},v1={mac}")])
        assert answer.status == 202
        (event,) = await bench.events()
        assert (event.type, event.key, event.data_path) == ("charge.succeeded", "ch_1", "data")
        assert event.occurred_at_us == 1_700_000_000_000_000
        assert bench.router.views[-1]["data"] == {"object": {"id": "ch_1"}}
        again = await bench.call("payments", body, [("Stripe-Signature", f"t={bench.now},v1={mac}")])
        assert (again.status, again.json) == (200, answer.json)

    on_bench(tmp_path, work)


def test_what_a_sender_calls_the_type_is_bounded(tmp_path):
    async def work(bench):
        for type_ in ("x" * 201, "a\nb", "a\x00b", 7, True, None, {}):
            await bench.call("open", json.dumps({"type": type_}).encode()[:1024])
        types = [event.type for event in await bench.events()]
        assert types == ["webhook.received"] * 3 + ["7"] + ["webhook.received"] * 3

    on_bench(tmp_path, work)


def test_an_address_that_is_signed_is_the_public_one_with_its_query(tmp_path):
    async def work(bench):
        url = "https://gate.example.com/in/squares?a=1"
        mac = base64.b64encode(hmac.digest(b"s", url.encode() + BODY, "sha256"))
        headers = [("x-square-hmacsha256-signature", mac), ("host", "evil.example")]
        assert (await bench.call("squares", headers=headers, query=b"a=1")).status == 202
        assert (await bench.call("squares", headers=headers)).status == 401

    on_bench(tmp_path, work)


def test_a_provider_may_demand_another_answer(tmp_path):
    async def work(bench):
        mac = base64.b64encode(hmac.digest(b"s", b"https://gate.example.com/in/phone" + b"a1", "sha1"))
        headers = [("x-twilio-signature", mac), ("content-type", "application/x-www-form-urlencoded")]
        answer = await bench.call("phone", b"a=1", headers)
        assert (answer.status, answer.body) == (200, b"<Response/>")
        assert len(await bench.events()) == 1

    on_bench(tmp_path, work)


# -- again -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["webhook-id", "Idempotency-Key"])
def test_the_same_delivery_again_is_200_with_the_first_id_and_stored_once(tmp_path, name):
    async def work(bench):
        first = await bench.call("open", headers=[(name, "d-1")])
        again = await bench.call("open", headers=[(name, "d-1")])
        other = await bench.call("open", headers=[(name, "d-2")])
        assert (first.status, again.status, other.status) == (202, 200, 202)
        assert again.json == first.json != other.json
        assert [event.differs for event in await bench.events()] == [False, False]

    on_bench(tmp_path, work)


def test_the_same_id_with_another_body_is_200_and_marked(tmp_path):
    async def work(bench):
        first = await bench.call("open", headers=[("webhook-id", "d-1")])
        again = await bench.call("open", BODY + b" ", headers=[("webhook-id", "d-1")])
        assert (again.status, again.json) == (200, first.json)
        (event,) = await bench.events()
        assert event.differs
        assert event.body == BODY

    on_bench(tmp_path, work)


def test_ids_of_two_sources_do_not_meet_and_none_means_no_dedupe(tmp_path):
    async def work(bench):
        for source, headers in (
            ("open", [("webhook-id", "d")]),
            ("fixed", [("webhook-id", "d")]),
            ("open", []),
            ("open", []),
        ):
            assert (await bench.call(source, headers=headers)).status == 202

    on_bench(tmp_path, work)


def test_a_long_delivery_id_is_recognised_too(tmp_path):
    async def work(bench):
        long = "d" * 5000
        assert (await bench.call("open", headers=[("webhook-id", long)])).status == 202
        assert (await bench.call("open", headers=[("webhook-id", long)])).status == 200
        assert (await bench.call("open", headers=[("webhook-id", long + "x")])).status == 202

    on_bench(tmp_path, work)


# -- turned away -----------------------------------------------------------------------------------------


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
        assert [refusal.reason for refusal in bench.refusals] == list(cases)
        assert {(r.source, r.remote) for r in bench.refusals} == {("shop", "192.0.2.7"), ("unset", "192.0.2.7")}
        assert await bench.events() == ()

    on_bench(tmp_path, work)


@pytest.mark.parametrize("source", ["nothing", "", "open/", "open/x", "crm", "../open"])
def test_an_unknown_source_is_404(tmp_path, source):
    async def work(bench):
        answer = await bench.call(source)
        assert (answer.status, answer.json["status"], answer.json["code"]) == (404, 404, "source_unknown")

    on_bench(tmp_path, work)


def test_a_declared_length_over_the_limit_is_413_before_a_byte_is_read(tmp_path):
    async def work(bench):
        unread = [{"type": "never"}]
        answer = await bench.call("open", headers=[("content-length", "1025")], messages=unread)
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert (await bench.call("open", headers=[("content-length", "9" * 5000)], messages=unread)).status == 413
        assert bench.refusals[0].reason == "too_large"

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

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/in/open",
            "query_string": b"",
            "headers": [],
            "client": None,
        }
        await bench.door(scope, receive, send)
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

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/in/open",
            "query_string": b"",
            "headers": [],
            "client": None,
        }
        request = asyncio.ensure_future(bench.door(scope, receive, send))
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
        assert bench.refusals[0].reason == "too_slow"
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
        assert bench.refusals == []

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
        assert bench.refusals == []

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
        assert bench.refusals[0].reason == "over_capacity"
        assert b"disk" not in answer.body

    on_bench(tmp_path, work, log=RefusingLog())


def test_an_inlet_that_contradicts_itself_is_our_fault_and_no_4xx(tmp_path):
    async def work(bench):
        assert (await bench.call("broken")).status == 503
        assert bench.refusals[0].reason == "config_invalid"

    on_bench(tmp_path, work)


@pytest.mark.parametrize(
    ("value", "status", "hops"), [("0", 202, 1), ("5", 202, 6), ("6", 400, None), ("x", 202, 1), ("9" * 30, 400, None)]
)
def test_what_came_through_more_than_five_gateways_is_refused(tmp_path, value, status, hops):
    async def work(bench):
        answer = await bench.call("open", headers=[("tidegate-hops", value)])
        assert answer.status == status
        if hops is None:
            assert bench.refusals[0].reason == "hops_exceeded"
        else:
            assert (await bench.events())[0].hops == hops

    on_bench(tmp_path, work)


# -- handshakes ------------------------------------------------------------------------------------------


def slack(bench, body):
    mac = hmac.digest(b"s", f"v0:{bench.now}:".encode() + body, "sha256").hex()
    return [("x-slack-signature", f"v0={mac}"), ("x-slack-request-timestamp", str(bench.now))]


@pytest.mark.parametrize("handshake", HANDSHAKES, ids=lambda h: h["id"])
def test_published_handshakes_are_answered_as_published(tmp_path, handshake):
    async def work(bench):
        request, expect = handshake["request"], handshake["expect"]
        body = request["body"].encode()
        headers = list(request["headers"].items())
        if handshake["provider"] == "slack":
            headers += slack(bench, body)
        source = {"slack": "chat", "okta": "people"}[handshake["provider"]]
        answer = await bench.call(source, body, headers, request["method"])
        assert answer.status == expect["status"]
        assert expect.get("body_contains", "").encode() in answer.body
        if "json" in expect:
            assert answer.json == expect["json"]
            assert answer.headers["content-type"].startswith("application/json")
        assert await bench.events() == ()

    on_bench(tmp_path, work)


def test_a_signed_handshake_without_its_signature_is_401(tmp_path):
    async def work(bench):
        body = b'{"type":"url_verification","challenge":"abc"}'
        assert (await bench.call("chat", body)).status == 401
        event = b'{"type":"event_callback","event":{"type":"app_mention"},"event_id":"Ev1"}'
        assert (await bench.call("chat", event, slack(bench, event))).status == 200
        assert (await bench.events())[0].type == "app_mention"

    on_bench(tmp_path, work)


def test_an_answer_may_hold_the_hmac_of_the_challenge(tmp_path):
    async def work(bench):
        body = b'{"event":"endpoint.url_validation","payload":{"plainToken":"q\\"9"}}'
        mac = hmac.digest(b"s", f"v0:{bench.now}:".encode() + body, "sha256").hex()
        headers = [("x-zm-signature", f"v0={mac}"), ("x-zm-request-timestamp", str(bench.now))]
        answer = await bench.call("meetings", body, headers)
        assert answer.json == {"plainToken": 'q"9', "encryptedToken": hmac.digest(b"s", b'q"9', "sha256").hex()}

    on_bench(tmp_path, work)


# -- forms -----------------------------------------------------------------------------------------------

FORM = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")]


def test_a_form_is_kept_as_it_came_and_the_browser_goes_to_the_configured_page(tmp_path):
    async def work(bench):
        body = b"email=a%40b.example&name=J%C3%BCrgen&redirect=https://evil.example"
        answer = await bench.call("leads", body, FORM)
        assert (answer.status, answer.headers["location"]) == (303, "https://www.example.com/thanks")
        (event,) = await bench.events()
        assert (event.origin, event.type, event.key, event.body) == (Origin.FORM, "lead.submitted", "a@b.example", body)
        assert bench.router.views[-1]["data"]["name"] == "Jürgen"

    on_bench(tmp_path, work)


def test_a_script_that_asks_for_json_is_answered_with_the_id(tmp_path):
    async def work(bench):
        headers = [*FORM, ("accept", "application/json"), ("idempotency-key", "f-1")]
        answer = await bench.call("leads", b"email=x", headers)
        again = await bench.call("leads", b"email=x", headers)
        assert (answer.status, again.status, again.json) == (202, 200, answer.json)
        assert answer.json["id"].startswith("evt_")
        assert (await bench.call("plain", b"a=1", FORM)).status == 202

    on_bench(tmp_path, work)


def test_a_filled_honeypot_is_answered_alike_and_stores_nothing(tmp_path):
    async def work(bench):
        body = b"email=x&website=http%3A%2F%2Fspam.example"
        assert (await bench.call("leads", body, FORM)).status == 303
        assert (await bench.call("leads", body, [*FORM, ("accept", "application/json")])).json == {"id": None}
        assert await bench.events() == ()
        assert [refusal.reason for refusal in bench.refusals] == ["honeypot"] * 2
        assert (await bench.call("leads", b"email=x&website=", FORM)).status == 303
        assert len(await bench.events()) == 1

    on_bench(tmp_path, work)


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/json", "text/plain", ""])
def test_what_is_no_urlencoded_form_is_415(tmp_path, kind):
    async def work(bench):
        assert (await bench.call("leads", b"x", [("content-type", kind)])).status == 415
        assert bench.refusals[0].reason == "content_type"

    on_bench(tmp_path, work)


def test_a_form_with_too_many_fields_or_bytes_is_413(tmp_path):
    async def work(bench):
        assert (await bench.call("leads", b"a=1" * 400, FORM)).status == 413
        assert (await bench.call("leads", b"&".join([b""] * 1001 + [b"a=1"]), FORM)).status == 413
        assert await bench.events() == ()

    on_bench(tmp_path, work)


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
    async def work(bench):
        listener = bind("127.0.0.1", 0)
        port = listener.getsockname()[1]
        server = make_server(bench.door)
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
        assert [event.body for event in await bench.events()] == [BODY, b"{}"]
        server.should_exit = True
        await serving

    on_bench(tmp_path, work)
