"""Promise 9: hostile input is an answer, never a crash.

Raw sockets send to every door what no client would: broken heads, lengths that contradict each other, requests hidden
in bodies, deep and endless JSON, bytes that are not text, many mutations of all of these, slow and oversize parts.
The gateway is a process of its own. It must never answer 500, never log an error of its own, hold its memory, cut or
answer what is slow in its time, take no hidden request, and serve the next good request as if nothing had been.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
from pathlib import Path

from support.gateway.deployment import Deployment
from support.gateway.process import SECRET, GatewayProcess, Sender, call
from support.gateway.running import until
from support.receiver.scripted import OK, ScriptedServer, answer

MUTATIONS = 1500
AT_ONCE = 16
MEMORY_KIB = 96 * 1024
STATUS = re.compile(rb"(?:^|\r\n|(?<=[}>]))HTTP/1\.1 (\d{3})")
ADMIN = "tg_" + "h" * 43


def configuration(port: int) -> str:
    return f"""
[egress]
allow = ["127.0.0.1/32"]
[sources.shop.webhook]
verify = "standard-webhooks"
secret = "{SECRET}"
[sources.plain.webhook]
verify = "none"
type_path = "type"
key_path = "customer.id"
id_path = "id"
[sources.leads.form]
event_type = "lead"
[sources.stripe.webhook]
verify = "stripe"
secret = "whsec_x"
[sources.pub.publish]
[destinations.crm]
url = "http://127.0.0.1:{port}/"
ordered_by = "data.customer.id"
[destinations.chat]
type = "slack"
url = "http://127.0.0.1:{port}/"
text = "{{{{ type }}}} {{{{ data.object.amount }}}}"
[routes.all]
from = "*"
to = ["crm", "chat"]
filter = {{ "$not" = {{ data = {{ object = {{ amount = {{ "$gt" = 10 }} }} }} }} }}
"""


def post(path: str, body: bytes, *heads: bytes, length: bytes | None = None, key: bool = False) -> bytes:
    lines = [b"POST " + path.encode() + b" HTTP/1.1", b"host: x", *heads]
    if key:
        lines.append(b"authorization: Bearer " + ADMIN.encode())
    lines.append(b"content-length: " + (b"%d" % len(body) if length is None else length))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


JSON = b"content-type: application/json"
DEEP = b'{"a":' * 20_000 + b"1" + b"}" * 20_000
HUGE = b'{"id": ' + b"9" * 20_000 + b', "type": ' + b"1" * 5_000 + b', "customer": {"id": 1e999}, "x": -0.0e-999}'
BODIES = [
    b"",
    b"\x00",
    DEEP,
    b"[" * 100_000,
    HUGE,
    b'{"type": "\xff\xfe", "id": "\\ud800", "customer": {"id": "\\u0000"}}',
    b'{"type": "' + b"t" * 300_000 + b'"}',
    b"{" + b",".join(b'"k%d":%d' % (n, n) for n in range(20_000)) + b"}",
    b'{"object": {"amount": NaN}, "customer": {"id": {"__class__": 1}}}',
    b'{"type": "{{ cycler.__init__.__globals__ }}", "customer": {"id": "<script>alert(1)</script>"}}',
    b"a=" + b"%" * 1000,
    b"&".join(b"f%d=1" % n for n in range(5000)),
    "\u202e\u0000\U0001f600".encode("utf-16"),
]
PATHS = [
    *("/in/plain", "/in/shop", "/in/leads", "/in/stripe", "/in/", "/in/%00", "/in/plain/../shop", "/in/" + "x" * 5000),
    *("/api/v1/events", "/api/v1/replays", "/api/v1/keys", "/api/v1/config", "/api/v1/feeds/a/ack", "/api/v1/backup"),
    *("/api/v1/destinations/crm/test", "/api/v1/deliveries/dlv_%ff/retry", "/login", "/theme", "/", "//", "/%2e%2e/"),
]
GETS = [
    *("/api/v1/events?limit=-1", "/api/v1/events?cursor=" + "A" * 4000, "/api/v1/events?since=9999999-01-01"),
    *("/api/v1/events?q=%00%ff", "/api/v1/deliveries?state=x&destination=%F0%9F", "/api/v1/records/a/b/%2F..%2F"),
    *("/api/v1/pull/../../etc/passwd", "/api/v1/pull/shop/orders/%2e%2e", "/static/../../etc/passwd", "/static/x/y"),
    *(
        "/events/%3Cscript%3E",
        "/login?token=" + "%00" * 300,
        "/login?to=//evil.example",
        "/api/v1/events/evt_" + "z" * 20,
    ),
    *(
        "/api/v1/events/stream?last_event_id=-5",
        "/metrics?x=" + "&" * 2000,
        "/openapi.json?\xe4".encode().decode("latin-1"),
    ),
]

HEADS = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/9.9\r\nhost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\r\n" * 500 + b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /livez HTTP/1.1\nhost: x\n\n",
    b"GET /livez HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nhost: \xff\xfe\r\ncookie: \x80=\x81; a\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nhost: x\r\na: b\r\n c: folded\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nhost: x\r\na\x00b: c\r\n\r\n",
    b"GET http://evil.example/livez HTTP/1.1\r\nhost: x\r\n\r\n",
    b"CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example\r\n\r\n",
    b"TRACE / HTTP/1.1\r\nhost: x\r\ncookie: secret\r\n\r\n",
    b"GET /api/v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer \xff\r\n\r\n",
    b"GET /api/v1/events HTTP/1.1\r\nhost: x\r\nauthorization: " + b"Basic " * 3000 + b"\r\n\r\n",
    b"GET /api/v1/events HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    b"POST /in/plain HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n{}",
    b"POST /in/plain HTTP/1.1\r\nhost: x\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x8b\x08",
    b"POST /in/plain HTTP/1.1\r\nhost: x\r\ntidegate-hops: 99999999999999999999\r\ncontent-length: 2\r\n\r\n{}",
    b"POST /in/shop HTTP/1.1\r\nhost: x\r\nwebhook-id: \xff\r\nwebhook-timestamp: 1e309\r\n"
    b"webhook-signature: v1,\xff v1a,== ,,, v1\r\ncontent-length: 2\r\n\r\n{}",
    b"POST /in/stripe HTTP/1.1\r\nhost: x\r\nstripe-signature: t=-9e99,v1="
    + b"z" * 5000
    + b"\r\ncontent-length: 0\r\n\r\n",
]


def hidden(number: int) -> bytes:
    body = b'{"type": "hidden", "id": "hidden-%d"}' % number
    return b"POST /in/plain HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def smuggled() -> list[bytes]:
    """A request inside what a proxy in front would take for a body, or the other way round."""
    found = []
    for number, coding in enumerate(
        (
            *(b"transfer-encoding: chunked", b"Transfer-Encoding : chunked", b"transfer-encoding:\tchunked"),
            *(b"transfer-encoding: xchunked", b"transfer-encoding: chunked, identity", b"transfer-encoding: identity"),
            *(b"transfer-encoding: chunked\r\ntransfer-encoding: x", b"x: y\ntransfer-encoding: chunked"),
            *(b"transfer-encoding: \x0bchunked", b"transfer-encoding: chunked\x00", b"transfer-encoding:\r\n chunked"),
        )
    ):
        inner = b"0\r\n\r\n" + hidden(number)
        found.append(post("/in/leads", inner, coding))
    for number, length in enumerate(
        (b"0\r\ncontent-length: 900", b"+0", b"0x0", b"0,0", b"-1", b"0 0", b"1e1", b"\x00"), 50
    ):
        found.append(post("/in/leads", hidden(number), length=length))
    for number, size in enumerate((b"0x0", b"-1", b"f" * 17, b"1\n", b"0 ", b"\t0", b"g"), 80):
        head = b"POST /in/leads HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        found.append(head + size + b"\r\n\r\n" + hidden(number))
    return found


class Attacker:
    """Sends and collects. `seen`: status -> how often."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.seen: dict[int, int] = {}
        self.bad: list[tuple[bytes, bytes]] = []
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def send(self, payload: bytes, patience: float = 0.4) -> bytes:
        """The bytes that come back until the gateway closes, or is silent for a while."""
        got = b""
        async with self._turn:
            with contextlib.suppress(OSError, TimeoutError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    writer.write(payload)
                    while part := await asyncio.wait_for(reader.read(65536), patience):
                        got += part
                finally:
                    writer.transport.abort()
        for status in STATUS.findall(got):
            self.seen[int(status)] = self.seen.get(int(status), 0) + 1
        if re.search(rb"HTTP/1\.1 (500|501|502|504)", got) or b"Traceback" in got:
            self.bad.append((payload[:300], got[:600]))
        return got


def corpus() -> list[bytes]:
    found = list(HEADS)
    for path in PATHS:
        for body in BODIES:
            kind = b"content-type: application/x-www-form-urlencoded" if path.endswith(("leads", "login")) else JSON
            found.append(post(path, body, kind, key=path.startswith("/api")))
    for path in GETS:
        for key in (b"", b"authorization: Bearer " + ADMIN.encode() + b"\r\n"):
            found.append(b"GET " + path.encode("latin-1", "replace") + b" HTTP/1.1\r\nhost: x\r\n" + key + b"\r\n")
    put = {"destinations/x": DEEP, "routes/x": b'{"from": 1e999}', "sources/x": b'{"api": {"base_url": "\\u0000"}}'}
    for name, body in put.items():
        found.append(post(f"/api/v1/{name}", body, JSON, key=True).replace(b"POST", b"PUT", 1))
    return found


def mutated(seeds: list[bytes], chance: random.Random, count: int) -> list[bytes]:
    found = []
    for _ in range(count):
        payload = bytearray(chance.choice(seeds)[:20_000])
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(max(1, min(len(payload), 400)))
            match chance.randrange(4):
                case 0:
                    payload[at : at + 1] = chance.randbytes(chance.randint(1, 8))
                case 1:
                    del payload[at : at + chance.randint(1, 30)]
                case 2:
                    payload[at:at] = chance.choice(
                        (b"\r\n", b"\x00", b": ", b"%", b"\xff", b"0" * 50, b"{", b"chunked")
                    )
                case 3:
                    other = chance.choice(seeds)
                    payload[at:at] = other[: chance.randint(0, 200)]
        found.append(bytes(payload))
    return found


async def until_closed(port: int, first: bytes, drip: bytes, every: float, limit: float) -> tuple[float, bytes]:
    """How long the gateway lets a slow sender go on, and what it says at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    got = b""
    writer.write(first)
    while time.monotonic() - began < limit:
        try:
            part = await asyncio.wait_for(reader.read(4096), every)
            got += part
            if not part:
                break
        except TimeoutError:
            writer.write(drip)
        except OSError:
            break
    writer.transport.abort()
    return time.monotonic() - began, got


def resident_kib(gateway: GatewayProcess) -> int:
    status = Path(f"/proc/{gateway.pid}/status")
    return int(status.read_text().split("VmRSS:")[1].split()[0]) if status.exists() else 0


def slow_senders(gateway: GatewayProcess) -> asyncio.Future[list[tuple[float, bytes]]]:
    return asyncio.gather(
        until_closed(gateway.port, post("/in/plain", b"", length=b"1000"), b"x", 0.5, 40),
        until_closed(gateway.port, b"GET / HTTP/1.1\r\nhost: x\r\n", b"a: b\r\n", 0.5, 40),
        until_closed(gateway.port, b"", b"", 0.5, 40),
        until_closed(gateway.port, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 12_000, b"a: b\r\n" * 12_000, 0.2, 40),
        until_closed(gateway.port, b"GET /" + b"a" * 100_000, b"a" * 50_000, 0.2, 40),
        until_closed(
            gateway.port,
            b"POST /in/plain HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n",
            b"10000\r\n" + b"x" * 0x10000 + b"\r\n",
            0.05,
            40,
        ),
    )


async def attack(gateway: GatewayProcess, attacker: Attacker, mutations: int) -> dict[str, int]:
    seeds = corpus()
    await asyncio.gather(*(attacker.send(payload) for payload in seeds))
    before = resident_kib(gateway)
    chance = random.Random(9)
    await asyncio.gather(*(attacker.send(payload, 0.15) for payload in mutated(seeds, chance, mutations)))
    await asyncio.gather(*(attacker.send(payload) for payload in smuggled()))
    return {"before": before, "after": resident_kib(gateway)}


def check_slow_senders(ended: list[tuple[float, bytes]]) -> None:
    body, head, silence, large_head, large_line, endless_body = ended
    assert b" 408 " in body[1].split(b"\r\n")[0]
    assert 10 < body[0] < 35
    assert head[0] < 35 and silence[0] < 35
    assert large_head[0] < 10 and large_line[0] < 10
    assert b" 413 " in endless_body[1].split(b"\r\n")[0]


async def hidden_events(gateway: GatewayProcess) -> list[str]:
    page = await call(gateway.url, "/api/v1/events?type=hidden&limit=500", ADMIN)
    return [event["id"] for event in page["data"]]


async def test_nothing_that_comes_in_is_more_than_an_answer(deployment: Deployment) -> None:
    async with ScriptedServer(answer(OK)) as server:
        gateway = deployment.process(configuration(server.port), environ={"TIDEGATE_ADMIN_KEY": ADMIN})
        await gateway.start()
        attacker = Attacker(gateway.port)
        embedded = deployment.database is None
        slow = slow_senders(gateway) if embedded else None  # the store has no part in it, and it takes its time
        found = await attack(gateway, attacker, MUTATIONS if embedded else MUTATIONS // 3)
        print(f"answers {dict(sorted(attacker.seen.items()))}, {found['before']} then {found['after']} KiB")
        assert gateway.running
        assert attacker.bad == []
        assert sum(attacker.seen.values()) > 500
        assert {202, 400, 401, 404, 405, 413} <= attacker.seen.keys()
        assert found["after"] - found["before"] < MEMORY_KIB
        assert await hidden_events(gateway) == []
        if slow is not None:
            check_slow_senders(await slow)

        stop = asyncio.Event()
        sender = Sender(gateway.port, "good")
        task = asyncio.create_task(sender.run(stop))
        await until(lambda: len(sender.acknowledged) > 5, 20)
        stop.set()
        await task
        assert (await call(gateway.url, "/livez", ADMIN))["status"] == "live"
        assert await gateway.end(15) == 0
        errors = [line for line in gateway.stderr.splitlines() if b'"error"' in line or b"Traceback" in line]
        assert errors == []
