"""The receivers in `docs/guides/verify.md` accept what Tidegate signs and refuse everything else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from support.docs_pages import DOCS, FENCE
from tidegate.rules.outbound.signing import Signer, new_secret

SECRET = new_secret()
BODY = b'{"amount":4900}'
BLOCKS = [(match[1], match[2]) for match in FENCE.finditer((DOCS / "guides" / "verify.md").read_text())]


def headers(body: bytes = BODY) -> dict[str, str]:
    now = int(time.time())
    signature = Signer([SECRET]).headers("msg_1", now, body)
    return {"webhook-id": "msg_1", "webhook-timestamp": str(now), "webhook-signature": signature}


def sample(word: str) -> str:
    (found,) = [block for _, block in BLOCKS if word in block]
    return found


class App:
    """Stands for the application object of both frameworks: keeps the function that `post` decorates."""

    def __init__(self, *_: Any) -> None:
        self.receive: Any = None

    def post(self, _path: str) -> Any:
        return lambda function: setattr(self, "receive", function) or function


def run(source: str, name: str, monkeypatch: pytest.MonkeyPatch, **names: Any) -> App:
    module = ModuleType(name)
    module.__dict__.update(names)
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    space: dict[str, Any] = {"__name__": "sample"}
    exec(compile(source, name, "exec"), space)
    app: App = space["app"]
    return app


@pytest.mark.parametrize(("sent", "wanted"), [(BODY, 204), (BODY + b" ", 400)])
def test_the_flask_receiver(sent: bytes, wanted: int, monkeypatch: pytest.MonkeyPatch) -> None:
    request = SimpleNamespace(get_data=lambda: sent, headers={name.title(): value for name, value in headers().items()})
    app = run(sample("flask"), "flask", monkeypatch, Flask=App, request=request)
    assert app.receive() == ("", wanted)


@pytest.mark.parametrize(("sent", "wanted"), [(BODY, 204), (BODY + b" ", 400)])
async def test_the_fastapi_receiver(sent: bytes, wanted: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> bytes:
        return sent

    def response(*, status_code: int) -> int:
        return status_code

    app = run(sample("fastapi"), "fastapi", monkeypatch, FastAPI=App, Request=object, Response=response)
    assert await app.receive(SimpleNamespace(body=body, headers=headers())) == wanted


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_express_receiver_is_valid_javascript(tmp_path: Any) -> None:
    file = tmp_path / "sample.js"
    file.write_text(sample("express"))
    ran = subprocess.run(["node", "--check", str(file)], capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.skipif(shutil.which("gofmt") is None, reason="gofmt is not installed")
def test_the_go_receiver_is_valid_go(tmp_path: Any) -> None:
    file = tmp_path / "sample.go"
    file.write_text(sample("package main"))
    ran = subprocess.run(["gofmt", "-e", str(file)], capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 0, ran.stderr
