"""The receive door on a real store, called through ASGI, with a source for each way in that the tests ask of it."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json

import msgspec

from support.gateway.running import until
from support.stores import with_store
from tidegate.config.spec import Source
from tidegate.core.clock import ManualClock
from tidegate.core.findings import Findings
from tidegate.core.spec import CustomScheme, Dedupe, FormInput, PublishInput, WebhookInput
from tidegate.receive.capacity import Capacity
from tidegate.receive.ingress import Ingress
from tidegate.receive.inputs import compile_input
from tidegate.receive.turns import Turns
from tidegate.store import EventQuery
from tidegate.store.sqlite import open_sqlite

BODY = b'{"type":"order.paid","n":1}'
KEY = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
SOURCES = {
    "open": Source(webhook=WebhookInput(verify="none", max_body="1KiB")),
    "fixed": Source(webhook=WebhookInput(verify="none", event_type="ping.received", key_path="data.id")),
    "retrying": Source(
        webhook=WebhookInput(verify="none", dedupe=Dedupe(volatile=["meta.attempt", "meta.tries.*.no"]))
    ),
    "scoped": Source(webhook=WebhookInput(verify="none", dedupe=Dedupe(scope=["type", "header:X-Topic", "shop"]))),
    "undeduped": Source(webhook=WebhookInput(verify="none", dedupe=Dedupe(enabled=False))),
    "shop": Source(webhook=WebhookInput(verify="standard-webhooks", secret=SECRET)),
    "unset": Source(webhook=WebhookInput(verify="standard-webhooks", secret="")),
    "broken": Source(webhook=WebhookInput(verify=CustomScheme(header="X", signed="{timestamp}{body}"), secret="s")),
    "payments": Source(webhook=WebhookInput(verify="stripe", secret="whsec_x")),
    "code": Source(webhook=WebhookInput(verify="github", secret="s")),
    "chat": Source(webhook=WebhookInput(verify="slack", secret="s")),
    "meetings": Source(webhook=WebhookInput(verify="zoom", secret="s")),
    "people": Source(webhook=WebhookInput(verify="okta", secret="Bearer x")),
    "pages": Source(webhook=WebhookInput(verify="meta", secret="s", handshake_token="tok-1 ")),
    "tokenless": Source(webhook=WebhookInput(verify="meta", secret="s")),
    "slackish": Source(webhook=WebhookInput(verify="none", handshake="slack")),
    "mails": Source(webhook=WebhookInput(verify="microsoft-graph", secret="s")),
    "cloud": Source(webhook=WebhookInput(verify="cloudevents", secret="s")),
    "squares": Source(webhook=WebhookInput(verify="square", secret="s")),
    "phone": Source(webhook=WebhookInput(verify="twilio", secret="s")),
    "leads": Source(
        form=FormInput(event_type="lead.submitted", redirect="https://www.example.com/thanks", honeypot="website",
                       key_field="email", max_body="1KiB")
    ),
    "plain": Source(form=FormInput()),
    "crm": Source(publish=PublishInput()),
}  # fmt: skip


class Answered(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


def scope(source, headers=(), method="POST", query=b""):
    """The ASGI scope of one request to a source's door."""
    given = [(name.lower().encode(), value if isinstance(value, bytes) else value.encode()) for name, value in headers]
    return {"type": "http", "method": method, "path": f"/in/{source}", "query_string": query,
            "headers": given, "client": ("192.0.2.7", 4711)}  # fmt: skip


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


class IngressSetup:
    """The door on a real store, called through ASGI."""

    def __init__(self, store, log=None):
        self.store = store
        self.clock = ManualClock()
        self.rejections = []
        self.extra = {}
        self.full = False
        self.router = OneRouter(store.log)
        self.findings = Findings(self.clock)
        self.door = Ingress(
            log or store.log, self.input, self.router, self.clock, self.rejections.append,
            Capacity(Turns(asyncio.get_running_loop()), lambda source: self.full),
            findings=self.findings, names=lambda: SOURCES,
        )  # fmt: skip

    def input(self, name):
        if name in self.extra:
            return self.extra[name]
        source = SOURCES.get(name)
        if source is None or (source.webhook is None and source.form is None):
            return None
        return compile_input(name, source, "https://gate.example.com")

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

        await self.door(scope(source, headers, method, query), receive, send)
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


def with_ingress(tmp_path, work, **more):
    async def main(store):
        await work(IngressSetup(store, **more))

    with_store(open_sqlite, tmp_path, main)


class Connection:
    """A connection as the short way sees it."""

    def __init__(self):
        self.answers = []
        self.runs_again = 0

    def answer(self, status, rest, *, closes=False):
        self.answers.append((status, rest, closes))

    def again(self):
        self.runs_again += 1


def send_directly(setup, source, body=BODY, headers=(), query=b""):
    """(whether it was taken, connection)"""
    made = scope(source, headers, query=query)
    connection = Connection()
    return setup.door.direct(made, dict(made["headers"]), body, connection), connection


async def ask_directly(setup, *request, **more):
    """(status, header lines, body) of a request that the short way takes."""
    taken, connection = send_directly(setup, *request, **more)
    assert taken
    await until(lambda: connection.answers)
    ((status, rest, _),) = connection.answers
    head, _, body = rest.partition(b"\r\n\r\n")
    return status, head, body


def decided(setup):
    """The routing decision has its number, as after the first event."""
    return setup.router.decide_slow("open", "order.paid", dict)
