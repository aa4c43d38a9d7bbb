"""Decides which network addresses may be called, and parses target URLs. Pure: no sockets, no name lookup.

Owns the table of addresses outside the public internet, the metadata addresses of clouds, the parsing of
`[egress] allow`, and the strict parsing of a URL. It may not resolve names: `outbound/dialer.py` calls
`blocked_reason` at every connect with the address that the socket uses. The table does not use
`ipaddress.is_private`, whose meaning changed between Python releases (CVE-2024-4032).

Invariants: metadata addresses and the gateway's own listeners are blocked whatever is allowed; an IPv4 address inside
an IPv6 address (mapped, 6to4, NAT64, Teredo) is checked as the IPv4 address that it leads to; no error message has the
path, the query or the user part of a URL, because these can hold secrets. Crash: nothing is kept.
"""

from __future__ import annotations

import ipaddress
import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any
from urllib.parse import quote

import msgspec

from tidegate.core.errors import ConfigError
from tidegate.rules.outbound.connect_options import ConnectOptions

_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network

# IANA special-purpose registry (RFC 6890 and successors), first match decides.
_V4: tuple[tuple[IPv4Network, str], ...] = tuple(
    (IPv4Network(net), word)
    for net, word in (
        ("0.0.0.0/8", "unspecified"),  # Linux connects 0.0.0.0 to this machine
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared"),  # carrier-grade NAT
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link_local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "reserved"),  # 6to4 relays
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "reserved"),  # benchmarks
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),  # broadcast included
    )
)
_V6: tuple[tuple[IPv6Network, str], ...] = tuple(
    (IPv6Network(net), word)
    for net, word in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("64:ff9b:1::/48", "private"),  # NAT64 of a site; its prefix length, and so the inner address, is not known
        ("fe80::/10", "link_local"),
        ("fec0::/10", "private"),
        ("fc00::/7", "private"),
        ("ff00::/8", "multicast"),
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
        ("2001::/23", "reserved"),
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")  # all addresses that are routed today; every other one is blocked
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")

_METADATA: frozenset[_Address] = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, GCP, DigitalOcean, Oracle, OpenStack
        "169.254.170.2",  # AWS ECS task credentials
        "169.254.170.23",  # AWS EKS pod identity
        "169.254.42.42",  # Scaleway
        "169.254.0.23",  # Tencent
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure wire server, a public address
        "192.0.0.192",  # Oracle classic
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS EKS pod identity
        "fd20:ce::254",  # GCP
        "fd00:42::42",  # Scaleway
        "fe80::a9fe:a9fe",  # OpenStack
    )
)
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared with, never bound


class AllowList(msgspec.Struct, frozen=True):
    """`[egress] allow` as networks; a port of None is every port."""

    entries: tuple[tuple[_Network, int | None], ...] = ()

    def covers(self, address: _Address, port: int) -> bool:
        return any(
            (wanted is None or wanted == port) and network.version == address.version and address in network
            for network, wanted in self.entries
        )


def parse_allow(items: list[str]) -> AllowList:
    """Parse `"127.0.0.1/32"`, `"10.0.0.0/8:443"`, `"[fd00::]/8:80"`, a bare address or a bare IPv6 network.

    ConfigError at `$.egress.allow[N]` for anything else, for set host bits, and for an entry that is exactly a
    metadata address, because such an address is always blocked.
    """
    entries = []
    for number, item in enumerate(items):
        path = f"$.egress.allow[{number}]"
        text, port = _split_port(item, path)
        try:
            network = ipaddress.ip_network(text)
        except ValueError:
            raise ConfigError(f"{item!r} is not a network", path=path, hint=_network_hint(text)) from None
        if "%" in text:
            raise ConfigError(
                f"{item!r} names a network interface", path=path, hint="remove the % and everything after it"
            )
        if network.num_addresses == 1 and _inner(network.network_address) & _METADATA:
            raise ConfigError(
                f"{item!r} is a cloud metadata address, which can never be allowed", path=path, hint="remove it"
            )
        entries.append((network, port))
    return AllowList(tuple(entries))


def _split_port(item: str, path: str) -> tuple[str, int | None]:
    """`[v6]/n:port`, `v4/n:port`, or no port. More than one colon without brackets is an IPv6 network."""
    match = re.fullmatch(r"\[([^\]]*)\](/[0-9]+)?(?::([0-9]+))?", item)
    if match is not None:
        if ":" not in match[1]:
            raise ConfigError(
                f"{item!r} has brackets around something that is not an IPv6 address",
                path=path,
                hint="write it as [fd00::]/8:443",
            )
        text, port = match[1] + (match[2] or ""), match[3]
    elif item.count(":") == 1:
        text, port = item.split(":")
    else:
        text, port = item, None
    if port is None:
        return text, None
    if re.fullmatch(r"[0-9]{1,5}", port) is None or not 1 <= int(port) <= 65535:
        raise ConfigError(f"{item!r}: {port!r} is not a port", path=path, hint="write a number from 1 to 65535")
    return text, int(port)


def _network_hint(text: str) -> str:
    try:
        return f"write it as {ipaddress.ip_network(text, strict=False)}"
    except ValueError:
        return 'write an address or a network such as "10.0.0.0/8", "10.0.0.0/8:443" or "[fd00::]/8:443"'


def _inner(address: _Address) -> set[_Address]:
    """The address and every IPv4 address inside it."""
    found: set[_Address] = {address}
    if isinstance(address, IPv4Address):
        return found
    bits = int(address)
    if address in _MAPPED or address in _NAT64:
        found.add(IPv4Address(bits & 0xFFFFFFFF))
    elif address in _SIX_TO_FOUR:
        found.add(IPv4Address(bits >> 80 & 0xFFFFFFFF))
    elif address in _TEREDO:
        found.add(IPv4Address(bits >> 64 & 0xFFFFFFFF))  # the server
        found.add(IPv4Address(~bits & 0xFFFFFFFF))  # the client, stored inverted (RFC 4380 section 4)
    return found


def blocked_reason(ip: str, port: int, allow: AllowList, own: frozenset[tuple[str, int]]) -> str | None:
    """None when this address may be called, else the reason as one word.

    `ip` is the address of the socket: a strict dotted quad or an IPv6 address. `own` are the (ip, port) pairs that the
    gateway listens on. A pair with a wildcard ip blocks every loopback address of that port here; the dialer, which
    can query the kernel, blocks the machine's other addresses. The words: not_an_address, metadata, own_listener,
    unspecified, loopback, private, shared, link_local, multicast, documentation, reserved.
    """
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return "not_an_address"
    inner = _inner(address)
    if inner & _METADATA:
        return "metadata"
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return "link_local"
    if any(_is_own(one, port, own) for one in inner):
        return "own_listener"
    if allow.covers(address, port) or (address in _MAPPED and allow.covers(_mapped(address), port)):
        return None
    for one in inner:
        word = _class(one, len(inner) > 1)
        if word is not None:
            return word
    return None


def _mapped(address: _Address) -> IPv4Address:
    return IPv4Address(int(address) & 0xFFFFFFFF)


def _is_own(address: _Address, port: int, own: frozenset[tuple[str, int]]) -> bool:
    """Whether a socket to (address, port) would reach one of the gateway's own listeners, as far as `own` shows."""
    here = address.is_loopback or (isinstance(address, IPv4Address) and int(address) >> 24 == 0) or int(address) == 0
    for listener, listening_port in own:
        if listening_port != port:
            continue
        if ipaddress.ip_address(listener) == address:
            return True
        # 0.0.0.0 and :: as a target lead to loopback, so any listener on that port can answer.
        if here and (listener in _WILDCARDS or int(address) == 0):
            return True
    return False


def _class(address: _Address, carried: bool) -> str | None:
    """The word for an address outside the public internet. `carried`: its inner IPv4 address is checked separately."""
    if isinstance(address, IPv4Address):
        return next((word for network, word in _V4 if address in network), None)
    if carried and (address in _MAPPED or address in _NAT64 or address in _SIX_TO_FOUR or address in _TEREDO):
        return None
    for network, word in _V6:
        if address in network:
            return word
    return None if address in _GLOBAL_V6 else "reserved"


# -- targets ---------------------------------------------------------------------------------------------

_DEFAULT_PORTS = {"http": 80, "https": 443, "smtp": 587, "smtps": 465, "smtp+none": 25}
HTTP = ("http", "https")
ALL = tuple(_DEFAULT_PORTS)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PATH_SAFE = "/?%:@!$&'()*+,;=-._~[]"  # the rest of a path and query is percent-encoded


class Target(msgspec.Struct, frozen=True, gc=False):
    """Where a request goes. `host` is lower-case ASCII without brackets; `path` includes the query and starts with `/`.

    `origin` (`https://host:port`, always with the port), `request_tail` (the request line after its method, and the
    host line) and `pool` are computed once, because every request needs them.
    """

    scheme: str
    host: str
    port: int
    path: str
    host_header: str
    origin: str = ""
    request_tail: bytes = b""
    method: bytes = b"POST"  # of a delivery
    options: ConnectOptions | None = None  # own authority, client certificate, proxy
    pool: str = ""  # sockets of the same pool are exchangeable

    def __post_init__(self) -> None:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        _set(self, "origin", f"{self.scheme}://{shown}:{self.port}")
        _set(self, "pool", self.origin if self.options is None else f"{self.origin} {self.options.key}")
        _set(self, "request_tail", f" {self.path} HTTP/1.1\r\nhost: {self.host_header}\r\n".encode("ascii"))


def with_method(target: Target, method: str) -> Target:
    """The same target for another method."""
    return target if method == "POST" else msgspec.structs.replace(target, method=method.encode("ascii"))


def with_options(target: Target, options: ConnectOptions | None) -> Target:
    """The same target, connected to in another way."""
    return target if options is None else msgspec.structs.replace(target, options=options)


def _set(target: Target, name: str, value: Any) -> None:
    msgspec.structs.force_setattr(target, name, value)


def parse_target(url: str, schemes: tuple[str, ...] = HTTP) -> Target:
    """Parse an absolute URL with one of `schemes`. ConfigError with code `url_invalid` for everything else.

    Rejected: other schemes, a user or password, a fragment, an empty or zero port, control characters, spaces and
    backslashes, zone ids, hosts in unusual numeric forms (`2130706433`, `0x7f.1`, `0177.0.0.1`), and names that are not
    valid IDNA (UTS 46). One trailing dot of the name is removed.
    """
    if not url or any(c <= " " or c in "\\\x7f" or "\ud800" <= c <= "\udfff" for c in url):
        raise _invalid("the URL is empty, or has a space, control character or backslash", "encode it as %XX")
    match = re.fullmatch(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^#]*)(#.*)?", url, re.DOTALL)
    if match is None or match[1].lower() not in schemes:
        seen = "it has no scheme" if match is None else f"its scheme is {match[1][:20]!r}"
        raise _invalid(f"the URL is not an http:// or https:// URL; {seen}", "write it as https://HOST/PATH")
    if match[4] is not None:
        raise _invalid("the URL has a fragment, which is never sent", "remove the # and everything after it")
    scheme, authority, path = match[1].lower(), match[2], match[3]
    if "@" in authority:
        raise _invalid("the URL has a user or password", 'use auth = { type = "http_basic", ... } instead')
    host, port = _parse_authority(authority, scheme)
    if not path.startswith("/"):
        path = "/" + path
    shown = f"[{host}]" if ":" in host else host
    host_header = shown if port == _DEFAULT_PORTS[scheme] else f"{shown}:{port}"
    return Target(scheme, host, port, quote(path, safe=_PATH_SAFE), host_header)


def _invalid(message: str, hint: str) -> ConfigError:
    return ConfigError(message, code="url_invalid", hint=hint)


def _parse_authority(authority: str, scheme: str) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]+)(?::([0-9]{1,5}))?", authority)
    if match is None:
        raise _invalid(f"{authority!r} is not HOST or HOST:PORT", "write IPv6 addresses in brackets: http://[::1]:80/")
    port = _DEFAULT_PORTS[scheme] if match[2] is None else int(match[2])
    if not 1 <= port <= 65535:
        raise _invalid(f"{authority!r}: {port} is not a port", "write a number from 1 to 65535")
    if authority.startswith("["):
        try:
            address = IPv6Address(match[1][1:-1])
        except ValueError:
            raise _invalid(f"{match[1]!r} is not an IPv6 address", "write it as http://[2001:db8::1]/") from None
        if address.scope_id is not None:
            raise _invalid(f"{match[1]!r} names a network interface", "remove the % and everything after it")
        return str(address), port
    return _parse_host(match[1]), port


def _parse_host(text: str) -> str:
    host = text.lower() if text.isascii() else _to_ascii(text)
    host = host.removesuffix(".")
    labels = host.split(".")
    # The URL standard: a name whose last label is a number is an address. Only the usual spelling is accepted.
    if _NUMERIC.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise _invalid(f"{text!r} is not an IPv4 address in the usual form", "write it as 192.0.2.1") from None
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _invalid(
            f"{text!r} is not a host name",
            "use letters, digits, hyphens and dots: at most 63 characters in a label and 253 in total",
        )
    return host


def _to_ascii(text: str) -> str:
    import idna  # imported here, because its tables are large and few names need them

    try:
        return idna.encode(text, uts46=True, transitional=False).decode("ascii").lower()
    except idna.IDNAError:
        raise _invalid(f"{text!r} is not an international host name", "write the name in its xn-- form") from None


def shown_kind(address: str) -> str:
    """The part of an unknown address that may be shown: only its scheme, because the rest can hold a password."""
    scheme, colon, _ = address.partition(":")
    return f"{scheme}:..." if colon and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]{0,20}", scheme) else "its value"
