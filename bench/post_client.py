"""Compares the requests per CPU second of the POST client with other HTTP clients and with a bare floor.

The receiver is a process of its own, and so is each client, in alternating rounds, so that the load of the machine is
the same for all. Figures are ratios to aiohttp in the same round. CPU is that of the client's process with all its
threads; that of the receiver is not counted. No disk is used.

    python bench/post_client.py                       # Tidegate's client, aiohttp, the floor; plain and TLS
    python bench/post_client.py --python VENV/bin/python --also pyreqwest wreq

`floor`: a bare protocol that writes bytes and counts answers: no guard, no limits, no results. `ours` and
`aiohttp` both run behind the guarded dialer, as in the gateway.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

BODY = b'{"id":"evt_1","data":"' + b"x" * 1000 + b'"}'
HEADERS = {
    "content-type": "application/json",
    "webhook-id": "evt_0123456789abcdef0123",
    "webhook-timestamp": "1800000000",
    "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
}
ANSWER = b"HTTP/1.1 200 OK\r\nserver: bench\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok"
Once = Callable[[], Awaitable[int]]


# -- the receiver ----------------------------------------------------------------------------------------


class Answering(asyncio.Protocol):
    """Answers each request once its head and the body the head promises are there."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.waiting = b""

    def data_received(self, data: bytes) -> None:
        data = self.waiting + data if self.waiting else data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            at = data[:end].lower().index(b"content-length: ") + 16
            size = int(data[at:end].split(b"\r\n", 1)[0])
            if len(data) < end + 4 + size:
                break
            self.transport.write(ANSWER)
            data = data[end + 4 + size :]
        self.waiting = data


async def serve(pem: str) -> None:
    tls = None
    if pem:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(pem)
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0, ssl=tls, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


# -- contenders ------------------------------------------------------------------------------------------


def dialer(ca: str) -> Any:
    from tidegate.core.clock import Clock
    from tidegate.outbound.dialer import Dialer, Guard
    from tidegate.rules.outbound.addresses import parse_allow

    return Dialer(
        Guard(parse_allow(["127.0.0.1/32"])), Clock(), tls=ssl.create_default_context(cafile=ca) if ca else None
    )


async def ours(url: str, ca: str, seconds: float, callers: int) -> dict[str, float]:
    """Driven by callbacks, as the senders drive it."""
    from tidegate.core.clock import Clock
    from tidegate.outbound.post import PostClient, PostResult
    from tidegate.rules.outbound.addresses import parse_target

    client = PostClient(dialer(ca), Clock())
    target = parse_target(url)
    head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items()).encode()
    meter = Meter(seconds, callers)
    finished = asyncio.get_running_loop().create_future()
    left = callers

    def done(result: PostResult) -> None:
        nonlocal left
        meter.count(result.status == 200)
        if meter.open:
            client.send(target, head, BODY, 15.0, done)
        else:
            left -= 1
            if not left:
                finished.set_result(None)

    for _ in range(callers):
        client.send(target, head, BODY, 15.0, done)
    await finished
    result = meter.result()
    await client.close()
    return result


async def floor(url: str, ca: str, seconds: float, callers: int) -> dict[str, float]:
    host, port = url.split("/")[2].split(":")
    lines = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    request = (
        f"POST /hook HTTP/1.1\r\nhost: {host}:{port}\r\n{lines}content-length: {len(BODY)}\r\n\r\n".encode() + BODY
    )

    class Bare(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport
            self.ended = asyncio.get_running_loop().create_future()

        def data_received(self, data: bytes) -> None:
            meter.count(data.startswith(b"HTTP/1.1 200") and data.endswith(b"ok"))
            if meter.open:
                self.transport.write(request)
            else:
                self.ended.set_result(None)

    tls = ssl.create_default_context(cafile=ca) if ca else None
    pairs = [await asyncio.get_running_loop().create_connection(Bare, host, int(port), ssl=tls) for _ in range(callers)]
    meter = Meter(seconds, callers)
    for transport, _ in pairs:
        transport.write(request)
    await asyncio.gather(*[protocol.ended for _, protocol in pairs])
    for transport, _ in pairs:
        transport.abort()
    return meter.result()


async def aiohttp(url: str, ca: str, seconds: float, callers: int) -> dict[str, float]:
    from aiohttp import ClientTimeout

    from tidegate.outbound.guarded import make_session

    way = dialer(ca)
    tls = await way.tls() if ca else True
    limit = ClientTimeout(total=15)
    async with make_session(way) as session:

        async def once() -> int:
            async with session.post(
                url, data=BODY, headers=HEADERS, ssl=tls, timeout=limit, allow_redirects=False
            ) as response:
                await response.read()
                return response.status

        return await drive(once, seconds, callers)


async def pyreqwest(url: str, ca: str, seconds: float, callers: int) -> dict[str, float]:
    from datetime import timedelta

    from pyreqwest.client import ClientBuilder

    builder = ClientBuilder().timeout(timedelta(seconds=15))
    if ca:
        builder = builder.add_root_certificate_pem(contents(ca))
    async with builder.build() as client:

        async def once() -> int:
            response = await client.post(url).headers(HEADERS).body_bytes(BODY).build().send()
            await response.bytes()
            return int(response.status)

        return await drive(once, seconds, callers)


async def wreq(url: str, ca: str, seconds: float, callers: int) -> dict[str, float]:
    import wreq as library

    options: dict[str, Any] = {}
    if ca:
        from wreq.tls import CertStore

        options["tls_verify"] = CertStore.from_pem_stack(contents(ca))
    client = library.Client(**options)

    async def once() -> int:
        response = await client.post(url, body=BODY, headers=HEADERS)
        await response.bytes()
        return int(response.status.as_int())

    return await drive(once, seconds, callers)


def contents(path: str) -> bytes:
    return Path(path).read_bytes()


CONTENDERS = {f.__name__: f for f in (ours, floor, aiohttp, pyreqwest, wreq)}


class Meter:
    """Counts from the end of a warm-up: half a second, and ten answers for each caller, so no handshake is in it."""

    def __init__(self, seconds: float, callers: int) -> None:
        self._from = time.perf_counter() + 0.5
        self._warm = callers * 10
        self._seconds = seconds
        self._until = float("inf")
        self._counting = False
        self.open = True
        self.good = self.bad = 0

    def count(self, good: bool) -> None:
        if good:
            self.good += 1
        else:
            self.bad += 1
        now = time.perf_counter()
        if not self._counting and now >= self._from and self.good >= self._warm:
            self._counting = True
            self._until = now + self._seconds
            self.good, self._begun, self._cpu = 0, now, cpu_seconds()
        elif now >= self._until and self.open:
            self.open = False
            self._took, self._used, self._good = now - self._begun, cpu_seconds() - self._cpu, self.good

    def result(self) -> dict[str, float]:
        return {"per_cpu": self._good / self._used, "per_second": self._good / self._took, "bad": self.bad}


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def drive(once: Once, seconds: float, callers: int) -> dict[str, float]:
    await once()
    meter = Meter(seconds, callers)

    async def caller() -> None:
        while meter.open:
            meter.count(await once() == 200)

    await asyncio.gather(*[caller() for _ in range(callers)])
    return meter.result()


# -- rounds ----------------------------------------------------------------------------------------------


def measure(python: str, name: str, url: str, ca: str, args: argparse.Namespace) -> dict[str, float]:
    """One contender in a process of its own."""
    command = [python, __file__, "--contender", name, url, ca, str(args.seconds), str(args.callers)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def certificates(folder: Path) -> tuple[str, str]:
    """(authority, certificate with key) for 127.0.0.1, made for this run."""
    from support.receiver.scripted import TestAuthority

    authority = TestAuthority(folder)
    authority.server()
    return str(authority.file), str(next(folder.glob("localhost*.pem")))


def compare(args: argparse.Namespace, ca: str, pem: str) -> None:
    server = subprocess.Popen([sys.executable, __file__, "--serve", pem], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        url = f"{'https' if pem else 'http'}://127.0.0.1:{int(server.stdout.readline())}/hook"
        names = ["aiohttp", "ours", "floor", *args.also]
        rounds: list[dict[str, dict[str, float]]] = []
        for number in range(args.rounds):
            order = names if number % 2 == 0 else names[::-1]
            rounds.append(
                {n: measure(args.python if n in args.also else sys.executable, n, url, ca, args) for n in order}
            )
    finally:
        server.terminate()
        server.wait()
    print(
        f"{'TLS' if pem else 'plain'}, 1 KiB POST, {args.callers} in flight, {args.rounds} rounds of {args.seconds} s"
    )
    for name in names:
        ratios = [one[name]["per_cpu"] / one["aiohttp"]["per_cpu"] for one in rounds]
        per_cpu = statistics.median(one[name]["per_cpu"] for one in rounds)
        per_second = statistics.median(one[name]["per_second"] for one in rounds)
        bad = sum(one[name]["bad"] for one in rounds)
        print(
            f"  {name:10} {statistics.median(ratios):5.2f} [{min(ratios):.2f}..{max(ratios):.2f}] of aiohttp"
            f"   {per_cpu:8,.0f} per CPU second, {per_second:8,.0f} per second, {bad:.0f} bad"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--also", nargs="*", default=[], choices=["pyreqwest", "wreq"])
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has the clients of --also")
    args = parser.parse_args()
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}")
    compare(args, "", "")
    with tempfile.TemporaryDirectory() as folder:
        compare(args, *certificates(Path(folder)))


if __name__ == "__main__":
    import uvloop

    if sys.argv[1:2] == ["--serve"]:
        uvloop.run(serve(sys.argv[2]))
    elif sys.argv[1:2] == ["--contender"]:
        contender, where, authority_file, how_long, how_many = sys.argv[2:]
        figures = uvloop.run(CONTENDERS[contender](where, authority_file, float(how_long), int(how_many)))
        print(json.dumps(figures))
    else:
        main()
