"""Reads the keys `ca` and `proxy` of a destination or source into the options of its connections. Pure.

Owns what a proxy may be. Proxies are HTTP proxies, and every connection through one is a tunnel (CONNECT, RFC 9110
section 9.3.6), for http URLs too: the proxy never sees a request or a credential of one. May not know who connects.
Crash: nothing is kept.
"""

from __future__ import annotations

import base64

from tidegate.core.errors import ConfigError
from tidegate.core.spec import Proxy
from tidegate.rules.outbound.addresses import parse_target
from tidegate.rules.outbound.connect_options import ClientCertificate, ConnectOptions, ProxyAddress


def connect_options(ca: str, proxy: str | Proxy, certificate: ClientCertificate | None = None) -> ConnectOptions | None:
    """The options that the configured keys make; None when all of them are empty. ConfigError as `parse_proxy`."""
    address = parse_proxy(proxy) if proxy else None
    if not ca and address is None and certificate is None:
        return None
    return ConnectOptions(ca, certificate, address)


def parse_proxy(proxy: str | Proxy) -> ProxyAddress:
    """`http://proxy.example.com:3128`, or the table with more keys. ConfigError for anything else."""
    spec = Proxy(url=proxy) if isinstance(proxy, str) else proxy
    scheme, mark, rest = spec.url.partition("://")
    if not mark:
        raise ConfigError("the URL of the proxy has no scheme", hint="write it as http://HOST:PORT")
    if scheme.lower() not in ("http", "https"):
        raise ConfigError(f"{scheme[:20]!r} proxies are not supported", hint="write it as http://HOST:PORT")
    if "@" in rest:
        hint = 'write proxy = { url = "http://HOST:PORT", username = "...", password = "${env:NAME}" }'
        raise ConfigError("the URL of the proxy has a user or password", hint=hint)
    target = parse_target(spec.url)
    if target.path != "/":
        raise ConfigError("the URL of the proxy has a path", hint=f"write it as {target.origin}")
    if spec.password and not spec.username:
        raise ConfigError("the proxy has a password and no username", hint="add username = ...")
    if ":" in spec.username:
        raise ConfigError("a user name has no ':' (RFC 7617)", hint="check the credentials of the proxy")
    if spec.ca and target.scheme == "http":
        raise ConfigError("`ca` of the proxy has no effect, because its URL is http", hint="remove it, or write https")
    pair = base64.b64encode(f"{spec.username}:{spec.password}".encode()).decode()
    authorization = f"Basic {pair}" if spec.username else ""
    return ProxyAddress(
        target.scheme, target.host, target.port, authorization, spec.ca, resolves=spec.resolve == "proxy"
    )
