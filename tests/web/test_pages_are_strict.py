"""Every page carries a policy that runs nothing but our own files, and keeps to it itself."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from support.gateway.api import ADMIN, served

CONFIG = """
[sources.app.publish]
[destinations.crm]
url = "https://crm.example.com/hooks"
[routes.all]
from = "app"
to = "crm"
"""
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


class Inline(HTMLParser):
    """What of a page the policy would refuse: inline scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        if tag == "style" or (tag == "script" and "src" not in names):
            self.found.append(tag)
        self.found += [name for name in names if name == "style" or name.startswith("on")]
        self.found += [value for _, value in attrs if value and value.lower().lstrip().startswith("javascript:")]


def policy(text: str) -> dict[str, set[str]]:
    parts = (part.split() for part in text.split(";") if part.strip())
    return {words[0]: set(words[1:]) for words in parts}


async def test_pages_run_only_files_of_ours_and_show_payloads_as_text(tmp_path: Path) -> None:
    async with served(tmp_path, CONFIG) as gate:
        event = {"source": "app", "type": "a.b", "key": HOSTILE, "data": {"name": HOSTILE, HOSTILE: 1}}
        made = (await gate.api.post("/events", event))["id"]
        nobody = gate.api.with_key(None)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        entered = await nobody("POST", "/login", f"key={ADMIN}".encode(), headers=headers)
        cookie = {"Cookie": entered.headers["set-cookie"].partition(";")[0]}
        pages = (
            "/",
            "/events",
            f"/events/{made}",
            "/destinations",
            "/destinations/crm",
            "/sources",
            "/api-or-webhook",
            "/api-or-webhook/all",
        )
        for path, sent in [*((one, cookie) for one in pages), ("/login", {}), ("/nowhere", cookie)]:
            page = await nobody("GET", path, headers=sent)
            assert page.status in (200, 404), path
            said = policy(page.headers["content-security-policy"])
            assert said["default-src"] == {"'none'"} and said["script-src"] == {"'self'"}, path
            assert said["frame-ancestors"] == {"'none'"} and said["base-uri"] == {"'none'"}, path
            assert not any("unsafe" in word for words in said.values() for word in words), path
            assert page.headers["x-content-type-options"] == "nosniff", path
            assert Inline(page.body.decode()).found == [], path


def test_the_parser_of_this_file_finds_what_is_inline() -> None:
    for bad in ("<script>x", '<p style="a">', "<a onclick=b>", '<a href=" JavaScript:x">', "<STYLE>", HOSTILE):
        assert Inline(bad).found, bad
    assert Inline('<script type="module" src="/static/app.js"></script> &lt;img onerror=a&gt;').found == []
