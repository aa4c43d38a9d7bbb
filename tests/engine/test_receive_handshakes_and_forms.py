"""The receive door against a real store: a provider that wants an answer of its own kind, and a browser with a form."""

from __future__ import annotations

import hmac
import json
from pathlib import Path

import pytest

from support.gateway.ingress import with_ingress
from tidegate.config.spec import Source
from tidegate.core.model import Origin
from tidegate.core.spec import FormInput, WebhookInput
from tidegate.receive.inputs import compile_input

HANDSHAKES = json.loads((Path(__file__).parent.parent / "data" / "vectors.json").read_text())["handshakes"]


# -- handshakes ------------------------------------------------------------------------------------------


def slack(setup, body):
    mac = hmac.digest(b"s", f"v0:{setup.now}:".encode() + body, "sha256").hex()
    return [("x-slack-signature", f"v0={mac}"), ("x-slack-request-timestamp", str(setup.now))]


@pytest.mark.parametrize("handshake", HANDSHAKES, ids=lambda h: h["id"])
def test_published_handshakes_are_answered_as_published(tmp_path, handshake):
    async def work(setup):
        request, expect = handshake["request"], handshake["expect"]
        body = request["body"].encode()
        headers = list(request["headers"].items())
        if handshake["provider"] == "slack":
            headers += slack(setup, body)
        names = {"slack": "chat", "okta": "people", "meta": "pages", "microsoft-graph": "mails", "cloudevents": "cloud"}
        query = request.get("query", "").encode()
        answer = await setup.call(names[handshake["provider"]], body, headers, request["method"], query)
        assert answer.status == expect.get("status", 200)
        assert expect.get("body_contains", "").encode() in answer.body
        if "body" in expect:
            assert answer.body.decode() == expect["body"]
        if "json" in expect:
            assert answer.json == expect["json"]
        assert answer.headers["content-type"].startswith(expect.get("content_type", ""))
        allowed = expect.get("headers", {}).get("WebHook-Allowed-Origin")
        if allowed is not None:
            assert answer.headers["webhook-allowed-origin"] in allowed
            assert answer.headers["webhook-allowed-rate"] == "*"
        assert await setup.events() == ()

    with_ingress(tmp_path, work)


def test_a_handshake_with_another_token_is_405_and_says_what_is_missing(tmp_path):
    async def work(setup):
        query = b"hub.mode=subscribe&hub.verify_token=%s&hub.challenge=1"
        assert (await setup.call("pages", b"", method="GET", query=query % b"tok-2")).status == 405
        assert (await setup.call("tokenless", b"", method="GET", query=query % b"tok-1")).status == 405
        assert (await setup.call("code", b"", method="GET", query=query % b"tok-1")).status == 405
        details = [one.detail for one in setup.rejections]
        assert all("it looks like the handshake of meta" in detail for detail in details)
        assert ["handshake_token" in detail for detail in details] == [True, True, False]
        assert 'handshake = "meta"' in details[2]

    with_ingress(tmp_path, work)


def test_an_unsigned_source_answers_the_handshake_that_it_names_and_reports_others(tmp_path):
    async def work(setup):
        body = b'{"type":"url_verification","challenge":"abc"}'
        assert (await setup.call("slackish", body)).body == b"abc"
        assert await setup.events() == ()
        assert (await setup.call("open", body)).status == 202
        assert {(one.code, one.subject, *one.samples) for one in setup.findings.listed()} == {
            ("handshake_answered", "source:slackish", "POST"),
            (
                "handshake_stored",
                "source:open",
                'looks like slack: set handshake = "slack" or verify = "slack"',
            ),
        }

    with_ingress(tmp_path, work)


@pytest.mark.parametrize(
    ("provider", "body", "headers"),
    [("notion", b'{"verification_token":"secret_abc123"}', []), ("asana", b"", [("X-Hook-Secret", "secret_abc123")])],
)
def test_a_value_that_the_operator_needs_is_shown_and_nothing_is_stored(tmp_path, provider, body, headers):
    async def work(setup):
        input = Source(webhook=WebhookInput(verify=provider, secret=""))
        setup.extra = {"s": compile_input("s", input, "")}
        answer = await setup.call("s", body, headers)
        assert answer.status == 200
        assert answer.headers.get("x-hook-secret", "secret_abc123") == "secret_abc123"
        (finding,) = setup.findings.listed()
        assert (finding.code, finding.samples) == ("handshake_value", ["the value is secret_abc123"])
        assert await setup.events() == ()
        assert (await setup.call("s", b'{"type":"page.created"}')).status == 401

    with_ingress(tmp_path, work)


def test_a_signed_handshake_without_its_signature_is_401(tmp_path):
    async def work(setup):
        body = b'{"type":"url_verification","challenge":"abc"}'
        assert (await setup.call("chat", body)).status == 401
        event = b'{"type":"event_callback","event":{"type":"app_mention"},"event_id":"Ev1"}'
        assert (await setup.call("chat", event, slack(setup, event))).status == 200
        assert (await setup.events())[0].type == "app_mention"

    with_ingress(tmp_path, work)


def test_an_answer_may_hold_the_hmac_of_the_challenge(tmp_path):
    async def work(setup):
        body = b'{"event":"endpoint.url_validation","payload":{"plainToken":"q\\"9"}}'
        mac = hmac.digest(b"s", f"v0:{setup.now}:".encode() + body, "sha256").hex()
        headers = [("x-zm-signature", f"v0={mac}"), ("x-zm-request-timestamp", str(setup.now))]
        answer = await setup.call("meetings", body, headers)
        assert answer.json == {"plainToken": 'q"9', "encryptedToken": hmac.digest(b"s", b'q"9', "sha256").hex()}

    with_ingress(tmp_path, work)


# -- forms -----------------------------------------------------------------------------------------------

FORM = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")]


def test_a_form_is_kept_as_it_came_and_the_browser_goes_to_the_configured_page(tmp_path):
    async def work(setup):
        body = b"email=a%40b.example&name=J%C3%BCrgen&redirect=https://evil.example"
        answer = await setup.call("leads", body, FORM)
        assert (answer.status, answer.headers["location"]) == (303, "https://www.example.com/thanks")
        (event,) = await setup.events()
        assert (event.origin, event.type, event.key, event.body) == (Origin.FORM, "lead.submitted", "a@b.example", body)
        assert setup.router.views[-1]["data"]["name"] == "Jürgen"

    with_ingress(tmp_path, work)


def test_a_script_that_asks_for_json_is_answered_with_the_id(tmp_path):
    async def work(setup):
        headers = [*FORM, ("accept", "application/json"), ("idempotency-key", "f-1")]
        answer = await setup.call("leads", b"email=x", headers)
        again = await setup.call("leads", b"email=x", headers)
        assert (answer.status, again.status, again.json) == (202, 200, answer.json)
        assert answer.json["id"].startswith("evt_")
        assert (await setup.call("plain", b"a=1", FORM)).status == 202

    with_ingress(tmp_path, work)


def test_a_filled_honeypot_is_answered_alike_and_stores_nothing(tmp_path):
    async def work(setup):
        body = b"email=x&website=http%3A%2F%2Fspam.example"
        assert (await setup.call("leads", body, FORM)).status == 303
        assert (await setup.call("leads", body, [*FORM, ("accept", "application/json")])).json == {"id": None}
        assert await setup.events() == ()
        assert [rejection.reason for rejection in setup.rejections] == ["honeypot"] * 2
        assert (await setup.call("leads", b"email=x&website=", FORM)).status == 303
        assert len(await setup.events()) == 1

    with_ingress(tmp_path, work)


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", ""])
def test_what_is_no_form_is_415(tmp_path, kind):
    async def work(setup):
        assert (await setup.call("leads", b"x", [("content-type", kind)])).status == 415
        assert setup.rejections[0].reason == "content_type"

    with_ingress(tmp_path, work)


def test_a_form_with_too_many_fields_or_bytes_is_413(tmp_path):
    async def work(setup):
        assert (await setup.call("leads", b"a=1" * 400, FORM)).status == 413
        assert (await setup.call("leads", b"&".join([b""] * 1001 + [b"a=1"]), FORM)).status == 413
        assert await setup.events() == ()

    with_ingress(tmp_path, work)


# -- which page, how often, files ------------------------------------------------------------------------

SITE = "https://www.example.com"


def form_of(**more):
    return compile_input("s", Source(form=FormInput(honeypot="website", key_field="email", **more)), "")


def parts(*fields):
    lines = []
    for name, value, *file in fields:
        kind = f'; filename="{file[0]}"\r\nContent-Type: image/png' if file else ""
        lines.append(f'--B\r\nContent-Disposition: form-data; name="{name}"{kind}\r\n\r\n{value}\r\n')
    return "".join(lines).encode() + b"--B--\r\n", [("content-type", "multipart/form-data; boundary=B")]


def test_only_an_allowed_page_may_send_and_its_script_may_read(tmp_path):
    async def work(setup):
        setup.extra = {"s": form_of(allowed_origins=[SITE, "http://localhost:3000"])}
        good = await setup.call("s", b"email=a", [*FORM, ("origin", SITE)])
        assert (good.status, good.headers["access-control-allow-origin"]) == (202, SITE)
        assert good.headers["vary"] == "origin"
        assert (await setup.call("s", b"email=a", [*FORM, ("referer", f"{SITE}/contact?x=1")])).status == 202
        for headers in (
            [("origin", "https://evil.example")],
            [("origin", "null")],
            [("referer", "https://evil.example/")],
            [],
        ):
            bad = await setup.call("s", b"email=a", [*FORM, *headers])
            assert (bad.status, bad.headers.get("access-control-allow-origin")) == (403, None)
        assert {one.reason for one in setup.rejections} == {"origin_not_allowed"}
        assert len(await setup.events()) == 2

    with_ingress(tmp_path, work)


def test_a_preflight_is_answered_for_an_allowed_page_only(tmp_path):
    async def work(setup):
        setup.extra = {"s": form_of(allowed_origins=[SITE]), "o": form_of()}
        asks = ("access-control-request-method", "POST")
        good = await setup.call("s", b"", [("origin", SITE), asks], "OPTIONS")
        assert (good.status, good.headers["access-control-allow-methods"]) == (204, "POST")
        assert "content-type" in good.headers["access-control-allow-headers"]
        assert (await setup.call("s", b"", [("origin", "https://evil.example"), asks], "OPTIONS")).status == 405
        assert (await setup.call("o", b"", [("origin", SITE), asks], "OPTIONS")).status == 405

    with_ingress(tmp_path, work)


def test_a_form_may_be_multipart_or_json_with_the_same_key_and_honeypot(tmp_path):
    async def work(setup):
        setup.extra = {"s": form_of()}
        json_type = [("content-type", "application/json")]
        assert (await setup.call("s", *parts(("email", "a"), ("upload", "", "")))).status == 202
        assert (await setup.call("s", b'{"email":"b"}', json_type)).json["id"].startswith("evt_")
        assert [event.key for event in await setup.events()] == ["a", "b"]
        await setup.call("s", *parts(("email", "a"), ("website", "spam")))
        await setup.call("s", b'{"email":"b","website":"spam"}', json_type)
        assert len(await setup.events()) == 2
        for body in (b"[1]", b"{", b'"text"'):
            assert (await setup.call("s", body, json_type)).status == 400

    with_ingress(tmp_path, work)


def test_fields_with_files_are_refused_by_name(tmp_path):
    async def work(setup):
        setup.extra = {"s": form_of()}
        answer = await setup.call("s", *parts(("email", "a"), ("photo", "PNG", "me.png"), ("cv", "PDF", "cv.pdf")))
        assert answer.status == 415
        assert "photo, cv" in answer.json["detail"]
        assert setup.rejections[0].reason == "form_files"
        assert await setup.events() == ()

    with_ingress(tmp_path, work)


def test_one_address_may_send_so_many_and_no_more(tmp_path):
    async def work(setup):
        setup.extra = {"s": form_of(rate="3/m")}
        statuses = [(await setup.call("s", b"n=%d" % n, FORM)).status for n in range(4)]
        assert statuses == [202, 202, 202, 429]
        assert int((await setup.call("s", b"n=9", FORM)).headers["retry-after"]) <= 20
        setup.clock.advance(20)
        assert (await setup.call("s", b"n=5", FORM)).status == 202
        assert len(await setup.events()) == 4
        assert setup.rejections[0].reason == "rate_limited"

    with_ingress(tmp_path, work)


def test_a_fetch_gets_json_where_a_page_is_redirected(tmp_path):
    async def work(setup):
        setup.extra = {"s": form_of(redirect=f"{SITE}/thanks")}
        page = await setup.call("s", b"n=1", [*FORM, ("sec-fetch-mode", "navigate"), ("accept", "text/html")])
        script = await setup.call("s", b"n=2", [*FORM, ("sec-fetch-mode", "cors"), ("accept", "*/*")])
        assert (page.status, page.headers["location"]) == (303, f"{SITE}/thanks")
        assert (script.status, script.json["id"][:4]) == (202, "evt_")

    with_ingress(tmp_path, work)
