"""The checks of a request whose body is here: signature, handshakes, hops. No I/O and no waiting.

Owns their order, the reason of a rejection and the record of it. It gets sources from a function and does not know how
a body came or where an event goes; `ingress.py` and `direct.py` use it alike, so both ways answer alike. Invariants: a
rejected caller learns the status but not which check failed; every rejection is recorded with its reason. Crash:
nothing is kept.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import logging
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any, NoReturn

from tidegate.core.clock import Clock
from tidegate.core.errors import TidegateError
from tidegate.core.findings import Findings
from tidegate.providers.shape import load_provider
from tidegate.receive import answers
from tidegate.receive.accepting import Accepted
from tidegate.receive.answers import MAX_VALUE_BYTES, problem
from tidegate.receive.bodies import Rejected
from tidegate.receive.diagnosis import Request, handshake_headers, handshake_of, why_unknown, why_unverified
from tidegate.receive.handshakes import HandshakeRequest, Reply, handshake_request
from tidegate.receive.inputs import Input
from tidegate.receive.reading import MAX_HOPS, hops_of
from tidegate.rules.inbound.places import Headers
from tidegate.rules.inbound.redaction import value_safe
from tidegate.rules.inbound.senders import Networks, is_within, sender_of
from tidegate.rules.inbound.signatures import Checked, Verification, Verifier
from tidegate.rules.language.compressed import unpack
from tidegate.store import Rejection

log = logging.getLogger("tidegate.receive")

PREFIX = "/in/"
SHOWN_PATH = 100  # characters of an unknown path in the list of rejected requests
SOURCE_CHARACTERS = 63
SENDER_CHARACTERS = 60  # of what X-Forwarded-For says
DIAGNOSES_PER_SECOND = 20  # more rejections get their reason without a diagnosis
DIAGNOSED_BYTES = 128 * 1024  # of bodies a second: one that is tried in other forms costs 0.4 ms a KiB
LARGEST_DIAGNOSED = 1024 * 1024  # the first of a second may be that large
_HANDSHAKE_BYTES = 4096  # a request that verifies an address is short
_HANDSHAKE_WORDS = (b"hallenge", b"alidation", b"erification", b"onfirmation", b"plainToken")

Scope = MutableMapping[str, Any]


class NeedsKey(Exception):
    """A signature needs the content of a URL that is not here."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


class NeedsVisit(Exception):
    """A handshake is answered once a URL was fetched. `subject`: what that confirms."""

    def __init__(self, url: str, reply: Reply, subject: str) -> None:
        super().__init__(url)
        self.url = url
        self.reply = reply
        self.subject = subject


class Checks:
    """The functions are those of `Ingress`."""

    def __init__(
        self,
        sources: Callable[[str], Input | None],
        names: Callable[[], Iterable[str]],
        clock: Clock,
        findings: Findings,
        reject: Callable[[Rejection], None],
    ) -> None:
        self.sources = sources
        self._names = names
        self._clock = clock
        self._findings = findings
        self._reject = reject
        self.proxies: Networks = ()  # those whose X-Forwarded-For is believed
        self._diagnosed = (0, 0, 0)  # (second, diagnoses in it, bytes of their bodies)

    def for_one(self, input: Input) -> Checks:
        """The same checks, with the same bounds and counts, that know only this input."""
        one = copy.copy(self)
        one.sources = lambda name: input if name == input.source else None
        one._names = tuple
        return one

    def input_of(self, source: str, scope: Scope) -> Input:
        """The input of a source. Rejected when there is none."""
        input = self.sources(source) if source else None
        if input is None:
            detail = (
                why_unknown(scope["method"], scope["path"][:SHOWN_PATH], self._names()) if self._may_diagnose() else ""
            )
            raise Rejected(answers.NOT_FOUND, "source_unknown", detail)
        return input

    def why_elsewhere(self, scope: Scope) -> str:
        """What a path outside /in/ was probably meant to be; "" for nothing."""
        words = why_unknown(scope["method"], scope["path"][:SHOWN_PATH], self._names()) if self._may_diagnose() else ""
        return words if "/in/" in words.partition(": ")[2] else ""

    def over_capacity(self, source: str) -> NoReturn:
        """Reject an event for which the store has no time now: counted, and not kept as a rejected request."""
        self._findings.report("events_over_capacity", f"source:{source}")
        raise Rejected(answers.BUSY)

    def check(
        self, input: Input, scope: Scope, headers: Headers, body: bytes, *, final: bool = False
    ) -> Accepted | Reply:
        """The request, verified, or the answer to a handshake. Raises Rejected.

        `proof` is the name of the provider and the numbers of scheme and secret.

        Raises NeedsKey when a key must be fetched first; `final`: it was fetched, as far as it can be. Raises
        NeedsVisit when a handshake needs the visit of a URL.
        """
        if (input.allow_from or input.by_proxy) and not input.test:
            self._check_sender(input, scope)
        handshake = handshake_request(headers, scope["query_string"], body) if input.post_handshakes else None
        if handshake is not None and (reply := self._handshake(input, handshake, signed=False)) is not None:
            return reply
        now_us = self._clock.now_us()
        proof = ""
        if input.verify is not None:
            url = _url_of(input, scope)
            checked = input.verify.check(headers, body, url, now_us / 1_000_000, scope["method"])
            if checked.result is Verification.SIGNATURE_WRONG and b"content-encoding" in headers:
                plain = unpack(body, headers[b"content-encoding"].decode("latin-1"), input.max_body)
                if isinstance(plain, bytes) and plain is not body:  # some sign before they compress
                    checked = input.verify.check(headers, plain, url, now_us / 1_000_000, scope["method"])
            if checked.result is not Verification.OK:
                request = Request(headers, body, url, scope["method"], now_us / 1_000_000)
                raise self._unverified(input, input.verify, checked, request, scope["query_string"], final=final)
            proof = f"{input.provider} {checked.scheme} {checked.secret}"
        if handshake is not None and (reply := self._handshake(input, handshake, signed=True)) is not None:
            return reply
        if len(scope["query_string"]) > MAX_VALUE_BYTES:
            raise Rejected(
                answers.QUERY_TOO_LONG, "query_too_long", f"{len(scope['query_string'])} bytes of query string"
            )
        kind = headers.get(b"content-type", b"")
        if len(kind) > MAX_VALUE_BYTES or not _is_value(kind):
            detail = f"{len(kind)} bytes of Content-Type, printable characters only"
            raise Rejected(answers.CONTENT_TYPE_UNUSABLE, "content_type_unusable", detail)
        hops = hops_of(headers) if b"tidegate-hops" in headers else 0
        if hops > MAX_HOPS + 1:
            raise Rejected(answers.HOPS, "hops_exceeded", f"tidegate-hops says {hops - 1}")
        return Accepted(scope["headers"], headers, scope["query_string"], body, now_us, hops, proof)

    def _unverified(
        self, input: Input, verify: Verifier, checked: Checked, request: Request, query: bytes, *, final: bool
    ) -> Exception:
        if checked.needs and not final:
            return NeedsKey(checked.needs)
        size = len(request.body)
        detail = self._diagnose(input, checked, verify, request, query) if self._may_diagnose(size) else f"{size} bytes"
        return Rejected(answers.UNAUTHORIZED, checked.result.value, detail)

    def _diagnose(self, input: Input, checked: Checked, verify: Verifier, request: Request, query: bytes) -> str:
        """Why, in words. A diagnosis that fails is a defect here and changes nothing for the sender."""
        try:
            words = why_unverified(checked, input.schemes, verify, request, self._others(input))
            path = handshake_request(request.headers, query, request.body).path
            named = handshake_of(request.method, request.headers, query, path)
        except Exception:
            log.exception("a rejection could not be explained")
            return f"{len(request.body)} bytes"
        return f"it looks like the handshake of {named}; {words}" if named else words

    def _others(self, input: Input) -> Iterator[tuple[str, Verifier]]:
        """Verifiers of other sources; a source that does not compile has none."""
        for name in self._names():
            with contextlib.suppress(TidegateError):
                other = self.sources(name) if name != input.source else None
                if other is not None and other.verify is not None:
                    yield name, other.verify

    def _may_diagnose(self, size: int = 0) -> bool:
        """A diagnosis can cost as much as many verifications, so their number a second and their bytes are bounded."""
        second = self._clock.now_us() // 1_000_000
        before, count, read = self._diagnosed
        if before != second:
            count = read = 0
        if count >= DIAGNOSES_PER_SECOND or read + size > (DIAGNOSED_BYTES if count else LARGEST_DIAGNOSED):
            return False
        self._diagnosed = (second, count + 1, read + size)
        return True

    def other_method(self, input: Input, scope: Scope, headers: Headers) -> Reply | None:
        """A handshake by GET, HEAD or OPTIONS; None for a method that the source accepts; else 405."""
        request = handshake_request(headers, scope["query_string"], b"")
        for rule in input.handshakes:
            if rule.method == scope["method"] and not rule.signed:
                reply = rule.answer(request)
                if reply is not None:
                    self._report_answered(input, rule.method, rule.shown(request))
                    return reply
        if scope["method"] in input.methods:
            return None
        detail = f"this address accepts {input.allow.decode()}"
        words = f"{scope['method']}; {detail}"
        if scope["method"] in input.allow.decode():
            words = f"{scope['method']} is accepted for a handshake only, and this request is none that fits"
        if self._may_diagnose() and (
            named := handshake_of(scope["method"], headers, scope["query_string"], request.path)
        ):
            words = f"{words}; it looks like the handshake of {named}: {_remedy(input, named)}"
        self.record(input.source, scope, "method_not_allowed", words)
        return problem(405, "method_not_allowed", "Method Not Allowed", detail, (b"allow", input.allow))

    def _handshake(self, input: Input, request: HandshakeRequest | None, *, signed: bool) -> Reply | None:
        """The answer to a handshake by POST, None for any other request."""
        if request is None:
            return None
        for rule in input.handshakes:
            if rule.method == "POST" and rule.signed is signed:
                reply = rule.answer(request)
                if reply is not None:
                    if rule.visited is not None:
                        if input.verify is not None and (url := rule.visited(request)):
                            raise NeedsVisit(url, reply, rule.shown(request))
                        continue
                    self._report_answered(input, "POST", rule.shown(request))
                    return reply
        return None

    def _report_answered(self, input: Input, method: str, value: str) -> None:
        """A request that was answered and not stored. `value`: what the operator needs of it, "" for nothing."""
        code, sample = ("handshake_value", f"the value is {value}") if value else ("handshake_answered", method)
        self._findings.report(code, f"source:{input.source}", sample)

    def look_for_handshake(self, input: Input, request: Accepted) -> None:
        """An unsigned source stores everything, so a handshake that nobody answered is at least reported. So is one of
        a signed source that needs a visit which nobody allowed."""
        body, headers, query = request.body, request.headers, request.query_string
        if (
            len(body) > _HANDSHAKE_BYTES
            or (input.verify is not None and not input.visits)
            or not (
                any(word in body or word in query for word in _HANDSHAKE_WORDS)
                or not handshake_headers().isdisjoint(headers)
            )
        ):
            return
        seen = handshake_request(headers, query, body)
        named = handshake_of("POST", headers, query, seen.path)
        if named and input.verify is None:
            self._findings.report(
                "handshake_stored", f"source:{input.source}", f"looks like {named}: {_remedy(input, named)}"
            )
        elif named == input.provider:
            shown = next((rule.shown(seen) for rule in input.handshakes if rule.visited is not None), "")
            self._findings.report("subscription_unconfirmed", f"source:{input.source}", shown)

    def sender(self, scope: Scope) -> str:
        """The address of the sender, "" when it is not known."""
        client = scope.get("client")
        peer = str(client[0]) if client else ""
        if not self.proxies:
            return peer
        forwarded = joined_headers(scope["headers"]).get(b"x-forwarded-for", b"").decode("latin-1")
        return sender_of(peer, forwarded, self.proxies)

    def _check_sender(self, input: Input, scope: Scope) -> None:
        client = scope.get("client")
        if input.by_proxy and not is_within(str(client[0]) if client else "", self.proxies):
            detail = f"{client[0] if client else 'the sender'} is not one of trusted_proxies"
            raise Rejected(answers.UNAUTHORIZED, "not_from_proxy", detail)
        sender = self.sender(scope)
        if input.allow_from and not is_within(sender, input.allow_from):
            raise Rejected(answers.UNAUTHORIZED, "address_not_allowed", f"{sender[:60]} is not in allow_from")

    def record(self, source: str, scope: Scope, reason: str, detail: str) -> None:
        remote = self.sender(scope)[:SENDER_CHARACTERS]
        shown = source if len(source) <= SOURCE_CHARACTERS and source.isprintable() else f"{source[:20]!r}..."
        self._reject(Rejection(self._clock.now_us(), shown, reason, detail, remote))


@functools.lru_cache(maxsize=256)
def _is_value(raw: bytes) -> bool:
    return value_safe(raw.decode("latin-1"))


def _url_of(input: Input, scope: Scope) -> str:
    """The address as the provider called it; without a configured one, the query alone."""
    url, query = input.url, scope["query_string"]
    if url and scope["path"][-1:] == "/":
        url += "/"
    return f"{url}?{query.decode('latin-1')}" if query else url


def joined_headers(headers: list[tuple[bytes, bytes]]) -> Headers:
    """Headers by name; a repeated one is joined by a comma (RFC 9110 section 5.3), so that no signature is lost."""
    found = dict(headers)
    if len(found) != len(headers):
        found = {}
        for name, value in headers:
            found[name] = b"%b, %b" % (found[name], value) if name in found else value
    return found


def _remedy(input: Input, named: str) -> str:
    if input.provider == named:
        rules = load_provider(named).handshakes
        return f"set handshake_token to {next((one.token_help for one in rules if one.needs_token()), 'its value')}"
    return f'set handshake = "{named}" or verify = "{named}"'
