"""Which network addresses may be called, and what a target URL means. Pure: no sockets, no name lookup.

Owns the table of addresses that are not the public internet, the metadata addresses of clouds, the reading
of `[egress] allow`, and the strict reading of a URL. It may not resolve names: `judge` is asked about the
address the socket will really use, by `outbound/dialer.py`, at every connect. The table is our own and not
`ipaddress.is_private`, whose meaning has changed between releases (CVE-2024-4032).

Invariants: metadata addresses and our own listeners are refused whatever is allowed; an IPv4 address inside
an IPv6 one (mapped, 6to4, NAT64, Teredo) is judged as the IPv4 address it leads to; no error text carries
the path, the query or the user part of a URL, because secrets stand there. Nothing here survives a crash.
"""

from __future__ import annotations

import ipaddress
import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any
from urllib.parse import quote

import msgspec

from tidegate.core.errors import ConfigError

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
        ("64:ff9b:1::/48", "private"),  # NAT64 of a site: the prefix length, and so the inner address, is its secret
        ("fe80::/10", "link_local"),
        ("fec0::/10", "private"),
        ("fc00::/7", "private"),
        ("ff00::/8", "multicast"),
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
        ("2001::/23", "reserved"),
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")  # all that is routed today; the rest is refused, not guessed
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
    """Reads `"127.0.0.1/32"`, `"10.0.0.0/8:443"`, `"[fd00::]/8:80"`, a bare address, a bare IPv6 network.

    ConfigError at `$.egress.allow[N]` for anything else, for host bits that are set, and for an entry that is
    exactly a metadata address: it would be refused at every call, so it is refused here.
    """
    entries = []
    for number, item in enumerate(items):
        path = f"$.egress.allow[{number}]"
        text, port = _split_port(item, path)
        try:
            network = ipaddress.ip_network(text)
        except ValueError:
            raise ConfigError(f"{item!r} is no network", path=path, hint=_network_hint(text)) from None
        if "%" in text:
            raise ConfigError(f"{item!r} names a network interface", path=path, hint="leave out the part from the %")
        if network.num_addresses == 1 and _inner(network.network_address) & _METADATA:
            raise ConfigError(
                f"{item!r} is a metadata address of a cloud; these are never called", path=path, hint="remove it"
            )
        entries.append((network, port))
    return AllowList(tuple(entries))


def _split_port(item: str, path: str) -> tuple[str, int | None]:
    """`[v6]/n:port`, `v4/n:port`, or no port. More than one colon without brackets is an IPv6 network."""
    match = re.fullmatch(r"\[([^\]]*)\](/[0-9]+)?(?::([0-9]+))?", item)
    if match is not None:
        if ":" not in match[1]:
            raise ConfigError(f"{item!r}: brackets hold an IPv6 address", path=path, hint="write it as [fd00::]/8:443")
        text, port = match[1] + (match[2] or ""), match[3]
    elif item.count(":") == 1:
        text, port = item.split(":")
    else:
        text, port = item, None
    if port is None:
        return text, None
    if re.fullmatch(r"[0-9]{1,5}", port) is None or not 1 <= int(port) <= 65535:
        raise ConfigError(f"{item!r}: {port!r} is no port", path=path, hint="a port is a number from 1 to 65535")
    return text, int(port)


def _network_hint(text: str) -> str:
    try:
        return f"write it as {ipaddress.ip_network(text, strict=False)}"
    except ValueError:
        return 'write an address or a network such as "10.0.0.0/8", "10.0.0.0/8:443" or "[fd00::]/8:443"'


def _inner(address: _Address) -> set[_Address]:
    """The address and every IPv4 address it carries inside."""
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


def judge(ip: str, port: int, allow: AllowList, own: frozenset[tuple[str, int]]) -> str | None:
    """None when this address may be called, else a word that says why not.

    `ip` is what the socket gets: a strict dotted quad or an IPv6 text. `own` are (ip, port) pairs our server
    listens on; with a wildcard ip this refuses every loopback address of that port, and the dialer, which can
    ask the kernel, the machine's other addresses. Words: not_an_address, metadata, own_listener, unspecified,
    loopback, private, shared, link_local, multicast, documentation, reserved.
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
    """Whether a socket to (address, port) would reach a listener of ours, as far as the pairs tell."""
    here = address.is_loopback or (isinstance(address, IPv4Address) and int(address) >> 24 == 0) or int(address) == 0
    for listener, listening_port in own:
        if listening_port != port:
            continue
        if ipaddress.ip_address(listener) == address:
            return True
        # 0.0.0.0 and :: as a target lead to loopback, so any listener of that port may answer.
        if here and (listener in _WILDCARDS or int(address) == 0):
            return True
    return False


def _class(address: _Address, carried: bool) -> str | None:
    """The word for an address outside the public internet. `carried`: its inner IPv4 address is judged apart."""
    if isinstance(address, IPv4Address):
        return next((word for network, word in _V4 if address in network), None)
    if carried and (address in _MAPPED or address in _NAT64 or address in _SIX_TO_FOUR or address in _TEREDO):
        return None
    for network, word in _V6:
        if address in network:
            return word
    return None if address in _GLOBAL_V6 else "reserved"


# -- targets ---------------------------------------------------------------------------------------------

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PATH_SAFE = "/?%:@!$&'()*+,;=-._~[]"  # the rest of a path and query is percent-encoded


class Target(msgspec.Struct, frozen=True, gc=False):
    """Where a request goes. `host` is lower-case ASCII without brackets, `path` has the query and begins with `/`.

    `origin` (`https://host:port`, the port always written) and `request_tail` (the request line after its
    method, and the host line) are computed, once, because the sending path needs them for every request.
    """

    scheme: str
    host: str
    port: int
    path: str
    host_header: str
    origin: str = ""
    request_tail: bytes = b""

    def __post_init__(self) -> None:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        _set(self, "origin", f"{self.scheme}://{shown}:{self.port}")
        _set(self, "request_tail", f" {self.path} HTTP/1.1\r\nhost: {self.host_header}\r\n".encode("ascii"))


def _set(target: Target, name: str, value: Any) -> None:
    msgspec.structs.force_setattr(target, name, value)


def parse_target(url: str) -> Target:
    """Reads an absolute http or https URL; ConfigError with code `url_invalid` for everything else.

    Refused: another scheme, user or password, fragment, empty or zero port, control characters, spaces and
    backslashes, zone ids, hosts in odd numeric forms (`2130706433`, `0x7f.1`, `0177.0.0.1`), names that
    are no IDNA (UTS 46) names. One trailing dot of the name is dropped.
    """
    if not url or any(c <= " " or c in "\\\x7f" or "\ud800" <= c <= "\udfff" for c in url):
        raise _invalid("the URL is empty or has a space, a control character or a backslash", "encode it as %XX")
    match = re.fullmatch(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^#]*)(#.*)?", url, re.DOTALL)
    if match is None or match[1].lower() not in _DEFAULT_PORTS:
        seen = "it has no scheme" if match is None else f"it begins with {match[1][:20]!r}"
        raise _invalid(f"the URL is no http:// or https:// URL, {seen}", "write it as https://HOST/PATH")
    if match[4] is not None:
        raise _invalid("the URL has a fragment, which is never sent", "remove the part from the # on")
    scheme, authority, path = match[1].lower(), match[2], match[3]
    if "@" in authority:
        raise _invalid("the URL carries a user or a password", 'use auth = { type = "http_basic", ... } instead')
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
        raise _invalid(f"{authority!r} is no HOST or HOST:PORT", "IPv6 addresses stand in brackets: http://[::1]:80/")
    port = _DEFAULT_PORTS[scheme] if match[2] is None else int(match[2])
    if not 1 <= port <= 65535:
        raise _invalid(f"{authority!r}: {port} is no port", "a port is a number from 1 to 65535")
    if authority.startswith("["):
        try:
            address = IPv6Address(match[1][1:-1])
        except ValueError:
            raise _invalid(f"{match[1]!r} is no IPv6 address", "write it as http://[2001:db8::1]/") from None
        if address.scope_id is not None:
            raise _invalid(f"{match[1]!r} names a network interface", "remove the part from the % on")
        return str(address), port
    return _parse_host(match[1]), port


def _parse_host(text: str) -> str:
    host = text.lower() if text.isascii() else _to_ascii(text)
    host = host.removesuffix(".")
    labels = host.split(".")
    # The rule of the URL standard: a name whose last label is a number is an address, and we take one spelling.
    if _NUMERIC.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise _invalid(f"{text!r} is no address in the usual spelling", "write it as 192.0.2.1") from None
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _invalid(f"{text!r} is no host name", "letters, digits, - and dots; at most 63 in a label, 253 in all")
    return host


def _to_ascii(text: str) -> str:
    import idna  # here, because its tables are large and few names need them

    try:
        return idna.encode(text, uts46=True, transitional=False).decode("ascii").lower()
    except idna.IDNAError:
        raise _invalid(f"{text!r} is no international host name", "write the name in its xn-- form") from None


def shown_kind(address: str) -> str:
    """What may be repeated of an address that is not understood: its scheme at most, for the rest may be a password."""
    scheme, colon, _ = address.partition(":")
    return f"{scheme}:..." if colon and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]{0,20}", scheme) else "its value"
