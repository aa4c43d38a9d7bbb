"""An HMAC over each request, with the building blocks of provider files: what is signed, how, in which header. Pure.

`signed` names parts of the request: `{method}`, `{url}`, `{path}`, `{query}`, `{timestamp}`, `{body}` and
`{body_sha256_hex}`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Literal
from urllib.parse import urlsplit

from tidegate.auth.base import Added, AuthKind, RequestFacts, check_value
from tidegate.core.checking import Checker, Path
from tidegate.core.clock import rfc3339
from tidegate.core.spec import Auth

_PLACE = re.compile(r"\{([a-z0-9_]*)\}")
_PARTS: dict[str, Callable[[RequestFacts, str], bytes]] = {
    "method": lambda facts, stamp: facts.method.encode(),
    "url": lambda facts, stamp: facts.url.encode(),
    "path": lambda facts, stamp: (urlsplit(facts.url).path or "/").encode(),
    "query": lambda facts, stamp: urlsplit(facts.url).query.encode(),
    "timestamp": lambda facts, stamp: stamp.encode(),
    "body": lambda facts, stamp: facts.body,
    "body_sha256_hex": lambda facts, stamp: hashlib.sha256(facts.body).hexdigest().encode(),
}


class HmacAuth(Auth, frozen=True, kw_only=True, tag="hmac"):
    header: str
    secret: str
    signed: str = "{body}"
    digest: Literal["sha1", "sha256", "sha384", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = ""
    secret_encoding: Literal["text", "base64", "hex"] = "text"  # noqa: S105 - a word, not a secret
    timestamp_header: str = ""
    timestamp_unit: Literal["s", "ms", "iso"] = "s"
    key_header: str = ""
    key: str = ""


class Hmac(AuthKind[HmacAuth]):
    name = "hmac"
    spec = HmacAuth
    help = "Signs each request with a shared secret."
    keys = {
        "header": "The header that carries the signature.",
        "secret": "The shared secret.",
        "signed": "What is signed: {method}, {url}, {path}, {query}, {timestamp}, {body}, {body_sha256_hex} and text.",
        "digest": "The hash function.",
        "encoding": "How the signature is written.",
        "prefix": "Text before the signature.",
        "secret_encoding": "How the secret is written.",
        "timestamp_header": "The header that carries the time; needed when {timestamp} is signed.",
        "timestamp_unit": "How the time is written.",
        "key_header": "The header that names the key, where the API wants one.",
        "key": "The name of the key.",
    }
    secret_fields = frozenset({"secret"})
    per_request = True

    def check(self, checker: Checker, path: Path, auth: HmacAuth) -> None:
        check_value(checker, path, "secret", auth.secret)
        for key in ("header", "timestamp_header", "key_header"):
            if getattr(auth, key) or key == "header":
                checker.header_name((*path, key), getattr(auth, key))
        unknown = [name for name in _PLACE.findall(auth.signed) if name not in _PARTS]
        if unknown:
            hint = "use " + ", ".join(f"{{{name}}}" for name in _PARTS)
            checker.add((*path, "signed"), f"{{{unknown[0]}}} is not a part of a request", hint)
        if "{timestamp}" in auth.signed and not auth.timestamp_header:
            checker.add(
                (*path, "timestamp_header"), "{timestamp} is signed, and no header carries it",
                'add timestamp_header = "X-Timestamp", or change signed',
            )  # fmt: skip
        if bool(auth.key) != bool(auth.key_header):
            checker.add((*path, "key"), "key and key_header belong together", "add the other one, or remove it")
        if auth.secret and _secret(auth) is None:
            checker.add((*path, "secret"), f"the secret is not {auth.secret_encoding}", "correct secret_encoding")

    def header_names(self, auth: HmacAuth) -> tuple[str, ...]:
        return tuple(name for name in (auth.header, auth.timestamp_header, auth.key_header) if name)

    def add(self, auth: HmacAuth, *, request: RequestFacts | None = None, token: str = "") -> Added:
        if request is None:
            return Added()
        stamp = _stamp(auth.timestamp_unit, request.timestamp)
        pieces = [
            _PARTS[piece](request, stamp) if index % 2 else piece.encode()
            for index, piece in enumerate(_PLACE.split(auth.signed))
        ]
        digest = hmac.digest(_secret(auth) or b"", b"".join(pieces), auth.digest)
        value = digest.hex() if auth.encoding == "hex" else base64.b64encode(digest).decode()
        headers = [(auth.header, auth.prefix + value)]
        headers += [(auth.timestamp_header, stamp)] if auth.timestamp_header else []
        headers += [(auth.key_header, auth.key)] if auth.key_header else []
        return Added(headers=tuple(headers))


def _secret(auth: HmacAuth) -> bytes | None:
    try:
        if auth.secret_encoding == "hex":  # noqa: S105 - a word
            return bytes.fromhex(auth.secret)
        if auth.secret_encoding == "base64":  # noqa: S105 - a word
            return base64.b64decode(auth.secret, validate=True)
    except ValueError:
        return None
    return auth.secret.encode()


def _stamp(unit: str, seconds: int) -> str:
    if unit == "iso":
        return str(rfc3339(seconds * 1_000_000))
    return str(seconds * 1000 if unit == "ms" else seconds)


KIND = Hmac()
