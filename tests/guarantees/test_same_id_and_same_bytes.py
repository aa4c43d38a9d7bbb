"""Promise 3: the same webhook-id over all attempts and replays, and bytes arrive as they came.

Bodies of every kind go in signed, to a destination that fails first; then come a restart, retries and replays. They
are verified by the `standardwebhooks` package, which knows nothing of Tidegate, and by an HMAC made here for bodies
that are not text. The provider's own headers go with them, and nothing else: no credential, nothing internal.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import time
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

from support.gateway.deployment import Deployment
from support.gateway.process import SECRET
from support.gateway.running import publish, until
from support.receiver.scripted import Request, ScriptedServer, answer
from tidegate.core.clock import ManualClock

SIGNING_SECRET = "whsec_" + base64.b64encode(b"check" * 6).decode()
OLD = "whsec_" + base64.b64encode(b"older" * 6).decode()
JSON = "application/json"

BODIES: list[tuple[str, bytes]] = [
    (JSON, b'{"a": 1}'),
    (JSON, b'{ "a" :1.0e0,\t"a": 2,"z":"\\u00e4","y":"\xc3\xa4" }\r\n'),  # double names, spaces, spellings
    (JSON, b"\xef\xbb\xbf[1, 2]"),
    (JSON, b'{"n": 123456789012345678901234567890.000}'),
    (JSON, b'{"half": "\\ud800"}'),
    (JSON, b'{"nul": "\\u0000"}'),
    (JSON, b"{not json"),
    (JSON, b"[" * 3000 + b"]" * 3000),
    ("application/json; charset=latin-1", b'{"a":"\xe4"}'),
    ("", b'{"no": "content type"}'),
    ("text/plain; charset=utf-8", "grüße\r\n".encode()),
    ("application/x-www-form-urlencoded", b"a=1&a=2&b=%00+%20"),
    ("application/octet-stream", b""),
    ("application/octet-stream", bytes(range(256)) * 3),
    ("multipart/form-data; boundary=x", b"--x\r\n\r\n\r\n--x--\r\n"),
    ("application/cloudevents+json", b'{"specversion":"1.0"}'),
    ("image/png", random.Random(3).randbytes(200_000)),
]


OF_THE_PROVIDER = {
    "X-Shop-Topic": "orders/paid",
    "X-Shop-Hmac-Sha256": "c2lnbmF0dXJl",
    "Shopify-Trace": 'a, "b";  c%20',
    "Acme-Signature": "t=1,v1=00",
    "X-Event-Key": "repo:push",
    "Content-Encoding": "gzip",  # whatever it says: the bytes stay as they are
}
OF_OTHERS = {
    "Authorization": "Bearer came-with-it",
    "Cookie": "s=came-with-it",
    "X-Api-Key": "came-with-it",
    "X-Auth-Token": "came-with-it",
    "X-Hook-Secret": "came-with-it",
    "X-Forwarded-For": "10.1.2.3",
    "X-Real-Ip": "10.1.2.3",
    "X-Amzn-Trace-Id": "10.1.2.3",
    "Accept-Language": "came-with-it",
    "User-Agent": "came-with-it",
    "Forwarded": "for=10.1.2.3",
    "Via": "1.1 10.1.2.3",
}
CREDENTIALS = ("Authorization", "Cookie", "X-Api-Key", "X-Auth-Token", "X-Hook-Secret")
OURS = {
    *("host", "content-type", "content-length", "user-agent", "webhook-id", "webhook-timestamp", "webhook-signature"),
    *("tidegate-source", "tidegate-type", "tidegate-attempt", "tidegate-hops"),
}


def configuration(server: ScriptedServer) -> str:
    return f"""
[sources.shop.webhook]
verify = "standard-webhooks"
secret = "{SECRET}"
forward_headers = {json.dumps(list(OF_THE_PROVIDER))}
[destinations.crm]
url = "http://127.0.0.1:{server.port}/hook"
secret = ["{SIGNING_SECRET}", "{OLD}"]
retry = ["20ms", "20ms", "20ms", "20ms"]
[routes.all]
from = "shop"
to = "crm"
"""


def signed(name: str, body: bytes) -> dict[str, str]:
    now = int(time.time())
    digest = hmac.digest(base64.b64decode(SECRET[6:]), f"{name}.{now}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": name,
        "webhook-timestamp": str(now),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def verified(request: Request) -> None:
    """Verify by the package, with each of the two secrets alone; by hand where the body is not text."""
    for secret in (SIGNING_SECRET, OLD):
        try:
            text = request.body.decode()
        except UnicodeDecodeError:
            stamp = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}."
            digest = hmac.digest(base64.b64decode(secret[6:]), stamp.encode() + request.body, hashlib.sha256)
            assert f"v1,{base64.b64encode(digest).decode()}" in request.headers["webhook-signature"].split()
        else:
            Webhook(secret).verify(text, request.headers, json_parse=False)


async def send_all(api: Any, first: dict[str, int]) -> None:
    for number, (kind, body) in enumerate(BODIES):
        headers = {**OF_THE_PROVIDER, **OF_OTHERS, **signed(f"msg_{number}", body)}
        headers |= {"content-type": kind} if kind else {}
        # Without a body's default type: what came without one must differ from what came as bytes.
        sent = api.http.post(api.url + "/in/shop", data=body, headers=headers, skip_auto_headers=["content-type"])
        async with sent as answer:
            assert answer.status == 202, answer
            first[(await answer.json())["id"]] = number


def check_headers(request: Request, kind: str) -> None:
    assert request.headers["content-type"] == (kind or "application/octet-stream")
    others = {name: value for name, value in request.headers.items() if name not in OURS}
    assert others == {name.lower(): value for name, value in OF_THE_PROVIDER.items()}
    for foreign in (b"came-with-it", b"10.1.2.3", b"redacted"):
        assert foreign not in request.head


async def check_what_is_kept(api: Any, id_: str, kind: str, body: bytes) -> None:
    """The bytes can be had again, and of a credential only its name is kept."""
    kept = await api("GET", f"/api/v1/events/{id_}/raw")
    assert kept.body == body
    headers = {name.lower(): value for name, value in (await api.get(f"/events/{id_}"))["headers"]}
    for name, value in {**OF_THE_PROVIDER, **OF_OTHERS}.items():
        assert headers[name.lower()] == ("[redacted]" if name in CREDENTIALS else value), name


async def pending(api: Any) -> int:
    return int((await api.get("/stats"))["totals"]["pending"])


async def test_attempts_and_replays_keep_the_first_id_and_the_bytes(deployment: Deployment) -> None:
    chance = random.Random(11)
    fail = [0.6]

    async def flaky(reader: Any, writer: Any, request: Any) -> None:
        if chance.random() < fail[0] and int(request.headers["tidegate-attempt"]) < 4:
            if chance.random() < 0.3:
                writer.close()  # the answer is lost
                return
            writer.write(b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    ids: dict[str, int] = {}
    async with ScriptedServer(flaky) as server:
        toml = configuration(server)
        async with deployment.served(toml) as gateway:
            await send_all(gateway.api, ids)
        async with deployment.served(toml) as gateway:

            async def settled() -> bool:
                return await pending(gateway.api) == 0

            await until(settled, 30)
            fail[0] = 0.3
            before = len(server.requests)
            job = await gateway.api.post("/replays", {"source": "shop"})

            async def replayed() -> bool:
                return (await gateway.api.get(f"/replays/{job['id']}"))["finished_at"] is not None

            await until(replayed, 30)
            await until(settled, 30)
            assert len(server.requests) >= before + len(BODIES)
            for delivery in (await gateway.api.get("/deliveries?limit=100"))["data"]:
                await gateway.api.post(f"/deliveries/{delivery['id']}/retry")
            await until(settled, 30)
            for id_, number in ids.items():
                await check_what_is_kept(gateway.api, id_, *BODIES[number])

    assert len(ids) == len(BODIES)
    numbers: dict[str, list[int]] = {}
    stamps: dict[str, list[int]] = {}
    for request in server.requests:
        id_ = request.headers["webhook-id"]
        kind, body = BODIES[ids[id_]]
        assert request.body == body
        check_headers(request, kind)
        verified(request)
        numbers.setdefault(id_, []).append(int(request.headers["tidegate-attempt"]))
        stamps.setdefault(id_, []).append(int(request.headers["webhook-timestamp"]))
        assert abs(stamps[id_][-1] - datetime.now(UTC).timestamp()) < 120
    for id_ in ids:
        # Never back; a number comes twice only when the first of the two was not settled before the restart.
        assert numbers[id_] == sorted(numbers[id_])
        assert max(numbers[id_]) >= 3
        assert stamps[id_] == sorted(stamps[id_])


async def test_each_attempt_is_signed_at_its_own_time_and_numbered_on(deployment: Deployment) -> None:
    clock = ManualClock(1_800_000_000_000_000)
    async with ScriptedServer(answer(b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n")) as server:
        toml = configuration(server).replace('"20ms", "20ms", "20ms", "20ms"', '"9h"')
        async with deployment.running(toml, clock) as gateway:
            number = gateway.active.destinations["crm"].number
            offset = await publish(gateway, b"{}")
            for attempt in range(1, 5):
                await until(lambda n=attempt: len(server.requests) == n)  # type: ignore[misc]
                await until(lambda: not gateway.deliver.senders[number].flights)
                clock.advance(3600)
                await gateway.deliver.retry(offset, number)
            await until(lambda: len(server.requests) == 5)
    first = 1_800_000_000
    assert [int(one.headers["webhook-timestamp"]) for one in server.requests] == [first + 3600 * n for n in range(5)]
    assert [int(one.headers["tidegate-attempt"]) for one in server.requests] == [1, 2, 3, 4, 5]
    assert len({one.headers["webhook-id"] for one in server.requests}) == 1
    assert len({one.headers["webhook-signature"] for one in server.requests}) == 5
