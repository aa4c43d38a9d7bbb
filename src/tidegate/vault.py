"""Encrypts secrets before they are stored: AES-256-GCM with envelope encryption.

Owns the format of a sealed value and the master key (a file of mode 0600, or TIDEGATE_SECRET_KEY). Each value has its
own data key, which the master key wraps, so a change of the master key only wraps the data keys again. May not know
what a value means. Invariant: the version and `purpose` are bound as associated data, so a sealed value cannot be moved
to another place; the purpose of an item holds its kind and name. Values of 0.1 (version 1) were bound to their kind
only: they are opened once, to be sealed again (`runtime/reseal.py`). Crash: the key file is written to a temporary name
and renamed, so it is complete or absent. Without the master key the sealed values are lost; a backup needs both
(docs/operations.md).
"""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tidegate.core.errors import ConfigError, StoreBroken

KEY_FILE = "secret.key"
_VERSION = b"\x02"
_VERSION_1 = b"\x01"
_NONCE = 12
_WRAPPED = 32 + 16
REVISION = "route_revision"  # the kind of a sealed revision of a route
PROOF = "vault_check"  # the small value that shows which key and version a store was sealed with


class Vault:
    """Seals and opens with one master key."""

    def __init__(self, master: bytes) -> None:
        self._master = AESGCM(master)

    def seal(self, value: bytes, purpose: str) -> bytes:
        data_key = AESGCM.generate_key(bit_length=256)
        outer, inner = secrets.token_bytes(_NONCE), secrets.token_bytes(_NONCE)
        bound = _VERSION + purpose.encode()
        wrapped = self._master.encrypt(outer, data_key, bound)
        return _VERSION + outer + wrapped + inner + AESGCM(data_key).encrypt(inner, value, bound)

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """The value. StoreBroken when it was sealed with another key, purpose or version, or was changed."""
        return self._open(sealed, purpose, _VERSION, _VERSION + purpose.encode())

    def open_version_1(self, sealed: bytes, purpose: str) -> bytes:
        """The value of a seal of 0.1, which `is_version_1`. Raises what `open` raises."""
        return self._open(sealed, purpose, _VERSION_1, purpose.encode())

    def _open(self, sealed: bytes, purpose: str, version: bytes, bound: bytes) -> bytes:
        outer, rest = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        wrapped, rest = rest[:_WRAPPED], rest[_WRAPPED:]
        inner, body = rest[:_NONCE], rest[_NONCE:]
        try:
            if sealed[:1] != version:
                raise ValueError("another version")
            data_key = self._master.decrypt(outer, wrapped, bound)
            return AESGCM(data_key).decrypt(inner, body, bound)
        except (InvalidTag, ValueError) as error:
            raise StoreBroken(
                f"a sealed value ({purpose}) cannot be opened with this secret key",
                hint=f"use the {KEY_FILE} (or TIDEGATE_SECRET_KEY) of this data; all nodes of a store share one key",
                code="vault_key_wrong",
            ) from error


def is_version_1(sealed: bytes) -> bool:
    return sealed[:1] == _VERSION_1


def item_purpose(kind: str, name: str) -> str:
    """The purpose of a configured source, destination or route."""
    return f"{kind}/{name}"


def open_vault(directory: Path, environment_key: str | None) -> Vault:
    """The vault with TIDEGATE_SECRET_KEY (base64 of 32 bytes) if set, else with DIR/secret.key, which the first start
    creates.
    """
    if environment_key:
        return Vault(_master(environment_key, "TIDEGATE_SECRET_KEY", "openssl rand -base64 32"))
    path = directory / KEY_FILE
    if not path.exists():
        # Written to a temporary name and renamed, so that a kill never leaves half a key.
        aside = directory / (KEY_FILE + ".new")
        descriptor = os.open(aside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(AESGCM.generate_key(bit_length=256)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        aside.rename(path)
    return Vault(_master(path.read_bytes().strip(), str(path), "restore the key file that was created with this data"))


def _master(text: str | bytes, where: str, hint: str) -> bytes:
    try:
        master = base64.b64decode(text, validate=True)
    except ValueError:  # not base64, or not even ASCII
        master = b""
    if len(master) != 32:
        raise ConfigError(f"{where} is not the base64 encoding of 32 bytes", hint=hint)
    return master


class Values(Protocol):
    """The part of the store's settings that `check_vault` uses."""

    async def value(self, name: str) -> bytes | None: ...

    async def swap(self, name: str, was: bytes | None, put: bytes) -> bool: ...


async def check_vault(vault: Vault, values: Values) -> None:
    """Check that the store was sealed with this key; the first node to open a store writes the proof.

    StoreBroken when the key differs. Nodes that share a store must share the key, so a node with another key stops
    before it writes anything.
    """
    proof = await values.value(PROOF)
    if proof is None:
        if await values.swap(PROOF, None, vault.seal(b"tidegate", PROOF)):
            return
        proof = await values.value(PROOF)  # another node was first
    proof = proof or b""
    (vault.open_version_1 if is_version_1(proof) else vault.open)(proof, PROOF)
