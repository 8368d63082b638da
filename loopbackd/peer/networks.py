"""Networks of other machines: those that may connect to a service."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

_MAPPED: Final = IPv6Network("::ffff:0:0/96")


class Networks:
    """
    The machines of some networks, and always this one.

    Nobody else can have an address of the loopback, so it is let in whatever the list says: which
    users of this machine may come is another question (C{allow_uids}).

    @param texts: addresses, and networks as C{192.0.2.0/24} or C{2001:db8::/32}.
    @raise ValueError: one of them is neither, or every machine there is; says which, and what to
        write.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._networks = tuple(_network(text) for text in texts)

    def has(self, host: str | None) -> bool:
        """
        Whether a peer may come.

        @param host: its IP address as the kernel says it; L{None} where it needs none to be of
            this machine, at a Unix socket.
        """
        if host is None:
            return True
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address
        return address.is_loopback or any(address in network for network in self._networks)


def _network(text: str) -> IPv4Network | IPv6Network:
    if "%" in text:
        raise ValueError(f"{text!r}: a network has no zone; write {text.partition('%')[0]!r}")
    try:
        network = ip_network(text)
    except ValueError:
        raise ValueError(f"{text!r} is no network; {_meant(text)}") from None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        # A peer is compared without the prefix.
        first = network.network_address.ipv4_mapped
        assert first is not None
        network = IPv4Network((first, network.prefixlen - _MAPPED.prefixlen))
    if network.prefixlen == 0:
        raise ValueError(f"{text!r} is every machine there is; name the networks that may come")
    return network


def _meant(text: str) -> str:
    try:
        whole = ip_network(text, strict=False)
    except ValueError:
        return 'write an address or a network, for example "192.0.2.0/24" or "2001:db8::1"'
    return f'write "{whole}", or "{text.partition("/")[0]}" for that address alone'
