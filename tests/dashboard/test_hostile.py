"""What strangers send is shown as text, seen whole or not at all, and never makes a page large, wide or wrong."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from support.browser.busy_gateway import in_background
from support.browser.chromium import chromium, no_wider_than_its_window, watched
from support.browser.page_weight import MOST_BYTES, weight
from support.gateway.api import Served, served
from support.gateway.running import until
from support.receiver.scripted import ScriptedServer, answer
from tidegate.api import sessions
from tidegate.core.unseen import visible_lines
from tidegate.dashboard import payload

MARKUP = (
    "</pre></script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">'\"&{{ 7*7 }}"
)
TURNED = "invoice\u202egpj.exe\u2066\u200f\x00\x1b[31m"
BAD = (
    b"HTTP/1.1 422 <b>No</b>\r\ncontent-type: text/html\r\nx-i: <script>1</script>\r\n"
    + b"".join(b"x-long-%d: %s\r\n" % (i, b"<" * 1500) for i in range(6))
    + b"content-length: 60000\r\n\r\n"
    + (MARKUP.encode() + b"\xff\x00" + "\u202e".encode()).ljust(60000, b"<")
)


def config(server: ScriptedServer) -> str:
    return f"""
[sources.app.publish]
[sources.hook.webhook]
verify = "none"
type_path = "kind"
key_path = "key"
max_body = "4MiB"
[destinations.crm]
url = "{server.url}/hooks"
retry = ["100ms"]
[destinations.other]
url = "{server.url}/other"
retry = ["100ms"]
[routes.all]
from = "*"
to = ["crm", "other"]
"""


def deep(levels: int) -> Any:
    value: Any = MARKUP
    for _ in range(levels):
        value = {"a": [value]}
    return value


BODIES = {
    "markup": json.dumps({"kind": MARKUP, "key": MARKUP, MARKUP: MARKUP, "list": [MARKUP] * 40}).encode(),
    "turned": json.dumps({"kind": TURNED, "key": TURNED, TURNED: TURNED}).encode(),
    "halves": b'{"kind": "a.b", "key": "\\ud800", "x": "\\udfff\\u0000"}',
    "deep": json.dumps({"kind": "deep", "x": deep(40)}).encode(),
    "wide": json.dumps({f"<key {i}>" * 20: "<" * 3000 for i in range(300)}).encode(),
    "a long list": json.dumps(list(range(20_000))).encode(),
    "1 MiB of one text": json.dumps({"text": "<&\u202e" * 200_000}).encode()[: 1 << 20] + b'"}',
    "no UTF-8": b"\xff\xfe\x00<script>" * 2000,
    "nothing": b"",
    "numbers": b'{"n": 1e400, "m": -0, "big": ' + b"9" * 4000 + b"}",
}


class Tags(HTMLParser):
    """Tags and attributes of a page that no template writes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.bad: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("img", "i-", "iframe", "object", "base", "style") or (
            tag == "script" and not dict(attrs).get("src")
        ):
            self.bad.append(tag)
        self.bad += [name for name, _ in attrs if name.startswith("on") or name == "style"]


async def received(gate: Served, body: bytes, kind: str = "application/json") -> str:
    reply = await gate.api.with_key(None)("POST", "/in/hook", body, headers={"Content-Type": kind})
    assert reply.status == 202, reply
    return str(reply.json()["id"])


async def settled(gate: Served) -> bool:
    found = (await gate.api.get("/stats"))["totals"]
    return found["pending"] == 0 and found["exhausted"] > 0


async def given_up(gate: Served) -> bool:
    return bool((await gate.api.get("/stats"))["totals"]["exhausted"])


def addresses(made: list[str]) -> list[str]:
    events = [f"/events/{one}{view}" for one in made for view in ("", "?view=raw", "?view=headers")]
    search = "/events?q=" + quote(MARKUP) + "&type=" + quote(TURNED) + "&key=%00&within=%3Cb%3E"
    return ["/", "/events", "/destinations", "/destinations/crm", "/sources", "/" + quote(MARKUP), search, *events]


@pytest.mark.parametrize("what", sorted(BODIES))
async def test_a_hostile_event_is_text_on_every_page_and_no_page_grows_with_it(tmp_path: Path, what: str) -> None:
    async with ScriptedServer(answer(BAD)) as server, served(tmp_path, config(server)) as gate:
        made = [await received(gate, BODIES[what], "text/plain<b>") for _ in range(2)]
        await until(lambda: settled(gate), 30)
        cookie = await gate.context.sessions.by_link(gate.context.sessions.new_link())
        for path in addresses(made):
            shown = await gate.api.with_key(None)("GET", path, headers={"Cookie": f"{sessions.COOKIE}={cookie}"})
            assert shown.status in (200, 404), (path, shown.status)
            text = shown.body.decode()
            assert Tags(text).bad == [], path
            assert visible_lines(text) == text, path
            assert "{{" not in text or "7*7" in text, path
            assert weight(shown.body) < MOST_BYTES, (path, weight(shown.body))
            answered = path == f"/events/{made[0]}"
            assert not answered or ("x-i: &lt;script&gt;" in text and "422" in text), "the answer is on the page"


async def test_an_event_that_goes_to_many_shows_the_urgent_in_full_and_each_on_demand(tmp_path: Path) -> None:
    async with ScriptedServer(answer(BAD)) as server:
        names = [f"destination-with-a-long-name-{i}" for i in range(40)]
        many = "".join(f'[destinations.{name}]\nurl = "{server.url}/{name}"\nretry = ["100ms"]\n' for name in names)
        toml = f'[sources.app.publish]\n{many}[routes.all]\nfrom = "app"\nto = {json.dumps(names)}\n'
        async with served(tmp_path, toml) as gate:
            data = {"<key>" * 9: ["<" * 400] * 200}
            made = (await gate.api.post("/events", {"source": "app", "type": "t", "data": data}))["id"]
            await until(lambda: settled(gate), 30)
            cookie = await gate.context.sessions.by_link(gate.context.sessions.new_link())
            headers = {"Cookie": f"{sessions.COOKIE}={cookie}"}
            shown = await gate.api.with_key(None)("GET", f"/events/{made}", headers=headers)
            text = shown.body.decode()
            assert weight(shown.body) < MOST_BYTES and 2 <= text.count('class="panel dlv"') < 10
            more = re.findall(r'href="(/events/[^"]+\?delivery=([^"]+))"', text)
            assert len(more) == 10 and "tidegate explain" in text
            path, wanted = more[-1]
            one = (await gate.api.with_key(None)("GET", path, headers=headers)).body.decode()
            assert one.index('class="panel dlv"') < one.index(f'id="{wanted}"') < one.index("/retry")
            assert f'name="back" value="{path}"' in one
            odd = await gate.api.with_key(None)("GET", f"/events/{made}?delivery=%22%3E%3Cb%3E", headers=headers)
            assert odd.status == 200 and b'delivery="><b>' not in odd.body


def test_a_browser_runs_nothing_of_it_and_does_not_scroll_sideways(tmp_path: Path) -> None:
    complaints: list[str] = []

    async def fill(gate: Served) -> list[str]:
        made = [await received(gate, body) for body in BODIES.values()]
        await gate.api.post(
            "/events", {"source": "app", "type": "x" * 200, "key": "k" * 200, "data": {"y" * 900: "z" * 900}}
        )
        await until(lambda: given_up(gate), 30)  # its circuit opens, so the rest goes on waiting
        return made

    with chromium() as browser, in_background(ScriptedServer(answer(BAD))) as (server, side):
        opening = served(tmp_path, config(server))
        gate = side.run(opening.__aenter__())
        try:
            made = side.run(fill(gate))
            with watched(browser, complaints, viewport={"width": 390, "height": 844}) as context:
                page = context.new_page()
                page.goto(f"{gate.url}/login?token={gate.context.sessions.new_link()}")
                page.click("button:has-text('Open the dashboard')")
                for path in [one for one in addresses(made) if "view" not in one and "script" not in one]:
                    page.goto(gate.url + path)
                    assert no_wider_than_its_window(page), path
                    assert page.title().endswith("Tidegate") and "owned" not in page.title().partition(" · ")[0][:5], (
                        path
                    )
                page.goto(f"{gate.url}/events/{made[0]}")
                assert MARKUP[:60] in page.inner_text("h1"), "it is shown as it came"
                page.goto(f"{gate.url}/events/{made[1]}")
                assert page.inner_text("main").count("invoice\\u202egpj.exe") >= 3, (
                    "what turns the writing is written out"
                )
        finally:
            side.run(opening.__aexit__(None, None, None))
    assert complaints == []


def test_space_is_counted_as_a_text_will_stand_on_the_page() -> None:
    space = payload.Space(100)
    assert space.take("plain", 50) == "plain" and space.left == 95
    assert space.take("<" * 50, 40) == "<" * 23 + "…"
    assert space.take("\u202e", 9) == "…" and space.take("x", 0) == "…"
    assert payload.weight("<\u202e") == len("&lt;\\u202e")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("tab\tand\nline", "tab\tand\nline"),
        ("a\x00b\x1b", "a\\u0000b\\u001b"),
        ("\u202eabc\u2069", "\\u202eabc\\u2069"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("\ud83d", "\\ud83d"),
        ("Größe 漢字 \U0001f6a2 \u05e9\u05dc\u05d5\u05dd", "Größe 漢字 \U0001f6a2 \u05e9\u05dc\u05d5\u05dd"),
    ],
)
def test_what_cannot_be_seen_is_written_out_and_every_writing_stays(text: str, seen: str) -> None:
    assert visible_lines(text) == seen
