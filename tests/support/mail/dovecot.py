"""A real Dovecot on this machine, in a folder of its own: two users, TLS, and a way to put mail into a folder."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from support.mail.certificates import make_certificate

BINARY = shutil.which("dovecot")
PASSWORD = "correct-horse"
_CONFIG = """
protocols = imap
base_dir = {run}
state_dir = {run}
instance_name = test-{name}
log_path = {folder}/dovecot.log
info_log_path = {folder}/dovecot.log
mail_location = maildir:{folder}/mail/%u
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 1
first_valid_gid = 1
ssl = yes
ssl_cert = <{folder}/server.pem
ssl_key = <{folder}/server.key
disable_plaintext_auth = no
auth_mechanisms = plain login
imap_capability = {capability}
mail_max_userip_connections = 1000
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
    port = {port}
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {tls_port}
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


class Dovecot:
    """`port` without TLS and with STARTTLS, `tls_port` with TLS at once. `ca` is the certificate to trust."""

    def __init__(self, *, capability: str = "") -> None:
        # Not a folder of pytest: paths of sockets must be short, and Dovecot reads mail as another user.
        self.folder = folder = Path(tempfile.mkdtemp(prefix="td-"))
        folder.chmod(0o755)
        self.port, self.tls_port = _free_port(), _free_port()
        self.ca = make_certificate(folder, "localhost")
        self._capability = capability
        self._process: subprocess.Popen[bytes] | None = None
        self._run = folder / "run"
        self._run.mkdir()
        self._owner = pwd.getpwnam("dovecot")
        self._folder(folder / "mail")

    def start(self) -> None:
        config = self.folder / "dovecot.conf"
        config.write_text(
            _CONFIG.format(
                name=uuid.uuid4().hex[:8],
                folder=self.folder,
                run=self._run,
                uid=self._owner.pw_uid,
                gid=self._owner.pw_gid,
                capability=self._capability,
                port=self.port,
                tls_port=self.tls_port,
                password=PASSWORD,
            )
        )
        assert BINARY is not None
        self._process = subprocess.Popen([BINARY, "-F", "-c", str(config)], start_new_session=True)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as found:
                if found.recv(4):
                    return
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        self.stop()
        log = self.folder / "dovecot.log"
        raise RuntimeError(f"dovecot did not start: {log.read_text() if log.exists() else ''}")

    def stop(self) -> None:
        """The master ends its children when it ends."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGTERM)  # the sessions too, not the master alone
            self._process.wait(10)
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def deliver(self, raw: bytes, *, user: str = "ann", folder: str = "INBOX") -> None:
        """Put a mail into a folder as a delivery agent does: written whole, then moved into `new`."""
        place = self._place(user, folder)
        for one in ("tmp", "new", "cur"):
            self._folder(place / one)
        name = f"{time.time_ns()}.{uuid.uuid4().hex[:8]}.test"
        path = place / "tmp" / name
        path.write_bytes(raw)
        os.chown(path, self._owner.pw_uid, self._owner.pw_gid)
        path.rename(place / "new" / name)

    def fill(self, count: int, *, user: str = "ann", folder: str = "INBOX") -> None:
        """Many small mails that were there before."""
        place = self._place(user, folder)
        self.deliver(b"Subject: first\r\n\r\n", user=user, folder=folder)
        for number in range(count):
            path = place / "cur" / f"{number}.{uuid.uuid4().hex[:8]}.test:2,S"
            path.write_bytes(b"Subject: old\r\n\r\n")
            os.chown(path, self._owner.pw_uid, self._owner.pw_gid)

    def renumber(self, *, user: str = "ann", folder: str = "INBOX") -> None:
        """Lose the index and the list of UIDs, as a restore from a backup does: UIDVALIDITY changes."""
        for path in self._place(user, folder).glob("dovecot*"):
            path.unlink()
        time.sleep(1.05)  # a UIDVALIDITY is made of the time in seconds

    def flags(self, *, user: str = "ann", folder: str = "INBOX") -> list[str]:
        """The flags of each mail as the file names say them, "S" for seen."""
        place = self._place(user, folder)
        return sorted(path.name.rpartition(":2,")[2] for path in place.joinpath("cur").glob("*")) + [
            "" for _ in place.joinpath("new").glob("*")
        ]

    def _folder(self, path: Path) -> None:
        for one in (*reversed(path.parents), path):
            if not one.exists():
                one.mkdir()
                os.chown(one, self._owner.pw_uid, self._owner.pw_gid)

    def _place(self, user: str, folder: str) -> Path:
        home = self.folder / "mail" / user
        return home if folder == "INBOX" else home / f".{folder}"


@contextlib.contextmanager
def running_dovecot(**options: str) -> Iterator[Dovecot]:
    server = Dovecot(**options)
    server.start()
    try:
        yield server
    finally:
        server.close()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
