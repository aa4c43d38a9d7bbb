"""The address of a database: what is shown of it, and that a password is never shown."""

from __future__ import annotations

import pytest

from tidegate.core.errors import StoreBroken
from tidegate.store.postgres.address import redacted

SECRET = "S3CRET"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:S3CRET@db.example.com/tidegate", "db.example.com/tidegate"),
        ("postgres://u:S3CRET@db:5432/tidegate", "db:5432/tidegate"),
        ("postgresql://u%40x:S3CRET%2F%40%23@db/t", "db/t"),
        ("postgresql://u:S3:CRET@db/t", "db/t"),
        ("postgresql://u:S3CRET@[::1]:5432/t", "[::1]:5432/t"),
        ("postgresql://u:S3CRET@[fe80::1%eth0]/t", "[fe80::1%eth0]/t"),
        ("postgresql://u:S3CRET@a:1,b:2,[::1]/t", "a:1,b:2,[::1]/t"),
        ("postgresql://u:S3CRET@%2Fvar%2Frun/t", "/var/run/t"),
        ("postgresql:///t?host=/var/run&user=a@b&password=S3CRET", "the local socket/t"),
        ("postgresql://db/t?sslmode=verify-full&sslrootcert=/etc/ca.pem", "db/t"),
        ("postgresql://db", "db"),
    ],
)
def test_only_server_and_name_are_shown(url: str, shown: str) -> None:
    assert redacted(url) == f"the database at {shown}"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:S3CRET/w@db/t",
        "postgresql://u:S3CRET?w@db/t",
        "postgresql://u:S3CRET#w@db/t",
        "postgresql://u:S3CRET[w@db/t",
        "postgresql://u:w@S3CRET@db/t",
        "postgresql://u:12/S3CRET@db/t",
        "postgresql://u:S3CRET@db:port/t",
        "postgresql://u:S3CRET",
        "postgresql:u:S3CRET@db/t",
        "host=db password=S3CRET",
        "mysql://u:S3CRET@db/t",
        "postgresql://db/t?S3CRET",
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(StoreBroken) as caught:
        redacted(url)
    assert SECRET not in caught.value.message + caught.value.hint
    assert "%2F" in caught.value.hint  # the likely reason
