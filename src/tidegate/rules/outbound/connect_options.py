"""How a connection is made beyond its address: own authority, client certificate, proxy. One place for all users.

Owns the options of one destination or source; `proxies.py` makes them of what is configured and `outbound/dialer.py`
follows them. Pure; may not know who connects. Invariants: two connections with different options never share a socket,
so `key` differs whenever anything else does; neither `key` nor a `repr` has a secret. Crash: nothing is kept.
"""

from __future__ import annotations

import hashlib

import msgspec


class ClientCertificate(msgspec.Struct, frozen=True):
    """What this side shows in the TLS handshake, in PEM: the certificate with its chain, and the private key."""

    certificate: str
    private_key: str

    def __repr__(self) -> str:
        return "ClientCertificate(...)"


class ProxyAddress(msgspec.Struct, frozen=True):
    """An HTTP proxy. `authorization`: the value of Proxy-Authorization, "" without credentials."""

    scheme: str
    host: str
    port: int
    authorization: str = ""
    ca: str = ""  # authorities in PEM of an https proxy; "" for those of the system
    resolves: bool = False  # the proxy gets the name; else it gets an address that was checked here

    def __repr__(self) -> str:
        return f"ProxyAddress({self.scheme!r}, {self.host!r}, {self.port})"


class ConnectOptions(msgspec.Struct, frozen=True):
    """`ca`: authorities in PEM that replace those of the system; "" keeps these."""

    ca: str = ""
    certificate: ClientCertificate | None = None
    proxy: ProxyAddress | None = None
    key: str = ""  # computed: the same for equal options only

    def __post_init__(self) -> None:
        parts = msgspec.json.encode((self.ca, self.certificate, self.proxy))
        msgspec.structs.force_setattr(self, "key", hashlib.blake2b(parts, digest_size=16).hexdigest())

    def __repr__(self) -> str:
        return f"ConnectOptions({self.key!r})"


def without_certificate(options: ConnectOptions | None) -> ConnectOptions | None:
    """The same way, for an origin that the client certificate is not for."""
    if options is None or options.certificate is None:
        return options
    return msgspec.structs.replace(options, certificate=None)
