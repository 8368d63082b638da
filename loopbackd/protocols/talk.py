"""A line conversation for people: greeted by name of the address, then asked and answered."""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IHandshakeListener, IPushProducer, ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from loopbackd.connection import Connection, connectionOf
from loopbackd.iloopbackd import IServedFactory, Surroundings
from loopbackd.peer.identity import PeerIdentity
from loopbackd.peer.process import Process, findProcess, processOf
from loopbackd.protocols.crossing import isFromBrowser
from loopbackd.protocols.hello import shownAddress
from loopbackd.protocols.lines import Lines, LineTooLong
from loopbackd.protocols.oneshot import LastWords, LastWordsFactory
from loopbackd.table import describe

_log = Logger()

# So many lines are answered, or one table is printed, before others are served.
_A_TURN = 100
_HELP = """\
help      this
whoami    who you are, as this machine sees it: address, uid, pid, command
stats     who is connected, and how much was said
echo ...  says ... back
quit      goodbye
Anything else comes back as it is."""


@implementer(IHandshakeListener, IPushProducer)
class Talk(LastWords):
    """
    Says hello, then answers lines until the client is done.

    A client that does not read is not read from either: at most one answer waits beyond what the
    transport buffers.  One that sends HTTP is left: there may be a page of the web behind it.
    """

    MAX_LENGTH = 8192
    transport: Any

    def __init__(self) -> None:
        self._lines = Lines(self.MAX_LENGTH)
        self._full = False
        self._asking = False
        self._resting = False
        self._work = 0
        self._ended = False
        self._leaving = False

    def connectionMade(self) -> None:
        """Greet; under TLS when its handshake is done, which it takes reading to do."""
        if not ISSLTransport.providedBy(self.transport):
            self._greet()

    def handshakeCompleted(self) -> None:
        """See L{IHandshakeListener}."""
        self._greet()

    def _greet(self) -> None:
        self.transport.registerProducer(self, True)
        self._say(f"Hello from {shownAddress(self.transport.getHost())}!")
        self._say("This is loopbackd. Say help, or anything at all.")

    def dataReceived(self, data: bytes) -> None:
        """Answer every line that is whole."""
        if self._leaving:
            super().dataReceived(data)
        else:
            self._lines.feed(data)
            self._work = 0
            self._answer()

    def readConnectionLost(self) -> None:
        """The client is done; what it asked for is answered first."""
        self._ended = True
        if self._leaving:
            super().readConnectionLost()
        else:
            self._answer()

    def _answer(self) -> None:
        """Answer one line after the other while nothing is in the way."""
        while not (
            self._full
            or self._asking
            or self._resting
            or self._leaving
            or self.transport.disconnecting
        ):
            if self._work >= _A_TURN and self.within(0, self._rested):
                # Everybody else gets a turn.
                self._resting = True
                self.transport.pauseProducing()
                return
            try:
                line = self._lines.next()
            except LineTooLong:
                self._say(f"A line here has at most {self.MAX_LENGTH} bytes. Goodbye.")
                self._leave()
                return
            if line is None:
                if not self._ended:
                    return
                line = self._lines.rest()
                if not line:
                    self._leave()
                    return
            self._answerLine(line)

    def _sayOfBrowser(self) -> None:
        more = self.more()
        if more is not None:
            _log.warn(
                "{connection}: sends HTTP to a conversation in lines; it is left.{more}",
                connection=connectionOf(self.transport) or self.transport.getPeer(),
                more=more,
            )

    def _rested(self) -> None:
        self._resting = False
        self._work = 0
        self._goOn()

    def _answerLine(self, line: bytes) -> None:
        self._work += 1
        if isFromBrowser(line):
            self._sayOfBrowser()
            self._say("This is a conversation in lines, and that is HTTP. Goodbye.")
            self._leave()
            return
        word, _, rest = line.partition(b" ")
        word = word.lower()
        if word == b"echo":
            self._send(rest)
        elif line.strip().lower() == word and word in (b"help", b"whoami", b"stats", b"quit"):
            getattr(self, f"_{word.decode()}")()
        else:
            self._send(line)

    def _send(self, line: bytes) -> None:
        self.transport.write(line + b"\n")

    def _say(self, text: str) -> None:
        self._send(text.encode("utf-8", "backslashreplace"))

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
        self._work = _A_TURN
        now = surroundings.reactor.seconds()
        self._say("\n".join(describe(surroundings.connections, now)))

    def _whoami(self) -> None:
        """The command behind a socket is looked up in a thread; later lines wait for it."""
        connection = connectionOf(self.transport)
        if connection is None:
            self._say(f"You are {shownAddress(self.transport.getPeer())}.")
            return
        self._asking = True
        self.transport.pauseProducing()
        asked = self.factory.lookUp(connection.peer)
        described: Deferred[str] = asked.addCallbacks(
            partial(describePeer, connection), self._notFound
        )
        described.addCallback(self._found).addErrback(self._failed)

    def _notFound(self, failure: Failure) -> str:
        return f"That cannot be found out now: {failure.getErrorMessage()}"

    def _found(self, answer: str) -> None:
        self._asking = False
        if not self._leaving:
            self._say(answer)
            self._goOn()

    def _failed(self, failure: Failure) -> None:
        """An answer after that one raised, where no transport was looking."""
        connection = connectionOf(self.transport)
        _log.failure("{connection}: an answer failed.", failure, connection=connection)
        self.transport.abortConnection()

    def _leave(self) -> None:
        self._leaving = True
        self.transport.unregisterProducer()
        self.finish(b"")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Nobody is there any more."""
        self._leaving = True
        super().connectionLost(reason)

    # The transport's producer: no more lines are answered while it is full.

    def pauseProducing(self) -> None:
        """See L{IPushProducer}."""
        self._full = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """See L{IPushProducer}."""
        self._full = False
        self._goOn()

    def _goOn(self) -> None:
        if self.transport.disconnecting:
            # Somebody has closed it, and a transport with a producer would wait for more.
            self.transport.unregisterProducer()
        elif not (self._full or self._asking or self._resting):
            self.transport.resumeProducing()
            self._answer()

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
class TalkFactory(LastWordsFactory):
    """
    Builds L{Talk}.

    @ivar surroundings: the service's; L{None} until there is one.
    """

    protocol = Talk

    def __init__(self) -> None:
        self.surroundings: Surroundings | None = None

    def servedBy(self, surroundings: Surroundings) -> None:
        """See L{IServedFactory}."""
        self.surroundings = surroundings

    def lookUp(self, who: PeerIdentity | None) -> Deferred[Process | None]:
        """Find the process of a peer, off the reactor's thread."""
        if self.surroundings is None or who is None or who.uid is None:
            return succeed(None)
        reactor = self.surroundings.reactor
        pool = reactor.getThreadPool()
        if who.pid:
            return deferToThreadPool(reactor, pool, processOf, who.pid)
        return deferToThreadPool(reactor, pool, findProcess, who.inode, who.uid)
