"""
The classic small services of 1983: echo, discard, chargen, qotd, daytime and time.

RFC 862, 863, 864, 865, 867 and 868, each as the RFC's section on TCP (or, for a unix socket, a
stream) has it.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, cast

from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPullProducer,
    IPushProducer,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

from loopbackd.protocols.oneshot import LastWordsFactory, OneShot


@implementer(IHalfCloseableProtocol, IHandshakeListener, IPushProducer)
class Echo(Protocol):
    """
    Sends back what it receives (RFC 862), until the client has closed its side and has it all.

    A client that does not read is not read from either, so it costs no memory.
    """

    transport: ITCPTransport

    def connectionMade(self) -> None:
        """Let the transport stop the reading while its own buffer is full."""
        # Under TLS the handshake comes first: it writes and would be paused, and needs to read.
        if not ISSLTransport.providedBy(self.transport):
            self._begin()

    def handshakeCompleted(self) -> None:
        """See L{IHandshakeListener}."""
        self._begin()

    def _begin(self) -> None:
        # The transport could be its own producer, but one that was told to close while paused
        # would then wait for ever: its resumeProducing does nothing once it is closing.
        cast(IConsumer, self.transport).registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        """Send it back."""
        self.transport.write(data)

    def readConnectionLost(self) -> None:
        """Close when everything is sent back."""
        cast(IConsumer, self.transport).unregisterProducer()
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Never asked for."""

    def pauseProducing(self) -> None:
        """The client reads slower than it sends: stop reading."""
        cast(IPushProducer, self.transport).pauseProducing()

    def resumeProducing(self) -> None:
        """Everything is sent: read on, or close if that was asked for meanwhile."""
        if _isClosing(self.transport):
            cast(IConsumer, self.transport).unregisterProducer()
        else:
            cast(IPushProducer, self.transport).resumeProducing()

    def stopProducing(self) -> None:
        """The transport is gone, and its reading with it."""


class EchoFactory(Factory):
    """Builds L{Echo}."""

    protocol = Echo
    noisy = False


@implementer(IHalfCloseableProtocol)
class Discard(Protocol):
    """Throws away what it receives and never answers (RFC 863); closes when the client does."""

    transport: ITCPTransport

    def readConnectionLost(self) -> None:
        """Nothing is owed: close."""
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Never asked for."""


class DiscardFactory(Factory):
    """Builds L{Discard}."""

    protocol = Discard
    noisy = False


@implementer(IHalfCloseableProtocol, IPullProducer)
class Chargen(Protocol):
    """
    Sends characters as fast as they are read (RFC 864), until the client is gone.

    Input is thrown away, and a client that has only closed its own side still gets more.
    """

    transport: ITCPTransport

    def connectionMade(self) -> None:
        """Write whenever the transport has room."""
        cast(IConsumer, self.transport).registerProducer(self, False)

    def readConnectionLost(self) -> None:
        """The client says no more, but it may still listen."""

    def writeConnectionLost(self) -> None:
        """Never asked for."""

    def resumeProducing(self) -> None:
        """Send the pattern once around, or let the transport close if that was asked for."""
        if _isClosing(self.transport):
            cast(IConsumer, self.transport).unregisterProducer()
        else:
            self.transport.write(chargenRing())

    def stopProducing(self) -> None:
        """The transport is gone and will not ask again."""


class ChargenFactory(Factory):
    """Builds L{Chargen}."""

    protocol = Chargen
    noisy = False


@functools.cache
def chargenRing() -> bytes:
    """
    The pattern RFC 864 suggests, once around: 95 lines of 72 printing characters and CR LF.

    Each line starts one character later than the one before, so the next ring follows seamlessly.
    """
    ring = bytes(range(0x20, 0x7F)) * 2
    return b"".join(ring[line : line + 72] + b"\r\n" for line in range(95))


QUOTES: Final = (
    "There is no place nearer than 127.0.0.1.",
    "A packet to yourself is never late, only early for an argument.",
    "The shortest cable is the one you did not need.",
    "Ask the port before you blame the network.",
    "An echo that comes back changed was a proxy.",
    "Half-closed is half open to whoever still listens.",
    "Every timeout was once an optimist.",
    "Latency is distance with a sense of humour.",
    "The firewall heard you. It just had nothing to say.",
    "A reset is an opinion; a FIN is good manners.",
    "Name your sockets and they come when they are called.",
    "Buffers forgive, until they are full.",
)
"""What L{Qotd} says when it is given nothing else."""

MAX_QUOTE: Final = 511
"""The longest message in bytes, its last CR LF included: RFC 865 wants less than 512."""


class Qotd(OneShot):
    """Sends one short message and closes (RFC 865)."""

    def answer(self) -> bytes:
        """One of the factory's quotes."""
        return cast(QotdFactory, self.factory).choose()


class QotdFactory(LastWordsFactory):
    """
    Builds L{Qotd}.

    @param quotes: printable ASCII, with line feeds between lines, each at most L{MAX_QUOTE} bytes.
    @param seed: makes their order repeatable.
    @raise ValueError: a quote cannot be sent.
    """

    protocol = Qotd

    def __init__(
        self,
        *,
        quotes: Sequence[str] | None = None,
        seed: int | None = None,
    ) -> None:
        if isinstance(quotes, str) or (quotes is not None and not quotes):
            raise ValueError(f"quotes is {quotes!r}; give a list of at least one string")
        if seed is not None and not isinstance(seed, int):
            raise ValueError(f"seed is {seed!r}; give a whole number")
        self._quotes = [_message(quote) for quote in (QUOTES if quotes is None else quotes)]
        self._random = random.Random(seed)

    def choose(self) -> bytes:
        """The next message, as it goes on the wire."""
        return self._random.choice(self._quotes)


def _message(quote: str) -> bytes:
    """A quote as RFC 865 has it on the wire."""
    if not isinstance(quote, str):
        raise ValueError(f"quote {quote!r} is not a string")
    lines = quote.replace("\r\n", "\n").rstrip("\n").split("\n")
    if not "".join(lines).strip():
        raise ValueError(f"quote {quote!r} is empty; give it a line of text")
    for line in lines:
        if not (line.isascii() and line.isprintable()):
            raise ValueError(f"quote {quote!r} is not printable ASCII; RFC 865 allows nothing else")
    message = "".join(f"{line}\r\n" for line in lines).encode("ascii")
    if len(message) > MAX_QUOTE:
        raise ValueError(f"quote {quote[:40]!r}... has {len(message)} bytes; keep to {MAX_QUOTE}")
    return message


_WEEKDAYS: Final = (
    *("Monday", "Tuesday", "Wednesday", "Thursday"),
    *("Friday", "Saturday", "Sunday"),
)
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def _utcNow() -> datetime:
    """The clock on the wall, which these two services exist to tell."""
    return datetime.now(UTC)


class _TellingFactory(LastWordsFactory):
    """
    What tells the time.

    @ivar now: gives an aware datetime: the wall clock's.
    """

    def __init__(self) -> None:
        self.now: Callable[[], datetime] = _utcNow


class Daytime(OneShot):
    """Sends the date and time as a line for people and closes (RFC 867); input is ignored."""

    def answer(self) -> bytes:
        """Weekday, month day, year and time, in UTC and in English whatever the locale."""
        now = cast(DaytimeFactory, self.factory).now().astimezone(UTC)
        return (
            f"{_WEEKDAYS[now.weekday()]}, {_MONTHS[now.month - 1]} {now.day}, {now.year} "
            f"{now.hour:02}:{now.minute:02}:{now.second:02}-UTC\r\n"
        ).encode("ascii")


class DaytimeFactory(_TellingFactory):
    """Builds L{Daytime}."""

    protocol = Daytime


class Time(OneShot):
    """
    Sends the seconds since 1900-01-01 00:00 UTC as 32 bits, big end first, and closes (RFC 868).

    The number wraps to 0 on 2036-02-07 06:28:16 UTC; the RFC has no way to say which era it is.
    """

    def answer(self) -> bytes:
        """The seconds, modulo 2**32."""
        now = cast(TimeFactory, self.factory).now()
        return (int(now.timestamp()) + _FROM_1900_TO_1970 & 0xFFFFFFFF).to_bytes(4, "big")


_FROM_1900_TO_1970: Final = 2_208_988_800


class TimeFactory(_TellingFactory):
    """Builds L{Time}."""

    protocol = Time


def _isClosing(transport: ITCPTransport) -> bool:
    """Whether somebody has called loseConnection: a transport then waits for its producer."""
    return bool(getattr(transport, "disconnecting", False))
