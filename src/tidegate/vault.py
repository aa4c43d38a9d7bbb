"""Sealing what must not lie in the clear on disk: AES-256-GCM in an envelope, from the first day.

Each value gets a data key of its own; the master key (a file of mode 0600, or TIDEGATE_SECRET_KEY) wraps it. So the
master can be changed by re-wrapping. `purpose` is bound as associated data: a sealed value cannot be moved to
another place. Losing the master key loses the sealed values; a backup needs both (docs/operations.md).
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
_VERSION = b"\x01"
_NONCE = 12
_WRAPPED = 32 + 16
_PROOF = "vault_check"


class Vault:
    """Seals and opens with one master key."""

    def __init__(self, master: bytes) -> None:
        self._master = AESGCM(master)

    def seal(self, value: bytes, purpose: str) -> bytes:
        data_key = AESGCM.generate_key(bit_length=256)
        outer, inner = secrets.token_bytes(_NONCE), secrets.token_bytes(_NONCE)
        wrapped = self._master.encrypt(outer, data_key, purpose.encode())
        return _VERSION + outer + wrapped + inner + AESGCM(data_key).encrypt(inner, value, purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """StoreBroken when the key is another one or the value was changed."""
        outer, rest = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        wrapped, rest = rest[:_WRAPPED], rest[_WRAPPED:]
        inner, body = rest[:_NONCE], rest[_NONCE:]
        try:
            data_key = self._master.decrypt(outer, wrapped, purpose.encode())
            return AESGCM(data_key).decrypt(inner, body, purpose.encode())
        except (InvalidTag, ValueError) as error:
            raise StoreBroken(
                f"a sealed value ({purpose}) cannot be opened with this key",
                hint=f"give the {KEY_FILE} (or TIDEGATE_SECRET_KEY) of this data; nodes of one store share it",
                code="vault_key_wrong",
            ) from error


def open_vault(directory: Path, environment_key: str | None) -> Vault:
    """By TIDEGATE_SECRET_KEY (base64 of 32 bytes) when given, else by DIR/secret.key, made at the first start."""
    if environment_key:
        return Vault(_master(environment_key, "TIDEGATE_SECRET_KEY", "openssl rand -base64 32"))
    path = directory / KEY_FILE
    if not path.exists():
        # Written aside and renamed: a kill in between leaves no half a key.
        aside = directory / (KEY_FILE + ".new")
        descriptor = os.open(aside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(AESGCM.generate_key(bit_length=256)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        aside.rename(path)
    return Vault(_master(path.read_bytes().strip(), str(path), "put back the one that was made with this data"))


def _master(text: str | bytes, where: str, hint: str) -> bytes:
    try:
        master = base64.b64decode(text, validate=True)
    except ValueError:  # not base64, or not even ASCII
        master = b""
    if len(master) != 32:
        raise ConfigError(f"{where} is not base64 of 32 bytes", hint=hint)
    return master


class Values(Protocol):
    """What the check needs of a store's settings."""

    async def value(self, name: str) -> bytes | None: ...

    async def swap(self, name: str, was: bytes | None, put: bytes) -> bool: ...


async def check_vault(vault: Vault, values: Values) -> None:
    """Whether the store was sealed with this key; the first to open a store leaves the proof. StoreBroken when not.

    Nodes that share a store must share the key, so a node with another one is refused before it writes
    anything.
    """
    proof = await values.value(_PROOF)
    if proof is None:
        if await values.swap(_PROOF, None, vault.seal(b"tidegate", _PROOF)):
            return
        proof = await values.value(_PROOF)  # another node was first
    vault.open(proof or b"", _PROOF)
