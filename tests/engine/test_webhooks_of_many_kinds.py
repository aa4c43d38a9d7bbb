"""Webhooks that users of other tools reported as lost or misread, in many forms: providers, encodings, ids, places.

One gateway and one receiver for the whole table. A row has its own source, sends its requests, and says what must come
of them: statuses, events, what filters see, and what the receiver gets.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

from support.cli.command import Served
from support.cli.subprocesses import Answer, Receiver, call, wait_until
from support.upstream.webhook_senders import (
    PUBLIC,
    b64,
    github,
    hexed,
    in_header,
    j,
    mac,
    mailgun,
    now,
    of_url,
    sixty_four,
    slack,
    standard,
    stripe,
    zoom,
)

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
WHSEC = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


class Send(NamedTuple):
    body: bytes | Callable[[], bytes] = b""  # a function where the body has the time
    headers: Mapping[str, str] | list[tuple[str, str]] = MappingProxyType({})
    query: str = ""
    method: str = "POST"
    sign: Callable[[str, bytes], dict[str, str]] | None = None
    slash: str = ""


class Row(NamedTuple):
    """`webhook`: TOML of the source. `to`, `route`: TOML of its destination and route; "" for none."""

    webhook: str
    sends: list[Send]
    statuses: list[int] | None = None  # None: all 2xx
    events: list[dict[str, Any]] | None = None
    to: str = ""
    route: str | None = None
    seen: Sequence[str] = ()
    has: Sequence[str] = ()
    never: Sequence[str] = ()
    headers: Sequence[str] = ()
    received: int | None = None
    explained: str = ""  # in `explain`
    not_explained: str = ""
    rejected: str = ""  # in the list of rejected requests
    found: str = ""  # a code of `doctor`


NONE = 'verify="none"'
ENVELOPE = 'body="envelope"'


def preset(name: str, more: str = "", secret: str = "sekret") -> str:
    return f'verify="{name}"\nsecret="{secret}"\n{more}'


def own(table: str, more: str = "") -> str:
    return f'verify={{{table}}}\nsecret="sekret"\n{more}'


def filtered(filter_: str) -> str:
    return f"filter={{{filter_}}}"


ROWS: dict[str, Row] = {
    # -- ids that are not unique alone
    "gitlab: one UUID for two hooks": Row(
        preset("gitlab"),
        [
            Send(j(object_kind="push", ref="a"), {"x-gitlab-token": "sekret", "x-gitlab-event": "Push Hook", "x-gitlab-event-uuid": "u1"}),
            Send(j(object_kind="tag_push", ref="b"), {"x-gitlab-token": "sekret", "x-gitlab-event": "Tag Push Hook", "x-gitlab-event-uuid": "u1"}),
        ],
        events=[{"type": "Push Hook"}, {"type": "Tag Push Hook"}],
    ),
    "gitlab: one idempotency key is one event": Row(
        preset("gitlab"),
        [Send(j(object_kind="push"), {"x-gitlab-token": "sekret", "x-gitlab-event": "Push Hook", "idempotency-key": "i1"})] * 2,
        events=[{"type": "Push Hook"}],
    ),
    "a constant webhook-id with one type": Row(
        NONE,
        [Send(j(type="a", n=n), {"webhook-id": "sub_1"}) for n in (1, 2, 2)],
        events=[{"type": "a"}, {"type": "a"}],
        found="delivery_id_reused",
    ),
    "a constant idempotency key": Row(
        NONE, [Send(j(type="a", n=n), {"idempotency-key": "k"}) for n in (1, 2)], events=[{}, {}]
    ),
    "stripe: a retry counts its pending webhooks": Row(
        preset("stripe"),
        [Send(j(id="evt_r", type="a", pending_webhooks=n), sign=stripe) for n in (2, 1)],
        events=[{"differs": True}],
    ),
    "slack: a retry has its number in a header": Row(
        preset("slack"),
        [
            Send(j(type="event_callback", event_id="Ev9", event={"type": "message"}), headers, sign=slack)
            for headers in ({}, {"x-slack-retry-num": "1", "x-slack-retry-reason": "http_timeout"})
        ],
        events=[{"type": "message", "differs": False}],
    ),
    "github: a redelivery is one event": Row(
        preset("github"),
        [Send(j(action="opened"), {"x-github-event": "issues", "x-github-delivery": "d1"}, sign=github)] * 2,
        events=[{"type": "issues"}],
    ),
    "woocommerce: one delivery id, two bodies": Row(
        preset("woocommerce"),
        [
            Send(j(id=1, n=n), {"x-wc-webhook-topic": "order.updated", "x-wc-webhook-delivery-id": "77"},
                 sign=in_header("x-wc-webhook-signature", sixty_four))
            for n in (1, 2, 2)
        ],
        events=[{"type": "order.updated"}, {"type": "order.updated"}],
    ),
    "twilio: one message id for every status": Row(
        preset("twilio", 'id_path="MessageSid"\ntype_path="SmsStatus"\nkey_path="MessageSid"'),
        [
            Send(urlencode({"MessageSid": "SM2", "SmsStatus": status}).encode(), FORM, sign=of_url("x-twilio-signature", "sha1", True))
            for status in ("sent", "delivered", "delivered")
        ],
        events=[{"type": "sent", "key": "SM2"}, {"type": "delivered", "key": "SM2"}],
    ),
    "razorpay: one event id for two events": Row(
        preset("razorpay"),
        [
            Send(j(event=event, account_id="acc_1", payload={"payment": {"entity": {"id": "pay_1"}}}), {"x-razorpay-event-id": "r1"},
                 sign=in_header("x-razorpay-signature", hexed))
            for event in ("payment.authorized", "payment.captured")
        ],
        events=[{"type": "payment.authorized"}, {"type": "payment.captured"}],
    ),
    "svix: one id is one event": Row(
        preset("svix", secret=WHSEC), [Send(j(type="user.created", n=1), sign=standard("msg_s1", "svix"))] * 2, events=[{"type": "user.created"}]
    ),
    "standard webhooks: an id that names the subscription": Row(
        preset("standard-webhooks", secret=WHSEC), [Send(j(type="x", n=n), sign=standard("sub")) for n in (1, 2)], events=[{}, {}]
    ),
    "mailgun: a repeat has another signature": Row(
        preset("mailgun"),
        [
            Send(partial(mailgun, token), JSON)
            for token in ("aaa", "bbb")
        ],
        events=[{"type": "delivered"}],
    ),
    "telegram: the update id": Row(
        preset("telegram"),
        [Send(j(update_id=5, message={"text": "hi", "chat": {"id": 9}}), {"x-telegram-bot-api-secret-token": "sekret"})] * 2,
        events=[{}],
    ),
    "a scope of the user's own": Row(
        f'{NONE}\nid_path="id"\ndedupe={{scope=["query:shop","header:x-topic"]}}',
        [Send(j(id=1), {"x-topic": topic}, query=f"shop={shop}") for shop, topic in (("a", "t"), ("b", "t"), ("b", "u"), ("b", "u"))],
        events=[{}, {}, {}],
    ),
    "no dedupe": Row(f'{NONE}\nid_path="id"\ndedupe={{enabled=false}}', [Send(j(id=1))] * 2, events=[{}, {}]),
    "volatile paths of the user's own": Row(
        f'{NONE}\nid_path="id"\ndedupe={{volatile=["meta.attempt"]}}',
        [Send(j(id=1, meta={"attempt": n})) for n in (1, 2)],
        events=[{"differs": True}],
    ),
    "an id of a number": Row(f'{NONE}\nid_path="id"', [Send(b'{"id":10000000000000001}'), Send(b'{"id":10000000000000002}')], events=[{}, {}]),
    # -- fields beside data
    "square: merchant_id": Row(
        preset("square"),
        [Send(j(merchant_id="M_77", type="payment.updated", event_id="e1", data={"id": "p1"}), sign=of_url("x-square-hmacsha256-signature", "sha256"))],
        to=ENVELOPE, seen=["M_77"], has=["M_77"],
    ),
    "razorpay: account_id": Row(
        preset("razorpay"),
        [Send(j(event="payment.paid", account_id="acc_77", payload={}), {"x-razorpay-event-id": "r2"}, sign=in_header("x-razorpay-signature", hexed))],
        to=ENVELOPE, seen=["acc_77"], has=["acc_77"],
    ),
    "zoom: event_ts beside the payload": Row(
        preset("zoom"),
        [Send(j(event="meeting.started", event_ts=1700000000123, payload={"account_id": "A1", "object": {"id": "1"}}), sign=zoom)],
        to=ENVELOPE, seen=["1700000000123"], has=["1700000000123"],
    ),
    "stripe: a filter on livemode": Row(
        preset("stripe"),
        [Send(j(id=f"evt_l{live}", type="a", livemode=live, data={"object": {}}), sign=stripe) for live in (True, False)],
        to="", route=filtered("context={livemode=true}"), received=1,
    ),
    "stripe: a filter on the account in the body": Row(
        preset("stripe"),
        [Send(j(id=f"evt_a{n}", type="a", account=f"acct_{n}", data={"object": {}}), sign=stripe) for n in (1, 2)],
        route=filtered('body={account="acct_2"}'), received=1,
    ),
    "linear: the action is part of the type and its fields are seen": Row(
        preset("linear"),
        [Send(lambda: j(action="create", type="Issue", organizationId="org_5", webhookTimestamp=int(time.time() * 1000), data={"id": "i1"}),
              {"linear-delivery": "l1"}, sign=in_header("linear-signature", hexed))],
        to=ENVELOPE, events=[{"type": "Issue.create"}], seen=["org_5"], has=["org_5"],
    ),
    # -- places
    "github: a form with a key inside its JSON": Row(
        preset("github", 'key_path="repository.full_name"'),
        [Send(urlencode({"payload": '{"repository":{"full_name":"a/b"}}'}).encode(), {**FORM, "x-github-event": "push", "x-github-delivery": "f1"}, sign=github)],
        events=[{"type": "push", "key": "a/b"}],
    ),
    "places in the header and in the query": Row(
        f'{NONE}\nkey_path="header:X-Shop"\ntype_path="query:event"\nid_path="query:id"',
        [Send(b"[]", {"x-shop": "S1"}, query="event=made&id=7")] * 2,
        events=[{"type": "made", "key": "S1"}],
    ),
    "places in multipart fields": Row(
        f'{NONE}\nkey_path="customer"\ntype_path="kind"\nid_path="nr"',
        [Send(b"".join(f'--X\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in (("customer", "C9"), ("kind", "sent"), ("nr", "5"))) + b"--X--\r\n",
              {"content-type": "multipart/form-data; boundary=X"})] * 2,
        events=[{"type": "sent", "key": "C9"}],
    ),
    "places in JSON inside a form field": Row(
        f'{NONE}\nkey_path="order.customer.id"\ntype_path="kind"',
        [Send(urlencode({"kind": "paid", "order": '{"customer":{"id":42}}'}).encode(), FORM)],
        events=[{"type": "paid", "key": "42"}],
    ),
    "places in XML": Row(
        f'{NONE}\nkey_path="order.id"\ntype_path="order.@kind"',
        [Send(b'<?xml version="1.0"?><order kind="paid"><id>7</id></order>', {"content-type": "application/xml"})],
        events=[{"type": "paid", "key": "7"}],
    ),
    "slack: a slash command": Row(
        preset("slack"),
        [Send(urlencode({"command": "/x", "channel_id": "C7", "trigger_id": "t1"}).encode(), FORM, sign=slack)],
        events=[{"type": "slash_command", "key": "C7"}],
    ),
    "a path with a quoted name": Row(
        f"""{NONE}\nkey_path='labels."app.kubernetes.io/name"'""",
        [Send(b'{"type":"a","labels":{"app.kubernetes.io/name":"web"}}')],
        events=[{"key": "web"}],
    ),
    "a path into a list": Row(f'{NONE}\nkey_path="items.1.id"', [Send(j(type="a", items=[{"id": 1}, {"id": 2}]))], events=[{"key": "2"}]),
    "a path that meets another type": Row(
        f'{NONE}\nkey_path="a.b.c"', [Send(b'{"type":"a","a":"text"}'), Send(b'{"type":"b","a":[1]}'), Send(b'{"type":"c","a":{"b":{"c":{}}}}')],
        events=[{"key": None}, {"key": None}, {}],
    ),
    # -- the query string
    "the query is filtered and goes on": Row(
        NONE, [Send(j(type="q"), query="order=77&tag=a&tag=b"), Send(j(type="q2"), query="order=78")],
        to=ENVELOPE, route=filtered('query={order="77"}'), received=1, has=['"77"', '["a","b"]'],
    ),
    "the query is decoded": Row(NONE, [Send(j(type="q"), query="name=Garc%C3%ADa+%26+Co")], seen=["García & Co"]),
    "a token in the query is not stored": Row(
        'verify={type="token",query="token"}\nsecret="sekret"', [Send(j(type="q"), query="token=sekret&a=1")], seen=['"a": "1"'], never=["sekret"], to=ENVELOPE
    ),
    # -- headers
    "github: its headers go on": Row(
        preset("github"), [Send(b"{}", {"x-github-event": "push", "x-github-delivery": "h1", "x-github-hook-id": "5"}, sign=github)],
        to="", headers=["x-github-event", "x-github-delivery", "x-github-hook-id", "x-hub-signature-256"],
    ),
    "shopify: its headers go on": Row(
        preset("shopify"),
        [Send(b"{}", {"x-shopify-topic": "a/b", "x-shopify-shop-domain": "s.example", "x-shopify-api-version": "2026-10"},
              sign=in_header("x-shopify-hmac-sha256", sixty_four))],
        to="", headers=["x-shopify-topic", "x-shopify-shop-domain", "x-shopify-api-version"],
    ),
    "slack: its headers go on": Row(preset("slack"), [Send(j(type="a"), sign=slack)], to="", headers=["x-slack-signature", "x-slack-request-timestamp"]),
    "a header by its beginning": Row(f'{NONE}\nforward_headers=["x-foo-*"]', [Send(j(type="a"), {"x-foo-a": "1", "x-foo-b": "2"})], to="", headers=["x-foo-a", "x-foo-b"]),
    "a header that stays behind is named": Row(NONE, [Send(j(type="a"), {"x-custom-kind": "1"})], to="", explained="x-custom-kind"),
    # -- bodies that are hard to read
    "deflate with and without its header": Row(
        NONE, [Send(zlib.compress(j(type="x", cust="C1")), {**JSON, "content-encoding": "deflate"}),
               Send(zlib.compress(j(type="y", cust="C1"))[2:-4], {**JSON, "content-encoding": "deflate"})],
        route=filtered('data={cust="C1"}'), received=2,
    ),
    "gzip that is cut off is named": Row(
        NONE, [Send(gzip.compress(j(type="x", cust="C1", p="a" * 500))[:-20], {**JSON, "content-encoding": "gzip"})],
        route=filtered('data={cust="C1"}'), not_explained="data.cust is missing", explained="gzip",
    ),
    "brotli is named": Row(
        NONE, [Send(b"\x0b\x02\x80{}\x03", {**JSON, "content-encoding": "br"})], route=filtered('data={cust="C1"}'), not_explained="data.cust is missing", explained="br",
    ),
    "gzip: the signature is over the bytes as they came": Row(
        preset("github"), [Send(gzip.compress(j(cust="C1")), {**JSON, "content-encoding": "gzip", "x-github-event": "push", "x-github-delivery": "z1"}, sign=github)],
        route=filtered('data={cust="C1"}'), received=1,
    ),
    "UTF-8 with a byte order mark": Row(NONE, [Send(b"\xef\xbb\xbf" + j(type="bom", cust="C1"), JSON)], route=filtered('data={cust="C1"}'), events=[{"type": "bom"}], received=1),
    "UTF-16": Row(
        NONE, [Send('{"type":"wide","cust":"Ç1"}'.encode("utf-16"), JSON), Send('{"type":"be","cust":"Ç1"}'.encode("utf-16-be"), {"content-type": "application/json; charset=utf-16be"})],
        route=filtered('data={cust="Ç1"}'), events=[{"type": "wide"}, {"type": "be"}], received=2,
    ),
    "JSON in latin-1": Row(NONE, [Send('{"type":"l","name":"García"}'.encode("latin-1"), {"content-type": "application/json; charset=iso-8859-1"})], to=ENVELOPE, has=["García"]),
    "NDJSON": Row(NONE, [Send(b'{"a":1}\n{"a":2}\n', {"content-type": "application/x-ndjson"})], route=filtered('data={"$any"={a=2}}'), received=1),
    "no content type": Row(NONE, [Send(j(type="n", cust="C1"))], route=filtered('data={cust="C1"}'), received=1),
    "text/plain with JSON in it": Row(NONE, [Send(j(type="n", cust="C1"), {"content-type": "text/plain; charset=UTF-8"})], route=filtered('data={cust="C1"}'), received=1),
    "JSON of a language": Row(
        NONE, [Send(b"{'type':'x'}", JSON), Send(b'{"type":"x" // note\n}', JSON), Send(b'{"type":"x","v":Infinity}', JSON), Send(b"", JSON)],
        route=filtered('data={cust="C1"}'), not_explained="data.cust is missing",
    ),
    "nested too deep": Row(NONE, [Send(b'{"type":"d","x":' + b"[" * 500 + b"]" * 500 + b"}", JSON)], route=filtered('data={cust="C1"}'), not_explained="data.cust is missing"),
    "a form field names the charset": Row(
        NONE, [Send(b"_charset_=windows-1252&name=Garc%EDa", FORM), Send(b"name=Garc%C3%ADa", FORM), Send(b"name=%8E%52%93%63", {"content-type": "application/x-www-form-urlencoded; charset=shift_jis"})],
        to=ENVELOPE, never=["\ufffd"],
    ),
    "a file of a form": Row(
        NONE,
        [Send(b'--Y\r\nContent-Disposition: form-data; name="cust"\r\n\r\nC1\r\n--Y\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n\x89PNG\x00\xff\r\n--Y--\r\n',
              {"content-type": 'multipart/form-data; boundary="Y"'})],
        route=filtered('data={cust="C1"}'), seen=["a.png"], received=1,
    ),
    "a body that is not text": Row(NONE, [Send(b"\x00\x01\xff", {"content-type": "application/octet-stream"})], to=ENVELOPE, has=["data_base64"]),
    # -- chat templates
    "null in every filter of a text": Row(
        NONE, [Send(b'{"type":"x","who":null,"n":0}')],
        to='type="slack"\ntext="[{{ data.who | upper }}|{{ data.who | length }}|{{ data.who | trim }}|{{ data.who | capitalize }}|{{ data.a.b.c }}|{{ data.n }}]"',
        never=["None", "null"], has=["|0]"],
    ),
    "a condition, a join and JSON of nothing": Row(
        NONE, [Send(j(type="x"))], to='type="slack"\ntext="got {% if data.items %}some{% else %}none{% endif %}{{ data.list | join(\', \') }}{{ data.obj | json }}!"', received=1, has=["got"]
    ),
    "discord: an empty text": Row(NONE, [Send(j(type="x"))], to='type="discord"\ntext="{{ data.note }}"', received=0),
    "a text of blanks": Row(NONE, [Send(j(type="x", note="  \n "))], to='type="slack"\ntext="{{ data.note }}"', received=0),
    "teams: an empty text": Row(NONE, [Send(j(type="x", note=None))], to='type="teams"\ntext="{{ data.note }}"', received=0),
    # -- secrets
    "quotes and blanks around a secret": Row(
        'verify="github"\nsecret=\' "sekret" \'', [Send(b"{}", {"x-github-event": "push", "x-github-delivery": "s1"}, sign=github)]
    ),
    "one of several secrets has a line end": Row('verify="slack"\nsecret=["other","sekret\\r\\n"]', [Send(j(type="a"), sign=slack)]),
    "v1,whsec_": Row(f'verify="standard-webhooks"\nsecret="v1,{WHSEC}"', [Send(j(type="a"), sign=standard("m1"))]),
    "whsec_ with a line end and without padding": Row(f'verify="standard-webhooks"\nsecret="{WHSEC.rstrip("=")}\\n"', [Send(j(type="a"), sign=standard("m2"))]),
    # -- schemes of one's own
    "two signatures, by a space": Row(own('type="hmac",header="x-sig",prefix="v1=",list_separator=" "'), [Send(j(type="a"), sign=in_header("x-sig", lambda b: f"v1={'0' * 64} v1={hexed(b)}"))]),
    "two signatures, by a semicolon, with the time": Row(
        own('type="hmac",header="x-sig",prefix="h1=",list_separator=";",timestamp_prefix="ts=",signed="{timestamp}:{body}"'),
        [Send(j(type="a"), sign=in_header("x-sig", lambda b: f"ts={(t := now())};h1={'0' * 64};h1={mac(t.encode() + b':' + b).hexdigest()}"))],
    ),
    "two signatures without a prefix": Row(own('type="hmac",header="x-sig",list_separator=","'), [Send(j(type="a"), sign=in_header("x-sig", lambda b: f"{'0' * 64},{hexed(b)}"))]),
    "a time in RFC 3339": Row(
        own('type="hmac",header="x-sig",signed="{timestamp}.{body}",timestamp_header="x-time",timestamp_unit="iso"'),
        [Send(j(type="a"), sign=lambda _, b: {"x-time": (t := time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())), "x-sig": mac(t.encode() + b"." + b).hexdigest()})],
    ),
    "a time in seconds with a fraction": Row(
        own('type="hmac",header="x-sig",signed="{timestamp}.{body}",timestamp_header="x-time"'),
        [Send(j(type="a"), sign=lambda _, b: {"x-time": (t := f"{time.time():.3f}"), "x-sig": mac(t.encode() + b"." + b).hexdigest()})],
    ),
    "a time in microseconds": Row(
        own('type="hmac",header="x-sig",signed="{timestamp}.{body}",timestamp_header="x-time"'),
        [Send(j(type="a"), sign=lambda _, b: {"x-time": (t := str(int(time.time() * 1e6))), "x-sig": mac(t.encode() + b"." + b).hexdigest()})],
    ),
    "the time is in the body": Row(
        own('type="hmac",header="x-sig",timestamp_path="sent_at",tolerance="1m"'), [Send(lambda: j(type="a", sent_at=int(time.time())), sign=in_header("x-sig", hexed)), Send(j(type="b", sent_at=1000), sign=in_header("x-sig", hexed))],
        statuses=[202, 401],
    ),
    "a tolerance of its own": Row(
        own('type="hmac",header="x-sig",signed="{timestamp}.{body}",timestamp_header="x-time",tolerance="2h"'),
        [Send(j(type="a"), sign=lambda _, b: {"x-time": (t := str(int(time.time()) - 3600)), "x-sig": mac(t.encode() + b"." + b).hexdigest()})],
    ),
    "hexadecimal in capitals": Row(own('type="hmac",header="x-sig"'), [Send(j(type="a"), sign=in_header("x-sig", lambda b: hexed(b).upper()))]),
    "base64url with sha512": Row(
        own('type="hmac",header="x-sig",digest="sha512",encoding="base64"'),
        [Send(j(type="a"), sign=in_header("x-sig", lambda b: base64.urlsafe_b64encode(mac(b, "sha512").digest()).decode().rstrip("=")))],
    ),
    "a signature in the query": Row(own('type="hmac",query="sig",signed="{body}"'), [Send(b'{"type":"a"}', query="sig=" + hexed(b'{"type":"a"}'))]),
    "a signature header that comes twice": Row(
        own('type="hmac",header="x-sig"'), [Send(b'{"type":"a"}', [("x-sig", "0" * 64), ("x-sig", mac(b'{"type":"a"}').hexdigest())])]
    ),
    "a content type in capitals": Row(NONE, [Send(b'{"type":"caps","cust":"C1"}', {"content-type": "Application/JSON; Charset=\"UTF-8\""})], events=[{"type": "caps"}], route=filtered('data={cust="C1"}'), received=1),
    "paddle: its list with a time": Row(
        preset("paddle"),
        [Send(b'{"event_id":"evt_p","event_type":"transaction.paid","notification_id":"ntf_1","data":{"id":"t1"}}', sign=lambda _, b: {"paddle-signature": f"ts={(t := now())};h1={'0' * 64};h1={mac(t.encode() + b':' + b).hexdigest()}"})],
        to=ENVELOPE, events=[{"type": "transaction.paid"}], has=["ntf_1"],
    ),
    "pagerduty: two signatures": Row(preset("pagerduty"), [Send(j(event={"id": "p1", "event_type": "incident.triggered"}), sign=in_header("x-pagerduty-signature", lambda b: f"v1={'0' * 64},v1={hexed(b)}"))]),
    "docusign: the second of two headers": Row(preset("docusign"), [Send(j(event="sent"), {"x-docusign-signature-1": "AAAA"}, sign=in_header("x-docusign-signature-2", sixty_four))]),
    "twitch: the revocation is an event": Row(
        preset("twitch"),
        [Send(b'{"subscription":{"id":"s","type":"channel.follow","status":"authorization_revoked"}}', {"twitch-eventsub-message-type": "revocation"},
              sign=lambda _, b: {"twitch-eventsub-message-id": "tw1", "twitch-eventsub-message-timestamp": (t := time.strftime("%Y-%m-%dT%H:%M:%S.123456789Z", time.gmtime())), "twitch-eventsub-message-signature": "sha256=" + mac(b"tw1" + t.encode() + b).hexdigest()})],
        events=[{}],
    ),
    "meta: its handshake with a slash": Row(preset("meta", 'handshake_token="tok"'), [Send(method="GET", slash="/", query="hub.mode=subscribe&hub.challenge=99&hub.verify_token=tok")], statuses=[200], events=[]),
    "alertmanager: bearer and a batch": Row(
        preset("alertmanager", 'split="auto"'), [Send(j(version="4", status="firing", alerts=[{"status": "firing", "fingerprint": "f1"}, {"status": "resolved", "fingerprint": "f2"}]), {"authorization": "Bearer sekret"})],
        events=[{}, {}],
    ),
    "a batch with a repeat inside": Row(f'{NONE}\nsplit="items"\nid_path="id"', [Send(j(items=[{"id": 1}, {"id": 1}, {"id": 2}]))], events=[{}, {}]),
    "a batch of strings and numbers": Row(f'{NONE}\nsplit="items"', [Send(j(items=[1, "a", None, {"type": "x"}]))], events=[{}, {}, {}, {"type": "x"}]),
    "basic": Row('verify={type="basic"}\nsecret="user:sekret"', [Send(j(type="a"), {"authorization": "Basic " + b64(b"user:sekret")}), Send(j(type="b"), {"authorization": "Basic " + b64(b"user:wrong")})], statuses=[202, 401]),
    "bearer": Row('verify={type="bearer"}\nsecret="sekret"', [Send(j(type="a"), {"authorization": "Bearer sekret"}), Send(j(type="b"), {"authorization": "bearer sekret"}), Send(j(type="c"), {"authorization": "sekret"})], statuses=[202, 202, 401]),
    "PUT and GET": Row(
        f'{NONE}\nmethods=["PUT","GET"]\ntype_path="query:t"', [Send(j(n=1), method="PUT", query="t=put"), Send(method="GET", query="t=got"), Send(j(n=1))], statuses=[202, 202, 405],
        events=[{"type": "put"}, {"type": "got"}],
    ),
    "an answer of one's own": Row(f'{NONE}\nanswer={{status=200,body="ok"}}', [Send(j(type="a"))], statuses=[200]),
    # -- rejected, and why
    "twilio: JSON with another body": Row(
        preset("twilio"),
        [Send(b'{"EventType":"forged"}', JSON, query="bodySHA256=" + hashlib.sha256(b'{"EventType":"a"}').hexdigest(), sign=lambda path, b: {"x-twilio-signature": b64(mac((PUBLIC + path).encode(), "sha1").digest())})],
        statuses=[401],
    ),
    "a wrong secret": Row(preset("stripe", secret="another"), [Send(j(id="e"), sign=stripe)], statuses=[401], rejected="signature"),
    "the headers of another provider": Row(preset("stripe"), [Send(j(id="e"), sign=github)], statuses=[401], rejected="github"),
    "a prefix is missing": Row(preset("github"), [Send(b"{}", sign=in_header("x-hub-signature-256", hexed))], statuses=[401], rejected="sha256="),
    "a clock that is off": Row(
        preset("stripe"), [Send(j(id="e"), sign=lambda _, b: {"stripe-signature": f"t={(t := str(int(time.time()) - 4000))},v1=" + mac(t.encode() + b"." + b).hexdigest()})],
        statuses=[401], rejected="old",
    ),
    "trailing slash with a signed address": Row(preset("square"), [Send(j(event_id="s1", type="a"), slash="/", sign=of_url("x-square-hmacsha256-signature", "sha256"))]),
    "a longer path": Row(NONE, [Send(j(type="a"), slash="/extra")], statuses=[404], rejected="extra"),
    "a wrong method": Row(NONE, [Send(method="DELETE")], statuses=[405], rejected="DELETE"),
    # -- handshakes
    "meta: GET": Row(preset("meta", 'handshake_token="tok"'), [Send(method="GET", query="hub.mode=subscribe&hub.challenge=99&hub.verify_token=tok"), Send(method="GET", query="hub.mode=subscribe&hub.challenge=99&hub.verify_token=no")], statuses=[200, 405], events=[]),
    "dropbox: GET": Row(preset("dropbox"), [Send(method="GET", query="challenge=abc")], statuses=[200], events=[]),
    "trello: HEAD": Row(preset("trello"), [Send(method="HEAD")], statuses=[200], events=[]),
    "cloudevents: OPTIONS": Row(preset("cloudevents"), [Send(method="OPTIONS", headers={"webhook-request-origin": "e.example"})], statuses=[200], events=[]),
    "okta: a header": Row(preset("okta"), [Send(method="GET", headers={"x-okta-verification-challenge": "c"})], statuses=[200], events=[]),
    "zoom: url_validation": Row(preset("zoom"), [Send(j(event="endpoint.url_validation", payload={"plainToken": "p"}), sign=zoom)], statuses=[200], events=[]),
    "graph: validationToken": Row(preset("microsoft-graph"), [Send(query="validationToken=a%20b")], statuses=[200], events=[]),
    "an unsigned source says that a handshake came": Row(NONE, [Send(j(type="url_verification", challenge="c"))], found="handshake_stored"),
    "a handshake without its provider is listed": Row(preset("github"), [Send(method="GET", query="crc_token=1")], statuses=[405], rejected="handshake of x"),
    # -- numbers
    "digits through rename, pick and a text": Row(
        NONE, [Send(b'{"type":"a","id":12345678901234567890123,"amt":0.10,"f":1e400}')], to="", route='transform={pick=["data.id","data.amt"],rename={"data.id"="data.nr"}}', has=["12345678901234567890123", "0.10"]
    ),
    "digits in an envelope of a provider": Row(
        preset("stripe"), [Send(b'{"id":"evt_d","type":"a","data":{"object":{"fx":0.1234567890123456789,"n":9007199254740993}}}', sign=stripe)], to=ENVELOPE, has=["0.1234567890123456789", "9007199254740993"]
    ),
    "digits in CloudEvents": Row(NONE, [Send(b'{"type":"a","v":1.10,"w":10000000000000000.1}')], to='body="cloudevents"', has=["1.10", "10000000000000000.1"]),
    "digits of a form": Row(NONE, [Send(b"type=a&nr=00123", FORM)], to=ENVELOPE, has=['"00123"']),
    # -- lists and odd names
    "any item of a list": Row(NONE, [Send(j(type="x", labels=[{"name": "docs"}, {"name": "bug"}]))], route=filtered('data={labels={"$any"={name="bug"}}}'), received=1),
    "all items of a list": Row(NONE, [Send(j(type="x", s=["a", "a"])), Send(j(type="y", s=["a", "b"]))], route=filtered('data={s={"$all"="a"}}'), received=1),
    "names with a dollar or a dot": Row(
        NONE, [Send(b'{"type":"x","$set":{"a.b":"1"},"a.b":{"c":2}}')], route=filtered("""data={"$set"={'"a.b"'="1"},'"a.b"'={c=2}}"""), received=1,
    ),
    "picking a name with a dot": Row(NONE, [Send(b'{"type":"x","a.b":7,"c":8}')], to="", route="""transform={pick=['data."a.b"']}""", has=['"a.b":7'], never=['"c"']),
    "equality that ignores case": Row(NONE, [Send(j(type="x", s="PAID"))], route=filtered('data={s={"$eqi"="paid"}}'), received=1),
    # -- batches
    "a batch is its items": Row(f'{NONE}\nsplit="alerts"\nid_path="id"', [Send(j(alerts=[{"id": 1, "type": "a"}, {"id": 2, "type": "b"}]))] * 2, events=[{"type": "a"}, {"type": "b"}]),
    "a batch that is the body": Row(f'{NONE}\nsplit="$"', [Send(b'[{"type":"a"},{"type":"b"}]'), Send(b"[]"), Send(b'{"type":"c"}')], events=[{"type": "a"}, {"type": "b"}, {"type": "c"}]),
    "cloudevents: a batch": Row(
        'verify={type="bearer"}\nsecret="sekret"\nsplit="$"\ntype_path="type"\nid_path="id"\ndedupe={scope=["source"]}',
        [Send(json.dumps([{"specversion": "1.0", "id": "1", "source": s, "type": "t", "data": {}} for s in ("/a", "/b", "/a")]).encode(),
              {"content-type": "application/cloudevents-batch+json", "authorization": "Bearer sekret"})],
        events=[{"type": "t"}, {"type": "t"}],
    ),
    "hubspot: a batch": Row(
        preset("hubspot-v3", 'split="auto"'),
        [Send(json.dumps([{"eventId": 1, "subscriptionType": "contact.creation", "objectId": 5}, {"eventId": 2, "subscriptionType": "deal.creation", "objectId": 6}]).encode(),
              sign=lambda path, b: {"x-hubspot-request-timestamp": (t := str(int(time.time() * 1000))), "x-hubspot-signature-v3": b64(mac(b"POST" + (PUBLIC + path).encode() + b + t.encode()).digest())})],
        events=[{"type": "contact.creation"}, {"type": "deal.creation"}],
    ),
    "a long content type": Row(NONE, [Send(j(type="a"), {"content-type": "application/json; note=" + "x" * 900})], to="", received=1),
    "a body of many MiB, transformed": Row(f'{NONE}\nmax_body="32MiB"', [Send(b'{"type":"big","p":"' + b"a" * 17_825_792 + b'"}')], to="", route='transform={set={"data.tag"="x"}}', received=1),
}  # fmt: skip


def toml_of(far: str) -> str:
    parts = [f'[gateway]\npublic_url="{PUBLIC}"\n[egress]\nallow=["127.0.0.1/32"]\n']
    for number, row in enumerate(ROWS.values()):
        name = f"s{number}"
        parts.append(f"[sources.{name}.webhook]\n{row.webhook}\n")
        parts.append(f'[destinations.{name}]\nurl="{far}/{name}"\nretry=["1h"]\n{row.to}\n')
        parts.append(f'[routes.{name}]\nfrom="{name}"\nto="{name}"\n{row.route or ""}\n')
    return "\n".join(parts)


class Place(NamedTuple):
    gate: Served
    far: Receiver
    answers: dict[str, list[Answer]]
    events: dict[str, list[dict[str, Any]]]
    rejections: list[dict[str, Any]]
    doctor: dict[str, Any]

    def explain(self, id_: str) -> Any:
        return self.gate.run("explain", id_, "--json").json


def post(url: str, source: str, one: Send) -> Answer:
    import http.client
    from urllib.parse import urlsplit

    path = f"/in/{source}{one.slash}" + (f"?{one.query}" if one.query else "")
    body = one.body if isinstance(one.body, bytes) else one.body()
    given = list(one.headers.items() if isinstance(one.headers, Mapping) else one.headers)
    given += one.sign(path, body).items() if one.sign else ()
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        connection.putrequest(one.method, path, skip_accept_encoding=True)
        for name, value in given:
            connection.putheader(name, value)
        connection.putheader("content-length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("kinds")
    with Receiver() as far, Served(folder, toml_of(far.url)) as gate:
        answers = {
            name: [post(gate.url, f"s{number}", one) for one in row.sends]
            for number, (name, row) in enumerate(ROWS.items())
        }
        wait_until(lambda: not any(one["pending"] for one in stats(gate)), "all deliveries have an attempt", 30)
        events: dict[str, list[dict[str, Any]]] = {f"s{number}": [] for number in range(len(ROWS))}
        key = {"authorization": f"Bearer {gate.key}"}
        cursor = ""
        while True:  # a page ends early at a large event
            page = call(f"{gate.url}/api/v1/events?order=asc&limit=500{cursor}", headers=key).json
            if not page["data"]:
                break
            for event in page["data"]:
                events[event["source"]].append(event)
            cursor = f"&cursor={page['next_cursor']}"
        rejections = call(f"{gate.url}/api/v1/rejections?limit=500", headers=key).json["data"]
        yield Place(gate, far, answers, events, rejections, gate.run("doctor", "--json").json)


def stats(gate: Served) -> list[dict[str, Any]]:
    found = call(f"{gate.url}/api/v1/stats", headers={"authorization": f"Bearer {gate.key}"}).json["destinations"]
    return [one for one in found.values() if one["pending"] != one.get("retrying", 0)]


@pytest.mark.parametrize("name", ROWS)
def test_it_comes_out_right(place: Place, name: str) -> None:
    row = ROWS[name]
    number = list(ROWS).index(name)
    source = f"s{number}"
    found = [answer.status for answer in place.answers[name]]
    mine = [one for one in place.rejections if one["source"].split("/")[0] == source]
    if row.statuses is None:
        assert all(status // 100 == 2 for status in found), (found, mine)
    else:
        assert found == row.statuses, mine
    events = place.events[source]
    if row.events is not None:
        assert [
            {key: event[key] for key in wanted} for event, wanted in zip(events, row.events, strict=True)
        ] == row.events
    got = [taken for taken in place.far.taken if taken.path.split("?")[0] == f"/{source}"]
    if row.received is not None:
        assert len(got) == row.received
    for text in row.has:
        assert got and all(text.encode() in one.body for one in got), [one.body[:400] for one in got]
    for text in row.never:
        assert not any(text.encode() in one.body for one in got), [one.body[:400] for one in got]
    for header in row.headers:
        assert header in {key.lower() for key in got[0].headers}
    if row.seen or row.explained or row.not_explained:
        assert events
        for event in events:
            explained = place.explain(event["id"])
            for text in row.seen:
                assert text in json.dumps(explained["seen"], ensure_ascii=False)
            whole = json.dumps(explained, ensure_ascii=False)
            assert row.explained in whole
            assert not row.not_explained or row.not_explained not in whole
    if row.rejected:
        assert any(row.rejected in json.dumps(one) for one in mine), mine
    if row.found:
        assert any(one["code"] == row.found and source in one["subject"] for one in place.doctor["findings"])
