"""Toxics on whatever a service speaks: what is said stays the same, and comes later."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from suffering import serving, toxic
from twisted.internet.threads import deferToThread
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Request

from loopbackd.service import Loopback
from loopbackd.settings import TLSSettings

WAY = 60
"""Milliseconds that latency adds, each way."""


class Echoing:
    """What is said comes back."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client

    def ask(self) -> None:
        said = os.urandom(3000)
        self.client.sendall(said)
        assert self.hear(len(said)) == said

    def hear(self, size: int) -> bytes:
        heard = b""
        while len(heard) < size:
            part = self.client.recv(size - len(heard))
            assert part
            heard += part
        return heard

    def leave(self) -> None:
        if isinstance(self.client, ssl.SSLSocket):
            self.client.unwrap()  # close_notify, and the other one's
        else:
            self.client.shutdown(socket.SHUT_WR)
        assert self.client.recv(1) == b""


class Talking(Echoing):
    """A conversation in lines, begun with a greeting."""

    def __init__(self, client: socket.socket) -> None:
        super().__init__(client)
        self.lines = client.makefile("rb")
        assert self.lines.readline()

    def ask(self) -> None:
        word = os.urandom(20).hex().encode()
        self.client.sendall(b"echo " + word + b"\n")
        while (line := self.lines.readline().strip()) != word:
            assert line or not self.lines.closed

    def leave(self) -> None:
        self.client.sendall(b"quit\n")
        assert self.lines.read()
        self.lines.close()


class Requesting:
    """Requests on one connection that is kept."""

    def __init__(self, client: socket.socket) -> None:
        self.http = http.client.HTTPConnection("127.0.0.1")
        self.http.sock = client

    def ask(self) -> None:
        said = os.urandom(500).hex()
        self.http.request("POST", "/post", said, {"Content-Type": "text/plain"})
        answer = self.http.getresponse()
        assert answer.status == 200
        assert json.loads(answer.read())["data"] == said
        assert self.http.sock is not None, "the connection was not kept"

    def leave(self) -> None:
        self.http.request("GET", "/get", headers={"Connection": "close"})
        assert self.http.getresponse().read()


class WebSocketing:
    """Messages that come back."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.ws = WSConnection(ConnectionType.CLIENT)
        client.sendall(self.ws.send(Request("127.0.0.1", "/websocket/echo")))
        assert isinstance(self.next(), AcceptConnection)

    def next(self) -> Any:
        while True:
            for event in self.ws.events():
                return event
            part = self.client.recv(65536)
            assert part
            self.ws.receive_data(part)

    def ask(self) -> None:
        said = os.urandom(5000)
        self.client.sendall(self.ws.send(BytesMessage(said)))
        heard = b""
        while len(heard) < len(said):
            heard += self.next().data
        assert heard == said

    def leave(self) -> None:
        self.client.sendall(self.ws.send(CloseConnection(1000)))
        assert isinstance(self.next(), CloseConnection)


@dataclass
class Case:
    """A service, and who talks to it."""

    protocol: str
    session: Callable[[socket.socket], Any]
    secure: bool = False
    others: dict[str, Any] = field(default_factory=dict)
    unix: bool = False

    def settings(self, directory: Path) -> dict[str, Any]:
        endpoint = {"endpoint": f"unix:{directory}/s"} if self.unix else {}
        return {"protocol": self.protocol, **endpoint, **self.others}

    def connect(self, loopback: Loopback) -> Any:
        """A session, begun; in a thread."""
        address: Any = loopback.addresses["main"][0]
        if self.unix:
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(20)
            client.connect(address.name)
        else:
            client = socket.create_connection((address.host, address.port), 20)
        if self.secure:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            client = context.wrap_socket(client, server_hostname="localhost")
        return self.session(client), client


TLS = {"tls": TLSSettings()}
CASES = {
    "echo": Case("echo", Echoing),
    "talk": Case("talk", Talking),
    "http": Case("http", Requesting),
    "websocket": Case("http", WebSocketing),
    "tls": Case("echo", Echoing, True, TLS),
    "tls-talk": Case("talk", Talking, True, TLS),
    "auto-http": Case("auto", Requesting),
    "auto-tls-http": Case("auto", Requesting, True),
    "auto-tls-websocket": Case("auto", WebSocketing, True),
    "auto-silent": Case("auto", Talking),
    "unix": Case("echo", Echoing, unix=True),
    "unix-http": Case("http", Requesting, unix=True),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def timed(ask: Callable[[], object]) -> float:
    began = time.monotonic()
    ask()
    return time.monotonic() - began


@pytest_twisted.ensureDeferred
async def test_latency_comes_and_goes(case: Case, tmp_path: Path) -> None:
    """A live connection is slow while the toxics are there, both ways, and right all the time."""
    async with serving(**case.settings(tmp_path)) as loopback:
        toxics = loopback.live("main").toxics
        session, client = await deferToThread(case.connect, loopback)
        with client:
            await deferToThread(timed, session.ask)
            for stream in ("upstream", "downstream"):
                toxics.add(toxic("latency", latency=WAY, stream=stream))
            assert await deferToThread(timed, session.ask) > 1.9 * WAY / 1e3
            toxics.remove("latency_upstream")
            assert await deferToThread(timed, session.ask) > 0.9 * WAY / 1e3
            toxics.clear()
            (connection,) = loopback.connections
            assert connection.transport.wire is None
            assert min([await deferToThread(timed, session.ask) for _ in range(5)]) < WAY / 1e3
            await deferToThread(session.leave)


@pytest_twisted.ensureDeferred
async def test_from_the_first_byte(case: Case, tmp_path: Path) -> None:
    """A connection begins, goes on and ends in slices, late, both ways: handshakes too."""
    toxics = [
        toxic(type, stream=stream, **attributes)
        for stream in ("upstream", "downstream")
        for type, attributes in (
            ("slicer", {"average_size": 97, "size_variation": 50}),
            ("latency", {"latency": 10, "jitter": 5}),
        )
    ]
    async with serving(*toxics, **case.settings(tmp_path)) as loopback:
        session, client = await deferToThread(case.connect, loopback)
        with client:
            for _ in range(3):
                assert await deferToThread(timed, session.ask) > 0.009
            await deferToThread(session.leave)


@pytest_twisted.ensureDeferred
async def test_loss_and_profile(case: Case, tmp_path: Path) -> None:
    """On a network that loses segments all is right in the end."""
    lossy = [
        toxic("loss", rate=0.2, seed=seed, stream=stream)
        for seed, stream in enumerate(("upstream", "downstream"), 4)
    ]
    async with serving(*lossy, profile="wifi", **case.settings(tmp_path)) as loopback:
        session, client = await deferToThread(case.connect, loopback)
        with client:
            await deferToThread(session.ask)
            await deferToThread(session.leave)


@pytest_twisted.ensureDeferred
async def test_slow_open(case: Case, tmp_path: Path) -> None:
    """A connection that begins late is right from then on, whoever speaks first."""
    async with serving(toxic("slow_open", delay=100), **case.settings(tmp_path)) as loopback:
        session, client = await deferToThread(case.connect, loopback)
        with client:
            await deferToThread(session.ask)
            (connection,) = loopback.connections
            assert connection.transport.wire is None
            await deferToThread(session.leave)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "attributes",
    [
        ("latency", {"latency": 20, "jitter": 10}),
        ("slicer", {"average_size": 7}),
        ("bandwidth", {"rate": 200}),
        ("duplicate", {}),
        ("corrupt", {}),
    ],
    ids=lambda one: one[0],
)
async def test_pipelining(attributes: tuple[str, dict[str, Any]]) -> None:
    """Requests sent at once are answered in order, through any toxic on both ways."""
    type, how = attributes
    toxics = [toxic(type, stream=stream, **how) for stream in ("upstream", "downstream")]
    async with serving(*toxics, protocol="http") as loopback:

        def talk() -> None:
            address: Any = loopback.addresses["main"][0]
            with socket.create_connection((address.host, address.port), 20) as client:
                asked = b"".join(
                    b"GET /anything/%d HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % one
                    for one in range(50)
                )
                client.sendall(asked)
                client.shutdown(socket.SHUT_WR)
                heard = b""
                while part := client.recv(65536):
                    heard += part
            answers = heard.split(b"HTTP/1.1 200 OK\r\n")[1:]
            assert len(answers) == 50
            for number, answer in enumerate(answers):
                body = json.loads(answer.partition(b"\r\n\r\n")[2])
                assert body["url"].endswith(f"/anything/{number}")

        await deferToThread(talk)
