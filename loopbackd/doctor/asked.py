"""What the doctor is asked about: an address, as people write it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from loopbackd.hostport import joined

_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_HTTP: Final = frozenset(_PORTS)
_TLS: Final = frozenset({"https", "wss", "tls", "rediss", "amqps", "ldaps", "mqtts"})
_EXAMPLES: Final = "write 127.0.0.1:8080, localhost:8080, a port, or a URL with one"


@dataclass(frozen=True, slots=True)
class Asked:
    """
    An address to connect to.

    @ivar host: a name or an IP address, with no brackets.
    @ivar scheme: of the URL it was written as, in lower case; empty for none.
    @ivar path: what an HTTP request would ask for.
    """

    host: str
    port: int
    scheme: str = ""
    path: str = "/"

    def __str__(self) -> str:
        return joined(self.host, self.port)

    @property
    def isHTTP(self) -> bool:
        """Whether the other end is expected to answer HTTP requests."""
        return self.scheme in _HTTP

    @property
    def isTLS(self) -> bool:
        """Whether the other end is expected to speak TLS from the first byte."""
        return self.scheme in _TLS

    @property
    def isName(self) -> bool:
        """Whether the host has to be looked up."""
        try:
            ip_address(self.host.partition("%")[0])
        except ValueError:
            return True
        return False


def _why(error: ValueError) -> str:
    """What is wrong with it, for who did not write a URL; L{urlsplit} speaks of casting."""
    if "out of range" in str(error):
        return " (ports go up to 65535)"
    if str(error).startswith("Port"):
        return " (its port is no number; an IPv6 address is written as [::1]:8080)"
    return f" ({error})"


def asked(text: str) -> Asked:
    """
    Understand an address as somebody wrote it: C{HOST:PORT}, C{PORT}, or a URL.

    @raise ValueError: it is none; the message says what to write.
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        text = f"127.0.0.1:{text}"
    try:
        found = urlsplit(text if "://" in text else f"//{text}")
        host, port = found.hostname, found.port
    except ValueError as error:
        raise ValueError(f"{text!r} is no address{_why(error)}; {_EXAMPLES}") from None
    scheme = found.scheme.lower()
    if not host or any(letter.isspace() or not letter.isprintable() for letter in text):
        raise ValueError(f"{text!r} is no address; {_EXAMPLES}")
    if port is None:
        port = _PORTS.get(scheme)
    if port is None:
        raise ValueError(f"{text!r} has no port; {_EXAMPLES}")
    if port == 0:
        raise ValueError(f"{text!r}: nobody can be at port 0; {_EXAMPLES}")
    path = (found.path or "/") + (f"?{found.query}" if found.query else "")
    return Asked(host, port, scheme, path)
