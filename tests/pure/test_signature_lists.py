"""Several signatures in one header: each is tried, in whatever way the provider or a proxy lists them.

The signed requests are those that the packages of providers accept (`tests/provider_packages`).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tidegate.providers.shape import load_provider
from tidegate.rules.inbound.signatures import Scheme, Verification, compile_verifier

RECORDED = json.loads((Path(__file__).parents[1] / "data" / "package_requests.json").read_text("utf-8"))
LISTED = ("hmac", "hash", "ed25519", "ecdsa")
DIGEST = re.compile(r"[A-Za-z0-9+/_-]{27,}={0,2}$")


def listed(one: dict[str, Any]) -> Scheme | None:
    """The scheme of a request whose signature is alone in a header."""
    for scheme in load_provider(one["provider"]).schemes:
        if scheme.kind in LISTED and scheme.header.lower() in one["headers"] and scheme.header != "authorization":
            return scheme
    return None


REQUESTS = {one["id"]: one for one in RECORDED if listed(one)}


def result(one: dict[str, Any], value: str) -> Verification:
    scheme = listed(one)
    assert scheme is not None
    headers = {**one["headers"], scheme.header.lower(): value}
    raw = {name.encode(): text.encode() for name, text in headers.items()}
    return compile_verifier([scheme], [one["secret"]])(raw, one["body"].encode(), one["url"], one["now"])


def lists(scheme: Scheme, right: str, wrong: str) -> list[str]:
    """As the provider lists them, as a header that came twice, and as proxies join those."""
    joined = [", ", ",", *([scheme.list_separator] if scheme.list_separator else [])]
    return [by.join(pair) for by in joined for pair in ((right, wrong), (wrong, right), (wrong, right, wrong))]


@pytest.mark.parametrize("name", REQUESTS)
def test_each_of_several_signatures_is_tried(name: str) -> None:
    one = REQUESTS[name]
    scheme = listed(one)
    assert scheme is not None
    right = one["headers"][scheme.header.lower()]
    digest = DIGEST.search(right)
    assert digest is not None, right
    wrong = right[: digest.start()] + ("B" if right[digest.start()] == "A" else "A") + right[digest.start() + 1 :]
    if scheme.encoding == "hex":
        wrong = right[: digest.start()] + ("0" if right[digest.start()] == "1" else "1") + right[digest.start() + 1 :]
    assert result(one, right) is Verification.OK
    assert result(one, wrong) is Verification.SIGNATURE_WRONG
    for value in lists(scheme, right, wrong):
        assert result(one, value) is Verification.OK, value
    for by in (", ", ",", scheme.list_separator or ","):
        assert result(one, by.join([wrong] * 3)) is Verification.SIGNATURE_WRONG
        assert result(one, by.join([wrong] * 100 + [right])) is not Verification.OK, "their number is bounded"
