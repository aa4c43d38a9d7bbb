"""Sealed items in a real store: they cannot be swapped, those of 0.1 are bound to their name once, and never again."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from support.gateway.running import running
from tidegate.core.errors import StoreBroken
from tidegate.vault import PROOF, Vault, is_version_1, open_vault

TOML = """
[destinations.bank]
url = "http://127.0.0.1:9/bank"
secret = "whsec_YmFuay1iYW5rLWJhbmstYmFuay1iYW5rLWJhbms="
[destinations.mallory]
url = "http://127.0.0.1:9/mallory"
secret = "whsec_bWFsbG9yeS1tYWxsb3J5LW1hbGxvcnktbWFsbG8="
[sources.shop.publish]
[routes.pay]
from = "shop"
to = "bank"
[routes.log]
from = "shop"
to = "mallory"
"""


def seal_version_1(vault: Vault, value: bytes, purpose: str) -> bytes:
    """As 0.1 sealed."""
    key, outer, inner = AESGCM.generate_key(bit_length=256), b"o" * 12, b"i" * 12
    wrapped = vault._master.encrypt(outer, key, purpose.encode())
    return b"\x01" + outer + wrapped + inner + AESGCM(key).encrypt(inner, value, purpose.encode())


async def started(folder: Path) -> dict[str, str]:
    """The secrets of the destinations, as the gateway reads them."""
    async with running(folder, TOML) as gateway:
        return {name: str(one.spec.secret) for name, one in gateway.active.destinations.items()}


def _database(folder: Path) -> apsw.Connection:
    return apsw.Connection(str(folder / "data" / "tidegate.db"))


def _bodies(database: apsw.Connection) -> dict[str, bytes]:
    return dict(database.execute("SELECT name, body FROM items WHERE kind = 'destination'"))


def _put(database: apsw.Connection, name: str, body: bytes) -> None:
    database.execute("UPDATE items SET body = ? WHERE name = ?", (body, name)).fetchall()


def _revisions(database: apsw.Connection) -> dict[str, bytes]:
    return dict(database.execute("SELECT name, body FROM route_revisions"))


async def test_a_sealed_revision_does_not_open_under_the_name_of_another_route(tmp_path: Path) -> None:
    await started(tmp_path)
    database = _database(tmp_path)
    body = _revisions(database)["pay"]
    database.execute("UPDATE route_revisions SET body = ? WHERE name = 'log'", (body,)).fetchall()
    database.close()
    with pytest.raises(StoreBroken) as refused:
        await started(tmp_path)
    assert refused.value.code == "vault_key_wrong"


async def test_the_revisions_of_0_1_are_sealed_again_once_and_an_old_seal_is_refused_from_then_on(
    tmp_path: Path,
) -> None:
    await started(tmp_path)
    vault = open_vault(tmp_path / "data", None)
    database = _database(tmp_path)
    old = {
        name: seal_version_1(vault, vault.open(body, f"route_revision/{name}"), "route_revision")
        for name, body in _revisions(database).items()
    }
    for name, body in old.items():
        database.execute("UPDATE route_revisions SET body = ? WHERE name = ?", (body, name)).fetchall()
    proof = seal_version_1(vault, b"tidegate", PROOF)
    database.execute("UPDATE settings SET value = ? WHERE name = ?", (proof, f"value:{PROOF}")).fetchall()
    database.close()
    await started(tmp_path)
    database = _database(tmp_path)
    assert set(_revisions(database)) == {"pay", "log"}
    assert not any(is_version_1(body) for body in _revisions(database).values())
    database.execute("UPDATE route_revisions SET body = ? WHERE name = 'log'", (old["pay"],)).fetchall()
    database.close()
    with pytest.raises(StoreBroken):
        await started(tmp_path)


async def test_a_sealed_destination_does_not_open_under_another_name(tmp_path: Path) -> None:
    await started(tmp_path)
    database = _database(tmp_path)
    bodies = _bodies(database)
    _put(database, "mallory", bodies["bank"])  # mallory's address would be signed with the secret of the bank
    database.close()
    with pytest.raises(StoreBroken) as refused:
        await started(tmp_path)
    assert refused.value.code == "vault_key_wrong"


async def test_the_items_of_0_1_are_sealed_again_once_and_an_old_seal_is_refused_from_then_on(tmp_path: Path) -> None:
    before = await started(tmp_path)
    vault = open_vault(tmp_path / "data", None)
    database = _database(tmp_path)
    old = {
        name: seal_version_1(vault, vault.open(body, f"destination/{name}"), "destination")
        for name, body in _bodies(database).items()
    }
    for name, body in old.items():
        _put(database, name, body)
    proof = seal_version_1(vault, b"tidegate", PROOF)
    database.execute("UPDATE settings SET value = ? WHERE name = ?", (proof, f"value:{PROOF}")).fetchall()
    database.close()

    assert await started(tmp_path) == before
    database = _database(tmp_path)
    assert not any(is_version_1(body) for body in _bodies(database).values())
    _put(database, "mallory", old["bank"])
    database.close()
    with pytest.raises(StoreBroken):
        await started(tmp_path)
