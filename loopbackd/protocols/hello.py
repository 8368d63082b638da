"""The greeting: one line that names the address the client reached, then the end."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from loopbackd.hostport import joined
from loopbackd.protocols.oneshot import LastWordsFactory, OneShot


def shownAddress(address: IAddress) -> str:
    """
    C{address} as users write it: C{127.0.0.1:62893}, C{[::1]:62893}, or the path of a unix socket.

    An abstract socket's name starts with C{@}. Always one line of ASCII: other bytes of a path
    are escaped.
    """
    if isinstance(address, (IPv4Address, IPv6Address)):
        return joined(address.host, address.port)
    if isinstance(address, UNIXAddress):
        name = address.name or b"an unnamed unix socket"
        if name.startswith(b"\0"):
            name = b"@" + name[1:]
        return name.decode("latin-1").encode("unicode_escape").decode("ascii")
    return ascii(address)


class Hello(OneShot):
    """Says C{Hello from 127.0.0.1:62893!} and a line feed, and closes; input is ignored."""

    def answer(self) -> bytes:
        """The greeting from this connection's own end."""
        return f"Hello from {shownAddress(self.transport.getHost())}!\n".encode("ascii")


class HelloFactory(LastWordsFactory):
    """Builds L{Hello}."""

    protocol = Hello
