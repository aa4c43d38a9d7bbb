"""Which address a request comes from, and whether it is one of a list. Pure.

Owns whom `X-Forwarded-For` is believed: only a peer that is one of the configured proxies, and of its list the last
address that is none of them, because everything before it can be made up. Knows no request. Invariant: nothing here
raises on what a sender wrote. Crash: nothing is kept.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from tidegate.core.errors import ConfigError

Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
MAX_FORWARDED = 50  # addresses of one header


def parse_networks(texts: Sequence[str], at: str = "$") -> Networks:
    """`192.0.2.0/24`, `2001:db8::/32` or a bare address. ConfigError for anything else."""
    found = []
    for number, text in enumerate(texts):
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError:
            hint = "write a network such as 192.0.2.0/24, or an address"
            raise ConfigError(f"{text[:60]!r} is not a network", path=f"{at}[{number}]", hint=hint) from None
    return tuple(found)


def is_within(address: str, networks: Networks) -> bool:
    """Whether an address is in one of the networks; an IPv4 address inside IPv6 counts as itself."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = getattr(ip, "ipv4_mapped", None) or ip
    return any(inner in network for network in networks)


def sender_of(peer: str, forwarded: str, proxies: Networks) -> str:
    """The address of the sender. `forwarded`: the value of X-Forwarded-For."""
    if not forwarded or not is_within(peer, proxies):
        return peer
    for one in reversed(forwarded.split(",")[-MAX_FORWARDED:]):
        address = _without_port(one.strip())
        if not is_within(address, proxies):
            return address
    return peer


def _without_port(text: str) -> str:
    """`192.0.2.7:4711` and `[2001:db8::1]:4711` without the port, which some proxies add."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
