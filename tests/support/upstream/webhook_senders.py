"""Bodies and signatures as providers send them, with one key for all."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

K = b"sekret"
PUBLIC = "https://g.example"


def mac(body: bytes, digest: str = "sha256", key: bytes = K) -> hmac.HMAC:
    return hmac.new(key, body, digest)


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def now() -> str:
    return str(int(time.time()))


def github(_: str, body: bytes) -> dict[str, str]:
    return {"x-hub-signature-256": "sha256=" + mac(body).hexdigest()}


def stripe(_: str, body: bytes) -> dict[str, str]:
    at = now()
    return {"stripe-signature": f"t={at},v1=" + mac(at.encode() + b"." + body).hexdigest()}


def slack(_: str, body: bytes) -> dict[str, str]:
    at = now()
    signed = mac(b"v0:" + at.encode() + b":" + body).hexdigest()
    return {"x-slack-request-timestamp": at, "x-slack-signature": f"v0={signed}"}


def zoom(_: str, body: bytes) -> dict[str, str]:
    at = now()
    signed = mac(b"v0:" + at.encode() + b":" + body).hexdigest()
    return {"x-zm-request-timestamp": at, "x-zm-signature": f"v0={signed}"}


def standard(id_: str, prefix: str = "webhook") -> Callable[[str, bytes], dict[str, str]]:
    def sign(_: str, body: bytes) -> dict[str, str]:
        at = now()
        raw = mac(f"{id_}.{at}.".encode() + body, key=b"0123456789abcdef0123456789abcdef").digest()
        return {f"{prefix}-id": id_, f"{prefix}-timestamp": at, f"{prefix}-signature": f"v1,{b64(raw)}"}

    return sign


def in_header(name: str, make: Callable[[bytes], str]) -> Callable[[str, bytes], dict[str, str]]:
    return lambda _, body: {name: make(body)}


def hexed(body: bytes) -> str:
    return mac(body).hexdigest()


def sixty_four(body: bytes) -> str:
    return b64(mac(body).digest())


def of_url(name: str, digest: str, form: bool = False) -> Callable[[str, bytes], dict[str, str]]:
    def sign(path: str, body: bytes) -> dict[str, str]:
        tail = "".join(k + v for k, v in sorted(parse_qsl(body.decode(), keep_blank_values=True))) if form else ""
        return {
            name: b64(
                mac((PUBLIC + path + tail).encode() if form else (PUBLIC + path).encode() + body, digest).digest()
            )
        }

    return sign


def mailgun(token: str) -> bytes:
    at = now()
    signature = {"timestamp": at, "token": token, "signature": mac((at + token).encode()).hexdigest()}
    return j(**{"signature": signature, "event-data": {"event": "delivered", "id": "e-1"}})


def j(**value: Any) -> bytes:
    return json.dumps(value).encode()
