"""What Tidegate signs by a provider's scheme passes the verifier of that provider, and v1a the reference's rules."""

from __future__ import annotations

import base64
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec.structs import replace

from tidegate.core.errors import ConfigError
from tidegate.providers import webhook_names
from tidegate.providers.shape import load_provider
from tidegate.rules.inbound.signatures import Verification, compile_verifier
from tidegate.rules.outbound.scheme_signing import (
    Message,
    added_query,
    can_sign,
    compile_scheme_signer,
    header_names,
)
from tidegate.rules.outbound.signing import Signer, check_secret, public_key

NOW = int(time.time())
URL = "https://crm.example.com/hooks?x=1"
SECRETS = ("whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode(), "ab" * 32, "user:password")
SIGNING = [name for name in webhook_names() if any(can_sign(one) for one in load_provider(name).schemes)]


def test_many_providers_can_sign() -> None:
    assert {"stripe", "github", "slack", "shopify", "twilio"} <= set(SIGNING)
    assert len(SIGNING) > 40


@pytest.mark.parametrize("name", SIGNING)
def test_what_a_provider_scheme_signs_passes_its_verifier_and_nothing_else_does(name: str) -> None:
    schemes = [one for one in load_provider(name).schemes if can_sign(one)]
    sign = None
    for secret in SECRETS:
        try:
            sign = compile_scheme_signer(name, schemes, [secret])
        except ConfigError:
            continue
        break
    assert sign is not None, "no secret of the test fits"
    body = b'{"amount":4900}'
    message = Message("m1", NOW, "POST", URL, body)
    url = f"{URL}&{query}" if (query := added_query(schemes, message)) else URL
    made = {header.lower().encode(): value.encode() for header, value in sign(replace(message, url=url))}
    verify = compile_verifier(schemes, [secret])
    assert verify(made, body, url, NOW, "POST") is Verification.OK
    signs_body = any("{body}" in one.signed or "{form}" in one.signed for one in schemes if one.kind == "hmac")
    if signs_body:
        assert verify(made, body + b" ", url, NOW, "POST") is not Verification.OK
    assert {header.decode() for header in made} <= header_names(schemes)


def test_stripe_lists_the_signatures_of_both_secrets_during_a_rotation() -> None:
    schemes = load_provider("stripe").schemes
    ((header, value),) = compile_scheme_signer("stripe", schemes, ["new", "old"])(Message("m", NOW, "POST", URL, b"{}"))
    assert (header, value.count("v1="), value.startswith(f"t={NOW},")) == ("stripe-signature", 2, True)
    for secret in ("new", "old"):
        verify = compile_verifier(schemes, [secret])
        assert verify({b"stripe-signature": value.encode()}, b"{}", URL, NOW) is Verification.OK


@pytest.mark.parametrize("name", ["discord"])
def test_a_provider_without_a_shared_secret_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match=f"'{name}' has no scheme with a shared secret"):
        compile_scheme_signer(name, load_provider(name).schemes, ["x" * 32])


# -- v1a ---------------------------------------------------------------------------------------------------


def test_a_private_key_signs_v1a_and_its_public_key_verifies() -> None:
    secret = "whsk_" + base64.b64encode(bytes(range(32))).decode()
    shown = public_key(secret)
    assert shown is not None
    assert shown.startswith("whpk_")
    signature = Signer([secret]).headers("msg_1", NOW, b"{}")
    version, _, value = signature.partition(",")
    assert version == "v1a"
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(shown.removeprefix("whpk_")))
    key.verify(base64.b64decode(value), f"msg_1.{NOW}.".encode() + b"{}")  # raises when it does not fit


def test_a_rotation_from_a_shared_secret_to_a_private_key_signs_with_both() -> None:
    key = "whsk_" + base64.b64encode(bytes(32)).decode()
    versions = [one.partition(",")[0] for one in Signer([key, SECRETS[0]]).headers("m", NOW, b"").split(" ")]
    assert sorted(versions) == ["v1", "v1a"]


@pytest.mark.parametrize("secret", ["whsk_", "whsk_!!", "whsk_" + base64.b64encode(b"short").decode()])
def test_a_private_key_of_the_wrong_size_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_secret(secret)
    assert "whsk_ followed by the base64 of 32 or 64 bytes" in caught.value.message
    assert public_key(SECRETS[0]) is None
