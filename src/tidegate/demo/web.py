"""What the programs of the sample company share: how one is started, its page, its counters, its secrets.

Each program is a small web server of its own that could live elsewhere; none imports anything of Tidegate. They
keep what they know in memory, so a stop forgets it and a start begins with the same few orders and customers.
Pages are plain HTML that works without scripts, with one style sheet and nothing from other hosts.
"""

from __future__ import annotations

import argparse
import hashlib
import html
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

STATIC = Path(__file__).parent / "static"
POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'"
PAGE_HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}


def now() -> str:
    """This instant as `2026-11-24T17:18:43.123456Z`; such texts sort by time."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def text(value: object) -> str:
    return html.escape(str(value))


def euros(cents: int) -> str:
    return f"{cents / 100:,.2f} EUR"


class System:
    """One program's name, counters and extra settings. `counts` is what the story page reads."""

    def __init__(self, name: str, options: argparse.Namespace) -> None:
        self.name = name
        self.options = options
        self.counts: Counter[str] = Counter()

    def secret(self, name: str) -> str:
        """A secret both sides know, from the directory that the demo wrote."""
        return (Path(self.options.secrets) / name).read_text()

    def page(self, about: str, body: str) -> HTMLResponse:
        """`body` is markup whose values went through `text`."""
        return HTMLResponse(
            f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{text(self.name)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/static/harbour.css">
<script type="module" src="/static/page.js"></script></head>
<body><header class="bar"><h1>{text(self.name)}</h1><p>{text(about)}</p></header>
<main class="narrow">{body}</main></body></html>""",
            headers=PAGE_HEADERS,
        )


def table(head: list[str], rows: list[list[str]], empty: str) -> str:
    """`rows` hold markup; `empty` says what will stand here."""
    if not rows:
        return f'<p class="empty">{text(empty)}</p>'
    top = "".join(f"<th>{text(name)}</th>" for name in head)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>'


def button(action: str, label: str, **hidden: str) -> str:
    fields = "".join(f'<input type="hidden" name="{text(k)}" value="{text(v)}">' for k, v in hidden.items())
    return f'<form method="post" action="{text(action)}" class="inline">{fields}<button>{text(label)}</button></form>'


async def form(request: Request) -> dict[str, str]:
    """The fields of a posted form; of a field that stands twice, the last."""
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))


def back(to: str = "/") -> RedirectResponse:
    return RedirectResponse(to, status_code=303)


def wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")


def with_etag(request: Request, content: Any, headers: dict[str, str] | None = None) -> Response:
    """JSON with a strong validator; 304 when the caller has this copy."""
    body = json.dumps(content, separators=(",", ":")).encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    headers = {"ETag": etag, **(headers or {})}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def problem(status: int, title: str, **headers: str) -> Response:
    body = json.dumps({"title": title, "status": status})
    return Response(body, status, media_type="application/problem+json", headers=headers)


async def static_file(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in {"harbour.css", "story.js", "page.js"}:
        return problem(404, "there is no such file")
    return FileResponse(STATIC / name)


def arguments(about: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--gateway", default="http://127.0.0.1:8420", help="address of the gateway")
    parser.add_argument("--secrets", default=".", help="directory of secret files")
    return parser


def serve(routes: list[Route], port: int, lifespan: Any = None) -> None:
    """Serve on loopback until SIGTERM or SIGINT."""
    app = Starlette(routes=[*routes, Route("/static/{name}", static_file)], lifespan=lifespan)
    uvicorn.run(
        app, host="127.0.0.1", port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=2,
        server_header=False,
    )  # fmt: skip
