"""Says why a request was rejected, to the operator and to nobody else. Pure.

Owns the guesses: the secret of another source, a body that was changed on its way, another address, a clock that is
off, a header or a handshake of another provider, a name that is near. Knows no server and no store. Invariants: a
diagnosis never holds a secret, a signature or a body; it never changes the answer; its work is bounded (MAX_SOURCES
verifications of other sources, a fixed number of variants), and the caller bounds how often it is asked. Crash: nothing
is kept.
"""

from __future__ import annotations

import difflib
import functools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from urllib.parse import parse_qsl

import msgspec

from tidegate.core.clock import parse_http_date
from tidegate.providers import webhook_names
from tidegate.providers.shape import Handshake, load_provider
from tidegate.receive.other_schemes import fitting_scheme
from tidegate.rules.inbound.places import Headers
from tidegate.rules.inbound.signatures import Checked, Scheme, Verification, Verifier
from tidegate.rules.inbound.signatures.readers import signed_seconds
from tidegate.rules.language.compressed import unpack

MAX_SOURCES = 20
MAX_BODY = 64 * 1024  # larger bodies are not tried in other forms
MAX_TRIED = 8 * 1024  # larger bodies are not tried with other schemes
MAX_NAME = 60


class Request(msgspec.Struct, frozen=True):
    """What is needed of one rejected request. `url`: the public address with its query."""

    headers: Headers
    body: bytes
    url: str
    method: str
    now_s: float


Others = Iterable[tuple[str, Verifier]]
"""Other sources and their verifiers."""


def why_unverified(
    checked: Checked, schemes: Sequence[Scheme], verify: Verifier, request: Request, others: Others
) -> str:
    """One sentence that names the most likely cause."""
    if checked.result is Verification.SIGNATURE_MISSING:
        return _why_missing(schemes, request.headers)
    if checked.result is Verification.SIGNATURE_WRONG:
        return _why_wrong(verify, schemes, request, others)
    if checked.result in (Verification.TOO_OLD, Verification.TOO_NEW):
        return _why_untimely(schemes[checked.scheme - 1], request)
    if checked.result is Verification.SECRET_UNSET:
        return "the source has no usable secret"
    if checked.result is Verification.TIMESTAMP_MISSING:
        return "the request has a signature and no time"
    if checked.result is Verification.MALFORMED:
        return _why_malformed(schemes, checked.scheme, request.headers)
    return f"{len(request.body)} bytes"


# -- the signature is missing or wrong -------------------------------------------------------------------


def _why_missing(schemes: Sequence[Scheme], headers: Headers) -> str:
    wanted = ", ".join(dict.fromkeys(_place(scheme) for scheme in schemes))
    seen = {name.decode("latin-1"): users for name, users in _signature_headers().items() if name in headers}
    own = {scheme.header.lower() for scheme in schemes}
    skipped = next((one.unless_header.lower() for one in schemes if one.unless_header.lower() in seen), "")
    foreign = {name: users for name, users in seen.items() if name not in own}
    if not foreign:
        return f"the request has no {wanted}"
    name, users = next(iter(foreign.items()))
    remedy = " or ".join(f'verify = "{user}"' for user in users[:3])
    if name == skipped and wanted in seen:
        return f"the request has {name} beside {wanted}, which counts only alone: set {remedy}"
    return f"the request has no {wanted}; it has {name}, as {' or '.join(users[:3])} sends: set {remedy}"


def _place(scheme: Scheme) -> str:
    if scheme.kind == "message":
        return "signature-input"
    return scheme.header.lower() or (f"parameter {scheme.query}" if scheme.query else f"field {scheme.path}")


def _why_malformed(schemes: Sequence[Scheme], number: int, headers: Headers) -> str:
    scheme = schemes[max(number - 1, 0)]
    time_header = scheme.timestamp_header.lower()
    if time_header.encode() in headers and signed_seconds(scheme, headers, b"") is None:
        wanted = "RFC 3339" if scheme.timestamp_unit == "iso" else "a number, RFC 3339 or an HTTP date"
        return f"the time in {time_header} cannot be read; it should be {wanted}"
    if scheme.id_header and not headers.get(scheme.id_header.lower().encode()):
        return f"the request has a signature and no {scheme.id_header.lower()}, which is signed"
    return f"the signature is not of the form that is expected: {_form(scheme)}"


def _form(scheme: Scheme) -> str:
    listed = f", in a list with {scheme.list_separator!r}" if scheme.list_separator.strip() else ""
    return f"{_place(scheme)} with {scheme.prefix or 'no prefix'}, {scheme.encoding}{listed}"


@functools.cache
def _signature_headers() -> dict[bytes, list[str]]:
    """Header name -> providers that send their signature in it."""
    found: dict[bytes, list[str]] = {}
    for name in webhook_names():
        for scheme in load_provider(name).schemes:
            header = scheme.header.lower().encode()
            if header and header != b"authorization" and name not in found.setdefault(header, []):
                found[header].append(name)
    return found


def _why_wrong(verify: Verifier, schemes: Sequence[Scheme], request: Request, others: Others) -> str:
    def fits(body: bytes, url: str) -> bool:
        checked = verify.check(request.headers, body, url, request.now_s, request.method)
        return checked.result in (Verification.OK, Verification.TOO_OLD, Verification.TOO_NEW)

    for number, (name, other) in enumerate(others):
        if number >= MAX_SOURCES:
            break
        checked = other.check(request.headers, request.body, request.url, request.now_s, request.method)
        if checked.result in (Verification.OK, Verification.TOO_OLD, Verification.TOO_NEW):
            return (
                f"the signature fits the secret of source {name!r}: the address or the secret is that of another source"
            )
    if len(request.body) <= MAX_BODY:
        for words, body in _other_bodies(request):
            if body != request.body and fits(body, request.url):
                return f"the body was changed on its way, probably by a proxy: the signature fits it {words}"
    if any("{url" in scheme.signed or scheme.kind == "jwt" for scheme in schemes):
        for url in _other_urls(request):
            if fits(request.body, url):
                if url.partition("?")[0].rstrip("/") == request.url.partition("?")[0].rstrip("/"):
                    return "the sender signed the address with another slash at its end: enter it as it is called here"
                return f"the sender signed the address {url.partition('?')[0]}: set public_url in [gateway] to match it"
    if len(request.body) <= MAX_TRIED and (keys := fitting_scheme(verify, tuple(schemes), request)):
        return f"the secret is right and the scheme is not: the signature fits it with {keys}"
    return "no secret of this source fits: compare it with the one that the provider shows"


def _other_bodies(request: Request) -> Iterator[tuple[str, bytes]]:
    body = request.body
    yield "without the blanks around it", body.strip()
    yield "with a line end", body.rstrip(b"\r\n") + b"\n"
    yield "with CR LF as line ends", body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    yield "with LF as line ends", body.replace(b"\r\n", b"\n")
    unpacked = unpack(body, request.headers.get(b"content-encoding", b"").decode("latin-1"))
    if isinstance(unpacked, bytes):
        yield "when it is unpacked", unpacked
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return
    yield "as compact JSON", json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    yield "as compact JSON in ASCII", json.dumps(value, separators=(",", ":")).encode()
    yield "as JSON with blanks", json.dumps(value).encode()
    yield "as JSON over several lines", json.dumps(value, indent=2).encode()


def _other_urls(request: Request) -> Iterator[str]:
    """Addresses that the provider may have been given: by the Host header, the other scheme, with a slash."""
    path = request.url.partition("://")[2].partition("/")[2]
    hosts = dict.fromkeys(
        name
        for raw in (request.headers.get(b"x-forwarded-host", b""), request.headers.get(b"host", b""))
        if (name := raw.decode("latin-1").partition(",")[0].strip())
    )
    known = request.url.partition("://")[2].partition("/")[0]
    for host in dict.fromkeys((known, *hosts)):
        for scheme in ("https", "http"):
            bare, _, query = path.partition("?")
            tail = f"?{query}" if query else ""
            for place in (bare, f"{bare}/", bare.removesuffix("/")):
                if host:
                    yield f"{scheme}://{host}/{place}{tail}"


def _why_untimely(scheme: Scheme, request: Request) -> str:
    at = signed_seconds(scheme, request.headers, request.body)
    if at is None:
        return "the time of the request is not within the tolerance"
    off = at - request.now_s
    side = "behind" if off < 0 else "ahead of"
    words = (
        f"the time of the request is {_span(abs(off))} {side} this machine's clock;"
        f" {scheme.tolerance_seconds:g} s are allowed"
    )
    date = parse_http_date(request.headers.get(b"date", b"").decode("latin-1"))
    if abs(off) > 365 * 86400:
        return f"{words}; it is probably in another unit than {scheme.timestamp_unit}"
    if date is not None:
        if abs(date / 1e6 - request.now_s) < scheme.tolerance_seconds:
            return (
                f"{words}; the sender's Date agrees with this machine, so the request is an old one that was sent again"
            )
        return f"{words}; the sender's Date is off as well, so one of the two clocks is wrong"
    return f"{words}; compare both clocks"


def _span(seconds: float) -> str:
    for name, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"


# -- addresses and handshakes ----------------------------------------------------------------------------


def why_unknown(method: str, path: str, names: Iterable[str]) -> str:
    """For a path that is not a source's."""
    shown = path if path.isprintable() and len(path) <= MAX_NAME else f"{path[:MAX_NAME]!r}..."
    parts = [part for one in path.split("/") if (part := one.strip())]
    if parts and parts[0].lower() == "in":
        del parts[0]
    if not parts:
        return f"{method} {shown}: the address ends in the name of a source, /in/NAME"
    known = list(names)
    for part in parts:
        if part in known:
            return f"{method} {shown}: did the sender mean /in/{part}?"
        if part.lower() in known:
            return f"{method} {shown}: names are lower case, /in/{part.lower()}"
    near = difflib.get_close_matches(parts[0], known, n=1, cutoff=0.75)
    return f"{method} {shown}: did the sender mean /in/{near[0]}?" if near else f"{method} {shown}"


def handshake_of(method: str, headers: Headers, query_string: bytes, value_of: Callable[[str], str]) -> str:
    """The provider whose handshake a request looks like, "" for none. `value_of` reads a path of the body."""
    try:
        query = dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=100))
    except ValueError:
        return ""
    for name, rule in _handshakes():
        if rule.method == method and _looks_like(rule, headers, query, value_of):
            return name
    return ""


@functools.cache
def handshake_headers() -> frozenset[bytes]:
    """Headers that only requests with a handshake have."""
    return frozenset(name.lower().encode() for _, rule in _handshakes() for name in rule.when_header)


@functools.cache
def _handshakes() -> tuple[tuple[str, Handshake], ...]:
    """Rules that name something beside the method, the most specific first."""
    found = [
        (name, rule)
        for name in webhook_names()
        for rule in load_provider(name).handshakes
        if rule.when_header
        or rule.when_query
        or any(value != "*" or "." in path for path, value in rule.when_body.items())
    ]
    return tuple(
        sorted(found, key=lambda one: -len(one[1].when_header) - len(one[1].when_query) - len(one[1].when_body))
    )


def _looks_like(rule: Handshake, headers: Headers, query: dict[str, str], value_of: Callable[[str], str]) -> bool:
    seen = [
        (headers.get(name.lower().encode(), b"").decode("latin-1"), value) for name, value in rule.when_header.items()
    ]
    seen += [(query.get(name, ""), value) for name, value in rule.when_query.items()]
    if not all(text and (value in ("*", "{token}") or value == text) for text, value in seen):
        return False
    return all((text := value_of(path)) and value in ("*", "{token}", text) for path, value in rule.when_body.items())
