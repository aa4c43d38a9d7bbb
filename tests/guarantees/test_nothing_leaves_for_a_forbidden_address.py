"""Promise 8: no request leaves for a forbidden address, no credential to a foreign origin, no secret in what is written
or answered.

Every way out (a delivery, a test send, a pull, a poll, a next page, a redirect) is pointed at addresses that are not
allowed, in every spelling, by name, and by a name that changes its answer after the look. A canary listens where they
lead: it must never see a connection. Then a gateway of its own with marked secrets everywhere is used, crashes and all,
and everything that it wrote or answered is searched.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import signal
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from support.gateway.deployment import Deployment
from support.gateway.process import call
from support.gateway.running import until
from support.postgres.server import contents
from support.receiver.post_client import infos
from support.receiver.scripted import ScriptedServer, answer
from tidegate.outbound.resolver import Resolver

CANARY_HOST = "127.0.0.2"  # loopback everywhere on Linux, and not in `egress.allow`
TOML = """
[sources.shop.publish]
[sources.api.api]
base_url = "http://127.0.0.1:{port}"
auth = {{ type = "bearer", token = "bearer-token-of-api" }}
[sources.api.resources.orders]
path = "/orders"
item_path = "/orders/{{id}}"
paginator = {{ type = "header_link" }}
deletes = {{ mode = "none" }}
"""


class Canary:
    """Counts connections."""

    def __init__(self) -> None:
        self.connections = 0

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        async def seen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            writer.close()

        try:
            server = await asyncio.start_server(seen, CANARY_HOST, 0)
        except OSError:
            pytest.skip(f"{CANARY_HOST} cannot be listened on here")
        async with server:
            yield int(server.sockets[0].getsockname()[1])


def spellings(port: int, own: int) -> list[str]:
    """URLs that lead to the canary, to metadata, to private networks, or back to us, by any road."""
    hosts = [
        *(CANARY_HOST, "2130706434", "0x7f000002", "0177.0.0.2", "127.2", "0x7f.0.0.2", "127.0.0.2."),
        *("[::ffff:127.0.0.2]", "[::ffff:7f00:2]", "[::1]", "[::]", "0.0.0.0", "0", "[64:ff9b::7f00:2]"),
        *("[2002:7f00:2::]", "169.254.169.254", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "100.100.100.200"),
        *(
            "10.0.0.1",
            "192.168.1.1",
            "172.16.0.1",
            "100.64.0.1",
            "[fe80::1]",
            "[fc00::1]",
            "224.0.0.1",
            "255.255.255.255",
        ),
        *("①②⑦.0.0.2", "127。0。0。2", "user@127.0.0.2", "127.0.0.2%00.example.com", "127.0.0.2\\.example.com"),
    ]
    return [f"http://{host}:{port}/x" for host in hosts] + [f"http://127.0.0.1:{own}/in/x", f"http://localhost:{own}/"]


async def try_destination(api: Any, number: int, url: str) -> str:
    made = await api("PUT", f"/api/v1/destinations/d{number}", {"url": url})
    if made.status >= 400:
        assert made.status in (400, 422), (url, made)
        return "refused"
    sent = await api("POST", f"/api/v1/destinations/d{number}/test")
    assert sent.status == 200, (url, sent)
    return str(sent.json()["outcome"])


async def try_source(api: Any, number: int, url: str) -> int:
    spec = {"api": {"base_url": url}, "resources": {"r": {"path": "/", "deletes": {"mode": "none"}}}}
    made = await api("PUT", f"/api/v1/sources/s{number}", spec)
    if made.status >= 400:
        assert made.status in (400, 422), (url, made)
        return int(made.status)
    return int((await api("GET", f"/api/v1/pull/s{number}/r")).status)


async def test_no_spelling_of_a_forbidden_address_is_called(deployment: Deployment) -> None:
    canary = Canary()
    async with canary.open() as port, deployment.served(TOML.format(port=1)) as gateway:
        own = int(gateway.url.rsplit(":", 1)[1])
        for number, url in enumerate(spellings(port, own)):
            outcome = await try_destination(gateway.api, number, url)
            assert outcome in ("refused", "blocked"), (url, outcome)
            status = await try_source(gateway.api, number, url)
            assert status in (400, 403, 422, 502), (url, status)
        assert canary.connections == 0


async def test_a_name_that_changes_its_answer_after_the_look_gains_nothing(deployment: Deployment) -> None:
    canary = Canary()
    good = ScriptedServer(answer(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]"))
    async with canary.open() as port, good, deployment.served(TOML.format(port=1)) as gateway:
        asked: list[str] = []
        answers = ["127.0.0.1", CANARY_HOST]

        def rebinding(host: str) -> list[Any]:
            asked.append(host)
            return infos([answers[min(len(asked) - 1, 1)]])  # good at the first look, the canary ever after

        gateway.gateway.dialer._resolver = Resolver(gateway.gateway.clock, query=rebinding, cache_seconds=0.0)
        await gateway.api("PUT", "/api/v1/destinations/name", {"url": f"http://rebind.example:{port}/"})
        outcomes = []
        for _ in range(4):
            outcomes.append((await gateway.api("POST", "/api/v1/destinations/name/test")).json()["outcome"])
        # The first look led to 127.0.0.1 (allowed, nobody there); every later one is checked again.
        assert outcomes[0] == "refused"
        assert set(outcomes[1:]) == {"blocked"}
        spec = {"api": {"base_url": f"http://rebind.example:{port}"}, "resources": {"r": {"path": "/"}}}
        spec["resources"]["r"]["deletes"] = {"mode": "none"}
        await gateway.api("PUT", "/api/v1/sources/name", spec)
        assert (await gateway.api("GET", "/api/v1/pull/name/r")).status in (403, 502)
        assert len(asked) >= 5
        assert canary.connections == 0


async def test_redirects_and_next_pages_neither_leave_the_origin_nor_carry_its_credential(
    deployment: Deployment,
) -> None:
    canary = Canary()
    leads_to = ["", ""]

    async def shop(reader: Any, writer: Any, request: Any) -> None:
        assert request.headers["authorization"] == "Bearer bearer-token-of-api"
        if "redirect" in request.line or leads_to[0] == "redirect":
            head = f"HTTP/1.1 302 Found\r\nlocation: {leads_to[1]}\r\ncontent-length: 0\r\n\r\n"
        else:
            head = f'HTTP/1.1 200 OK\r\nlink: <{leads_to[1]}>; rel="next"\r\ncontent-length: 2\r\n\r\n[]'
        writer.write(head.encode())

    seen: list[dict[str, str]] = []

    async def foreign(reader: Any, writer: Any, request: Any) -> None:
        seen.append(request.headers)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]")

    async with canary.open() as port, ScriptedServer(shop) as source, ScriptedServer(foreign) as other:
        async with deployment.served(TOML.format(port=source.port)) as gateway:
            for kind in ("redirect", "next"):
                for target in (
                    f"http://{CANARY_HOST}:{port}/", "http://169.254.169.254/latest/", f"//{CANARY_HOST}:{port}/",
                    f"http://127.0.0.1:{other.port}/", f"http://localhost:{other.port}/", "file:///etc/passwd",
                    f"http://127.0.0.1:{source.port}@{CANARY_HOST}:{port}/", "http://[", "//[::1", "\x7f:",
                    f"http://user@127.0.0.1:{source.port}/", f"http://{CANARY_HOST}:{port}/?k=bearer-token-of-api",
                ):  # fmt: skip
                    leads_to[:] = [kind, target]
                    pulled = await gateway.api("GET", "/api/v1/pull/api/orders?max_age=0")
                    assert b"root:" not in pulled.body
                    polled = await gateway.api("POST", "/api/v1/sources/api/resources/orders/poll")
                    assert polled.status < 500 or polled.status in (502, 504), (target, polled)
                    for body in (pulled.body, polled.body):  # not even when the source writes it into its links
                        assert b"bearer-token-of-api" not in body
        assert canary.connections == 0
        assert seen == []  # an address that may be called is still none of this source's own


# -- secrets ---------------------------------------------------------------------------------------------

MARKS = {
    "input": "whsec_" + base64.b64encode(b"mark-input-secret-mark-input").decode(),
    "stripe": "whsec_mark4stripe",
    "bearer": "mark4bearer",
    "password": "mark4password",
    "query": "mark4query",
    "signing": "whsec_" + base64.b64encode(b"mark-signing-mark-signing-xx").decode(),
    "header": "mark4header",
    "auth": "mark4destinationauth",
    "slack": "T0/B0/mark4slackpath",
    "admin": "tg_" + "mark4admin" + "a" * 33,
    "came": "mark4came",  # credentials among the headers of what came in
    "urlquery": "mark4urlquery",
}


def secretive(api: int, receiver: int, dead: int) -> str:
    return f"""
[egress]
allow = ["127.0.0.1/32"]
[sources.shop.webhook]
verify = "standard-webhooks"
secret = "{MARKS["input"]}"
[sources.pay.webhook]
verify = "stripe"
secret = ["{MARKS["stripe"]}"]
[sources.plain.webhook]
verify = "none"
[sources.a.api]
base_url = "http://127.0.0.1:{api}/a"
auth = {{ type = "bearer", token = "{MARKS["bearer"]}" }}
[sources.a.resources.things]
path = "/things"
poll = "1s"
initial = "events"
[sources.a.resources.failing]
path = "/broken"
poll = "1s"
[sources.b.api]
base_url = "http://127.0.0.1:{api}/b"
auth = {{ type = "http_basic", username = "u", password = "{MARKS["password"]}" }}
[sources.b.resources.things]
path = "/things"
[sources.c.api]
base_url = "http://127.0.0.1:{api}/c"
auth = {{ type = "api_key", name = "key", api_key = "{MARKS["query"]}", location = "query" }}
[sources.c.resources.things]
path = "/broken"
[sources.c.resources.linked]
path = "/linked"
paginator = {{ type = "header_link" }}
poll = "1s"
[destinations.crm]
url = "http://127.0.0.1:{receiver}/hook?token={MARKS["urlquery"]}"
secret = "{MARKS["signing"]}"
headers = {{ "X-Key" = "{MARKS["header"]}" }}
auth = {{ type = "bearer", token = "{MARKS["auth"]}" }}
[destinations.dead]
url = "http://127.0.0.1:{dead}/hook?token={MARKS["urlquery"]}"
headers = {{ "X-Key" = "{MARKS["header"]}" }}
[destinations.chat]
type = "slack"
url = "http://127.0.0.1:{receiver}/services/{MARKS["slack"]}"
text = "{{{{ type }}}}"
[routes.all]
from = "*"
to = ["crm", "dead", "chat"]
"""


SHOWN = [
    *(
        "/api/v1/config",
        "/api/v1/config?format=toml",
        "/api/v1/events",
        "/api/v1/deliveries",
        "/api/v1/stats",
        "/api/v1/advice",
        "/api/v1/rejections",
    ),
    *("/api/v1/sources", "/api/v1/destinations", "/api/v1/routes", "/api/v1/replays", "/api/v1/keys", "/api/v1/doctor"),
    *("/api/v1/destinations/crm", "/api/v1/sources/a", "/api/v1/records/a/things", "/metrics", "/openapi.json"),
    *("/api/v1/sources/c", "/api/v1/sources/late", "/api/v1/destinations/late", "/api/v1/destinations/chat"),
    *("/api/v1/pull/a/things", "/api/v1/pull/b/things", "/api/v1/pull/c/things", "/livez", "/readyz"),
]
PAGES = [
    *("/", "/events", "/destinations", "/destinations/crm", "/destinations/dead", "/destinations/chat"),
    *("/destinations/late", "/sources", "/api-or-webhook", "/login"),
]


async def make_secrets(see: Any, headers: dict[str, str], dead: int) -> dict[str, str]:
    """What is made or given while it runs, by name; an answer that shows one on purpose is not kept."""
    made = {"api key": "", "rotated": "", "given source": "mark4givensource", "given query": "mark4givenquery"}
    answered = await see("POST", "/api/v1/keys", headers=headers, json={"name": "k", "scopes": ["read"]}, shows=True)
    made["api key"] = json.loads(answered)["key"]
    rotated = await see("POST", "/api/v1/destinations/dead/rotate", headers=headers, shows=True)
    made["rotated"] = json.loads(rotated)["secret"]
    made["before"] = json.loads(rotated)["older"][0]
    source = {"webhook": {"verify": "stripe", "secret": [made["given source"]]}}
    await see("PUT", "/api/v1/sources/late", headers=headers, json=source)
    late = {
        "url": f"http://127.0.0.1:{dead}/late?{made['given query']}",
        "auth": {"type": "bearer", "token": MARKS["auth"]},
    }
    for rate in ("5/s", "6/s"):
        await see("PUT", "/api/v1/destinations/late", headers=headers, json={**late, "rate": rate})
    route = {"from": "plain", "to": "late", "transform": {"set": {"data.late": "x"}}}
    await see("PUT", "/api/v1/routes/late", headers=headers, json=route)
    await see("POST", "/api/v1/destinations/late/test", headers=headers)
    for name, body in {
        "sources/bad": {"api": {"base_url": "ftp://" + MARKS["query"]}},
        "destinations/bad": {**late, "retry": 5},
        "destinations/late": {**late, "url": "https://elsewhere.example.com", "auth": {"type": "bearer"}},
    }.items():  # an error shows what the caller just wrote, to the caller alone
        await see("PUT", f"/api/v1/{name}", headers=headers, json=body, shows=True)
    return made


async def use_everything(
    deployment: Deployment, receiver: ScriptedServer, api: ScriptedServer, dead: int
) -> tuple[dict[str, bytes], bytes, dict[str, str]]:
    """What was answered and written, by place; all of the logs; and the secrets that were made meanwhile."""
    shown: dict[str, bytes] = {}
    environ = {"TIDEGATE_ADMIN_KEY": MARKS["admin"]}
    gateway = deployment.process(secretive(api.port, receiver.port, dead), environ=environ)
    await gateway.start()
    headers = {"authorization": f"Bearer {MARKS['admin']}"}
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:

        async def see(method: str, path: str, *, shows: bool = False, **more: Any) -> bytes:
            async with http.request(method, gateway.url + path, **more) as reply:
                content = await reply.read()
                heads = [pair for pair in reply.headers.items() if pair[0].lower() != "set-cookie"]
                if not shows:
                    shown[f"{method} {path}"] = content + repr(heads).encode()
                assert reply.status < 500 or reply.status in (502, 504), (path, reply.status, content)
                return content

        came = {"authorization": f"Bearer {MARKS['came']}", "cookie": f"s={MARKS['came']}", "x-api-key": MARKS["came"]}
        for path in ("/in/shop", "/in/pay", "/in/plain"):
            await see("POST", path, data=b'{"type": "t", "id": 1}', headers={**came, "webhook-signature": "v1,x"})
        id_ = json.loads(shown["POST /in/plain"].partition(b"[(")[0])["id"]
        await until(lambda: any("/hook" in request.line for request in receiver.requests), 20)
        made = await make_secrets(see, headers, dead)
        for name in ("crm", "dead", "chat"):
            await see("POST", f"/api/v1/destinations/{name}/test", headers=headers)
        for name in ("c/resources/linked", "a/resources/failing", "a/resources/things"):
            await see("POST", f"/api/v1/sources/{name}/poll", headers=headers)
        for path in [*SHOWN, f"/api/v1/events/{id_}", f"/api/v1/explain/{id_}"]:
            await see("GET", path, headers=headers)
        for delivery in (await call(gateway.url, "/api/v1/deliveries?limit=20", MARKS["admin"]))["data"]:
            await see("GET", f"/api/v1/deliveries/{delivery['id']}", headers=headers)
        await see("POST", "/login", data={"key": MARKS["admin"]}, headers={"origin": gateway.url})
        for path in [*PAGES, f"/events/{id_}"]:
            page = await see("GET", path)
            assert b"password" not in page.lower() or b"login" not in page.lower(), "this is the login page"
        made["session"] = next(iter(http.cookie_jar)).value
        made["local key"] = gateway.key
        file = deployment.folder / "tidegate.toml"
        file.write_text(file.read_text().replace("[routes.all]", 'rate = "9/s"\n[routes.all]'))
        assert b"chat" in await see("POST", "/api/v1/config", headers=headers, json={})
        if deployment.database is not None:
            shown |= {f"table {name}": held for name, held in (await contents(deployment.database)).items()}
        else:
            backup = deployment.folder / "backup.db"
            await see("POST", "/api/v1/backup", headers=headers, json={"path": str(backup)})
            shown["backup"] = backup.read_bytes()
    await gateway.end(signal.SIGKILL)
    for file in sorted(deployment.data.rglob("*")):
        if file.is_file() and file.name != "local.json":  # of mode 0600, gone with the process; see below
            shown[f"file {file.name} after a kill"] = file.read_bytes()
    await gateway.start()
    await gateway.end(signal.SIGTERM)
    for file in sorted(deployment.data.rglob("*")):
        if file.is_file():
            shown[f"file {file.name}"] = file.read_bytes()
    return shown, gateway.stdout + gateway.stderr, made


def spelled(secret: str) -> list[bytes]:
    """As it is, and as it may hide: base64, hex, percent-encoded."""
    plain = secret.encode()
    core = base64.b64decode(secret[6:]) if secret.startswith("whsec_") and len(secret) > 30 else plain
    found = [plain, core, base64.b64encode(plain).rstrip(b"=")[:-1], core.hex().encode()]
    return [*found, secret.replace("/", "%2F").encode()]


async def test_no_secret_is_in_what_is_written_or_answered(deployment: Deployment, tmp_path: Path) -> None:
    async def shop(reader: Any, writer: Any, request: Any) -> None:
        if "/broken" in request.line:
            writer.write(b"HTTP/1.1 403 X\r\ncontent-length: 4\r\n\r\nno..")
        elif "/linked" in request.line:  # as sources do: the link carries the key that we asked with
            link = f'<http://{CANARY_HOST}/things?key={MARKS["query"]}&page=2>; rel="next"'
            writer.write(f"HTTP/1.1 200 OK\r\nlink: {link}\r\ncontent-length: 2\r\n\r\n[]".encode())
        else:
            writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n[{"id":1}]')

    async with (
        ScriptedServer(answer(b"HTTP/1.1 400 X\r\ncontent-length: 0\r\n\r\n")) as receiver,
        ScriptedServer(shop) as api,
    ):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            shown, logs, made = await use_everything(deployment, receiver, api, unused.getsockname()[1])
        # They were used: the receivers got them.
        sent = b"".join(request.head for request in [*receiver.requests, *api.requests])
        for name in ("bearer", "query", "header", "auth", "slack", "urlquery"):
            assert MARKS[name].encode() in sent, name
    assert len(shown) > 40
    assert len(logs) > 200
    assert b"mark4came" not in sent
    for line in (b"leads away", b"the source answered 403", b"destination chat updated"):
        assert line in logs
    assert stat.S_IMODE((deployment.data / "secret.key").stat().st_mode) == 0o600
    assert min(len(secret) for secret in made.values()) > 12
    for where, content in [*shown.items(), ("logs", logs)]:
        for name, secret in {**MARKS, **made}.items():
            for spelling in spelled(secret):
                assert spelling not in content, f"{name} is in {where}"
