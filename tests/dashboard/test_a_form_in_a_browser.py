"""A form on a page of another origin, in a real browser: sent by the page itself and by its script."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from support.browser.chromium import chromium
from support.cli.command import Served

PAGE = """<!doctype html><meta charset="utf-8"><title>t</title>
<form method="post" action="{gate}/in/leads" enctype="{kind}">
<input name="email" value="ada@example.com"><input name="website"><input type="file" name="photo">
<button>Send</button></form>"""
FETCH = """async ([url, how]) => {
  const fields = how === "multipart" ? new FormData() : new URLSearchParams();
  const body = how === "json" ? JSON.stringify({email: how}) : fields;
  if (how !== "json") body.append("email", how);
  const headers = how === "json" ? {"content-type": "application/json"} : {};
  const answer = await fetch(url, {method: "POST", body, headers});
  return [answer.status, await answer.json()];
}"""


@contextmanager
def site() -> Iterator[tuple[str, dict[str, str]]]:
    """(the address of the site, its pages by path)."""
    pages: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path, "thanks").encode()
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", pages
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_page_and_its_script_send_a_form_and_a_foreign_script_does_not(tmp_path: Path) -> None:
    with site() as (home, pages), site() as (foreign, _):
        toml = f'[sources.leads.form]\nredirect = "{home}/thanks"\nallowed_origins = ["{home}"]\nkey_field = "email"\n'
        with Served(tmp_path, toml) as gate, chromium() as browser:
            for kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
                pages[f"/{kind[:5]}"] = PAGE.format(gate=gate.url, kind=kind)
            page = browser.new_page()
            for path in pages:
                page.goto(home + path)
                page.click("button")
                page.wait_for_url(f"{home}/thanks")
            for how in ("urlencoded", "multipart", "json"):
                status, answer = page.evaluate(FETCH, [f"{gate.url}/in/leads", how])
                assert (status, answer["id"][:4]) == (202, "evt_")
            page.goto(f"{foreign}/other")
            failed = page.evaluate(
                f"(args) => ({FETCH})(args).catch((error) => String(error))", [f"{gate.url}/in/leads", "json"]
            )
            assert "Failed to fetch" in failed
            keys = [one["key"] for one in gate.run("events", "--json").json["data"]][::-1]
            assert keys == ["ada@example.com", "ada@example.com", "urlencoded", "multipart", "json"]
