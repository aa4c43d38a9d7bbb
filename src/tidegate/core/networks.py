"""Which callers count as one: the network behind an address.

Pure. Used wherever something is limited per address, so that all limits group alike.
"""

from __future__ import annotations

import ipaddress

_MAX_CHARACTERS = 64


def network_of(address: str) -> str:
    """An IPv4 address itself, also inside IPv6; of other IPv6 addresses the /64 that one subscriber has."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:_MAX_CHARACTERS]
    if ip.version == 4:
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))
