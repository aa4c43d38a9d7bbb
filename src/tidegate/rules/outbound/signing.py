"""Signs outgoing requests by Standard Webhooks 1.0.0: `v1` with a shared secret, `v1a` with an Ed25519 key.

Owns the format of a secret and of `webhook-signature`. May not know where secrets are kept. Invariant: the signature
covers id, timestamp and the exact bytes of the body; with several secrets (rotation) all sign, the newest first. New
secrets come from the operating system's random generator. Crash: nothing is kept.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets as _random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tidegate.core.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PREFIX = "whsec_"
PRIVATE_PREFIX = "whsk_"  # an Ed25519 key that signs; receivers verify with `whpk_`
PUBLIC_PREFIX = "whpk_"
_KEY_BYTES = 32
_SEED_BYTES = 32
_SHORTEST_TEXT = 16


def new_secret() -> str:
    return PREFIX + base64.b64encode(_random.token_bytes(_KEY_BYTES)).decode("ascii")


def secret_key(secret: str) -> bytes:
    """The key of a configured secret: base64 with or without `whsec_`, or a string of at least 16 characters.

    Raises ConfigError, which never shows the secret.
    """
    text = secret.strip()
    encoded = text.removeprefix(PREFIX)
    if not encoded:
        raise ConfigError("the signing secret is empty", hint="leave `secret` out, and Tidegate generates one")
    try:
        padded = encoded + "=" * (-len(encoded) % 4)  # the reference libraries drop the padding
        key = base64.b64decode(padded, validate=True)
    except (binascii.Error, ValueError):  # ValueError: not ASCII
        key = b""
    if not key:
        if text.startswith(PREFIX) or len(text) < _SHORTEST_TEXT:
            raise ConfigError(
                f"the signing secret ({len(text)} characters) is neither whsec_ followed by base64"
                f" nor a string of at least {_SHORTEST_TEXT} characters",
                hint="leave `secret` out, and Tidegate generates one",
            )
        return text.encode("utf-8", "surrogatepass")
    return key


def private_key(secret: str) -> Ed25519PrivateKey:
    """The Ed25519 key of `whsk_` and base64 of its seed, with or without the public key after it. ConfigError."""
    # Few gateways sign with private keys, so a start does not load them.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        raw = base64.b64decode(secret.strip().removeprefix(PRIVATE_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) not in (_SEED_BYTES, 2 * _SEED_BYTES):
        raise ConfigError(
            f"the signing key is not whsk_ followed by the base64 of {_SEED_BYTES} or {2 * _SEED_BYTES} bytes",
            hint="leave `secret` out, and Tidegate generates a shared secret",
        )
    return Ed25519PrivateKey.from_private_bytes(raw[:_SEED_BYTES])


def public_key(secret: str) -> str | None:
    """`whpk_...`, with which receivers verify what a `whsk_` key signs; None for a shared secret. ConfigError."""
    if not secret.strip().startswith(PRIVATE_PREFIX):
        return None
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # as in `private_key`

    raw = private_key(secret).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return PUBLIC_PREFIX + base64.b64encode(raw).decode("ascii")


def check_secret(secret: str) -> None:
    """ConfigError for a secret of either kind that cannot sign."""
    if secret.strip().startswith(PRIVATE_PREFIX):
        private_key(secret)
    else:
        secret_key(secret)


class Signer:
    """Signs for one destination. `secrets` newest first; ConfigError when there is none or one is malformed."""

    __slots__ = ("_keyed", "_private")

    def __init__(self, secrets: Sequence[str]) -> None:
        if not secrets:
            raise ConfigError("there is no signing secret", hint="leave `secret` out, and Tidegate generates one")
        shared = [secret for secret in secrets if not secret.strip().startswith(PRIVATE_PREFIX)]
        self._keyed = tuple(keyed_hashes("sha256", secret_key(secret)) for secret in shared)
        self._private = tuple(private_key(secret) for secret in secrets if secret not in shared)

    def headers(self, event_id: str, timestamp: int, body: bytes) -> str:
        """The value of `webhook-signature` for these bytes. `timestamp`: seconds since 1970 of this attempt."""
        head = f"{event_id}.{timestamp}.".encode()
        signatures = []
        for inner_base, outer_base in self._keyed:
            inner = inner_base.copy()
            inner.update(head)
            inner.update(body)
            outer = outer_base.copy()
            outer.update(inner.digest())
            signatures.append("v1," + binascii.b2a_base64(outer.digest(), newline=False).decode("ascii"))
        for key in self._private:
            signatures.append("v1a," + binascii.b2a_base64(key.sign(head + body), newline=False).decode("ascii"))
        return " ".join(signatures)


def keyed_hashes(digest: str, key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    """The inner and outer hash of HMAC after the key (RFC 2104 section 2), to be copied for each message.

    Copying them takes 1.2 us and `hmac.digest` 2.8 us; every incoming and outgoing request pays for it.
    """
    new = getattr(hashlib, digest)
    block = new().block_size
    padded = (new(key).digest() if len(key) > block else key).ljust(block, b"\0")
    return new(bytes(byte ^ 0x36 for byte in padded)), new(bytes(byte ^ 0x5C for byte in padded))
