"""IP addresses in values, by `ipaddress`; an IPv4-mapped IPv6 address is the IPv4 address."""

from __future__ import annotations

import ipaddress
from typing import Final

from config.filters import Network

MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
"""The IPv6 addresses that stand for IPv4 addresses."""


def addresses_in(value: object, networks: tuple[Network, ...]) -> bool:
    """Whether a value is an address in one of the networks; IPv4-mapped addresses and networks are IPv4."""
    if not isinstance(value, str):
        return False
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in normalised_network(network) for network in networks)


def normalised_network(network: Network) -> Network:
    """The network, or where all of it are IPv4-mapped addresses the IPv4 network that they stand for."""
    if not isinstance(network, ipaddress.IPv6Network) or not network.subnet_of(MAPPED):
        return network
    start = ipaddress.IPv4Address(int(network.network_address) & 0xFFFFFFFF)
    return ipaddress.IPv4Network((start, network.prefixlen - MAPPED.prefixlen))


def normalised_address(value: str) -> str:
    """An IP address in its canonical spelling, an IPv4-mapped one as IPv4; any other text as it is."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return value
    return str(getattr(address, "ipv4_mapped", None) or address)
