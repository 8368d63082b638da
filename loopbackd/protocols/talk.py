"""A line conversation for people: greeted by name of the address, then asked and answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import main
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from loopbackd.connection import Connection, connectionOf
from loopbackd.iloopbackd import IServedFactory, Surroundings
from loopbackd.peer.identity import PeerIdentity
from loopbackd.peer.process import Process, findProcess, processOf
from loopbackd.protocols.hello import shownAddress
from loopbackd.table import describe

_log = Logger()
_HELP = """\
help      this
whoami    who you are, as this machine sees it: address, uid, pid, command
stats     who is connected, and how much was said
echo ...  says ... back
quit      goodbye
Anything else comes back as it is."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class Talk(LineReceiver):
    """
    Says hello, then answers lines until the client is done.

    A client that does not read is not read from either: at most one answer waits beyond what the
    transport buffers.
    """

    delimiter = b"\n"
    MAX_LENGTH = 8192
    transport: Any
    factory: TalkFactory

    def __init__(self) -> None:
        self._full = False
        self._asking = False
        self._connected = False
        self._ended = False

    def connectionMade(self) -> None:
        """Greet."""
        self._connected = True
        self.transport.registerProducer(self, True)
        self._say(f"Hello from {shownAddress(self.transport.getHost())}!")
        self._say("This is loopbackd. Say help, or anything at all.")

    def lineReceived(self, line: bytes) -> None:
        """Answer one line."""
        line = line.removesuffix(b"\r")
        word, _, rest = line.partition(b" ")
        word = word.lower()
        if word == b"echo":
            self.sendLine(rest)
        elif line.strip().lower() == word and word in (b"help", b"whoami", b"stats", b"quit"):
            getattr(self, f"_{word.decode()}")()
        else:
            self.sendLine(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """No person types that much."""
        self._say(f"A line here has at most {self.MAX_LENGTH} bytes. Goodbye.")
        self._leave()

    def _say(self, text: str) -> None:
        self.sendLine(text.encode("utf-8", "backslashreplace"))

    def _help(self) -> None:
        self._say(_HELP)

    def _quit(self) -> None:
        self._say("Goodbye.")
        self._leave()

    def _stats(self) -> None:
        surroundings = self.factory.surroundings
        if surroundings is None:
            self._say("Nobody keeps a table here.")
            return
        now = surroundings.reactor.seconds()
        self._say("\n".join(describe(surroundings.connections, now)))

    def _whoami(self) -> None:
        """The command behind a socket is looked up in a thread; later lines wait for it."""
        connection = connectionOf(self.transport)
        if connection is None:
            self._say(f"You are {shownAddress(self.transport.getPeer())}.")
            return
        self._asking = True
        super().pauseProducing()
        asked = self.factory.lookUp(connection.peer)
        asked.addCallbacks(self._found, self._notFound, callbackArgs=(connection,))
        asked.addErrback(self._failed)

    def _found(self, process: Process | None, connection: Connection) -> None:
        self._asking = False
        if self._connected:
            self._say(describePeer(connection, process))
            self._goOn()

    def _notFound(self, failure: Failure) -> None:
        self._asking = False
        if self._connected:
            self._say(f"That cannot be found out now: {failure.getErrorMessage()}")
            self._goOn()

    def _failed(self, failure: Failure) -> None:
        """An answer after that one raised, where no transport was looking."""
        connection = connectionOf(self.transport)
        _log.failure("{connection}: an answer failed.", failure, connection=connection)
        self.transport.abortConnection()

    def readConnectionLost(self) -> None:
        """The client is done; what it asked for is answered first."""
        self._ended = True
        if not self.paused and not self.transport.disconnecting:
            self._finish()

    def _finish(self) -> None:
        """Answer the last line, which need not have an end, and close."""
        rest = self.clearLineBuffer()
        if rest:
            self.lineReceived(rest)
        if not self.paused and not self.transport.disconnecting:
            self._leave()

    def writeConnectionLost(self) -> None:
        """Never asked for."""

    def connectionLost(self, reason: Failure = Failure(main.CONNECTION_DONE)) -> None:  # noqa: B008
        """Nobody is there any more."""
        self._connected = False

    def _leave(self) -> None:
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    # The transport's producer: no more lines are answered while it is full.

    def pauseProducing(self) -> None:
        """See L{IPushProducer}."""
        self._full = True
        super().pauseProducing()

    def resumeProducing(self) -> None:
        """See L{IPushProducer}."""
        self._full = False
        self._goOn()

    def _goOn(self) -> None:
        if self.transport.disconnecting:
            # Somebody has closed it, and a transport with a producer would wait for more.
            self.transport.unregisterProducer()
        elif not self._full and not self._asking:
            super().resumeProducing()
            if self._ended and not self.paused and not self.transport.disconnecting:
                self._finish()

    def stopProducing(self) -> None:
        """See L{IPushProducer}."""


def describePeer(connection: Connection, process: Process | None) -> str:
    """Who somebody is, in one line."""
    who = connection.peer
    facts = [connection.shownRemote]
    if who is None or who.uid is None:
        facts.append(f"uid unknown ({who.reason if who else 'the connection has ended'})")
    else:
        facts.append(f"uid {who.uid}")
    if process is not None:
        facts.append(f"pid {process.pid}")
        facts.append(f"command {process.command}")
    elif who is not None and who.pid:
        facts.append(f"pid {who.pid}")
    else:
        facts.append("pid and command unknown")
    return "You are " + ", ".join(facts) + "."


@implementer(IServedFactory)
class TalkFactory(Factory):
    """
    Builds L{Talk}.

    @ivar surroundings: the service's; L{None} until there is one.
    """

    noisy = False
    protocol = Talk  # type: ignore[assignment]

    def __init__(self) -> None:
        self.surroundings: Surroundings | None = None

    def servedBy(self, surroundings: Surroundings) -> None:
        """See L{IServedFactory}."""
        self.surroundings = surroundings

    def lookUp(self, who: PeerIdentity | None) -> Deferred[Process | None]:
        """Find the process of a peer, off the reactor's thread."""
        if self.surroundings is None or who is None or who.uid is None:
            from twisted.internet.defer import succeed

            return succeed(None)
        find: Callable[[], Process | None]
        if who.pid:
            pid = who.pid
            find = lambda: processOf(pid)  # noqa: E731
        else:
            inode, uid = who.inode, who.uid
            find = lambda: findProcess(inode, uid)  # noqa: E731
        reactor = self.surroundings.reactor
        return deferToThreadPool(reactor, reactor.getThreadPool(), find)
