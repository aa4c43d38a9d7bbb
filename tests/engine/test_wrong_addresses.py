"""A request to a wrong address of the gateway is listed with what its sender probably meant."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from support.gateway.ingress import IngressSetup, with_ingress
from tidegate.process.serve import _with_ingress


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("POST", "/code", 405, "did the sender mean /in/code?"),
        ("POST", "/webhooks/code", 404, "did the sender mean /in/code?"),
        ("POST", "/IN/code", 404, "did the sender mean /in/code?"),
        ("PUT", "//in/code", 404, "did the sender mean /in/code?"),
        ("POST", "/In/Code", 404, "names are lower case, /in/code"),
        ("POST", "/codes", 405, "did the sender mean /in/code?"),
        ("POST", "/wp-login.php", 404, ""),  # strangers try everything
        ("POST", "/destinations/code", 200, ""),  # a page with that name
        ("GET", "/code", 404, ""),
        ("POST", "/api/v1/code", 404, ""),
    ],
)
def test_a_path_that_is_not_an_address_says_what_was_meant(tmp_path, method, path, status, words) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def work(setup: IngressSetup) -> None:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        route = _with_ingress(app, SimpleNamespace(ingress=setup.door))  # type: ignore[arg-type]
        scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": [], "client": None}
        await route(scope, None, send)
        assert sent[0]["status"] == status, "the answer is that of the page"
        assert [(one.reason, one.detail) for one in setup.rejections] == (
            [("source_unknown", f"{method} {path}: {words}")] if words else []
        )

    with_ingress(tmp_path, work)
