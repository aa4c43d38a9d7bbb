"""Sealed values: what they hold does not show, and they open only where they belong, with the key that made them."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.errors import ConfigError, StoreBroken
from tidegate.vault import KEY_FILE, Vault, open_vault

MASTER = bytes(range(32))


@given(st.binary(max_size=300), st.text(max_size=20).filter(lambda text: text.isprintable()))
def test_what_was_sealed_is_opened_again_and_does_not_show(value: bytes, purpose: str) -> None:
    sealed = Vault(MASTER).seal(value, purpose)
    assert Vault(MASTER).open(sealed, purpose) == value
    assert len(value) < 4 or value not in sealed
    assert Vault(MASTER).seal(value, purpose) != sealed, "two seals of one value must not be comparable"


def test_a_sealed_value_opens_nowhere_else_and_by_no_other_key() -> None:
    sealed = Vault(MASTER).seal(b"whsec_secret", "destination")
    for vault, purpose in ((Vault(MASTER), "source"), (Vault(bytes(32)), "destination")):
        with pytest.raises(StoreBroken) as refused:
            vault.open(sealed, purpose)
        assert refused.value.code == "vault_key_wrong" and "whsec" not in refused.value.message


def test_a_changed_or_cut_value_is_refused() -> None:
    vault = Vault(MASTER)
    sealed = vault.seal(b"whsec_secret", "destination")
    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(StoreBroken):
            vault.open(changed, "destination")
    for length in (0, 1, 20, len(sealed) - 1):
        with pytest.raises(StoreBroken):
            vault.open(sealed[:length], "destination")


def test_the_key_file_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    sealed = open_vault(tmp_path, None).seal(b"x", "p")
    assert open_vault(tmp_path, None).open(sealed, "p") == b"x"
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


@pytest.mark.parametrize("kept", [b"", b"short\n", b"\xff\x00" * 16, base64.b64encode(b"x" * 31), b"not base64" * 4])
def test_a_key_file_that_holds_no_key_is_refused_and_left_as_it_is(tmp_path: Path, kept: bytes) -> None:
    (tmp_path / KEY_FILE).write_bytes(kept)
    with pytest.raises(ConfigError, match=r"secret\.key is not the base64 encoding of 32 bytes"):
        open_vault(tmp_path, None)
    assert (tmp_path / KEY_FILE).read_bytes() == kept


def test_a_key_of_the_environment_makes_no_file(tmp_path: Path) -> None:
    given_key = base64.b64encode(MASTER).decode()
    assert Vault(MASTER).open(open_vault(tmp_path, given_key).seal(b"x", "p"), "p") == b"x"
    assert list(tmp_path.iterdir()) == []
    for wrong in ("short", base64.b64encode(b"x" * 31).decode(), "ä"):
        with pytest.raises(ConfigError, match="TIDEGATE_SECRET_KEY"):
            open_vault(tmp_path, wrong)
