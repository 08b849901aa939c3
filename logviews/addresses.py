"""IP addresses in values, by `ipaddress`; an IPv4-mapped IPv6 address is the IPv4 address."""

from __future__ import annotations

import ipaddress

from config.filters import Network


def addresses_in(value: object, networks: tuple[Network, ...]) -> bool:
    """Whether a value is an address in one of the networks; IPv4-mapped IPv6 addresses count as IPv4."""
    if not isinstance(value, str):
        return False
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network or address in network for network in networks)


def normalised_address(value: str) -> str:
    """An IP address in its canonical spelling, an IPv4-mapped one as IPv4; any other text as it is."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return value
    return str(getattr(address, "ipv4_mapped", None) or address)
