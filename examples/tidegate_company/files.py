"""Prepares the files of the sample company: ports, secrets in files, the configuration.

With the same data directory, secrets and the gateway's data stay the same across restarts; the configuration is written
again each time, because ports may change. Only one sample company at a time uses a directory.
"""

from __future__ import annotations

import base64
import fcntl
import os
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path

TEMPLATE = Path(__file__).parent / "templates" / "tidegate.toml"
TOKENS = (
    "shop-token",
    "accounting-key",
    "payments-token",
    "payments-signing",
    "chat-path",
    "mailbox-password",
    "crm-client-secret",
    "admin-key",
)
SIGNING = ("crm-receiving", "crm-sending")


_ANOTHER = "choose another directory with --data, or leave --data out to use a temporary one"


class Failed(Exception):
    """A part of the demo did not start, or stopped by itself. The message has its name and the reason."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


class Files:
    """The data directory of the demo. Directories are 0700, secrets 0600."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.logs = data / "logs"
        self.secrets = data / "secrets"
        self.config = data / "tidegate.toml"
        self.gateway = data / "gateway"

    def write(self, addresses: Mapping[str, str]) -> None:
        """Write the files. Failed when the directory cannot be used or another sample company uses it."""
        try:
            for directory in (self.data, self.logs, self.secrets):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock()
            self._write(addresses)
        except OSError as error:
            raise Failed(f"{self.data} cannot be used: {error.strerror or error}", _ANOTHER) from None

    def _lock(self) -> None:
        """Lock the directory until this process ends."""
        self.lock = os.open(self.data / "demo.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Failed(f"another sample company uses {self.data}", _ANOTHER) from None

    def _write(self, addresses: Mapping[str, str]) -> None:
        for name in TOKENS:
            self._keep(name, secrets.token_urlsafe(24))
        for name in SIGNING:
            self._keep(name, "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
        text = TEMPLATE.read_text()
        for name, address in addresses.items():
            text = text.replace(f"@{name}@", address).replace(f"@{name}-port@", address.rpartition(":")[2])
        self.config.write_text(text)

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text()

    def has_secret(self, name: str) -> bool:
        return (self.secrets / name).exists()

    def write_secret(self, name: str, value: str) -> None:
        path = self.secrets / name
        path.touch(mode=0o600)
        path.write_text(value)

    def _keep(self, name: str, value: str) -> None:
        if not self.has_secret(name):
            self.write_secret(name, value)

    def last_words(self, name: str) -> str:
        """The last lines of a child's log, indented."""
        path = self.logs / f"{name}.log"
        lines = path.read_text(errors="replace").strip().splitlines()[-5:] if path.exists() else []
        return "".join(f"\n  {line}" for line in lines)


def listener(port: int) -> socket.socket:
    """A socket that listens on the given port, or on a free one when that port is in use."""
    for number in (port, 0):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", number))
            one.listen(256)  # on some systems only this fails when another program listens there
        except (OSError, OverflowError):
            one.close()
            if number == 0:
                raise
        else:
            return one
    raise AssertionError("port 0 is always tried last")
