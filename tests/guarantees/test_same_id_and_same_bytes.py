"""Promise 3: the same webhook-id over all attempts and replays, and bytes arrive as they came.

Bodies of every kind go in signed, to a destination that fails first; then come a restart, retries and replays. The
judges are the `standardwebhooks` package, which knows nothing of ours, and an HMAC worked out here for bodies that are
no text.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import time
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

from support.farside import FarSide, Request
from support.homes import Home
from support.process import SECRET
from support.running import run, until

JUDGE = "whsec_" + base64.b64encode(b"judge" * 6).decode()
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


def configuration(far: FarSide) -> str:
    return f"""
[sources.shop.webhook]
verify = "standard-webhooks"
secret = "{SECRET}"
[destinations.crm]
url = "http://127.0.0.1:{far.port}/hook"
secret = ["{JUDGE}", "{OLD}"]
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


def judge(request: Request) -> None:
    """Verify by the package, with each of the two secrets alone; by hand where the body is no text."""
    for secret in (JUDGE, OLD):
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
        headers = {**signed(f"msg_{number}", body), **({"content-type": kind} if kind else {})}
        answer = await api.with_key(None)("POST", "/in/shop", body, headers=headers)
        assert answer.status == 202, answer
        first[answer.json()["id"]] = number


async def pending(api: Any) -> int:
    return int((await api.get("/stats"))["totals"]["pending"])


def test_every_attempt_and_replay_has_the_first_id_and_the_bytes_that_came(home: Home) -> None:
    async def main() -> None:
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
        async with FarSide(flaky) as far:
            toml = configuration(far)
            async with home.served(toml) as gateway:
                await send_all(gateway.api, ids)
            async with home.served(toml) as gateway:

                async def settled() -> bool:
                    return await pending(gateway.api) == 0

                await until(settled, 30)
                fail[0] = 0.3
                before = len(far.requests)
                job = await gateway.api.post("/replays", {"source": "shop"})

                async def replayed() -> bool:
                    return (await gateway.api.get(f"/replays/{job['id']}"))["finished_at"] is not None

                await until(replayed, 30)
                await until(settled, 30)
                assert len(far.requests) >= before + len(BODIES)
                for delivery in (await gateway.api.get("/deliveries?limit=100"))["data"]:
                    await gateway.api.post(f"/deliveries/{delivery['id']}/retry")
                await until(settled, 30)

        assert len(ids) == len(BODIES)
        numbers: dict[str, list[int]] = {}
        stamps: dict[str, list[int]] = {}
        for request in far.requests:
            id_ = request.headers["webhook-id"]
            kind, body = BODIES[ids[id_]]
            assert request.body == body
            if kind:
                assert request.headers["content-type"] == kind
            judge(request)
            numbers.setdefault(id_, []).append(int(request.headers["tidegate-attempt"]))
            stamps.setdefault(id_, []).append(int(request.headers["webhook-timestamp"]))
            assert abs(stamps[id_][-1] - datetime.now(UTC).timestamp()) < 120
        for id_ in ids:
            # Never back; a number comes twice only when the first of the two was not settled before the restart.
            assert numbers[id_] == sorted(numbers[id_])
            assert max(numbers[id_]) >= 3
            assert stamps[id_] == sorted(stamps[id_])

    run(main)
