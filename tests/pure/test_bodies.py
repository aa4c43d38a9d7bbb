"""What goes on the wire: bytes as they came, envelopes and CloudEvents."""

from __future__ import annotations

import base64
import json

import pytest

from tidegate.core.errors import ConfigError
from tidegate.core.model import Event, Origin
from tidegate.core.spec import Transform
from tidegate.rules.inbound.redaction import keep_headers
from tidegate.rules.language.templates import RenderFailed
from tidegate.rules.language.transforms import compile_transform
from tidegate.rules.outbound.bodies import compile_body

AT = 1_800_000_000_123_456
BODY = b'{ "id": "ch_1", "big": 12345678901234567890123, "price": 1.10 }\n'


def event(
    body: bytes = BODY, origin: Origin = Origin.WEBHOOK, content_type: str = "application/json", **parts
) -> Event:
    return Event(7, "payments", "charge.succeeded", origin, AT, 1, body, content_type, **parts)


def send(mode: str, one: Event, transform=None):
    return compile_body(mode, transform)(one, "evt_7")


PICK = compile_transform(Transform(pick=["data.id"]))


@pytest.mark.parametrize("mode", ["auto", "raw"])
@pytest.mark.parametrize("origin", [Origin.WEBHOOK, Origin.FORM])
def test_what_came_in_over_http_goes_out_byte_for_byte(mode, origin):
    for body, content_type in ((BODY, "application/json; x=y"), (b"\xff\x00\xfe", "image/png"), (b"", "text/plain")):
        sent = send(mode, event(body, origin, content_type))
        assert (sent.body, sent.content_type) == (body, content_type)


def test_a_body_without_a_usable_type_is_bytes():
    for content_type in ("", "text/plain\r\nx: y", "text/\u4e2d"):
        assert send("auto", event(content_type=content_type)).content_type == "application/octet-stream"


@pytest.mark.parametrize("origin", [Origin.PUBLISH, Origin.POLL, Origin.RECONCILE, Origin.PULL, Origin.IMAP])
def test_what_tidegate_made_goes_out_as_an_envelope(origin):
    sent = send("auto", event(origin=origin, key="k", headers=keep_headers([(b"x-a", b"1")])))
    assert json.loads(sent.body) == {
        "id": "evt_7",
        "type": "charge.succeeded",
        "source": "payments",
        "timestamp": "2027-01-15T08:00:00.123456Z",
        "key": "k",
        "data": json.loads(BODY),
    }
    assert (sent.content_type, sent.headers) == ("application/json", ())


def test_a_change_is_an_envelope_even_when_a_webhook_caused_it():
    change = b'{"resource":"orders","before":null,"fields":[],"version":null,"number":1}'
    sent = json.loads(send("auto", event(change=change)).body)
    assert sent["change"] == json.loads(change)
    assert "change" not in json.loads(send("envelope", event()).body)


def test_an_envelope_holds_numbers_as_they_were_written():
    assert b'"big": 12345678901234567890123, "price": 1.10' in send("envelope", event()).body


def test_the_time_of_the_source_is_used_when_it_has_one():
    one = event(occurred_at_us=1_000_000)
    assert json.loads(send("envelope", one).body)["timestamp"] == "1970-01-01T00:00:01.000000Z"


@pytest.mark.parametrize(
    ("body", "content_type", "data_path", "data", "encoded"),
    [
        (b"\xff\x00", "image/png", "", None, True),
        (b"{broken", "application/json", "", None, True),
        (b"[" * 5000, "application/json", "", None, True),
        (b"", "application/json", "", None, False),
        (b"null", "application/json", "", None, False),
        (b'"\\ud800"', "application/json", "", "\ufffd", False),
        (b"a=1&a=2", "application/x-www-form-urlencoded", "", {"a": ["1", "2"]}, False),
        (b'{"data":{"x":0}}', "application/json", "data", {"x": 0}, False),
        (b'{"data":0}', "application/json", "data", 0, False),
        (b'{"other":0}', "application/json", "data", {"other": 0}, False),
    ],
)
def test_an_envelope_holds_data_or_its_bytes(body, content_type, data_path, data, encoded):
    sent = json.loads(send("envelope", event(body, content_type=content_type, data_path=data_path)).body)
    assert sent["data"] == data
    assert sent.get("data_base64") == (base64.b64encode(body).decode() if encoded else None)


@pytest.mark.parametrize("mode", ["auto", "envelope"])
def test_a_transform_makes_an_envelope_of_what_it_kept(mode):
    sent = json.loads(send(mode, event(change=b'{"before":{"iban":"x"}}'), PICK).body)
    assert sent["data"] == {"id": "ch_1"}
    assert "change" not in sent
    unread = json.loads(send(mode, event(b"\xff"), PICK).body)
    assert unread["data"] is None
    assert "data_base64" not in unread  # the bytes hold what the transform was to leave out


def test_raw_with_a_transform_is_the_transformed_data_alone():
    sent = send("raw", event(), PICK)
    assert (sent.body, sent.content_type, sent.headers) == (b'{"id":"ch_1"}', "application/json", ())


def test_a_cloudevent_has_the_required_attributes():
    sent = send("cloudevents", event(key="k", change=b'{"number":1}'))
    assert sent.content_type == "application/cloudevents+json"
    assert json.loads(sent.body) == {
        "specversion": "1.0",
        "id": "evt_7",
        "source": "payments",
        "type": "charge.succeeded",
        "time": "2027-01-15T08:00:00.123456Z",
        "subject": "k",
        "change": '{"number":1}',
        "datacontenttype": "application/json",
        "data": json.loads(BODY),
    }


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"\xff", "image/png"), (b"a=1", "application/x-www-form-urlencoded"), (b"{x", "application/json"), (b"x", "")],
)
def test_a_cloudevent_carries_what_is_no_json_as_base64_and_never_both(body, content_type):
    sent = json.loads(send("cloudevents", event(body, content_type=content_type)).body)
    assert base64.b64decode(sent["data_base64"]) == body
    assert sent["datacontenttype"] == (content_type or "application/octet-stream")
    assert "data" not in sent
    assert json.loads(send("cloudevents", event(body, content_type=content_type), PICK).body)["data"] in (None, {})


def test_a_transform_cannot_blow_up_a_payload_without_bound():
    swell = compile_transform(Transform(set={f"data.x{number}": "{{ data }}" for number in range(40)}))
    with pytest.raises(RenderFailed):
        send("auto", event(b'{"a":"' + b"x" * 1_000_000 + b'"}'), swell)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ConfigError):
        compile_body("xml", None)


@pytest.mark.parametrize("transform", [None, compile_transform(Transform(set={"data.tag": "x"}))])
def test_the_numbers_of_a_form_keep_their_digits(transform):
    written = b'{"price":10.50,"amt":10000000000000000.1,"fx":0.1234567890123456789,"exp":1E5,"n":12345678901234567890}'
    sent = send("form", event(written), transform)
    assert sent.body.startswith(
        b"price=10.50&amt=10000000000000000.1&fx=0.1234567890123456789&exp=1E5&n=12345678901234567890"
    )
