"""Tests for L{loopbackd.websocket.sockets} and L{loopbackd.websocket.connection}."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memorysocket import Talk, masked, message
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.task import Clock
from wsproto.events import CloseConnection, Ping, Pong
from zope.interface.verify import verifyObject

from loopbackd.logs import OncePerSecond
from loopbackd.websocket.connection import PATIENCE, Closed
from loopbackd.websocket.conversations import echo
from loopbackd.websocket.deflate import Deflater, Deflating
from loopbackd.websocket.inbound import SocketLimits
from loopbackd.websocket.sockets import WebSocket

LOG = "loopbackd.websocket"


class Listener:
    """
    An application that takes messages when it is told to.

    @ivar got: what it got, the end last.
    """

    def __init__(self) -> None:
        self.got: list[Any] = []
        self._turn: Deferred[None] = Deferred()

    async def __call__(self, socket: WebSocket) -> None:
        try:
            while True:
                self._turn = Deferred()
                await self._turn
                self.got.append(await socket.receive())
        except Closed as closed:
            self.got.append((closed.code, closed.reason))
            raise

    def take(self) -> None:
        """Take the next one."""
        self._turn.callback(None)


def test_provides_what_it_says() -> None:
    """Its transport asks it."""
    talk = Talk(echo)
    verifyObject(IHalfCloseableProtocol, talk.socket)
    verifyObject(IPushProducer, talk.socket)
    assert talk.transport.producer is talk.socket
    talk.end()


def test_echo_and_the_closing_handshake() -> None:
    """Messages come back as they were; the client's code too, and then our side is closed."""
    talk = Talk(echo)
    talk.send(message("Hello"))
    talk.send(message(b"\x00\xff"))
    talk.send(message("", finished=False))
    talk.send(message("ü"))
    assert talk.messages() == ["Hello", b"\x00\xff", "ü"]
    talk.send(CloseConnection(code=4321, reason="enough"))
    assert talk.closes() == (4321, "")
    assert talk.transport.finished
    assert not talk.transport.disconnecting
    talk.socket.readConnectionLost()
    assert talk.transport.disconnecting
    talk.end()
    assert talk.socket.ended is not None
    assert (talk.socket.ended.code, talk.socket.ended.reason) == (4321, "enough")


def test_a_close_without_a_code_is_answered_by_one() -> None:
    """Section 7.1.5: it is heard as 1005, which nobody sends."""
    talk = Talk(echo)
    talk.say(masked(0x88, b""))
    assert talk.transport.value() == b"\x88\x00"
    talk.end()


def test_a_client_that_stays_after_the_close_is_reset() -> None:
    """It has two seconds."""
    talk = Talk(echo)
    talk.send(CloseConnection(code=1000))
    talk.later(PATIENCE - 0.1)
    assert not talk.transport.aborted
    talk.later(0.1)
    assert talk.transport.aborted
    talk.end()


def test_we_close_and_the_client_answers() -> None:
    """When the application is done it is 1000; what comes until the answer is not heard."""
    listener = Listener()

    async def application(socket: WebSocket) -> None:
        await socket.receive()
        socket.ignoreMessages()
        await listener(socket)

    async def short(socket: WebSocket) -> None:
        await socket.receive()

    talk = Talk(short)
    talk.send(message("done"))
    talk.say(masked(0x81, b"unheard") + masked(0x89, b"?"))
    assert talk.closes() == (1000, "")
    assert not talk.transport.finished
    talk.say(masked(0x88, b"\x03\xe8"))
    assert talk.transport.finished
    assert talk.transport.value() == b""
    talk.end()


def test_a_client_that_does_not_answer_our_close() -> None:
    """Has two seconds, and two more to close."""

    async def leave(socket: WebSocket) -> None:
        socket.close(4000, "bye")
        socket.close(4001)
        with pytest.raises(Closed) as caught:
            await socket.send("late")
        assert (caught.value.code, caught.value.reason) == (4000, "bye")

    talk = Talk(leave)
    assert talk.closes() == (4000, "bye")
    talk.later(PATIENCE)
    assert talk.transport.finished
    assert not talk.transport.aborted
    talk.later(PATIENCE)
    assert talk.transport.aborted
    talk.end()


def test_a_mistake_is_told_and_logged(logged: Callable[[str], Any]) -> None:
    """With the code the RFC gives it; the client may go on sending until it hears of it."""
    lines = logged(LOG)
    talk = Talk(echo)
    talk.say(masked(0x81, b"\xff"))
    code, reason = talk.closes() or (0, "")
    assert code == 1007
    assert "utf-8" in reason
    assert talk.transport.finished
    talk.say(b"more of it" * 1000)
    talk.say(masked(0x88, b"\x03\xef"))
    assert talk.transport.value() == b""
    talk.socket.readConnectionLost()
    assert talk.transport.disconnecting
    talk.end()
    (line,) = lines
    assert "1007" in line


def test_many_mistakes_are_one_line_a_second(logged: Callable[[str], Any]) -> None:
    """Those of a service are counted together."""
    lines = logged(LOG)
    clock = Clock()
    counted = OncePerSecond(clock)
    for _ in range(5):
        talk = Talk(echo, lines=counted)
        talk.say(masked(0x81, b"\xff"))
        talk.end()
    assert len(lines) == 1
    clock.advance(1)
    assert counted.take("wrong") == 4


def test_too_big() -> None:
    """Is 1009."""
    talk = Talk(echo, SocketLimits(maxMessage=10, maxFragment=10))
    talk.send(message("0123456789"))
    assert talk.messages() == ["0123456789"]
    talk.send(message("0123456789x"))
    assert talk.closes() == (1009, "a frame has at most 10 bytes here")
    talk.end()


def test_the_end_of_tcp_is_1006() -> None:
    """What came before it is heard."""
    listener = Listener()
    talk = Talk(listener)
    talk.send(message("first"))
    talk.socket.readConnectionLost()
    listener.take()
    listener.take()
    assert listener.got == ["first", (1006, "")]
    assert talk.transport.disconnecting
    talk.end()


def test_a_client_that_has_finished_gets_its_answers() -> None:
    """A half-close is not the end."""
    waiting: Deferred[None] = Deferred()

    async def slow(socket: WebSocket) -> None:
        async for heard in socket:
            await waiting
            await socket.send(heard)

    talk = Talk(slow)
    talk.send(message("ask"))
    talk.socket.readConnectionLost()
    assert not talk.transport.disconnecting
    waiting.callback(None)
    assert talk.messages() == ["ask"]
    assert talk.transport.disconnecting
    talk.end()


def test_a_client_that_has_finished_is_not_served_for_ever() -> None:
    """An application that does not notice has two seconds."""
    listener = Listener()
    talk = Talk(listener)
    talk.socket.readConnectionLost()
    talk.later(PATIENCE)
    assert talk.transport.disconnecting
    talk.end()


def test_a_reset_is_1006_and_cancels_the_application() -> None:
    """It waits for something that is not the WebSocket; nothing of it is left."""
    cancelled: list[bool] = []

    async def other(socket: WebSocket) -> None:
        try:
            await Deferred(lambda _: cancelled.append(True))
        finally:
            assert socket.ended is not None
            assert socket.ended.code == 1006

    talk = Talk(other)
    talk.end(ConnectionLost())
    assert cancelled == [True]


def test_an_application_that_fails_is_1011(loggedFailures: Any) -> None:
    """And its traceback is in the log."""

    async def broken(socket: WebSocket) -> None:
        await socket.receive()
        raise ZeroDivisionError

    talk = Talk(broken)
    talk.send(message("x"))
    assert talk.closes() == (1011, "")
    talk.end()
    assert len(loggedFailures.flush(ZeroDivisionError)) == 1


def test_an_application_that_fails_at_once(loggedFailures: Any) -> None:
    """Before it has waited for anything."""

    async def broken(socket: WebSocket) -> None:
        raise ZeroDivisionError

    talk = Talk(broken)
    assert talk.closes() == (1011, "")
    talk.end()
    assert len(loggedFailures.flush(ZeroDivisionError)) == 1


def test_a_client_that_does_not_read_is_not_read_from() -> None:
    """One message is in work, and what the transport has; then it is resumed where it was."""
    talk = Talk(echo)
    talk.socket.pauseProducing()
    assert talk.transport.producerState == "paused"
    talk.say(masked(0x81, b"1") + masked(0x89, b"?") + masked(0x81, b"2"))
    assert talk.hear() == []
    talk.socket.resumeProducing()
    assert talk.transport.producerState == "producing"
    heard = talk.hear()
    assert [getattr(one, "data", None) or one.payload for one in heard] == ["1", b"?", "2"]  # type: ignore[attr-defined]
    talk.end()


def test_a_full_transport_holds_the_sender() -> None:
    """A message waits before it is made a frame, not after."""

    async def chatter(socket: WebSocket) -> None:
        for number in range(3):
            await socket.send(f"{number}")
            if number == 0:
                socket.pauseProducing()
                assert not socket.trySend("never")

    talk = Talk(chatter)
    assert talk.messages() == ["0"]
    talk.socket.resumeProducing()
    assert talk.messages() == ["1", "2"]
    talk.end()


def test_who_waits_to_send_hears_of_the_end() -> None:
    """Instead of waiting for ever."""
    ends: list[int] = []

    async def chatter(socket: WebSocket) -> None:
        socket.pauseProducing()
        try:
            await socket.send("never")
        except Closed as closed:
            ends.append(closed.code)

    talk = Talk(chatter)
    talk.end()
    assert ends == [1006]


def test_who_is_closed_from_outside_says_no_more() -> None:
    """The transport does not wait for the end of what the application would say."""

    async def chatter(socket: WebSocket) -> None:
        while True:
            await socket.send("more")
            socket.pauseProducing()

    talk = Talk(chatter)
    talk.transport.loseConnection()
    talk.socket.resumeProducing()
    assert talk.messages() == ["more"]
    assert talk.transport.producer is None
    talk.end()


def test_an_application_that_does_not_take_stops_the_reading() -> None:
    """One message waits; the bytes of one read more are kept, and then no more are read."""
    listener = Listener()
    talk = Talk(listener)
    talk.send(message("1"))
    assert talk.transport.producerState == "producing"
    talk.say(masked(0x81, b"2") + masked(0x88, b""))
    assert talk.transport.producerState == "paused"
    listener.take()
    assert listener.got == ["1"]
    assert talk.transport.producerState == "paused"
    listener.take()
    assert listener.got == ["1", "2"]
    assert talk.closes() is None
    listener.take()
    assert listener.got == ["1", "2", (1005, "")]
    talk.end()


def test_many_frames_in_one_read_take_turns() -> None:
    """Others are served between them, and the order is kept."""
    talk = Talk(echo)
    talk.say(b"".join(masked(0x81, b"%d" % number) for number in range(250)))
    first = talk.messages()
    assert 50 < len(first) < 150
    talk.say(masked(0x81, b"250"))
    assert talk.transport.producerState == "paused"
    rest: list[str | bytes] = []
    for _ in range(3):
        talk.clock.advance(0)
        rest += talk.messages()
    assert first + rest == [f"{number}" for number in range(251)]
    assert talk.transport.producerState == "producing"
    talk.end()


def bomb(size: int = 1 << 24) -> bytes:
    """So many zeros, as a compressed message."""
    return masked(0xC2, Deflater(Deflating()).deflate(bytes(size)))


def test_a_bomb_takes_turns() -> None:
    """Sixteen megabytes are echoed in many small steps, and nobody has all of them in memory."""
    talk = Talk(echo, deflating=Deflating())
    said = bomb() + masked(0x81, b"next")
    tracemalloc.start()
    try:
        talk.say(said)
        turns = 0
        while talk.clock.calls:
            call = talk.clock.calls.pop(0)
            call.called = 1
            call.func()
            turns += 1
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert turns > 50
    assert most < 2 << 20
    assert talk.messages() == [bytes(1 << 24), "next"]
    talk.end()


@pytest.mark.parametrize("steps", range(6))
def test_a_bomb_whose_connection_is_lost(steps: int) -> None:
    """Nothing of it waits for a turn any more."""
    talk = Talk(echo, deflating=Deflating())
    talk.say(bomb())
    for _ in range(steps):
        call = talk.clock.calls.pop(0)
        call.called = 1
        call.func()
    talk.end()


def test_a_bomb_for_one_that_wants_messages() -> None:
    """Comes as a whole."""
    listener = Listener()
    talk = Talk(listener, deflating=Deflating())
    listener.take()
    talk.say(bomb(1 << 20))
    assert listener.got == []
    talk.clock.advance(0)
    assert listener.got == [bytes(1 << 20)]
    talk.end()


def test_a_client_that_does_not_read_has_one_piece_at_most() -> None:
    """What it sent stays as small as it was."""
    talk = Talk(echo, deflating=Deflating())
    talk.socket.pauseProducing()
    said = bomb() + bomb()
    tracemalloc.start()
    try:
        talk.say(said)
        talk.clock.advance(1)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1 << 19
    assert talk.transport.producerState == "paused"
    talk.socket.resumeProducing()
    talk.clock.advance(1)
    assert talk.messages() == [bytes(1 << 24)] * 2
    talk.end()


def test_who_sends_meanwhile_waits() -> None:
    """Until a big message is compressed and sent; what it says is not in the midst of that."""

    async def chatter(socket: WebSocket) -> None:
        big = Deferred.fromCoroutine(socket.send(bytes(1 << 20)))
        assert not socket.trySend("never")
        await socket.send("small")
        await big

    talk = Talk(chatter, deflating=Deflating())
    assert talk.messages() == []
    talk.clock.advance(0)
    assert talk.messages() == [bytes(1 << 20), "small"]
    talk.end()


def test_try_to_send_what_is_big() -> None:
    """It is sent at once."""

    async def chatter(socket: WebSocket) -> None:
        assert socket.trySend(bytes(1 << 20))

    talk = Talk(chatter, deflating=Deflating())
    assert talk.messages() == [bytes(1 << 20)]
    talk.end()


def test_pings_are_answered_inside_messages() -> None:
    """With what they carry."""
    talk = Talk(echo)
    talk.say(masked(0x01, b"He") + masked(0x89, b"?" * 125) + masked(0x80, b"llo"))
    assert talk.pongs() == [b"?" * 125]
    talk.end()


def test_a_ping_of_ours_waits_for_its_pong() -> None:
    """A pong answers the pings before it, too; other pongs answer nothing."""
    answered: list[str] = []

    async def pinging(socket: WebSocket) -> None:
        first = Deferred.fromCoroutine(socket.ping(b"1"))
        first.addCallback(lambda _: answered.append("1"))
        with pytest.raises(ValueError, match="on its way"):
            await socket.ping(b"1")
        with pytest.raises(ValueError, match="at most 125"):
            await socket.ping(bytes(126))
        await socket.ping(b"2")
        answered.append("2")
        await socket.ping(b"3")

    talk = Talk(pinging)
    assert [one.payload for one in talk.hear()] == [b"1", b"2"]  # type: ignore[attr-defined]
    talk.send(Pong(payload=b"other"))
    assert answered == []
    talk.send(Pong(payload=b"2"))
    assert answered == ["1", "2"]
    talk.end()


def test_keepalive() -> None:
    """A silent client is pinged, and reset when it stays silent; one we do not read is not."""
    talk = Talk(echo, SocketLimits(keepalive=5))
    talk.later(5)
    assert talk.hear() == [Ping(payload=b"")]
    talk.send(Pong(payload=b""))
    talk.later(5)
    assert talk.hear() == []
    talk.socket.pauseProducing()
    talk.later(30)
    assert talk.hear() == []
    assert not talk.transport.aborted
    talk.socket.resumeProducing()
    talk.later(15)
    assert talk.transport.aborted
    talk.end()


def test_only_one_can_wait_for_a_message(loggedFailures: Any) -> None:
    """Two would not know who gets which; and who stops waiting loses none."""

    async def two(socket: WebSocket) -> None:
        first = Deferred.fromCoroutine(socket.receive())
        with pytest.raises(RuntimeError, match="somebody else"):
            await socket.receive()
        first.addErrback(lambda _: None)
        first.cancel()
        await socket.send(await socket.receive())

    talk = Talk(two)
    talk.send(message("x"))
    assert talk.messages() == ["x"]
    talk.end()


def test_raw_bytes_hanging_up_and_resetting() -> None:
    """What an application needs to be wrong on purpose."""

    async def rude(socket: WebSocket) -> None:
        socket.raw(b"\xff\xff")
        socket.hangUp()
        with pytest.raises(Closed):
            socket.raw(b"more")

    talk = Talk(rude)
    assert talk.transport.value() == b"\xff\xff"
    assert talk.transport.finished
    talk.end()

    async def ruder(socket: WebSocket) -> None:
        socket.reset()
        with pytest.raises(Closed):
            await socket.send("more")

    talk = Talk(ruder)
    assert talk.transport.aborted
    assert not talk.transport.finished
    talk.end()


@given(
    st.lists(st.text(max_size=50) | st.binary(max_size=50), max_size=8),
    st.none() | st.builds(Deflating, st.integers(9, 15), st.booleans(), st.booleans()),
    st.randoms(),
)
def test_any_conversation(
    messages: list[str | bytes], deflating: Deflating | None, chance: random.Random
) -> None:
    """Whatever is said, in whatever pieces, compressed or not, comes back."""
    talk = Talk(echo, deflating=deflating)
    for one in messages:
        if deflating is not None and not one:
            # wsproto deflates nothing to nothing, which is no deflate stream.
            continue
        talk.say(talk.client.send(message(one)), chance)
    assert talk.messages() == [one for one in messages if one or deflating is None]
    talk.end()


@given(st.binary(max_size=300), st.randoms(), st.booleans())
def test_any_bytes(data: bytes, chance: random.Random, finishes: bool) -> None:
    """Nothing is raised, and nothing is left behind."""
    talk = Talk(echo, SocketLimits(100, 50), Deflating())
    talk.say(data, chance)
    if finishes:
        talk.socket.readConnectionLost()
    talk.clock.advance(0)
    talk.hear()
    talk.end()
