"""WebSocket clients that nobody here wrote: websockets and aiohttp, over TLS too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from programs import Served

from loopbackd.websocket.badframes import BAD_FRAMES, BadFrames, Ending
from loopbackd.websocket.badhandshakes import BAD_HANDSHAKES, BadHandshake

Module = Callable[[str], Any]
SCHEMES = pytest.mark.parametrize("scheme", ["ws", "wss"])
NOTICED = [bad for bad in BAD_FRAMES.values() if bad.ending is Ending.WAIT and bad.code is not None]
# Where this client does not do what we say a right one does: it takes lengths in too many bytes,
# looks at a limit of its own first, and has another word for what cannot be inflated.
OTHERWISE = {
    "long-length-16": 1000,
    "long-length-64": 1000,
    "negative-length": 1009,
    "not-deflated": 1002,
}


class Websockets:
    """The client that is called so, in its blocking kind."""

    def __init__(self, module: Module, served: Served) -> None:
        self._connect = module("websockets.sync.client").connect
        self.exceptions = module("websockets.exceptions")
        self._served = served

    def connect(self, path: str, scheme: str = "ws", **others: Any) -> Any:
        """A connection, to be used in a C{with} statement."""
        if scheme == "wss":
            others["ssl"] = self._served.trusting
        return self._connect(self._served.url(path, scheme), proxy=None, **others)


@pytest.fixture
def websockets(module: Module, served: Served) -> Websockets:
    """The client."""
    module("websockets")
    return Websockets(module, served)


@SCHEMES
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_echo(websockets: Websockets, scheme: str, compression: str | None) -> None:
    """Text and binary, small and large, in one frame and in many."""
    with websockets.connect(
        "/websocket/echo", scheme, compression=compression, max_size=None
    ) as socket:
        for message in ("", "é" * 100_000, b"", bytes(range(256)) * 8000):
            socket.send(message)
            assert socket.recv(10) == message
        socket.send(f"{number}," for number in range(500))
        assert socket.recv(10) == "".join(f"{number}," for number in range(500))
        assert socket.ping().wait(10)


@SCHEMES
def test_close_codes(websockets: Websockets, scheme: str) -> None:
    """Are those that were asked for, and so is the reason; ours comes back to us."""
    for code, reason in ((1000, ""), (1001, "so"), (3000, "é"), (4999, "x" * 123)):
        with websockets.connect(f"/ws/close/{code}?reason={reason}", scheme) as socket:
            with pytest.raises(websockets.exceptions.ConnectionClosed) as caught:
                socket.recv(10)
            assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (code, reason)
    for code in (1005, 1006):
        with websockets.connect(f"/ws/close/{code}", scheme) as socket:
            with pytest.raises(websockets.exceptions.ConnectionClosed):
                socket.recv(10)
            assert socket.close_code == code
    with websockets.connect("/websocket/echo", scheme) as socket:
        socket.close(4321, "enough")
        assert socket.close_code == 4321


def test_subprotocols(websockets: Websockets) -> None:
    """The first that is offered."""
    with websockets.connect("/websocket/echo", subprotocols=["soap", "wamp"]) as socket:
        assert socket.subprotocol == "soap"


@pytest.mark.parametrize("bad", NOTICED, ids=[bad.name for bad in NOTICED])
def test_what_is_wrong_is_noticed(websockets: Websockets, bad: BadFrames) -> None:
    """And told with the code that we say a right client uses."""
    with websockets.connect(f"/ws/bad/{bad.name}") as socket:
        with pytest.raises(websockets.exceptions.ConnectionClosed) as caught:
            while True:
                socket.recv(10)
        assert caught.value.sent.code == OTHERWISE.get(bad.name, bad.code)


def test_pings(websockets: Websockets) -> None:
    """Their pongs are timed."""
    with websockets.connect("/ws/ping?count=2&interval=0") as socket:
        found = [json.loads(socket.recv(10)) for _ in range(2)]
    assert [one["ping"] for one in found] == [1, 2]
    assert all(0 <= one["seconds"] < 5 for one in found)


@SCHEMES
def test_chat_by_aiohttp(module: Module, served: Served, scheme: str) -> None:
    """Two clients in a room."""
    aiohttp = module("aiohttp")

    async def talk() -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(
                served.url(f"/ws?name=ann&room={scheme}", scheme), ssl=served.trusting
            ) as ann,
        ):
            assert (await ann.receive_json(timeout=10))["type"] == "welcome"
            async with session.ws_connect(
                served.url(f"/ws?name=bob&room={scheme}", scheme), ssl=served.trusting, compress=15
            ) as bob:
                assert await bob.receive_json(timeout=10) == {
                    "type": "welcome",
                    "name": "bob",
                    "others": ["ann"],
                }
                assert await ann.receive_json(timeout=10) == {"type": "join", "name": "bob"}
                await bob.send_str("grüß dich")
                said = {"type": "message", "name": "bob", "text": "grüß dich"}
                assert await bob.receive_json(timeout=10) == said
                assert await ann.receive_json(timeout=10) == said
            assert await ann.receive_json(timeout=10) == {"type": "leave", "name": "bob"}

    asyncio.run(talk())


def test_a_plain_request_is_told_what_it_lacks(module: Module, served: Served) -> None:
    """By 400, and a wrong version by 426."""
    httpx = module("httpx")
    assert httpx.get(served.url("/ws"), trust_env=False).status_code == 400
    fields = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "12",
    }
    answer = httpx.get(served.url("/ws"), headers=fields, trust_env=False)
    assert (answer.status_code, answer.headers["Sec-WebSocket-Version"]) == (426, "13")


@pytest.mark.parametrize("bad", BAD_HANDSHAKES.values(), ids=BAD_HANDSHAKES)
def test_bad_handshakes(websockets: Websockets, bad: BadHandshake) -> None:
    """What must not be taken is not, and what is right is."""
    try:
        with websockets.connect(f"/ws/bad/{bad.name}") as socket:
            socket.send("Hello")
            opened = socket.recv(10) == "Hello"
    except websockets.exceptions.InvalidHandshake:
        opened = False
    assert opened == bad.opens
