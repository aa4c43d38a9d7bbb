"""Requests that the packages of providers accepted (`tests/provider_packages/record.py`), through the live receiver."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.test_receive_vectors import ask, on_store
from tidegate.providers import webhook_names
from tidegate.providers.shape import load_provider

RECORDED = json.loads((Path(__file__).parent.parent / "data" / "package_requests.json").read_text("utf-8"))
REQUESTS = [{**one, "scheme": "", "method": "POST"} for one in RECORDED]
COVERED = {name for name in webhook_names() for one in load_provider(name).schemes[:1] if "{body" in one.signed}
CHANGED = [one for one in REQUESTS if one["provider"] in COVERED - {"chargebee"}]  # which signs nothing


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda one: one["id"])
def test_what_a_package_accepts_is_accepted_here_and_not_with_another_secret(tmp_path, request_):
    async def work(setup):
        body = request_["body"].encode()
        answer, reasons = await ask(setup, request_, body)
        assert (answer.status // 100, reasons) == (2, []), request_["package"]
        other = {**request_, "secret": _other(request_["secret"])}
        assert (await ask(setup, other, body))[0].status in (401, 503)
        assert {event.body for event in await setup.events()} == {body} or load_provider(request_["provider"]).split

    on_store(tmp_path, work)


@pytest.mark.parametrize("request_", CHANGED, ids=lambda one: one["id"])
def test_a_changed_byte_is_rejected_as_the_package_rejects_it(tmp_path, request_):
    async def work(setup):
        body = request_["body"].encode()
        assert (await ask(setup, request_, body[:-3] + bytes([body[-3] ^ 1]) + body[-2:]))[0].status == 401
        assert await setup.events() == ()

    on_store(tmp_path, work)


def test_what_a_file_says_of_its_signature_is_what_the_tests_have():
    vectors = json.loads((Path(__file__).parent.parent / "data" / "vectors.json").read_text("utf-8"))["vectors"]
    published = {_FILES.get(one["scheme"], one["provider"]) for one in vectors if one["expected"] == "valid"}
    recorded = {one["provider"] for one in RECORDED} | {"braintree"}  # tests/engine/test_receive_signed_forms.py
    for name in webhook_names():
        wanted = "package" if name in recorded else "published" if name in published else ""
        said = load_provider(name).confirmed.signature
        assert said == wanted if wanted else said not in ("package", "published"), name


_FILES = {"adyen-hmac-header": "adyen-platform", "http-message-signatures": "http-message-signatures"}


def _other(secret):
    """Another secret of the same form."""
    at = len(secret) // 2
    return secret[:at] + ("a" if secret[at] != "a" else "b") + secret[at + 1 :]
