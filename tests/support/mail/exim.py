"""A real SMTP server (Exim) on this machine, in a folder of its own, which puts each mail into a file."""

from __future__ import annotations

import contextlib
import email
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from support.mail.certificates import make_certificate

BINARY = shutil.which("exim4")
USER, PASSWORD = "shop", "correct-horse"
_CONFIG = """
spool_directory = {folder}/spool
log_file_path = {folder}/log-%slog
pid_file_path = {folder}/pid
exim_user = {user}
exim_group = {group}
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port} : {tls_port}
tls_on_connect_ports = {tls_port}
tls_advertise_hosts = *
tls_certificate = {folder}/server.pem
tls_privatekey = {folder}/server.key
auth_advertise_hosts = ${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}
primary_hostname = localhost
qualify_domain = example.com
host_lookup =
rfc1413_hosts =
queue_only = false
message_size_limit = 1M
acl_smtp_rcpt = check_rcpt
acl_smtp_data = accept

begin acl
check_rcpt:
  deny    local_parts = unknown
          message = 5.1.1 no such mailbox
  defer   local_parts = full
          message = 4.2.2 the mailbox is full
  defer   local_parts = busy
          message = 4.3.2 try again later
  require authenticated = *
          message = 5.7.1 log in first
  accept

begin routers
everybody:
  driver = accept
  transport = files

begin transports
files:
  driver = appendfile
  directory = {folder}/mail
  maildir_format
  create_directory
  envelope_to_add
  return_path_add
  user = {user}
  group = {group}

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{name}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
"""


class Exim:
    """`port` with STARTTLS, `tls_port` with TLS at once. It takes mail after a login over TLS only."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tx-"))
        self.folder.chmod(0o755)
        self.port, self.tls_port = _free_port(), _free_port()
        self.ca = make_certificate(self.folder, "localhost")
        self._owner = pwd.getpwnam("Debian-exim")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        config = self.folder / "exim.conf"
        config.write_text(
            _CONFIG.format(
                folder=self.folder,
                user="Debian-exim",
                group="Debian-exim",
                port=self.port,
                tls_port=self.tls_port,
                name=USER,
                password=PASSWORD,
            )
        )
        for path in (self.folder, *self.folder.glob("server.*")):
            os.chown(path, self._owner.pw_uid, self._owner.pw_gid)
        assert BINARY is not None
        self._process = subprocess.Popen([BINARY, "-bdf", "-q1s", "-C", str(config)], start_new_session=True)
        until = time.monotonic() + 10
        while time.monotonic() < until and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as found:
                if found.recv(4):
                    return
            time.sleep(0.05)
        self.close()
        raise RuntimeError("exim did not start")

    def close(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def mails(self) -> list[EmailMessage]:
        """The mails that arrived, in this order. `Envelope-to` and `Return-path` are the envelope."""
        paths = sorted(self.folder.glob("mail/new/*"), key=lambda path: path.stat().st_mtime_ns)
        return [email.message_from_bytes(path.read_bytes(), policy=default) for path in paths]  # type: ignore[misc]


@contextlib.contextmanager
def running_exim() -> Iterator[Exim]:
    server = Exim()
    server.start()
    try:
        yield server
    finally:
        server.close()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
