"""The code that the programs of the sample company share: start, page, counters, secrets.

Each program is a small web server that could run elsewhere; none imports anything from Tidegate. Their data is in
memory and lost at a stop (except the customers of accounting, which are in a file, because their revisions must not go
back). Pages are plain HTML that works without scripts, with one style sheet and nothing from other hosts.
"""

from __future__ import annotations

import argparse
import hashlib
import html
import json
import socket
from collections import Counter, deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

STATIC = Path(__file__).parent / "static"
POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'"
PAGE_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
THEME_COOKIE = "tidegate_theme"


def now() -> str:
    """The current time as `2026-11-24T17:18:43.123456Z`; these strings sort by time."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def text(value: object) -> str:
    return html.escape(str(value))


def euros(cents: int) -> str:
    return f"{cents / 100:,.2f} EUR"


class System:
    """The name, counters and options of one program. The story page reads `counts`."""

    def __init__(self, name: str, options: argparse.Namespace) -> None:
        self.name = name
        self.options = options
        self.counts: Counter[str] = Counter()
        self.requests: deque[str] = deque(maxlen=200)  # the times of the last requests to its API
        self.webhooks: deque[str] = deque(maxlen=200)  # the times of the last webhooks that it sent

    def secret(self, name: str) -> str:
        """A shared secret, from the directory that the demo created."""
        return (Path(self.options.secrets) / name).read_text()

    def count_request(self) -> None:
        self.counts["api_requests"] += 1
        self.requests.append(now())

    def count_webhook(self) -> None:
        self.counts["webhooks_sent"] += 1
        self.webhooks.append(now())

    def state(self, **more: Any) -> JSONResponse:
        """The state that the story page reads, without secrets."""
        lists = {"requests": list(self.requests), "webhooks": list(self.webhooks)}
        return JSONResponse({"counts": self.counts, **lists, **more})

    def page(self, request: Request, about: str, body: str) -> HTMLResponse:
        """The page. `body` is markup whose values are escaped with `text`."""
        story = f'<a href="{text(self.options.story)}/">The story</a>' if self.options.story else ""
        return HTMLResponse(
            f"""<!doctype html><html lang="en" data-theme="{theme(request)}"><head><meta charset="utf-8">
<title>{text(self.name)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/static/sample_pages.css"><link rel="icon" href="/static/tide.svg" type="image/svg+xml">
<script type="module" src="/static/page.js"></script></head>
<body><header class="bar narrow"><div><h1 class="brand">{text(self.name)}</h1><nav>{story}</nav></div></header>
<main class="narrow"><p class="about">{text(about)}</p>{body}</main></body></html>""",
            headers=PAGE_HEADERS,
        )


def theme(request: Request) -> str:
    """The theme chosen here or in the gateway's dashboard. They share one cookie, because cookies ignore ports."""
    chosen = request.cookies.get(THEME_COOKIE)
    return chosen if chosen in ("light", "dark") else ""


def table(head: list[str], rows: list[list[str]], empty: str) -> str:
    """A table. `rows` are markup; `empty` is shown when there are no rows."""
    if not rows:
        return f'<p class="empty">{text(empty)}</p>'
    top = "".join(f"<th>{text(name)}</th>" for name in head)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>'


def button(action: str, label: str, **hidden: str) -> str:
    fields = "".join(f'<input type="hidden" name="{text(k)}" value="{text(v)}">' for k, v in hidden.items())
    return f'<form method="post" action="{text(action)}" class="inline">{fields}<button>{text(label)}</button></form>'


async def form(request: Request) -> dict[str, str]:
    """The fields of a posted form; of a repeated field the last value."""
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))


def back(to: str = "/") -> RedirectResponse:
    return RedirectResponse(to, status_code=303)


def wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")


def own_page(request: Request) -> bool:
    """Whether the request comes from a page of this server. Callers other than browsers send no such header."""
    return request.headers.get("sec-fetch-site", "same-origin") == "same-origin"


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
    if name not in {"sample_pages.css", "story.js", "page.js", "tide.svg"}:
        return problem(404, "there is no file with this name")
    return FileResponse(STATIC / name)


def arguments(about: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--socket", type=int, help="an open file descriptor that listens on that port")
    parser.add_argument("--gateway", default="http://127.0.0.1:8420", help="address of the gateway")
    parser.add_argument("--secrets", default=".", help="directory of secret files")
    parser.add_argument("--story", default="", help="address of the story page")
    return parser


def serve(routes: list[Route], options: argparse.Namespace, lifespan: Any = None) -> None:
    """Serve on loopback until SIGTERM or SIGINT."""
    app = Starlette(
        routes=[*routes, Route("/static/{name}", static_file)], lifespan=lifespan,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
    )  # fmt: skip
    server = uvicorn.Server(
        uvicorn.Config(
            app, host="127.0.0.1", port=options.port, log_level="warning", access_log=False, server_header=False,
            timeout_graceful_shutdown=1,
        )
    )  # fmt: skip
    app.state.server = server
    server.run([socket.socket(fileno=options.socket)] if options.socket is not None else None)
