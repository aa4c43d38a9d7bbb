"""Standard Webhooks signatures, with the reference library as an independent check."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tidegate.core.errors import ConfigError
from tidegate.rules.outbound.signing import Signer, new_secret, secret_key


def headers(signature: str, event_id: str, timestamp: int) -> dict[str, str]:
    return {"webhook-id": event_id, "webhook-timestamp": str(timestamp), "webhook-signature": signature}


def test_the_reference_library_accepts_what_we_sign():
    secret, now = new_secret(), int(time.time())
    body = json.dumps({"name": "Ünïcode"}).encode()
    signature = Signer([secret]).headers("evt_1", now, body)
    assert Webhook(secret).verify(body, headers(signature, "evt_1", now)) == json.loads(body)
    for wrong in (headers(signature, "evt_2", now), headers(signature, "evt_1", now + 1)):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, wrong)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body + b" ", headers(signature, "evt_1", now))


def test_all_secrets_of_a_rotation_sign_newest_first():
    new, old, now = new_secret(), new_secret(), int(time.time())
    signature = Signer([new, old]).headers("evt_1", now, b"{}")
    assert signature.split(" ") == [Signer([one]).headers("evt_1", now, b"{}") for one in (new, old)]
    for secret in (new, old):
        Webhook(secret).verify(b"{}", headers(signature, "evt_1", now))


@example(b"k" * 64, b"", 1)
@example(b"k" * 65, b"", 1)
@example(b"k" * 128, b"", 1)
@example(b"k" * 129, b"", 1)
@given(st.binary(min_size=1, max_size=200), st.binary(max_size=300), st.integers(0, 2**40))
def test_a_signature_is_hmac_sha256_of_id_time_and_body(key, body, timestamp):
    signature = Signer(["whsec_" + base64.b64encode(key).decode()]).headers("evt_x", timestamp, body)
    wanted = hmac.digest(key, b"evt_x.%d." % timestamp + body, hashlib.sha256)
    assert signature == "v1," + base64.b64encode(wanted).decode()


def test_a_signer_may_be_used_again_and_again():
    signer = Signer([new_secret()])
    assert signer.headers("a", 1, b"x") == signer.headers("a", 1, b"x") != signer.headers("a", 2, b"x")


def test_a_new_secret_holds_32_bytes_and_is_never_the_same():
    made = {new_secret() for _ in range(50)}
    assert len(made) == 50
    assert all(one.startswith("whsec_") and len(secret_key(one)) == 32 for one in made)


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("whsec_" + base64.b64encode(b"k" * 32).decode(), b"k" * 32),
        (base64.b64encode(b"k" * 32).decode(), b"k" * 32),
        ("whsec_" + base64.b64encode(b"k" * 32).decode().rstrip("="), b"k" * 32),
        ("a plain secret, long enough", b"a plain secret, long enough"),
        ("schlüssel-schlüssel", "schlüssel-schlüssel".encode()),
    ],
)
def test_secrets_as_users_write_them(secret, key):
    assert secret_key(secret) == key


@pytest.mark.parametrize(
    "bad", ["", "  ", "whsec_", "whsec_...", "whsec_not base64 at all, really", "short!", "whsec_===="]
)
def test_a_malformed_secret_is_refused_and_not_shown(bad):
    with pytest.raises(ConfigError) as caught:
        Signer([new_secret(), bad])
    assert len(bad.strip()) < 4 or bad not in caught.value.message


def test_no_secret_at_all_is_refused():
    with pytest.raises(ConfigError):
        Signer([])
