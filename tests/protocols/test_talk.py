"""Tests for L{loopbackd.protocols.talk}."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor as realReactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from loopbackd.connections import Connections
from loopbackd.iloopbackd import Surroundings
from loopbackd.peer.identity import PeerIdentity
from loopbackd.peer.process import Process
from loopbackd.protocols.talk import Talk, TalkFactory, describePeer
from loopbackd.testing import addressOf, connect, converse, serving

reactor: Any = realReactor

OURS = IPv4Address("TCP", "127.0.0.1", 62893)
THEIRS = IPv4Address("TCP", "127.0.0.1", 50000)
GREETING = b"Hello from 127.0.0.1:62893!\nThis is loopbackd. Say help, or anything at all.\n"
ME = PeerIdentity(1000, 77, None, "ESTABLISHED", "")
NOBODY = PeerIdentity(None, 0, None, "", "the connection is gone")


class Transport(StringTransport):
    """A transport in memory that is a connection of a service."""

    protocol: Any = None
    connection: Any = None
    bytesReceived = bytesSent = 0
    peerFinished = False

    # There is none; who asks is answered by the table.
    socket = None


class Conversation:
    """A C{talk} connection in memory whose processes are found when the test says so."""

    def __init__(self, who: PeerIdentity = ME, inTable: bool = True) -> None:
        self.clock = Clock()
        self.factory = TalkFactory()
        self.transport = Transport(hostAddress=OURS, peerAddress=THEIRS)
        self.asked: list[Deferred[Process | None]] = []
        if inTable:
            self.table = Connections(lambda _: who, self.clock.seconds)
            self.factory.servedBy(Surroundings("test", self.clock, self.table))
            self.connection = self.transport.connection = self.table.add("test", THEIRS)
            self.connection.carriedBy(self.transport)
            self.factory.lookUp = self.lookUp  # type: ignore[method-assign]
        self.talk: Any = self.factory.buildProtocol(THEIRS)
        self.transport.protocol = self.talk
        self.talk.makeConnection(self.transport)

    def lookUp(self, who: PeerIdentity | None) -> Deferred[Process | None]:
        """The process is found when the test fires what is returned."""
        self.asked.append(Deferred())
        return self.asked[-1]

    def say(self, data: bytes) -> None:
        """The client sends this."""
        self.talk.dataReceived(data)

    @property
    def heard(self) -> bytes:
        """What it was answered, the greeting left out."""
        value = self.transport.value()
        assert value.startswith(GREETING)
        return value[len(GREETING) :]


def found(pid: int) -> Process:
    """A process."""
    return Process(pid, "nc -v", "alice")


class TestLines:
    """What is said and what comes back."""

    def test_interfaces(self) -> None:
        """The transport must tell it of the client's end, and pause it."""
        talk = Conversation().talk
        assert verifyObject(IHalfCloseableProtocol, talk)
        assert verifyObject(IPushProducer, talk)

    def test_greets(self) -> None:
        """The greeting names the address the client reached."""
        assert Conversation().heard == b""

    @pytest.mark.parametrize(
        ("line", "answer"),
        [
            (b"hello there", b"hello there\n"),
            (b"", b"\n"),
            (b"  spaces  ", b"  spaces  \n"),
            (b"\x00\xff\xfe binary \x1b[m", b"\x00\xff\xfe binary \x1b[m\n"),
            (b"echo one  two ", b"one  two \n"),
            (b"ECHO x", b"x\n"),
            (b"echo", b"\n"),
            (b"echo help", b"help\n"),
            (b"help me", b"help me\n"),
            (b"get / if you can", b"get / if you can\n"),
            (b"Host is a field", b"Host is a field\n"),
            (b"HTTP/1.1 is old", b"HTTP/1.1 is old\n"),
            (b"\rhelp", b"\rhelp\n"),
        ],
    )
    @pytest.mark.parametrize("end", [b"\n", b"\r\n"])
    def test_comesBack(self, line: bytes, answer: bytes, end: bytes) -> None:
        """Whatever is no command comes back, every byte of it, LF or CR LF."""
        conversation = Conversation()
        conversation.say(line + end)
        assert conversation.heard == answer

    @pytest.mark.parametrize("before", [b"", b"hello\n"])
    @pytest.mark.parametrize(
        "line",
        [b"POST / HTTP/1.1", b"X /x HTTP/2.0 ", b"Host: localhost:1", b"host:\tx", b"POST x"],
    )
    def test_http(self, line: bytes, before: bytes, logged: Callable[[str], list[str]]) -> None:
        """Somebody who sends it is left, and nothing that comes after it is answered."""
        lines = logged("loopbackd.protocols.talk")
        conversation = Conversation()
        conversation.say(before + line + b"\r\nhelp\r\n\r\n")
        left = b"This is a conversation in lines, and that is HTTP. Goodbye.\n"
        assert conversation.heard == before + left
        assert conversation.transport.disconnecting
        conversation.say(b"help\n")
        assert conversation.heard == before + left
        (told,) = lines
        assert "sends HTTP to a conversation in lines" in told

    @pytest.mark.parametrize("line", [b"help", b"HELP", b"help\r", b"help "])
    def test_help(self, line: bytes) -> None:
        """Every command is in it."""
        conversation = Conversation()
        conversation.say(line + b"\n")
        for command in (b"help", b"whoami", b"stats", b"echo", b"quit"):
            assert b"\n" + command in b"\n" + conversation.heard

    def test_stats(self) -> None:
        """The table, in which the asker is."""
        conversation = Conversation()
        conversation.say(b"stats\n")
        assert b"test: 1 open, 1 in all" in conversation.heard
        assert b"#1 test Talk from 127.0.0.1:50000: open" in conversation.heard

    def test_statsWithoutATable(self) -> None:
        """Outside a service there is none, and that is said."""
        conversation = Conversation(inTable=False)
        conversation.say(b"stats\nwhoami\n")
        assert conversation.heard == b"Nobody keeps a table here.\nYou are 127.0.0.1:50000.\n"

    def test_quit(self) -> None:
        """A goodbye and the end; what was said after it is not answered."""
        conversation = Conversation()
        conversation.say(b"quit\nhelp\nmore")
        assert conversation.heard == b"Goodbye.\n"
        assert conversation.transport.disconnecting
        assert conversation.transport.producer is None
        conversation.talk.readConnectionLost()
        assert conversation.heard == b"Goodbye.\n"

    def test_longestLine(self) -> None:
        """A line of MAX_LENGTH bytes is answered in whole."""
        conversation = Conversation()
        line = b"x" * Talk.MAX_LENGTH
        conversation.say(line + b"\n")
        assert conversation.heard == line + b"\n"

    @pytest.mark.parametrize("size", [1, 100, 1 << 20])
    @pytest.mark.parametrize("end", [b"", b"\nhelp\n"])
    def test_tooLongLine(self, size: int, end: bytes) -> None:
        """A longer one is told so, and the connection is closed."""
        conversation = Conversation()
        data = b"x" * (Talk.MAX_LENGTH + 1) + end
        for at in range(0, len(data), size):
            if not conversation.transport.disconnecting:
                conversation.say(data[at : at + size])
        assert conversation.heard == b"A line here has at most 8192 bytes. Goodbye.\n"
        assert conversation.transport.disconnecting

    @pytest.mark.parametrize("last", [b"last", b"last\n"])
    def test_end(self, last: bytes) -> None:
        """At the client's end its last line is answered, complete or not, and then ours comes."""
        conversation = Conversation()
        conversation.say(b"first\n" + last)
        conversation.talk.readConnectionLost()
        assert conversation.heard == b"first\nlast\n"
        assert conversation.transport.disconnecting
        assert conversation.transport.producer is None

    def test_quitWithoutAnEnd(self) -> None:
        """An incomplete C{quit} at the client's end closes once."""
        conversation = Conversation()
        conversation.say(b"quit")
        conversation.talk.readConnectionLost()
        assert conversation.heard == b"Goodbye.\n"
        assert conversation.transport.disconnecting


class TestWhoami:
    """The answer that takes time."""

    def test_answer(self) -> None:
        """Address, uid, pid and command, in one line."""
        conversation = Conversation()
        conversation.say(b"whoami\n")
        assert conversation.heard == b""
        conversation.asked.pop().callback(found(12))
        assert conversation.heard == (
            b"You are 127.0.0.1:50000, uid 1000, pid 12, command nc -v.\n"
        )

    def test_laterLinesWait(self) -> None:
        """Answers come in the order of the questions, whoever was asked meanwhile."""
        conversation = Conversation()
        conversation.say(b"one\nwhoami\ntwo\nWHOAMI\nthree\n")
        assert conversation.transport.producerState == "paused"
        conversation.say(b"four\n")
        assert conversation.heard == b"one\n"
        conversation.asked.pop().callback(found(1))
        conversation.asked.pop().callback(found(2))
        assert [line[:7] for line in conversation.heard.split(b"\n")] == (
            [b"one", b"You are", b"two", b"You are", b"three", b"four", b""]
        )
        assert conversation.transport.producerState == "producing"

    def test_endWhileLookingUp(self) -> None:
        """A client that has asked and finished gets all its answers before ours."""
        conversation = Conversation()
        conversation.say(b"whoami\nlast")
        conversation.talk.readConnectionLost()
        assert not conversation.transport.disconnecting
        conversation.asked.pop().callback(found(1))
        assert conversation.heard.endswith(b"nc -v.\nlast\n")
        assert conversation.transport.disconnecting

    def test_asLastWordWithoutAnEnd(self) -> None:
        """An incomplete C{whoami} at the client's end is waited for."""
        conversation = Conversation()
        conversation.say(b"whoami")
        conversation.talk.readConnectionLost()
        assert not conversation.transport.disconnecting
        conversation.asked.pop().callback(found(1))
        assert conversation.heard.endswith(b"nc -v.\n")
        assert conversation.transport.disconnecting

    @pytest.mark.parametrize("fails", [False, True])
    def test_goneWhileLookingUp(self, fails: bool) -> None:
        """What is found for a client that is gone is not told to anybody."""
        conversation = Conversation()
        conversation.say(b"whoami\nmore\n")
        conversation.talk.connectionLost(Failure(ConnectionLost()))
        asked = conversation.asked.pop()
        asked.errback(ZeroDivisionError()) if fails else asked.callback(found(1))
        assert conversation.heard == b""

    def test_cannotBeFound(self) -> None:
        """A look-up that fails is said to have failed, and the conversation goes on."""
        conversation = Conversation()
        conversation.say(b"whoami\nmore\n")
        conversation.asked.pop().errback(OSError("no /proc"))
        assert conversation.heard == b"That cannot be found out now: no /proc\nmore\n"

    def test_raisesAfterwards(self, loggedFailures: Any) -> None:
        """A fault of ours in a later answer is logged as such, and ends the connection."""
        conversation = Conversation()
        conversation.talk._help = lambda: 1 / 0
        conversation.say(b"whoami\nhelp\n")
        conversation.asked.pop().callback(found(1))
        assert len(loggedFailures.flush(ZeroDivisionError)) == 1
        assert conversation.transport.disconnected
        assert b"cannot" not in conversation.heard

    def test_fullWhileLookingUp(self) -> None:
        """A transport that has room again does not let lines overtake the answer."""
        conversation = Conversation()
        conversation.say(b"whoami\nmore\n")
        conversation.talk.pauseProducing()
        conversation.talk.resumeProducing()
        assert conversation.heard == b""
        conversation.talk.pauseProducing()
        conversation.asked.pop().callback(found(1))
        assert conversation.heard.endswith(b"nc -v.\n")
        conversation.talk.resumeProducing()
        assert conversation.heard.endswith(b"nc -v.\nmore\n")

    @pytest.mark.parametrize(
        ("who", "process", "shown"),
        [
            (ME, None, "uid 1000, pid and command unknown"),
            (PeerIdentity(7, 0, 99, "CONNECTED", ""), None, "uid 7, pid 99"),
            (NOBODY, None, "uid unknown (the connection is gone), pid and command unknown"),
        ],
    )
    def test_whatIsNotKnown(self, who: PeerIdentity, process: Any, shown: str) -> None:
        """It is said to be unknown, with the reason."""
        connection = Conversation(who).connection
        assert describePeer(connection, process) == f"You are 127.0.0.1:50000, {shown}."

    def test_unidentifiedAndEnded(self) -> None:
        """A connection that ended before anybody asked has no peer."""
        connection = Conversation().connection
        connection.ended("done")
        assert "uid unknown (the connection has ended)" in describePeer(connection, None)

    def test_nothingToLookFor(self) -> None:
        """Where there is no service or nobody was identified, the answer is there at once."""
        seen: list[Any] = []
        TalkFactory().lookUp(ME).addCallback(seen.append)
        factory = TalkFactory()
        factory.surroundings = Conversation().factory.surroundings
        factory.lookUp(NOBODY).addCallback(seen.append)
        factory.lookUp(None).addCallback(seen.append)
        assert seen == [None, None, None]


class TestBackpressure:
    """A client that asks and does not read."""

    def test_oneAnswerMore(self) -> None:
        """Once the transport is full no line is answered; when it is empty they go on."""
        conversation = Conversation()
        write = conversation.transport.write

        def fills(data: bytes) -> None:
            write(data)
            conversation.talk.pauseProducing()

        conversation.transport.write = fills  # type: ignore[method-assign]
        conversation.say(b"1\n2\n3\n")
        assert conversation.heard == b"1\n"
        assert conversation.transport.producerState == "paused"
        conversation.talk.resumeProducing()
        assert conversation.heard == b"1\n2\n"
        conversation.transport.write = write  # type: ignore[method-assign]
        conversation.talk.resumeProducing()
        assert conversation.heard == b"1\n2\n3\n"
        assert conversation.transport.producerState == "producing"

    def test_endWhileFull(self) -> None:
        """The client's end waits for the lines before it."""
        conversation = Conversation()
        conversation.talk.pauseProducing()
        conversation.say(b"1\n2")
        conversation.talk.readConnectionLost()
        assert conversation.heard == b""
        assert not conversation.transport.disconnecting
        conversation.talk.resumeProducing()
        assert conversation.heard == b"1\n2\n"
        assert conversation.transport.disconnecting

    def test_closedByUsWhileFull(self) -> None:
        """Told to close meanwhile, it lets the transport go when that is empty."""
        conversation = Conversation()
        conversation.talk.pauseProducing()
        conversation.say(b"1\n2\n")
        conversation.transport.loseConnection()
        conversation.talk.resumeProducing()
        assert conversation.heard == b""
        assert conversation.transport.producer is None

    def test_closedByUsWhileLookingUp(self) -> None:
        """The answer to a connection that is being closed disturbs nothing."""
        conversation = Conversation()
        conversation.say(b"whoami\n1\n")
        conversation.transport.loseConnection()
        conversation.asked.pop().callback(found(1))
        assert conversation.heard.count(b"\n") <= 1


LINES = st.lists(
    st.sampled_from([b"help\n", b"x\n", b"whoami\n", b"\r\n", b"echo y\r\n", b"\x00", b"stats\n"])
)


@given(LINES, st.data())
def test_answersDoNotDependOnPieces(lines: list[bytes], data: st.DataObject) -> None:
    """However it is split, and however late processes are found, the answers are the same."""

    def answers(pieces: list[bytes], late: bool) -> bytes:
        conversation = Conversation()
        for piece in pieces:
            conversation.say(piece)
            if not late and conversation.asked:
                conversation.asked.pop().callback(found(1))
        conversation.talk.readConnectionLost()
        while conversation.asked:
            conversation.asked.pop().callback(found(1))
        assert conversation.transport.disconnecting
        conversation.talk.connectionLost(Failure(ConnectionDone()))
        return conversation.heard

    whole = b"".join(lines)
    pieces = []
    rest = whole
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        pieces.append(rest[:size])
        rest = rest[size:]
    assert answers([whole] if whole else [], True) == answers(pieces, False)


@pytest_twisted.ensureDeferred
async def test_whoamiOfThisProcess() -> None:
    """Over TCP and asked of the kernel: our uid, pid and command; also after our end."""
    async with serving(reactor, "talk") as loopback:
        client = await connect(reactor, loopback)
        transport: Any = client.transport
        us = f"127.0.0.1:{transport.getHost().port}, uid {os.geteuid()}, pid {os.getpid()}, "
        transport.write(b"whoami\nhelp\n")
        transport.loseWriteConnection()
        heard = await client.finished
        answer, _, rest = heard.split(b"\n", 2)[2].partition(b"\n")
        assert answer.startswith(f"You are {us}command ".encode())
        assert rest.startswith(b"help ")
        assert rest.endswith(b"Anything else comes back as it is.\n")


@pytest_twisted.ensureDeferred
async def test_whoamiOnAUnixSocket(tmp_path: Any) -> None:
    """A unix peer has no address, but a pid at once."""
    async with serving(reactor, "talk", endpoint=f"unix:{tmp_path}/s") as loopback:
        heard = await converse(reactor, loopback, b"whoami")
        where = f"You are unix, uid {os.geteuid()}, pid {os.getpid()}, command "
        assert heard.splitlines()[2].startswith(where.encode())
        assert heard.startswith(f"Hello from {tmp_path}/s!\n".encode())


async def flood(client: socket.socket, data: bytes) -> int:
    """Send the data over and over without reading, until nothing moves; how much was sent."""
    client.setblocking(False)
    sent = quiet = 0
    while quiet < 20:
        try:
            sent += client.send(data[sent % len(data) :] + data)
            quiet = 0
        except BlockingIOError:
            quiet += 1
        await deferLater(reactor, 0, lambda: None)
    client.settimeout(10)
    return sent


def small(loopback: Any) -> socket.socket:
    """A connected client whose kernel buffers are small."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
    host: Any = addressOf(loopback)
    client.connect((host.host, host.port))
    return client


@pytest_twisted.ensureDeferred
async def test_aClientThatAsksAndDoesNotRead() -> None:
    """It stops being read: what waits for it is the transport's buffer and one answer at most."""
    async with serving(reactor, "talk") as loopback:
        with small(loopback) as client:
            sent = await flood(client, b"help\n" * 10_000)
            (connection,) = loopback.connections
            transport: Any = connection._transport
            waiting = transport._tempDataLen + len(transport.dataBuffer)
            assert waiting <= 2 * transport.bufferSize
            assert len(transport.protocol._lines) <= transport.bufferSize
            assert connection.bytesReceived < sent
            # Now it reads: every line gets its answer.
            client.shutdown(socket.SHUT_WR)
            heard = await deferToThread(readAll, client)
            # A last "help" needs no line feed; less of it comes back.
            asked, rest = divmod(sent + 1, 5)
            assert heard.count(b"Anything else comes back as it is.\n") == asked
            assert heard.endswith(b"\n" + b"help"[: rest - 1] + b"\n" if rest > 1 else b" is.\n")


@pytest_twisted.ensureDeferred
async def test_hungUpWhileTheClientDoesNotRead() -> None:
    """Told to close, it closes as soon as the client has read what was written."""
    async with serving(reactor, "talk") as loopback:
        with small(loopback) as client:
            await flood(client, b"x" * 8000 + b"\n")
            (connection,) = loopback.connections
            transport: Any = connection._transport
            assert transport.producerPaused
            connection.hangUp()
            assert await deferToThread(readAll, client)
            assert not len(loopback.connections)


def readAll(client: socket.socket) -> bytes:
    """Everything until the end, in a thread; a reset after it is an end."""
    parts = []
    try:
        while part := client.recv(1 << 20):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)
