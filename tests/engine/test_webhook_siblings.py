"""Requests in forms that real senders use and that lost something once: an event, a part of it, or its explanation.

One source a row, called through ASGI on a real store. A row says what is answered, what the events are, and which
finding or rejection tells the operator.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import pytest

from support.gateway.ingress import IngressSetup, with_ingress
from tidegate.config.spec import Source
from tidegate.core.model import Event
from tidegate.core.spec import CustomScheme, Dedupe, WebhookInput
from tidegate.receive.inputs import compile_input
from tidegate.receive.reading import Reading
from tidegate.rules.language.view import event_view
from tidegate.store import EventQuery

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
MULTIPART = {"content-type": "multipart/form-data; boundary=B"}
XML = {"content-type": "text/xml"}
NOTHING: Mapping[str, Any] = MappingProxyType({})
NAME = {"name": "García"}
UNKNOWN = "its Content-Type names the charset 'klingon', which is not known"


class Send(NamedTuple):
    body: bytes = b""
    headers: Mapping[str, str] = NOTHING
    query: bytes = b""
    method: str = "POST"


class Row(NamedTuple):
    """`wants`: of each event, the parts of its view or its attributes."""

    sends: Sequence[Send]
    wants: Sequence[Mapping[str, Any]] = ()
    input: Mapping[str, Any] = NOTHING
    statuses: Sequence[int] | None = None
    found: str = ""
    sample: str = ""
    rejected: str = ""
    unreadable: str = ""


def parts(*given: bytes, behind: bytes = b"") -> bytes:
    return b"".join(b"--B\r\nContent-Disposition: form-data; " + one + b"\r\n" for one in given) + b"--B--\r\n" + behind


def labeled(charset: str, of: Mapping[str, str] = JSON) -> dict[str, str]:
    return {"content-type": f"{of['content-type']}; charset={charset}"}


TOKEN = {"authorization": "Bearer s"}
CLOUD = {"verify": "cloudevents", "secret": "s"}
STRUCTURED = {**TOKEN, "content-type": "application/cloudevents+json"}
BATCH = {**TOKEN, "content-type": "application/cloudevents-batch+json; charset=utf-8"}
BINARY = {**TOKEN, **JSON, "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}
GET = {"methods": ["GET", "POST"], "id_path": "query:id", "type_path": "query:state"}
SPLIT = {"split": "items", "id_header": "X-Delivery"}
TWICE = b'{"items":[{"n":1},{"n":1},{"n":2}]}'

ROWS: dict[str, Row] = {
    # -- what makes a repeat
    "a GET with the id of another, and another query, is an event of its own": Row(
        [Send(query=query, method="GET") for query in (b"id=1&state=a&n=1", b"id=1&state=a&n=2", b"id=1&state=a&n=2")],
        [{"query": {"id": "1", "state": "a", "n": "1"}}, {"query": {"id": "1", "state": "a", "n": "2"}}],
        GET,
        [202, 202, 200],
        found="delivery_id_reused",
    ),
    "a GET whose query differs in a volatile parameter is a repeat": Row(
        [Send(query=query, method="GET") for query in (b"id=1&state=a&try=1", b"id=1&state=a&try=2")],
        [{"type": "a", "differs": True}],
        {**GET, "dedupe": Dedupe(volatile=["query:try"])},
        [202, 200],
    ),
    "equal items of a request are as many events, and a repeat of it none": Row(
        [Send(TWICE, {**JSON, "x-delivery": "d1"})] * 2,
        [{"data": {"n": 1}}, {"data": {"n": 1}}, {"data": {"n": 2}}],
        SPLIT,
        [202, 200],
    ),
    "an item has its own id where it has one, whatever the header says": Row(
        [
            Send(b'[{"id":"a"},{"id":"b"}]', {**JSON, "x-delivery": "d1"}),
            Send(b'[{"id":"b"}]', {**JSON, "x-delivery": "d2"}),
        ],
        [{"data": {"id": "a"}}, {"data": {"id": "b"}}],
        {"split": "$", "id_header": "X-Delivery", "id_path": "id"},
        [202, 200],
    ),
    "an Idempotency-Key of a batch completes the ids of its items": Row(
        [Send(b'[{"n":1},{"n":1}]', {**JSON, "idempotency-key": "k"})] * 2,
        [{}, {}],
        {"split": "$"},
        [202, 200],
    ),
    # -- values that are stored whole, or refused
    "a content type of 300 characters": Row(
        [
            Send(
                b"--"
                + b"B" * 60
                + b'\r\nContent-Disposition: form-data; name="n"\r\n\r\nx\r\n--'
                + b"B" * 60
                + b"--\r\n",
                {"content-type": f"multipart/form-data; x={'y' * 300}; boundary={'B' * 60}"},
            )
        ],
        [{"data": {"n": "x"}, "content_type": f"multipart/form-data; x={'y' * 300}; boundary={'B' * 60}"}],
    ),
    "a content type that cannot be passed on": Row(
        [
            Send(b"{}", {"content-type": "application/json; x=" + "y" * 5000}),
            Send(b"{}", {"content-type": "text/\x9fplain"}),
        ],
        statuses=[415, 415],
        rejected="content_type_unusable",
    ),
    "a query string of 3000 characters": Row(
        [Send(b"{}", JSON, b"x=" + b"y" * 3000 + b"&z=1")],
        [{"query": {"x": "y" * 3000, "z": "1"}}],
    ),
    "a query string that is too long": Row([Send(b"{}", JSON, b"x" * 5000)], statuses=[414], rejected="query_too_long"),
    "a query string with bytes that a URL cannot have": Row(
        [Send(b"{}", JSON, "n=García\x01".encode())],
        [{"query": {"n": "García\x01"}}],
    ),
    "a query string of 150 parameters, the last of which is the type": Row(
        [Send(b"{}", JSON, b"&".join(b"p%d=1" % n for n in range(150)) + b"&t=last")],
        [{"type": "last"}],
        {"type_path": "query:t"},
    ),
    "more headers than are stored": Row(
        [Send(b"{}", {**JSON, **{f"x-{n}": "v" for n in range(70)}})],
        [{}],
        found="headers_left_out",
        sample="x-63, x-64",
    ),
    "a header larger than what is stored": Row(
        [Send(b"{}", {"x-large": "v" * 9000, **JSON})],
        [{}],
        found="headers_left_out",
        sample="x-large",
    ),
    # -- values that are there and cannot be used
    "a type of 300 characters": Row(
        [Send(b'{"type":"%s"}' % (b"a" * 300), JSON)],
        [{"type": "webhook.received"}],
        found="value_unusable",
        sample="type: 300 characters, at most 200 are allowed",
    ),
    "a type that is an object": Row(
        [Send(b'{"type":{"name":"x"}}', JSON)],
        [{}],
        found="value_unusable",
        sample="type: an object",
    ),
    "a key of 600 characters": Row(
        [Send(b'{"type":"a","k":"%s"}' % (b"k" * 600), JSON)],
        [{"key": None}],
        {"key_path": "k"},
        found="value_unusable",
        sample="key: 600 characters, at most 512 are allowed",
    ),
    "a time that is none": Row(
        [Send(b'{"type":"a","at":"yesterday"}', JSON)],
        [{"occurred_at_us": None}],
        {"time_path": "at"},
        found="value_unusable",
        sample="time: 9 characters that cannot be read as a time",
    ),
    "a value that is not there is not reported": Row(
        [Send(b'{"k":null,"at":""}', JSON)], [{}], {"key_path": "k", "time_path": "at"}
    ),
    # -- charsets
    "XML in the charset of its content type": Row(
        [Send("<a><n>García</n></a>".encode("cp1252"), labeled("windows-1252", XML))],
        [{"data": {"a": {"n": "García"}}}],
    ),
    "XML in UTF-8 whose declaration is wrong": Row(
        [Send('<?xml version="1.0" encoding="iso-8859-1"?><n>García</n>'.encode(), labeled("utf-8", XML))],
        [{"data": {"n": "García"}}],
    ),
    "XML in the charset of its declaration, behind a header that is wrong": Row(
        [Send('<?xml version="1.0" encoding="iso-8859-1"?><n>García</n>'.encode("latin-1"), labeled("utf-8", XML))],
        [{"data": {"n": "García"}}],
    ),
    "XML with a byte order mark and no content type": Row(
        [Send('\ufeff<?xml version="1.0"?><n>García</n>'.encode())], [{"data": {"n": "García"}}]
    ),
    "XML in UTF-16 without a mark": Row([Send("<n>García</n>".encode("utf-16-le"), XML)], [{"data": {"n": "García"}}]),
    "JSON in UTF-16, big endian without a mark": Row(
        [Send('{"name":"García"}'.encode("utf-16-be"), labeled("utf-16"))],
        [{"data": NAME}],
    ),
    "JSON in UTF-16 that begins with a line": Row(
        [Send('\r\n{"name":"García"}'.encode("utf-16-le"), JSON)], [{"data": NAME}]
    ),
    "JSON in Latin-1 without a charset": Row(
        [Send('{"name":"García"}'.encode("latin-1"), JSON)],
        [{}],
        found="body_unreadable",
        unreadable="the body is not UTF-8 at byte 13; its Content-Type names no other charset",
    ),
    "JSON in a charset that nobody knows": Row(
        [Send('{"name":"García"}'.encode("latin-1"), labeled("klingon"))],
        [{}],
        unreadable=UNKNOWN,
        found="body_unreadable",
    ),
    "a charset that is an encoding of Python only": Row(
        [Send('{"name":"García"}'.encode("latin-1"), labeled(one)) for one in ("punycode", "undefined")],
        [{}, {}],
        found="body_unreadable",
        unreadable="which is not known",
    ),
    "JSON in UTF-8 that is labeled as Latin-1": Row(
        [Send('{"name":"García"}'.encode(), labeled("iso-8859-1"))],
        [{"data": NAME}],
        found="charset_guessed",
        sample="it was read as UTF-8",
    ),
    "JSON in Latin-1 that is labeled so": Row(
        [Send('{"name":"García"}'.encode("latin-1"), labeled("iso-8859-1"))],
        [{"data": NAME}],
    ),
    "a type with half of a character": Row(
        [Send(b'{"type":"a\\ud83d"}', JSON)],
        [{"type": "a\ufffd"}],
        found="charset_guessed",
        sample="a lone surrogate",
    ),
    "a form in Latin-1 without a charset": Row(
        [Send(b"name=Garc%EDa", FORM)],
        [{"data": NAME}],
        found="charset_guessed",
        sample="it was read as windows-1252",
    ),
    "a form that is not in the charset that it names": Row(
        [Send(b"name=%EDa", labeled("utf-8", FORM))],
        [{"data": {"name": "\ufffda"}}],
        found="charset_guessed",
        sample="U+FFFD",
    ),
    "a form in a charset that nobody knows": Row(
        [Send(b"name=Garc%EDa", labeled("klingon", FORM))],
        [{}],
        found="body_unreadable",
        unreadable=UNKNOWN,
    ),
    "a form with a byte order mark": Row([Send(b"\xef\xbb\xbfname=a", FORM)], [{"data": {"name": "a"}}]),
    "multipart whose field names the charset": Row(
        [Send(parts(b'name="_charset_"\r\n\r\niso-8859-1', 'name="name"\r\n\r\nGarcía'.encode("latin-1")), MULTIPART)],
        [{"data": {"_charset_": "iso-8859-1", **NAME}}],
    ),
    "multipart in Latin-1 without a charset": Row(
        [Send(parts('name="name"\r\n\r\nGarcía'.encode("latin-1")), MULTIPART)],
        [{"data": NAME}],
        found="charset_guessed",
    ),
    # -- multipart
    "a field whose name is filename": Row(
        [Send(parts(b'name="filename"\r\n\r\na.pdf'), MULTIPART)], [{"data": {"filename": "a.pdf"}}]
    ),
    "a file with an extended name": Row(
        [Send(parts(b"name=\"f\"; filename*=UTF-8''%C3%AD.txt\r\nContent-Type: text/plain\r\n\r\nhello"), MULTIPART)],
        [{"data": {"f": {"filename": "í.txt", "content_type": "text/plain", "bytes": 5}}}],
    ),
    "a field in base64": Row(
        [Send(parts(b'name="n"\r\nContent-Transfer-Encoding: base64\r\n\r\nR2FyY8OtYQ=='), MULTIPART)],
        [{"data": {"n": "García"}}],
    ),
    "text behind the last boundary": Row(
        [Send(parts(b'name="n"\r\n\r\nx', behind=b"e" * 300), MULTIPART)], [{"data": {"n": "x"}}]
    ),
    "multipart that is cut off": Row(
        [Send(parts(b'name="n"\r\n\r\nx')[:-4], MULTIPART)],
        [{}],
        found="body_unreadable",
        unreadable="the body is multipart and cannot be read: it is cut off",
    ),
    # -- compressed
    "gzip of several members": Row(
        [Send(gzip.compress(b'{"name":') + gzip.compress(b'"a"}'), {**JSON, "content-encoding": "gzip"})],
        [{"data": {"name": "a"}}],
    ),
    "gzip beside identity": Row(
        [Send(gzip.compress(b'{"name":"a"}'), {**JSON, "content-encoding": "gzip, identity"})],
        [{"data": {"name": "a"}}],
    ),
    "gzip of more members than are unpacked": Row(
        [Send(gzip.compress(b"") * 100, {**JSON, "content-encoding": "gzip"})],
        [{}],
        found="body_unreadable",
        unreadable="the body is gzip and has more than 64 parts",
    ),
    "JSON that ends too early": Row(
        [Send(b'{"name":"a"', JSON)],
        [{}],
        found="body_unreadable",
        unreadable="the body is not JSON: it ends too early, after 11 bytes",
    ),
    # -- CloudEvents in its three modes
    "a binary event is its data, and its attributes are decoded": Row(
        [Send(b'{"data":1,"n":2}', {**BINARY, "ce-subject": "a%20b%25"})],
        [{"type": "t", "key": "a b%", "data": {"data": 1, "n": 2}}],
        CLOUD,
    ),
    "a structured event has its data in data": Row(
        [Send(b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"n":1}}', STRUCTURED)],
        [{"type": "t", "data": {"n": 1}, "context": {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}}],
        CLOUD,
    ),
    "a batch is as many events, known one by one": Row(
        [
            Send(b'[{"id":"1","source":"/s","type":"a","data":1},{"id":"1","source":"/t","type":"b","data":2}]', BATCH),
            Send(b'{"id":"1","source":"/t","type":"b","data":2}', STRUCTURED),
        ],
        [{"type": "a", "data": 1, "content_type": "application/cloudevents+json"}, {"type": "b", "data": 2}],
        CLOUD,
        [202, 200],
    ),
    "an empty batch stores nothing": Row([Send(b"[]", BATCH)], [], CLOUD, [202], found="batch_empty"),
    # -- signatures in spellings of their own
    "a token in a header of two values": Row(
        [Send(b"{}", {"x-token": "s"}), Send(b"{}", {"x-token": "s, s2"})],
        [{}],
        {"verify": CustomScheme(type="token", header="X-Token"), "secret": "s"},
        [202, 401],
        rejected="signature_wrong",
    ),
    # -- handshakes that nobody answers
    "the subscription of a topic at a source without a signature": Row(
        [
            Send(
                b'{"Type":"SubscriptionConfirmation","TopicArn":"arn:1","SubscribeURL":"https://x"}',
                {"content-type": "text/plain"},
            )
        ],
        [{}],
        found="handshake_stored",
        sample="looks like aws-sns",
    ),
    "a validation token in the query": Row(
        [Send(b"", NOTHING, b"validationToken=abc")], [{}], found="handshake_stored", sample="microsoft-graph"
    ),
    "a secret in a header": Row([Send(b"", {"x-hook-secret": "abc"})], [{}], found="handshake_stored", sample="asana"),
}


class Outcome(NamedTuple):
    statuses: list[int]
    events: Sequence[Event]
    findings: list[tuple[str, str]]  # code, samples
    rejected: set[str]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """All rows on one store, each with a source of its own."""
    found: dict[str, Outcome] = {}

    async def work(setup: IngressSetup) -> None:
        for number, (name, row) in enumerate(ROWS.items()):
            source = f"s{number}"
            setup.router.number = None  # the number of a decision belongs to one source
            webhook = Source(webhook=WebhookInput(**{"verify": "none", **row.input}))
            setup.extra[source] = compile_input(source, webhook, "https://gate.example.com")
            answers = [
                await setup.call(source, one.body, _latin(one.headers), one.method, one.query) for one in row.sends
            ]
            page = await setup.store.log.page(EventQuery(source=source, ascending=True, after=0))
            findings = [
                (one.code, " ".join(one.samples))
                for one in setup.findings.listed()
                if one.subject == f"source:{source}"
            ]
            reasons = {one.reason for one in setup.rejections if one.source == source}
            found[name] = Outcome([one.status for one in answers], page.events, findings, reasons)

    with_ingress(tmp_path_factory.mktemp("rows"), work)
    return found


@pytest.mark.parametrize("name", ROWS)
def test_it_is_kept_whole_and_explained(outcomes: dict[str, Outcome], name: str) -> None:
    row, came = ROWS[name], outcomes[name]
    assert came.statuses == list(row.statuses or [202] * len(row.sends))
    assert len(came.events) == len(row.wants)
    for event, wanted in zip(came.events, row.wants, strict=True):
        view = event_view(event)
        for part, value in wanted.items():
            assert (view[part] if part in view else getattr(event, part)) == value, part
        if event.body:
            assert row.unreadable in view.unreadable
            assert bool(view.unreadable) is (row.found == "body_unreadable")
    assert [code for code, _ in came.findings] == ([row.found] if row.found else []), came.findings
    assert all(row.sample in samples for _, samples in came.findings)
    assert came.rejected == ({row.rejected} if row.rejected else set())


def _latin(headers: Mapping[str, str]) -> list[tuple[str, bytes]]:
    return [(name, value.encode("latin-1")) for name, value in headers.items()]


def test_a_request_of_a_thousand_items_is_read_once(tmp_path) -> None:
    async def work(setup: IngressSetup) -> None:
        input = compile_input("s", Source(webhook=WebhookInput(verify="none", split="items", id_path="id")), "")
        read, whole = input.read, []
        assert read is not None

        def counted(headers: Any, body: bytes, query_string: bytes = b"") -> Reading:
            whole.append(len(body))
            return read(headers, body, query_string)

        setup.extra = {"s": msgspec.structs.replace(input, read=counted)}
        items = b",".join(b'{"id":%d}' % number for number in range(1000))
        answer = await setup.call("s", b'{"items":[%b]}' % items, [*JSON.items()])
        assert len(answer.json["data"]) == 1000
        assert len(whole) == 1

    with_ingress(tmp_path, work)
