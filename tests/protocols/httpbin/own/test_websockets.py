"""Tests for L{loopbackd.protocols.httpbin.own.websockets}."""

from __future__ import annotations

import json
from typing import Any

import pytest
from memorysocket import message
from visiting import Visit, ask, request
from wsproto import WSConnection
from wsproto.connection import Connection, ConnectionType
from wsproto.events import AcceptConnection, CloseConnection, Event, Request, TextMessage
from wsproto.extensions import PerMessageDeflate
from wsproto.utilities import RemoteProtocolError

from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.own.websockets import addPlainEcho, makeRoutes
from loopbackd.protocols.httpbin.site import makeSite
from loopbackd.websocket.badframes import BAD_FRAMES
from loopbackd.websocket.badhandshakes import BAD_HANDSHAKES, BadHandshake

UPGRADE = [
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
]


class Opened(Visit):
    """A WebSocket of the test service, in memory."""

    def __init__(self, target: str, *more: tuple[str, str], said: bytes = b"") -> None:
        super().__init__(makeSite())
        self.client = Connection(ConnectionType.CLIENT)
        self.say(request(target, fields=[*UPGRADE, *more]) + said)
        head, _, rest = self.heard.partition(b"\r\n\r\n")
        self.transport.clear()
        self.head = head.decode().split("\r\n")
        assert self.head[0] == "HTTP/1.1 101 Switching Protocols"
        self.socket: Any = None
        self.client.receive_data(rest)

    def send(self, event: Event) -> None:
        """Have the client send that."""
        self.protocol.dataReceived(self.client.send(event))

    @property
    def protocol(self) -> Any:
        """What the transport was handed to."""
        return self.transport.protocol  # type: ignore[attr-defined]

    def hear(self) -> list[Any]:
        """What the client has heard."""
        data = self.transport.value()
        self.transport.clear()
        if data:
            self.client.receive_data(data)
        return list(self.client.events())

    def end(self) -> None:
        """The connection is gone, and no delayed call is left."""
        from twisted.internet.error import ConnectionDone
        from twisted.python.failure import Failure

        self.protocol.connectionLost(Failure(ConnectionDone()))
        assert self.clock.getDelayedCalls() == []


def test_echo() -> None:
    """Also of what came with the request."""
    client = Connection(ConnectionType.CLIENT)
    visit = Opened("/websocket/echo", said=client.send(message("early")))
    assert [one.data for one in visit.hear()] == ["early"]
    visit.send(message("later"))
    assert [one.data for one in visit.hear()] == ["later"]
    visit.end()


@pytest.mark.parametrize(
    ("query", "size", "code"),
    [
        ("", 1000, None),
        ("?max_message_size=10", 10, None),
        ("?max_message_size=10", 11, 1009),
        ("?max_fragment_size=10", 10, None),
        ("?max_fragment_size=10&max_message_size=20", 11, 1009),
    ],
)
def test_limits(query: str, size: int, code: int | None) -> None:
    """Are those of the query."""
    visit = Opened(f"/websocket/echo{query}")
    visit.send(message("x" * size))
    (event,) = visit.hear()
    if code is None:
        assert event.data == "x" * size
    else:
        assert event.code == code
    visit.end()


def test_subprotocols_and_compression() -> None:
    """The first that is offered, or the one the query names; compression unless it says no."""
    offer = ("Sec-WebSocket-Protocol", "a, b")
    deflate = ("Sec-WebSocket-Extensions", "permessage-deflate")
    visit = Opened("/websocket/echo", offer, deflate)
    assert "Sec-WebSocket-Protocol: a" in visit.head
    assert "Sec-WebSocket-Extensions: permessage-deflate" in visit.head
    visit.end()
    visit = Opened("/websocket/echo?subprotocol=b&compress=false", offer, deflate)
    assert "Sec-WebSocket-Protocol: b" in visit.head
    assert not any("Extensions" in line for line in visit.head)
    visit.end()
    visit = Opened("/websocket/echo?subprotocol=c", offer)
    assert not any("Protocol:" in line for line in visit.head)
    visit.end()


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/websocket/echo", 400),
        ("/ws", 400),
        ("/ws/close/1000", 400),
        ("/ws/bad/masked", 400),
        ("/ws/ping", 400),
    ],
)
def test_not_an_upgrade(target: str, status: int) -> None:
    """Is said so."""
    answered = ask(makeSite(), target)
    assert answered.status == status
    assert "Upgrade: websocket" in answered.text.replace("&quot;", '"')


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/websocket/echo?max_message_size=10&max_fragment_size=11", 400),
        ("/websocket/echo?max_message_size=0", 400),
        ("/websocket/echo?max_message_size=16777217", 400),
        ("/websocket/echo?keepalive=0", 400),
        ("/ws?name=", 400),
        (f"/ws?name={'x' * 33}", 400),
        ("/ws/close/999", 400),
        ("/ws/close/1015", 400),
        (f"/ws/close/1000?reason={'x' * 124}", 400),
        ("/ws/close/1000?after=11", 400),
        ("/ws/close/never", 404),
        ("/ws/bad/unheard-of", 400),
        ("/ws/ping?count=0", 400),
    ],
)
def test_what_the_query_must_not_say(target: str, status: int) -> None:
    """Is refused before anything is opened."""
    assert ask(makeSite(), target, fields=UPGRADE).status == status


def test_the_version_is_told() -> None:
    """To a client of another one."""
    fields = [*UPGRADE[:3], ("Sec-WebSocket-Version", "8")]
    answered = ask(makeSite(), "/ws", fields=fields)
    assert (answered.status, answered.get("Sec-WebSocket-Version")) == (426, "13")


def test_chat() -> None:
    """By the name of the query."""
    visit = Opened("/ws?name=ann&room=attic")
    (welcome,) = visit.hear()
    assert json.loads(welcome.data) == {"type": "welcome", "name": "ann", "others": []}
    visit.send(message("hello"))
    (said,) = visit.hear()
    assert json.loads(said.data) == {"type": "message", "name": "ann", "text": "hello"}
    visit.end()


def test_two_tables_share_no_rooms() -> None:
    """What is said in one service is not heard in another."""
    one, other = makeRoutes(), makeRoutes()
    first, second = Visit(one), Visit(other)
    for visit in (first, second):
        visit.say(request("/ws", fields=UPGRADE))
        assert b'"others": []' in visit.heard
    for visit in (first, second):
        visit.transport.protocol.connectionLost()  # type: ignore[attr-defined]


def test_go_httpbins_echo() -> None:
    """Its limits, its defaults, and nothing negotiated."""
    routes = Routes("go", unfitWord=400)
    addPlainEcho(routes, 1000)
    for query, status in (
        ("", 101),
        ("?max_message_size=1000&max_fragment_size=1000", 101),
        ("?max_message_size=1001", 400),
        ("?max_fragment_size=0", 400),
        ("?max_message_size=499", 400),
    ):
        visit = Visit(routes)
        deflate = ("Sec-WebSocket-Extensions", "permessage-deflate")
        visit.say(request(f"/websocket/echo{query}", fields=[*UPGRADE, deflate]))
        assert visit.heard.startswith(b"HTTP/1.1 %d " % status), query
        assert b"permessage" not in visit.heard
        client = Connection(ConnectionType.CLIENT)
        if status == 101:
            visit.transport.clear()
            visit.transport.protocol.dataReceived(client.send(message("x" * 501)))  # type: ignore[attr-defined]
            assert visit.transport.value()[:1] == (b"\x81" if query else b"\x88")
            visit.transport.protocol.connectionLost()  # type: ignore[attr-defined]
        else:
            visit.end()


def test_go_httpbins_echo_is_mounted() -> None:
    """Under its prefix."""
    visit = Opened("/go/websocket/echo")
    visit.send(message("Hello"))
    assert [one.data for one in visit.hear()] == ["Hello"]
    visit.end()


@pytest.mark.parametrize("code", [1000, 3000, 1005])
def test_close(code: int) -> None:
    """With the code and the reason that were asked for."""
    visit = Opened(f"/ws/close/{code}?reason=so")
    visit.clock.advance(0)
    (event,) = visit.hear()
    assert isinstance(event, CloseConnection)
    assert (int(event.code), event.reason) == (code, "" if code == 1005 else "so")
    visit.end()


def test_ping() -> None:
    """Pings, and tells."""
    visit = Opened("/ws/ping?count=1")
    (event,) = visit.hear()
    visit.send(event.response())
    told, _ = visit.hear()
    assert isinstance(told, TextMessage)
    visit.end()


@pytest.mark.parametrize("how", ["masked", "close-999", "reset", "no-close"])
def test_bad(how: str) -> None:
    """By name."""
    visit = Opened(f"/ws/bad/{how}")
    closes = [int(one.code) for one in visit.hear() if isinstance(one, CloseConnection)]
    assert closes == ([] if how in ("reset", "no-close") else [1002])
    assert visit.transport.aborted == (how == "reset")
    visit.end()


def test_all_that_is_bad_is_listed() -> None:
    """With what a client must do."""
    listed = ask(makeSite(), "/ws/bad").json
    assert [one["name"] for one in listed["frames"]] == list(BAD_FRAMES)
    assert {"name", "does", "client", "code", "source"} == set(listed["frames"][0])
    assert [one["name"] for one in listed["handshakes"]] == list(BAD_HANDSHAKES)
    assert not BAD_FRAMES.keys() & BAD_HANDSHAKES.keys()


@pytest.mark.parametrize("bad", BAD_HANDSHAKES.values(), ids=BAD_HANDSHAKES)
def test_bad_handshakes(bad: BadHandshake) -> None:
    """wsproto's client does with each what a right client does."""
    client = WSConnection(ConnectionType.CLIENT)
    asked = client.send(
        Request(host="127.0.0.1", target=f"/ws/bad/{bad.name}", extensions=[PerMessageDeflate()])
    )
    visit = Visit(makeSite())
    visit.say(asked)
    assert visit.heard.startswith(b"HTTP/1.1 101 ")
    problems: list[str] = []
    try:
        client.receive_data(visit.heard)
        opened = [type(event) for event in client.events()] == [AcceptConnection]
    except (RemoteProtocolError, ValueError) as error:
        problems.append(str(error))
        opened = False
    if bad.name == "deflate-parameter":
        # wsproto does not look.
        assert opened
    else:
        assert opened == bad.opens, problems
    visit.transport.protocol.connectionLost()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://page.example", 421),
        ("http://page.example:62893", 421),
        ("https://localhost.page.example", 421),
        ("null", 403),
        ("file://", 403),
        ("chrome-extension://localhost", 403),
        ("http://192.0.2.1", 403),
        ("http://localhost:3000", 101),
        ("https://app.localhost", 101),
        ("http://127.0.0.1:62893", 101),
        ("http://[::1]:3000", 101),
    ],
)
def test_no_page_of_the_web_is_in_the_room(origin: str, status: int) -> None:
    """What is said there is for those on this machine, whatever page a browser has open."""
    host = ("Host", origin.partition("://")[2] if "page" in origin else "127.0.0.1:62893")
    visit = Visit(makeSite())
    visit.say(request("/ws?name=page", fields=[*UPGRADE, ("Origin", origin), host]))
    assert visit.heard.startswith(b"HTTP/1.1 %d " % status)
    if status == 421:
        # Nor under our own name.
        visit = Visit(makeSite())
        visit.say(request("/ws?name=page", fields=[*UPGRADE, ("Origin", origin)]))
        assert visit.heard.startswith(b"HTTP/1.1 403 ")


def test_at_an_address_of_the_network() -> None:
    """A page that is found under the same address is one of ours."""
    visit = Visit(makeSite())
    fields = [*UPGRADE, ("Origin", "http://192.0.2.1:62893"), ("Host", "192.0.2.1:62893")]
    visit.say(request("/ws", fields=fields))
    assert visit.heard.startswith(b"HTTP/1.1 101 ")
