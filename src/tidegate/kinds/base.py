"""What a kind of destination is: its keys and checks, its secrets, the request it makes, and how it reads the answer.

Owns the protocol of `tidegate/kinds/` and what kinds that send over HTTP share. Pure: a kind names its transport and
never opens a socket; it may not know the queue, retries or pages. Invariants: a prepared request depends on the event,
its id, the attempt and the time alone, so a crash changes nothing; what a kind cuts or cannot send it says in `detail`
or raises as RenderFailed; an address that is a secret is never shown beyond its host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Generic, Protocol, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from tidegate import __version__
from tidegate.auth import Added, client_certificate, header_names
from tidegate.core.checking import Checker, Path
from tidegate.core.model import Event, JsonObject, Outcome
from tidegate.core.spec import Auth, Destination
from tidegate.rules.inbound.redaction import REDACTED, is_credential
from tidegate.rules.outbound.connect_options import ConnectOptions
from tidegate.rules.outbound.forwarding import Forwards
from tidegate.rules.outbound.proxies import connect_options
from tidegate.rules.outbound.retry_after import parse_retry_after

S = TypeVar("S", bound=Destination)
Transform = Callable[[JsonObject], JsonObject]
USER_AGENT = f"user-agent: Tidegate/{__version__}\r\n"
MASK = "..."
_SAFE = "!#$%&'()*+,-./:;<=>?@[]^_`{|}~ "


class Request(msgspec.Struct, frozen=True, gc=False):
    """One attempt's request. `head`: header lines, each ended by CRLF, without host and content-length."""

    head: bytes
    body: bytes
    detail: str = ""  # what was left out or cut, in words; recorded with the attempt
    fixed: int = 0  # so many bytes of `head` are the same in each request of this configuration
    standard: bool = False  # `body` is the envelope of the event, without a transform
    harmless: bool = False  # no header line after `fixed` can hold a credential
    line: str = ""  # method and address of this request alone; "": those of the destination
    query: str = ""  # parameters of this request alone, after those of the destination's address


Prepare = Callable[[Event, str, int, int], Request]
"""(event, event id, attempt from 1, Unix seconds) -> request. Raises what a transform or a template raises."""


class Answer(Protocol):
    """How a request ended, as a transport reports it."""

    @property
    def outcome(self) -> Outcome: ...
    @property
    def status(self) -> int | None: ...
    @property
    def error(self) -> str: ...
    @property
    def retry_after(self) -> str: ...
    @property
    def body(self) -> bytes: ...


class Result(msgspec.Struct, frozen=True, gc=False):
    """What an answer means. `status` is what it stands for: a receiver may wrap a 429 in a 200."""

    outcome: Outcome
    status: int | None
    code: str = ""  # the receiver's own word, such as "channel_not_found"
    detail: str = ""  # in words; "" when status and outcome say it all
    retry_after: float | None = None  # seconds that the receiver asks us to wait


class ShownRequest(msgspec.Struct, frozen=True):
    """A request as people see it: the address without its secret part, secret header values masked."""

    address: str
    headers: list[tuple[str, str]]
    body: bytes


class Kind(Generic[S]):
    """One kind of destination; the registry keeps one instance of each."""

    name: ClassVar[str]  # the value of `type`
    title: ClassVar[str]  # for people: "Slack"
    spec: type[S]
    help: ClassVar[str]  # a sentence or two for the reference
    keys: ClassVar[Mapping[str, str]]  # a sentence for each key of its own, and for each default it changes
    examples: ClassVar[Mapping[str, str]]  # a value, as TOML, for each key that must be there
    transport: ClassVar[str] = "http"  # of tidegate.outbound
    transport_makes_request: ClassVar[bool] = False  # and its result has the request as it was sent
    secret_fields: ClassVar[frozenset[str]] = frozenset()  # masked wherever the configuration is shown
    secret_address: ClassVar[bool] = False  # the path of the address is its secret
    signs: ClassVar[bool] = False  # it has a signing secret under `secret`, made and kept when it is left out

    def check(self, checker: Checker, path: Path, spec: S) -> None:
        """Adds a problem for each of its own keys whose value cannot work."""
        raise NotImplementedError

    def address(self, spec: S) -> str:
        """The URL that is called, credentials in the query included."""
        raise NotImplementedError

    def secrets(self, spec: S) -> tuple[str, ...]:
        """The signing secrets that the configuration names, newest first."""
        return ()

    def prepare(self, spec: S, secrets: Sequence[str], transform: Transform | None) -> Prepare:
        """How requests are made for the events of one route. `transform`: the route's."""
        raise NotImplementedError

    def prepare_forwarding(
        self, spec: S, secrets: Sequence[str], transform: Transform | None, forwards: Forwards
    ) -> Prepare:
        """As `prepare`, for a kind that passes request headers on. `forwards`: by the source of an event."""
        return self.prepare(spec, secrets, transform)

    def prepare_test(self, spec: S, secrets: Sequence[str]) -> Prepare:
        """As `prepare`, for the event of a test send."""
        return self.prepare(spec, secrets, None)

    def calls(self, spec: S) -> tuple[str, str]:
        """(source, operation) that it calls; ("", "") for a kind that calls none."""
        return "", ""

    def method(self, spec: S) -> str:
        """The method of its requests."""
        return "POST"

    def connect_options(self, spec: S) -> ConnectOptions | None:
        """Own authority, client certificate and proxy of its connections."""
        return connect_options(spec.ca, spec.proxy, client_certificate(_auth_of(spec)))

    def reader(self, spec: S) -> Callable[[Answer, int], Result]:
        """How answers of this destination are read. A kind without settings for it has `read`."""
        return self.read

    def read(self, answer: Answer, now_us: int) -> Result:
        return read_http(answer, now_us)

    def settings(self, spec: S) -> list[tuple[str, str]]:
        """(label, value) of its own settings, for pages; no secret among them."""
        return []

    # -- what may be shown -------------------------------------------------------------------------------

    def open_part(self, address: str) -> str:
        """The part of a configured address that is not secret; "" when all of it is."""
        if self.secret_address:
            return ""
        place, mark, query = address.partition("?")
        return place + mark if query else address

    def shown_address(self, spec: S) -> str:
        """The address for pages and attempts: without user, query and fragment, or its host alone."""
        return public_address(self.address(spec), self.secret_address)

    def secret_headers(self, spec: S) -> frozenset[str]:
        """Names, in lower case, of headers that the credential adds: their values are shown nowhere."""
        return frozenset(name.lower() for name in header_names(_auth_of(spec)))

    def shown_request(self, spec: S, request: Request) -> ShownRequest:
        secret = self.secret_headers(spec)
        headers = []
        for line in request.head.decode("latin-1").split("\r\n")[:-1]:
            name, _, value = line.partition(": ")
            lower = name.lower()
            headers.append((name, REDACTED if lower in secret or is_credential(lower) else value))
        return ShownRequest(self.shown_address(spec), headers, request.body)


def _auth_of(spec: Destination) -> Auth | None:
    auth: Auth | None = getattr(spec, "auth", None)
    return auth


def public_address(address: str, secret: bool) -> str:
    """`https://crm.example.com/hooks`; with `secret`, `https://hooks.slack.com/...`."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}/{MASK}" if secret else f"{parts.scheme}://{host}{parts.path}"


def read_http(answer: Answer, now_us: int) -> Result:
    """The reading of plain HTTP: 2xx is success, and `Retry-After` counts on anything else.

    A success may have an error too: its body was cut, or not HTTP.
    """
    outcome, status = answer.outcome, answer.status
    if outcome is Outcome.OK:
        if status is not None and 200 <= status < 300:
            return Result(outcome, status, detail=answer.error)
        outcome = Outcome.HTTP_ERROR
    wait = parse_retry_after(answer.retry_after, now_us) if answer.retry_after else None
    return Result(outcome, status, detail=answer.error, retry_after=wait)


def header_text(value: str) -> str:
    """A value as a header may hold it: printable ASCII stays, the rest is percent-encoded."""
    if value.isascii() and value.isprintable():
        return value
    return quote(value, safe=_SAFE)


def http_head(headers: Mapping[str, str], added: Added = Added()) -> str:  # noqa: B008 - frozen
    """The header lines that are the same for each request of a destination."""
    pairs = (*headers.items(), *added.headers)
    return USER_AGENT + "".join(f"{name}: {value}\r\n" for name, value in pairs)


def with_query(url: str, query: str) -> str:
    """The URL with more parameters after its own."""
    return f"{url}{'&' if '?' in url else '?'}{query}"


def with_params(url: str, added: Added) -> str:
    """The URL with a credential's query parameters after its own."""
    for name, value in added.params:
        url += f"{'&' if '?' in url else '?'}{quote(name, safe='')}={quote(value, safe='')}"
    return url
