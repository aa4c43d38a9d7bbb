"""HTTP Digest (RFC 7616), for devices and older APIs: MD5, SHA-256 and their -sess forms, qop auth. Pure.

The first request goes without a credential. Its 401 has the challenge, which the caller keeps and passes as `token`.
Invariant: a challenge that cannot be answered adds nothing, so the caller sees the 401 itself.
"""

from __future__ import annotations

import hashlib
import re
from urllib.parse import urlsplit

from tidegate.auth.base import Added, AuthKind, RequestFacts, check_value
from tidegate.core.checking import Checker, Path
from tidegate.core.spec import Auth

_PAIR = re.compile(r'([a-zA-Z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_DIGESTS = {"md5": "md5", "sha-256": "sha256"}
MAX_CHALLENGE_CHARACTERS = 4096


class DigestAuth(Auth, frozen=True, kw_only=True, tag="digest"):
    username: str
    password: str


class Digest(AuthKind[DigestAuth]):
    name = "digest"
    spec = DigestAuth
    help = "User name and password by HTTP Digest (RFC 7616)."
    keys = {"username": "The user name.", "password": "The password."}
    secret_fields = frozenset({"password"})
    per_request = True
    challenged = True

    def check(self, checker: Checker, path: Path, auth: DigestAuth) -> None:
        check_value(checker, path, "username", auth.username)
        check_value(checker, path, "password", auth.password)
        if '"' in auth.username or "\\" in auth.username:
            checker.add((*path, "username"), "the user name has a quote or backslash", "check the credentials")

    def header_names(self, auth: DigestAuth) -> tuple[str, ...]:
        return ("Authorization",)

    def add(self, auth: DigestAuth, *, request: RequestFacts | None = None, token: str = "") -> Added:
        challenge = parse_challenge(token)
        if request is None or challenge is None:
            return Added()
        return Added(headers=(("Authorization", answer(auth, challenge, request)),))


def parse_challenge(header: str) -> dict[str, str] | None:
    """The parameters of a Digest challenge that can be answered; None when there is none."""
    scheme, _, rest = header[:MAX_CHALLENGE_CHARACTERS].strip().partition(" ")
    if scheme.lower() != "digest":
        return None
    found = {name.lower(): quoted or plain for name, quoted, plain in _PAIR.findall(rest)}
    algorithm = found.get("algorithm", "MD5").lower().removesuffix("-sess")
    offered = [one.strip() for one in found.get("qop", "").split(",") if one.strip()]
    if algorithm not in _DIGESTS or "nonce" not in found or "realm" not in found:
        return None
    return None if offered and "auth" not in offered else found


def answer(auth: DigestAuth, challenge: dict[str, str], request: RequestFacts) -> str:
    """The value of `Authorization` (RFC 7616 section 3.4)."""
    written = challenge.get("algorithm", "MD5")
    name = _DIGESTS[written.lower().removesuffix("-sess")]

    def digest(text: str) -> str:
        return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()

    parts = urlsplit(request.url)
    uri = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    nonce, realm = challenge["nonce"], challenge["realm"]
    # Nobody else can compute it, and the same request under the same count has the same one.
    cnonce = digest(f"{auth.password}:{nonce}:{request.count}:{request.timestamp}:{uri}")[:16]
    first = digest(f"{auth.username}:{realm}:{auth.password}")
    if written.lower().endswith("-sess"):
        first = digest(f"{first}:{nonce}:{cnonce}")
    second = digest(f"{request.method}:{uri}")
    count = f"{request.count:08x}"
    fields = {"username": f'"{auth.username}"', "realm": f'"{realm}"', "nonce": f'"{nonce}"', "uri": f'"{uri}"'}
    if challenge.get("qop"):
        response = digest(f"{first}:{nonce}:{count}:{cnonce}:auth:{second}")
        fields |= {"qop": "auth", "nc": count, "cnonce": f'"{cnonce}"'}
    else:
        response = digest(f"{first}:{nonce}:{second}")
    fields["response"] = f'"{response}"'
    if "algorithm" in challenge:
        fields["algorithm"] = written
    if "opaque" in challenge:
        fields["opaque"] = f'"{challenge["opaque"]}"'
    return "Digest " + ", ".join(f"{key}={value}" for key, value in fields.items())


KIND = Digest()
