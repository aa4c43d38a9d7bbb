"""AWS Signature Version 4, for AWS and the services that took it over (S3-compatible stores, API Gateway). Pure.

Each request is signed over method, path, query, `host`, `x-amz-*` headers and the digest of the body.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from tidegate.auth.base import Added, AuthKind, RequestFacts, check_value
from tidegate.core.checking import Checker, Path
from tidegate.core.spec import Auth

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNRESERVED = "-_.~"


class AwsSigV4Auth(Auth, frozen=True, kw_only=True, tag="aws_sigv4"):
    access_key_id: str
    secret_access_key: str
    region: str
    service: str
    session_token: str = ""


class AwsSigV4(AuthKind[AwsSigV4Auth]):
    name = "aws_sigv4"
    spec = AwsSigV4Auth
    help = "Signs each request with AWS Signature Version 4."
    keys = {
        "access_key_id": "The id of the access key.",
        "secret_access_key": "The secret of the access key.",
        "region": "The region in the signature, such as eu-central-1.",
        "service": "The service in the signature, such as execute-api or s3.",
        "session_token": "The token that temporary keys have.",
    }
    secret_fields = frozenset({"secret_access_key", "session_token"})
    per_request = True

    def check(self, checker: Checker, path: Path, auth: AwsSigV4Auth) -> None:
        for key in ("access_key_id", "secret_access_key", "region", "service"):
            check_value(checker, path, key, getattr(auth, key))
        if auth.session_token:
            check_value(checker, path, "session_token", auth.session_token)

    def header_names(self, auth: AwsSigV4Auth) -> tuple[str, ...]:
        token = ("X-Amz-Security-Token",) if auth.session_token else ()
        return ("Authorization", "X-Amz-Date", "X-Amz-Content-Sha256", *token)

    def add(self, auth: AwsSigV4Auth, *, request: RequestFacts | None = None, token: str = "") -> Added:
        if request is None:
            return Added()
        digest = hashlib.sha256(request.body).hexdigest()
        stamp = datetime.fromtimestamp(request.timestamp, UTC).strftime("%Y%m%dT%H%M%SZ")
        own = {"X-Amz-Date": stamp, "X-Amz-Content-Sha256": digest}
        if auth.session_token:
            own["X-Amz-Security-Token"] = auth.session_token
        signature, names = sign(auth, request, own, digest)
        scope = f"{stamp[:8]}/{auth.region}/{auth.service}/aws4_request"
        value = f"{_ALGORITHM} Credential={auth.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
        return Added(headers=(*own.items(), ("Authorization", value)))


def sign(auth: AwsSigV4Auth, request: RequestFacts, own: dict[str, str], digest: str) -> tuple[str, str]:
    """(signature, names of the signed headers). `own`: the headers that signing adds."""
    parts = urlsplit(request.url)
    host = parts.netloc.rpartition("@")[2].lower()
    default = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
    signed = {"host": host.removesuffix(default) if default else host}
    signed |= {name.lower(): " ".join(value.split()) for name, value in own.items()}
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    # Every service but S3 encodes the path once more than it is sent.
    path = parts.path or "/"
    path = path if auth.service == "s3" else quote(path, safe=f"/{_UNRESERVED}")
    canonical = f"{request.method}\n{path}\n{_query(parts.query)}\n{lines}\n{names}\n{digest}"
    stamp = own["X-Amz-Date"]
    scope = f"{stamp[:8]}/{auth.region}/{auth.service}/aws4_request"
    text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{auth.secret_access_key}".encode()
    for part in (stamp[:8], auth.region, auth.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex(), names


def _query(query: str) -> str:
    pairs = [
        (quote(unquote(name), safe=_UNRESERVED), quote(unquote(value), safe=_UNRESERVED))
        for name, value in parse_qsl(query.replace("+", "%2B"), keep_blank_values=True)
    ]
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


KIND = AwsSigV4()
