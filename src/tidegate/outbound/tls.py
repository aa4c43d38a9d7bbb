"""TLS contexts for outgoing connections: the system's authorities or own ones, with or without a client certificate.

Owns making and keeping them, bounded. It may not know who connects. Invariants: TLS 1.2 or newer; a certificate is
always verified, against `ca` alone where it is set; a private key is on disk for a moment only and encrypted then,
because Python loads keys from files alone. Crash: a file that a crash leaves behind cannot be read without the
passphrase, which was in memory only.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import tempfile
from collections import OrderedDict
from pathlib import Path

from tidegate.rules.outbound.certificates import read_private_key
from tidegate.rules.outbound.connect_options import ClientCertificate

_KEPT = 256  # contexts with a client certificate or own authorities
_Key = tuple[str, ClientCertificate | None]


class TlsContexts:
    """One per dialer. `system`: the context without options, made at its first use when it is None."""

    def __init__(self, system: ssl.SSLContext | None = None) -> None:
        self._system = system
        self._made: OrderedDict[_Key, ssl.SSLContext] = OrderedDict()  # least recently used first

    async def get(self, ca: str, certificate: ClientCertificate | None) -> ssl.SSLContext:
        """The context for these options, made in a thread, because it reads files. ssl.SSLError for a bad pair."""
        loop = asyncio.get_running_loop()
        if not ca and certificate is None:
            if self._system is None:
                context = await loop.run_in_executor(None, client_context)
                self._system = self._system or context
            return self._system
        key = (ca, certificate)
        found = self._made.get(key)
        if found is None:
            found = await loop.run_in_executor(None, client_context, ca, certificate)
            self._made[key] = found
            if len(self._made) > _KEPT:
                self._made.popitem(last=False)
        self._made.move_to_end(key)
        return found


def client_context(ca: str = "", certificate: ClientCertificate | None = None) -> ssl.SSLContext:
    """A new context. `ca`: authorities in PEM, in place of the system's; a server's own certificate counts too."""
    context = ssl.create_default_context(cadata=ca or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if ca:
        # Own authorities are often made by hand: the strict rules of RFC 5280 (Python 3.13) reject many of them.
        context.verify_flags = context.verify_flags & ~ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    if certificate is not None:
        _load(context, certificate)
    return context


def mail_tls(ca: str) -> ssl.SSLContext:
    """TLS for mail servers, which know no ALPN. `ca`: authorities in PEM, in place of the system's."""
    context = client_context(ca)
    context.set_alpn_protocols([])
    return context


def _load(context: ssl.SSLContext, pair: ClientCertificate) -> None:
    from cryptography.hazmat.primitives import serialization

    passphrase = secrets.token_urlsafe(32)
    key = read_private_key(pair.private_key).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase.encode()),
    )
    with tempfile.TemporaryDirectory(prefix="tidegate-") as folder:  # 0700
        certificate_file, key_file = Path(folder, "certificate"), Path(folder, "key")
        certificate_file.write_text(pair.certificate)
        key_file.write_bytes(key)
        context.load_cert_chain(certificate_file, key_file, passphrase)
