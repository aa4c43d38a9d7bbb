"""Private keys for tests, made once."""

from __future__ import annotations

import functools

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


@functools.cache
def rsa_key(bits: int = 2048) -> str:
    return pem(rsa.generate_private_key(public_exponent=65537, key_size=bits))


@functools.cache
def ec_key() -> str:
    return pem(ec.generate_private_key(ec.SECP256R1()))


@functools.cache
def ed25519_key() -> str:
    return pem(ed25519.Ed25519PrivateKey.generate())


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
