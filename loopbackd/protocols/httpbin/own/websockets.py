"""WebSockets to talk to: echo, a chat, and what goes wrong on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from msgspec import Meta

from loopbackd.http.errors import HTTPError
from loopbackd.http.guarding import refuseForeignNames, refuseForeignPages
from loopbackd.http.messages import Request, Response, SwitchProtocols
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.dialect import answerJSON
from loopbackd.websocket.badframes import BAD_FRAMES, BadFrames
from loopbackd.websocket.badhandshakes import BAD_HANDSHAKES, BadHandshake
from loopbackd.websocket.chat import Rooms
from loopbackd.websocket.conversations import closeWith, echo, misbehave, ping
from loopbackd.websocket.frames import closeFrame
from loopbackd.websocket.inbound import SocketLimits
from loopbackd.websocket.opening import openSocket

MOST: Final = 1 << 24
"""Bytes that a message may have, whatever the query says."""

_CHAT: Final = SocketLimits(maxMessage=1 << 16, maxFragment=1 << 16, keepalive=30.0)
_WEBSOCKET: Final = "WebSocket"
_OPENS: Final = {400: "not an upgrade to a WebSocket", 426: "not its version 13"}

if TYPE_CHECKING:
    How = str
else:
    How = Literal[tuple(BAD_HANDSHAKES | BAD_FRAMES)]

Size = Annotated[int, Meta(ge=1, le=MOST)]
Name = Annotated[str, Meta(min_length=1, max_length=32)]
Seconds = Annotated[float, Meta(ge=0, le=10)]


def addPlainEcho(routes: Routes, most: int) -> None:
    """
    Give a table go-httpbin's C{/websocket/echo}: no compression, no subprotocols.

    @param most: bytes that a message may have, whatever the query says.
    """
    Bytes = Annotated[int, Meta(ge=1, le=most)]

    def echoes(
        request: Request, *, max_fragment_size: int = most // 2, max_message_size: int = most
    ) -> SwitchProtocols:
        """Every message comes back; one that is too big closes with 1009."""
        return _openEcho(request, max_message_size, max_fragment_size)

    # The bound is known here only, where annotations in words cannot see it.
    echoes.__annotations__ |= {"max_fragment_size": Bytes, "max_message_size": Bytes}
    example = "/websocket/echo?max_message_size=1024&max_fragment_size=512"
    routes.add(
        "/websocket/echo",
        group=_WEBSOCKET,
        example=example,
        usual=101,
        answers=_OPENS,
        produces=[],
    )(echoes)


def _described(bad: BadFrames | BadHandshake) -> dict[str, Any]:
    return {"name": bad.name, "does": bad.does, "client": bad.rightly, "source": bad.source}


def _openEcho(
    request: Request,
    message: int,
    fragment: int,
    *,
    keepalive: float | None = None,
    subprotocols: Sequence[str] | None = (),
    compress: bool = False,
) -> SwitchProtocols:
    if fragment > message:
        raise HTTPError(
            400,
            f"max_fragment_size = {fragment}: it must not be more than"
            f" max_message_size = {message}",
        )
    limits = SocketLimits(message, fragment, keepalive)
    return openSocket(request, echo, limits=limits, subprotocols=subprotocols, compress=compress)


def makeRoutes() -> Routes:
    """The table; what is said in its rooms is heard in no other's."""
    routes = Routes("WebSockets")
    _addEcho(routes)
    _addChat(routes)
    _addEnds(routes)
    _addBad(routes)
    return routes


def _addEcho(routes: Routes) -> None:
    @routes.add(
        "/websocket/echo",
        group=_WEBSOCKET,
        example="/websocket/echo?max_message_size=1024&max_fragment_size=512",
        usual=101,
        answers=_OPENS,
        produces=[],
    )
    def echoes(
        request: Request,
        *,
        max_message_size: Size = MOST,
        max_fragment_size: Size | None = None,
        subprotocol: str | None = None,
        compress: bool = True,
        keepalive: Annotated[float, Meta(ge=0.1)] | None = None,
    ) -> SwitchProtocols:
        """
        Every message comes back as it was; one that is too big closes with 1009.

        Of the subprotocols offered, the first is taken, or the one the query names.
        """
        fragment = max_message_size if max_fragment_size is None else max_fragment_size
        return _openEcho(
            request,
            max_message_size,
            fragment,
            keepalive=keepalive,
            subprotocols=None if subprotocol is None else [subprotocol],
            compress=compress,
        )


def _addChat(routes: Routes) -> None:
    rooms = Rooms()

    @routes.add(
        "/ws",
        group=_WEBSOCKET,
        example="/ws?name=me",
        usual=101,
        answers=_OPENS
        | {403: "a page of another machine's asks", 421: "Host is not a name of this machine"},
        produces=[],
        reads={"Origin": "the page that asks; it must be this machine's"},
    )
    def chat(request: Request, *, room: Name = "lobby", name: Name = "guest") -> SwitchProtocols:
        """
        A room where all clients hear each other: send text, hear JSON.

        A client that does not read what others say is closed with 1013.  What is said is for those
        on this machine: a page of the web cannot come in, as the field Origin tells.
        """
        refuseForeignNames(request)
        refuseForeignPages(request)
        # Compressed for each of a thousand members, a message would take seconds.
        talk = partial(rooms.chat, room=room, name=name)
        return openSocket(request, talk, limits=_CHAT, compress=False)


def _addEnds(routes: Routes) -> None:
    @routes.add(
        "/ws/close/{code}",
        group=_WEBSOCKET,
        example="/ws/close/4000?reason=enough&after=1",
        usual=101,
        answers=_OPENS,
        produces=[],
    )
    def closes(
        request: Request, code: int, *, reason: str = "", after: Seconds = 0.0
    ) -> SwitchProtocols:
        """
        A WebSocket that is closed with that code, after some seconds.

        1005 is a close frame without a code, 1006 the end of the connection without a close frame;
        for what a close frame must not say see /ws/bad.
        """
        if code not in (1005, 1006):
            try:
                closeFrame(code, reason)
            except ValueError as error:
                raise HTTPError(400, str(error)) from None
        return openSocket(request, lambda socket: closeWith(socket, code, reason, after))

    @routes.add(
        "/ws/ping",
        group=_WEBSOCKET,
        example="/ws/ping?count=3&interval=1",
        usual=101,
        answers=_OPENS,
        produces=[],
    )
    def pings(
        request: Request, *, count: Annotated[int, Meta(ge=1, le=100)] = 3, interval: Seconds = 1.0
    ) -> SwitchProtocols:
        """A WebSocket that pings you, and tells how long each of your pongs took."""
        limits = SocketLimits(keepalive=10.0)
        return openSocket(request, lambda socket: ping(socket, count, interval), limits=limits)


def _addBad(routes: Routes) -> None:
    @routes.add(
        "/ws/bad/{how}",
        group=_WEBSOCKET,
        example="/ws/bad/masked",
        usual=101,
        answers=_OPENS,
        produces=[],
        unruly="what is sent is wrong on purpose",
    )
    def bad(request: Request, how: How) -> SwitchProtocols:
        """A WebSocket that does something wrong; /ws/bad lists what there is."""
        handshake = BAD_HANDSHAKES.get(how)
        if handshake is None:
            return openSocket(request, lambda socket: misbehave(socket, BAD_FRAMES[how]))
        answer = openSocket(request, echo, compress=False)
        answer.fields = handshake.change(answer.fields)
        return answer

    @routes.add("/ws/bad", group=_WEBSOCKET, example="/ws/bad")
    def listed(request: Request) -> Response:
        """What can go wrong on a WebSocket, and what a right client makes of each."""
        frames = [{**_described(one), "code": one.code} for one in BAD_FRAMES.values()]
        handshakes = [{**_described(one), "opens": one.opens} for one in BAD_HANDSHAKES.values()]
        return answerJSON({"frames": frames, "handshakes": handshakes})
