"""Signatures: what providers published, and the rules that no published number covers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.errors import ConfigError
from tidegate.core.spec import CustomScheme, WebhookInput
from tidegate.providers import webhook_names
from tidegate.providers.shape import load_provider, provider_of
from tidegate.rules.inbound.signatures import Scheme, Verification, compile_verifier, secret_forms, usable

DATA = json.loads((Path(__file__).parent.parent / "data" / "vectors.json").read_text())
NOW = 1_800_000_000
BODY = b'{"type":"order.paid"}'
# The generic samples: hexadecimal HMAC-SHA512 of the body in a header of the sender's choice.
GENERIC = CustomScheme(header="X-Convoy-Signature", digest="sha512")
# The others need a content type, their own scheme or a claim: `tests/engine/test_receive_vectors.py` sends them all.
ELSEWHERE = {"rfc9421", "rfc9530", "messagebird", "dropbox-sign", "adyen"}
VECTORS = [one for one in DATA["vectors"] if one["provider"] not in ELSEWHERE]
VALID = [one for one in VECTORS if one["expected"] == "valid"]
WORDS = {"timestamp": Verification.TOO_OLD}


def schemes_of(provider: str) -> tuple[Scheme, ...]:
    if provider == "generic":
        return provider_of(WebhookInput(verify=GENERIC)).schemes
    return load_provider(provider).schemes


def lowered(headers: dict[str, str]) -> dict[bytes, bytes]:
    return {name.lower().encode(): value.encode() for name, value in headers.items()}


def body_of(vector: dict[str, str]) -> bytes:
    return base64.b64decode(vector["body_base64"]) if "body_base64" in vector else vector["body"].encode()


def request_of(vector):
    """What a verifier takes, in order."""
    url, now = vector["url"] or "", vector["now"] or 0
    return lowered(vector["headers"]), body_of(vector), url, now, vector["method"]


def hex_hmac(secret: bytes, *parts: bytes, digest: str = "sha256") -> bytes:
    return hmac.digest(secret, b"".join(parts), digest).hex().encode()


def b64_hmac(secret: bytes, *parts: bytes) -> bytes:
    return base64.b64encode(hmac.digest(secret, b"".join(parts), "sha256"))


# -- published numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["id"])
def test_published_signatures_verify_as_published(vector):
    verify = compile_verifier(schemes_of(vector["provider"]), [vector["secret"]])
    verification = verify(*request_of(vector))
    assert (verification is Verification.OK) == (vector["expected"] == "valid"), verification
    if "reason" in vector:
        assert verification is WORDS[vector["reason"]]


@pytest.mark.parametrize("vector", VALID, ids=lambda v: v["id"])
def test_a_published_signature_covers_every_byte_of_the_body(vector):
    verify = compile_verifier(schemes_of(vector["provider"]), [vector["secret"]])
    body = body_of(vector)
    for changed in {body + b"x", body[:-1], bytes([body[0] ^ 1]) + body[1:] if body else b"x"} - {body}:
        headers, _, *rest = request_of(vector)
        verification = verify(headers, changed, *rest)
        assert verification is Verification.SIGNATURE_WRONG


@pytest.mark.parametrize("vector", VALID, ids=lambda v: v["id"])
def test_without_a_secret_nothing_verifies(vector):
    for secrets in ([], [""], ["", ""]):
        verify = compile_verifier(schemes_of(vector["provider"]), secrets)
        verification = verify(*request_of(vector))
        assert verification is Verification.SECRET_UNSET


# -- Standard Webhooks 1.0.0 -----------------------------------------------------------------------------

KEY = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
STANDARD = load_provider("standard-webhooks").schemes


def standard(
    signatures: bytes, at: int | bytes = NOW, id_: bytes = b"msg_1", prefix: bytes = b"webhook"
) -> dict[bytes, bytes]:
    stamp = at if isinstance(at, bytes) else str(at).encode()
    return {prefix + b"-id": id_, prefix + b"-timestamp": stamp, prefix + b"-signature": signatures}


def signed(at: int = NOW, key: bytes = KEY, id_: bytes = b"msg_1") -> bytes:
    return b"v1," + b64_hmac(key, id_, b".", str(at).encode(), b".", BODY)


def verify_standard(headers: dict[bytes, bytes], *secrets: str) -> Verification:
    return compile_verifier(STANDARD, secrets or (SECRET,))(headers, BODY, "", NOW)


def test_every_listed_signature_and_every_secret_is_tried():
    other = "whsec_" + base64.b64encode(b"x" * 32).decode()
    right = signed()
    assert verify_standard(standard(b"v1,AAAA " + right)) is Verification.OK
    assert verify_standard(standard(right + b" v1,AAAA")) is Verification.OK
    assert verify_standard(standard(right), other, SECRET) is Verification.OK
    assert verify_standard(standard(right), "", SECRET) is Verification.OK
    assert verify_standard(standard(right), other) is Verification.SIGNATURE_WRONG


@pytest.mark.parametrize(
    "noise", [b"nonsense", b",", b"v1", b"v1,", b"v9,AAAA", b"v1,\xff\xfe", b"v1,not base64!", b"", b"v1a,AAAA"]
)
def test_broken_and_unknown_entries_are_skipped(noise):
    assert verify_standard(standard(noise + b" " + signed())) is Verification.OK
    assert verify_standard(standard(noise)) in (Verification.MALFORMED, Verification.SIGNATURE_WRONG)


@pytest.mark.parametrize(
    ("off", "verification"),
    [(-300, Verification.OK), (300, Verification.OK), (-301, Verification.TOO_OLD), (301, Verification.TOO_NEW)],
)
def test_the_time_may_be_off_by_five_minutes_either_way(off, verification):
    assert verify_standard(standard(signed(NOW + off), NOW + off)) is verification


def test_a_stale_time_is_reported_only_with_a_right_signature():
    assert verify_standard(standard(b"v1,AAAA", NOW - 1000)) is Verification.SIGNATURE_WRONG


@pytest.mark.parametrize(
    "stamp", [b"abc", b"-5", b"1.5.0", b"1.", b"+1800000000", b"1_800_000_000", b"9" * 40, b"\xb2", b" "]
)
def test_a_time_that_is_no_number_is_malformed(stamp):
    signature = b"v1," + b64_hmac(KEY, b"msg_1.", stamp, b".", BODY)
    assert verify_standard(standard(signature, stamp)) is Verification.MALFORMED


def test_missing_parts_have_different_results():
    whole = standard(signed())
    assert verify_standard({}) is Verification.SIGNATURE_MISSING
    assert (
        verify_standard({k: v for k, v in whole.items() if k != b"webhook-signature"}) is Verification.SIGNATURE_MISSING
    )
    assert (
        verify_standard({k: v for k, v in whole.items() if k != b"webhook-timestamp"}) is Verification.TIMESTAMP_MISSING
    )
    assert verify_standard({k: v for k, v in whole.items() if k != b"webhook-id"}) is Verification.MALFORMED


def test_secrets_are_taken_with_and_without_whsec_and_without_padding():
    for secret in (SECRET, SECRET.removeprefix("whsec_"), SECRET.rstrip("="), f" {SECRET}\n"):
        assert verify_standard(standard(signed()), secret) is Verification.OK


@pytest.mark.parametrize("secret", ["", "whsec_", "not base64!", "whpk_", "whpk_AAAA"])
def test_a_secret_that_cannot_be_one_never_verifies(secret):
    assert not usable(STANDARD, secret)
    assert (
        verify_standard(standard(b"v1," + b64_hmac(b"", b"msg_1.", str(NOW).encode(), b".", BODY)), secret)
        is Verification.SECRET_UNSET
    )


def test_the_old_header_names_are_an_alias():
    assert verify_standard(standard(signed(), prefix=b"svix")) is Verification.OK


def test_headers_of_the_two_spellings_do_not_mix():
    mixed = standard(signed())
    mixed[b"svix-id"] = mixed.pop(b"webhook-id")
    assert verify_standard(mixed) is Verification.MALFORMED


# -- rules of single providers, from their documentation -------------------------------------------------


def verification_of(
    provider: str, secret: str, headers: dict[bytes, bytes], url: str = "", body: bytes = BODY
) -> Verification:
    return compile_verifier(load_provider(provider).schemes, [secret])(headers, body, url, NOW)


def test_github_is_not_talked_down_to_sha1():
    sha1 = b"sha1=" + hex_hmac(b"s", BODY, digest="sha1")
    sha256 = b"sha256=" + hex_hmac(b"s", BODY)
    assert verification_of("github", "s", {b"x-hub-signature": sha1}) is Verification.SIGNATURE_MISSING
    assert verification_of("github", "s", {b"x-hub-signature-256": sha256}) is Verification.OK
    assert verification_of("github-sha1", "s", {b"x-hub-signature": sha1}) is Verification.OK
    both = {b"x-hub-signature": sha1, b"x-hub-signature-256": b"sha256=00"}
    assert verification_of("github-sha1", "s", both) is Verification.SIGNATURE_MISSING


def test_a_digest_is_read_from_the_prefix_and_not_guessed():
    sha1 = {b"x-hub-signature": b"sha1=" + hex_hmac(b"s", BODY, digest="sha1")}
    assert verification_of("bitbucket", "s", sha1) is Verification.MALFORMED


def test_hexadecimal_signatures_are_taken_in_capitals():
    capitals = b"sha256=" + hex_hmac(b"s", BODY).upper()
    assert verification_of("github", "s", {b"x-hub-signature-256": capitals}) is Verification.OK


def test_stripe_ignores_v0_and_takes_any_v1():
    stamp = str(NOW).encode()
    right = hex_hmac(b"whsec_x", stamp, b".", BODY)
    assert (
        verification_of("stripe", "whsec_x", {b"stripe-signature": b"t=" + stamp + b",v0=" + right})
        is Verification.MALFORMED
    )
    rotated = b"t=" + stamp + b",v1=00,v1=" + right + b",v0=zz"
    assert verification_of("stripe", "whsec_x", {b"stripe-signature": rotated}) is Verification.OK
    assert verification_of("stripe", "whsec_x", {b"stripe-signature": b"v1=" + right}) is Verification.TIMESTAMP_MISSING


def test_gitlab_takes_its_token_or_a_signing_secret():
    assert verification_of("gitlab", "tok", {b"x-gitlab-token": b"tok"}) is Verification.OK
    assert verification_of("gitlab", "tok", {b"x-gitlab-token": b"tak"}) is Verification.SIGNATURE_WRONG
    assert verification_of("gitlab", "tok", {}) is Verification.SIGNATURE_MISSING
    assert verification_of("gitlab", SECRET, standard(signed())) is Verification.OK
    both = compile_verifier(load_provider("gitlab").schemes, ["tok", SECRET])
    assert both(standard(b"v1,AAAA") | {b"x-gitlab-token": b"tok"}, BODY, "", NOW) is Verification.OK


def test_hubspot_v3_signs_method_address_body_and_time_in_milliseconds():
    url, stamp = "https://gate.example.com/in/crm", str(NOW * 1000).encode()
    headers = {
        b"x-hubspot-signature-v3": b64_hmac(b"s", b"POST", url.encode(), BODY, stamp),
        b"x-hubspot-request-timestamp": stamp,
    }
    for provider in ("hubspot", "hubspot-v3"):
        assert verification_of(provider, "s", headers, url) is Verification.OK
        assert verification_of(provider, "s", headers, url + "x") is Verification.SIGNATURE_WRONG


def test_hubspot_falls_back_only_where_v3_is_absent():
    old = {b"x-hubspot-signature": hashlib.sha256(b"s" + BODY).hexdigest().encode()}
    assert verification_of("hubspot", "s", old) is Verification.OK
    assert verification_of("hubspot-v3", "s", old) is Verification.SIGNATURE_MISSING
    stale = {b"x-hubspot-signature-v3": b"AAAA", b"x-hubspot-request-timestamp": str(NOW * 1000).encode()}
    assert verification_of("hubspot", "s", old | stale) is Verification.SIGNATURE_WRONG


def test_a_twilio_signature_of_the_address_alone_covers_no_body():
    url = "https://gate.example.com/in/phone"
    bare = base64.b64encode(hmac.digest(b"s", url.encode(), "sha1"))
    assert verification_of("twilio", "s", {b"x-twilio-signature": bare}, url, b"") is Verification.OK
    for body in (b"\xff\xfe", b"&".join(b"a%d=1" % n for n in range(1001)), BODY):
        assert verification_of("twilio", "s", {b"x-twilio-signature": bare}, url, body) is Verification.SIGNATURE_WRONG


@pytest.mark.parametrize(
    ("provider", "headers"),
    [
        ("line", {b"x-line-signature": b64_hmac(b"s", BODY)}),
        ("coinbase-commerce", {b"x-cc-webhook-signature": hex_hmac(b"s", BODY)}),
        ("modern-treasury", {b"x-signature": hex_hmac(b"s", BODY)}),
        ("telegram", {b"x-telegram-bot-api-secret-token": b"s"}),
        ("okta", {b"authorization": b"s"}),
        (
            "zoom",
            {
                b"x-zm-signature": b"v0=" + hex_hmac(b"s", b"v0:%d:" % NOW, BODY),
                b"x-zm-request-timestamp": b"%d" % NOW,
            },
        ),
    ],
)
def test_providers_without_published_numbers_follow_their_rule(provider, headers):
    assert verification_of(provider, "s", headers) is Verification.OK
    assert verification_of(provider, "t", headers) is Verification.SIGNATURE_WRONG
    assert verification_of(provider, "s", {}) is Verification.SIGNATURE_MISSING


# -- schemes of a user's own -----------------------------------------------------------------------------


def test_basic_credentials_are_compared_as_they_stand_in_the_header():
    verify = compile_verifier((Scheme(kind="basic", header="Authorization", prefix="Basic "),), ["joe:s3cret"])
    right = b"Basic " + base64.b64encode(b"joe:s3cret")
    assert verify({b"authorization": right}, b"", "", 0) is Verification.OK
    assert verify({b"authorization": b"Basic AAAA"}, b"", "", 0) is Verification.SIGNATURE_WRONG


def test_a_time_may_be_written_as_rfc_3339():
    scheme = Scheme(
        header="S",
        list_separator=",",
        prefix="v1=",
        timestamp_prefix="t=",
        timestamp_unit="iso",
        signed="{timestamp}.{body}",
    )
    stamp = b"2027-01-15T08:00:00Z"  # 1_800_000_000
    header = b"t=" + stamp + b",v1=" + hex_hmac(b"k", stamp, b".", BODY)
    verify = compile_verifier((scheme,), ["k"])
    assert verify({b"s": header}, BODY, "", NOW) is Verification.OK
    assert verify({b"s": header}, BODY, "", NOW + 301) is Verification.TOO_OLD


@pytest.mark.parametrize("encoding", ["text", "base64", "hex"])
def test_secrets_are_decoded_as_the_table_says(encoding):
    written = {"text": KEY.decode(), "base64": base64.b64encode(KEY).decode(), "hex": KEY.hex()}[encoding]
    table = CustomScheme(header="X-Sig", secret_encoding=encoding, prefix="sha256=")
    verify = compile_verifier(provider_of(WebhookInput(verify=table)).schemes, [written])
    assert verify({b"x-sig": b"sha256=" + hex_hmac(KEY, BODY)}, BODY, "", NOW) is Verification.OK


@pytest.mark.parametrize("size", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha384", "sha512"])
def test_keys_of_every_length_give_the_hmac_of_rfc_2104(digest, size):
    verify = compile_verifier((Scheme(header="s", digest=digest),), ["k" * size])
    assert verify({b"s": hex_hmac(b"k" * size, BODY, digest=digest)}, BODY, "", 0) is Verification.OK


@pytest.mark.parametrize(
    "table", [{"signed": "{timestamp}.{body}"}, {"signed": "{id}.{body}"}, {"signed": "{host}{body}"}]
)
def test_a_scheme_that_contradicts_itself_is_refused(table):
    with pytest.raises(ConfigError):
        compile_verifier(provider_of(WebhookInput(verify=CustomScheme(header="X", **table))).schemes, ["s"])


# -- every preset ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", webhook_names())
def test_every_preset_is_read_strictly_and_guards_something(name):
    provider = load_provider(name)
    assert provider.title
    assert provider.docs.startswith("https://")
    assert provider.schemes, "only `none` accepts everything, and it must be written out"
    unset = compile_verifier(provider.schemes, [""])({}, b"", "", 0)
    assert unset is (Verification.SIGNATURE_MISSING if name == "aws-sns" else Verification.SECRET_UNSET)


def test_an_unknown_preset_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError) as caught:
        load_provider("strip")
    assert caught.value.code == "provider_unknown"
    assert "'stripe'" in caught.value.hint


ANY_HEADERS = st.dictionaries(
    st.sampled_from([name.encode() for p in webhook_names() for s in load_provider(p).schemes for name in
                     (s.header, s.timestamp_header, s.id_header) if name]),
    st.one_of(st.binary(max_size=80), st.sampled_from([b"v1,", b"t=,v1=", b"sha256=", b"t=1,v1=a", b"v1,="])),
    max_size=4,
)  # fmt: skip


@given(name=st.sampled_from(webhook_names()), headers=ANY_HEADERS, body=st.binary(max_size=50))
def test_no_stranger_is_let_in_and_nothing_is_raised(name, headers, body):
    secrets = {"standard-webhooks": SECRET, "openai": SECRET}.get(name, "a-secret-no-one-guesses")
    verification = compile_verifier(load_provider(name).schemes, [secrets])(
        headers, body, "https://x.example/in/a", NOW
    )
    assert verification is not Verification.OK


@pytest.mark.parametrize(
    ("scheme", "words"),
    [
        (Scheme(header="x"), "text"),
        (Scheme(header="x", secret_encoding="hex"), "hexadecimal"),
        (Scheme(header="x", secret_encoding="base64", secret_prefix="whsec_"), "base64 behind whsec_"),
        (Scheme(header="x", kind="ed25519", secret_encoding="hex"), "a public key in PEM or hexadecimal"),
        (Scheme(header="x", kind="rsa"), "a public key in PEM"),
    ],
)
def test_how_a_secret_is_written_can_be_said(scheme, words):
    assert secret_forms((scheme, scheme)) == words
    assert secret_forms((scheme, Scheme(header="x", kind="ecdsa"))).startswith(words)
