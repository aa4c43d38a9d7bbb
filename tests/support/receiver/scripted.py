"""A real HTTP server on loopback whose every answer is a script, and a own certificate authority.

A script is an async function `(reader, writer, request)`, called for each request whose head and body have
been read; it writes what it likes. The server keeps what it saw, so that tests check what arrived.
"""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Request:
    """What came: the connection's number (from 1), the request's number on it, and the bytes."""

    def __init__(self, connection: int, number: int, head: bytes, body: bytes) -> None:
        self.connection = connection
        self.number = number
        self.head = head
        self.body = body
        self.line = head.split(b"\r\n", 1)[0].decode()
        self.headers = {
            name.decode().lower(): value.strip().decode()
            for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:] if line)
        }


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Request], Awaitable[None]]


def answer(*parts: bytes, close: bool = False) -> Script:
    """A script that writes the parts, each flushed, and perhaps closes."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
        if close:
            writer.close()

    return script


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
    """Never answers; ends when the caller goes away."""
    await reader.read()


class ScriptedServer:
    """`async with ScriptedServer(script) as server:`; `read_body=False` calls the script once the head is read."""

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None, read_body: bool = True) -> None:
        self.script = script
        self.requests: list[Request] = []
        self.connections = 0
        self.open = 0
        self._tls = tls
        self._read_body = read_body
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> ScriptedServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        try:
            await self._requests(reader, writer, self.connections)
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.transport.abort()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        number = 0
        while not writer.is_closing():
            head = await reader.readuntil(b"\r\n\r\n")
            number += 1
            request = Request(connection, number, head, b"")
            if self._read_body:
                request.body = await reader.readexactly(int(request.headers.get("content-length", "0")))
            self.requests.append(request)
            await self.script(reader, writer, request)


class TestAuthority:
    """A certificate authority in a folder: `server()` for 127.0.0.1 and localhost, `client()` that trusts it."""

    __test__ = False

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"test authority {folder.name}")])
        self._certificate = self._sign(self._name, self._key.public_key(), 1, authority=True)
        self.file = folder / "ca.pem"
        self.file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, days: int, *, authority: bool = False, host: str = ""
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=10))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if not authority:
            names: list[x509.GeneralName] = [x509.DNSName(host)]
            if host == "localhost":
                names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    @property
    def pem(self) -> str:
        """The certificate of the authority."""
        return self.file.read_text()

    def pair(self, *, host: str = "client.test", days: int = 1) -> tuple[str, str]:
        """(certificate, private key) in PEM for a client. `days` below zero makes an expired one."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        certificate = self._sign(name, key.public_key(), days, host=host)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode()

    def server(self, *, host: str = "localhost", days: int = 1, clients: TestAuthority | None = None) -> ssl.SSLContext:
        """`days` below zero makes an expired certificate; `clients`: it asks for a certificate of this authority."""
        certificate, key = self.pair(host=host, days=days)
        path = self._folder / f"{host}{days}.pem"
        path.write_text(key + certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        if clients is not None:
            context.load_verify_locations(cadata=clients.pem)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.file))
