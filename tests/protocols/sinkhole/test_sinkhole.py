"""Tests for L{loopbackd.protocols.sinkhole}: those who ask, in memory and for real."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
import pytest_twisted
from asuser import STRANGER
from hypothesis import given
from hypothesis import strategies as st
from reactorinmemory import Visitor, served
from running import Running, connected, heard
from twisted.internet import reactor as realReactor
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread

from loopbackd.protocols.sinkhole.answers import answerFor
from loopbackd.protocols.sinkhole.asking import MOST_LINES, Lines
from loopbackd.protocols.sinkhole.encrypted import UNRECOGNIZED_NAME
from loopbackd.protocols.sinkhole.factory import SinkholeFactory
from loopbackd.protocols.sinkhole.rules import Decision
from loopbackd.testing import addressOf, connect, converse, serving

reactor: Any = realReactor
RULES = [
    {"host": "*.ads.example", "answer": "204"},
    {"host": "*.reset.example", "answer": "reset"},
    {"host": "*.close.example", "answer": "close"},
]
HEAD = (
    b"X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
    b"Content-Security-Policy: default-src 'none'\r\n"
)


@pytest.fixture
def lines(logged: Callable[[str], Any]) -> Any:
    """What it logs."""
    return logged("loopbackd.protocols.sinkhole")


def hello(name: bytes) -> bytes:
    """A ClientHello for a name."""
    sni = b"\0" + len(name).to_bytes(2, "big") + name
    listed = len(sni).to_bytes(2, "big") + sni
    extension = b"\0\0" + len(listed).to_bytes(2, "big") + listed
    body = b"\3\3" + bytes(32) + b"\0\0\2\x13\1\1\0" + len(extension).to_bytes(2, "big") + extension
    message = b"\1" + len(body).to_bytes(3, "big") + body
    return b"\x16\3\1" + len(message).to_bytes(2, "big") + message


class Sunk:
    """A sinkhole in memory."""

    def __init__(self, **options: Any) -> None:
        self.factory = SinkholeFactory(**{"rules": RULES, "status": 403, **options})
        self.reactor, self.surroundings = served(self.factory)

    def hears(self, *data: bytes) -> Visitor:
        """Somebody says that, and what is looked up is found."""
        visitor = Visitor(self.surroundings, self.factory)
        for piece in data:
            visitor.says(piece)
        self.reactor.run()
        return visitor


# HTTP.


def test_a_page(lines: Any) -> None:
    """After the line with who asked; nothing in it runs, and nobody keeps it."""
    sunk = Sunk()
    visitor = Visitor(sunk.surroundings, sunk.factory)
    visitor.says(b"GET /a?b HTTP/1.1\r\nHost: Site.Example:80\r\n\r\n")
    assert visitor.transport.value() == b"" and not lines
    sunk.reactor.run()
    said = visitor.transport.value()
    assert said.startswith(b"HTTP/1.1 403 Forbidden\r\n") and HEAD in said
    assert b"<b>Site.Example</b>" in said and b"<script" not in said
    assert lines == [
        "wire: 127.0.0.1:50000 asked for Site.Example (GET /a?b): uid 4711, pid and command unknown"
        " (it had closed its socket already); it gets status 403."
    ]
    visitor.says(b"GET http://b.ads.example/ HTTP/1.1\r\nHost: other\r\n\r\n")
    sunk.reactor.run()
    assert b"HTTP/1.1 204 No Content\r\n" in visitor.transport.value()
    assert "asked for b.ads.example" in lines[1]
    assert lines[1].endswith("it gets 204 (rule *.ads.example).".replace("204", "status 204", 1))
    visitor.ends()


def test_many_requests_of_one_client(lines: Any) -> None:
    """It is looked up once, and every one is answered, as many as come at once."""
    sunk = Sunk()
    visitor = Visitor(sunk.surroundings, sunk.factory)
    visitor.says(b"GET / HTTP/1.1\r\nHost: a.ads.example\r\n\r\n" * 4000)
    assert sunk.reactor.run() == 1
    sunk.reactor.advance(0)
    assert visitor.transport.value().count(b"HTTP/1.1 204 ") == 4000
    assert len(lines) == MOST_LINES
    visitor.ends()


def test_leaves_while_it_is_looked_up(lines: Any) -> None:
    """What is found is written, and is no failure."""
    sunk = Sunk()
    visitor = Visitor(sunk.surroundings, sunk.factory)
    visitor.says(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    visitor.ends()
    assert not lines
    sunk.reactor.run()
    assert len(lines) == 1 and "asked for a (GET /): uid 4711" in lines[0]
    assert visitor.transport.value() == b""


@pytest.mark.parametrize(
    ("method", "status", "hasBody"),
    [("GET", 403, True), ("HEAD", 403, False), ("OPTIONS", 204, False), ("POST", 405, True)],
)
def test_methods(method: str, status: int, hasBody: bool) -> None:
    """The page is for GET and HEAD; the others are told so."""
    sunk = Sunk()
    visitor = sunk.hears(f"{method} / HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    head, _, body = visitor.transport.value().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status) and HEAD.strip() in head
    assert bool(body) == hasBody
    assert (b"Allow: GET, HEAD, OPTIONS" in head) == (method in ("OPTIONS", "POST"))
    visitor.ends()


def test_ends_and_resets(lines: Any) -> None:
    """A rule can have nothing said at all."""
    sunk = Sunk()
    reset = sunk.hears(b"GET / HTTP/1.1\r\nHost: a.reset.example\r\n\r\n")
    assert reset.transport.disconnected and not reset.transport.value()
    closed = sunk.hears(b"GET / HTTP/1.1\r\nHost: a.close.example\r\n\r\n")
    assert closed.transport.disconnecting and not closed.transport.disconnected
    assert not closed.transport.value()
    assert [line.rpartition("gets ")[2] for line in lines] == [
        "reset (rule *.reset.example).",
        "close (rule *.close.example).",
    ]
    for visitor in (reset, closed):
        visitor.ends()


def test_requests_that_cannot_be_read(lines: Any) -> None:
    """They are answered as everywhere, and named."""
    sunk = Sunk()
    visitor = sunk.hears(b"GET / HTTP/1.1\r\n\r\n")
    assert visitor.transport.value().startswith(b"HTTP/1.1 400 ")
    assert "asked for no name (HTTP: there is no Host field" in lines[0]
    assert lines[0].endswith("it gets status 400.")
    visitor.ends()


class Texts(HTMLParser):
    """The tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """See L{HTMLParser}."""
        self.tags.append(tag)


@given(st.text(max_size=50), st.sampled_from(["GET", "HEAD"]))
def test_any_name_is_text(host: str, method: str) -> None:
    """It makes no tag of its own."""
    answer: Any = answerFor(Decision("page", 200), method, host, "sink")
    parser = Texts()
    parser.feed(answer.body.decode())
    assert parser.tags == ["html", "meta", "title", "h1", "p", "b", "p"]


# TLS, and what is neither.


@pytest.mark.parametrize(
    ("name", "said", "isReset", "gets"),
    [
        (b"Site.Example", UNRECOGNIZED_NAME, False, "an alert."),
        (b"a.ads.example", UNRECOGNIZED_NAME, False, "an alert (rule *.ads.example)."),
        (b"a.close.example", b"", False, "close (rule *.close.example)."),
        (b"a.reset.example", b"", True, "reset (rule *.reset.example)."),
    ],
)
def test_tls(name: bytes, said: bytes, isReset: bool, gets: str, lines: Any) -> None:
    """The name in a ClientHello, however it comes in pieces; no handshake."""
    sunk = Sunk()
    data = hello(name)
    visitor = sunk.hears(data[:7], data[7:60], data[60:])
    assert visitor.transport.value() == said
    assert visitor.transport.disconnected == isReset
    assert f"asked for {name.decode().lower()} (TLS)" in lines[0] and lines[0].endswith(gets)
    if not isReset:
        visitor.says(b"more")
        visitor.transport.protocol.readConnectionLost()
        assert visitor.transport.disconnecting
    visitor.ends()
    assert not sunk.reactor.getDelayedCalls()


def test_tls_that_is_none(lines: Any) -> None:
    """A ClientHello that is broken, or never ends."""
    sunk = Sunk(patience=3.0)
    broken = sunk.hears(hello(b"a")[:9] + b"\xff" * 60)
    late = sunk.hears(hello(b"a")[:40])
    assert len(lines) == 1 and "asked for no name (TLS: a ClientHello ends in" in lines[0]
    sunk.reactor.advance(3)
    sunk.reactor.run()
    assert "(TLS: its ClientHello never ended)" in lines[1]
    assert late.transport.value() == UNRECOGNIZED_NAME
    for visitor in (broken, late):
        visitor.ends()


def test_neither(lines: Any) -> None:
    """What is said instead, or that nothing is; there is no page for it."""
    sunk = Sunk(patience=3.0)
    other = sunk.hears(b"SSH-2.0-x\r\n")
    silent = sunk.hears()
    sunk.reactor.advance(3)
    sunk.reactor.advance(0)
    sunk.reactor.run()
    assert r"asked for no name (neither HTTP nor TLS: SSH-2.0-x\r\n)" in lines[0]
    assert "asked for no name (nothing)" in lines[1]
    assert all(line.endswith("it gets close.") for line in lines)
    for visitor in (other, silent):
        assert visitor.transport.value() == b"" and visitor.transport.finished
        visitor.transport.protocol.readConnectionLost()
        visitor.ends()
    assert not [one for one in sunk.reactor.getDelayedCalls() if one.active()]


def test_is_gone_before_it_is_known(lines: Any) -> None:
    """The line comes all the same; nothing is written to what is not there."""
    sunk = Sunk()
    visitor = Visitor(sunk.surroundings, sunk.factory)
    visitor.says(hello(b"a"))
    visitor.ends()
    sunk.reactor.run()
    assert len(lines) == 1 and visitor.transport.value() == b""


def test_lines_are_bounded(lines: Any) -> None:
    """Who asks without end gets answers, and a count."""
    clock = Clock()
    allowed = Lines(clock)
    assert [allowed.more() for _ in range(MOST_LINES + 5)] == [""] * MOST_LINES + [None] * 5
    clock.advance(1)
    assert allowed.more() == " (5 more like it since the last such line)"
    clock.rightNow -= 100
    assert allowed.more() == ""
    sunk = Sunk()
    crowd = [sunk.hears(hello(b"a%d" % n)) for n in range(100)]
    assert len(lines) == MOST_LINES
    assert all(one.transport.value() == UNRECOGNIZED_NAME for one in crowd)
    for one in crowd:
        one.transport.protocol.readConnectionLost()
        one.ends()


# With the kernel between.


@pytest_twisted.ensureDeferred
async def test_a_real_connection(lines: Any) -> None:
    """The end of both sides, and the process that asked: this one."""
    async with serving(reactor, "sinkhole", {"rules": RULES}) as loopback:
        said = await converse(reactor, loopback, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert said.startswith(b"HTTP/1.1 200 OK\r\n")
        assert await converse(reactor, loopback, hello(b"a.close.example")) == b""
        client = await connect(reactor, addressOf(loopback))
        transport: Any = client.transport
        transport.write(hello(b"a.reset.example"))
        with pytest.raises(ConnectionLost):
            await client.finished
    assert all(f"uid {os.geteuid()}" in line for line in lines) and len(lines) == 3
    assert f"pid {os.getpid()}," in lines[0]


@pytest_twisted.ensureDeferred
async def test_openssl(lines: Any, program: Callable[..., str]) -> None:
    """It understands the alert, and is named."""
    openssl = program("openssl")
    async with serving(reactor, "sinkhole") as loopback:
        host: Any = addressOf(loopback)
        command = [openssl, "s_client", "-connect", f"{host.host}:{host.port}"]

        def shakes() -> str:
            done = subprocess.run(
                [*command, "-servername", "ads.example"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            return done.stdout + done.stderr

        said = await deferToThread(shakes)
    assert "unrecognized name" in said and "no peer certificate available" in said
    assert re.search(
        r"asked for ads\.example \(TLS\): uid \d+.* pid \d+, command \S*openssl", lines[0]
    )


@pytest_twisted.ensureDeferred
async def test_curl(lines: Any, program: Callable[..., str]) -> None:
    """A redirected name by HTTP and by HTTPS, and as through a proxy."""
    curl = program("curl")
    async with serving(reactor, "sinkhole", {"rules": RULES, "status": 403}) as loopback:
        host: Any = addressOf(loopback)
        here = f"127.0.0.1:{host.port}"

        def gets(*words: str) -> tuple[int, str]:
            done = subprocess.run(
                [curl, "-sS", "-m", "20", "-o", os.devnull, "-w", "%{http_code}", *words],
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            return done.returncode, done.stdout + done.stderr

        led = ["--connect-to", f"::{here}"]
        assert await deferToThread(gets, *led, "http://site.example/") == (0, "403")
        assert await deferToThread(gets, *led, "http://x.ads.example/") == (0, "204")
        assert await deferToThread(gets, "-x", f"http://{here}", "http://far.example/") == (
            0,
            "403",
        )
        code, _ = await deferToThread(gets, *led, "http://x.close.example/")
        assert code == 52
        code, _ = await deferToThread(gets, *led, "http://x.reset.example/")
        assert code == 56
        code, said = await deferToThread(gets, *led, "https://secure.example/")
        assert code == 35 and "unrecognized name" in said
    asked = [re.search(r"asked for (\S+) .* command \S*curl ", line) for line in lines]
    assert [one and one[1] for one in asked] == [
        "site.example",
        "x.ads.example",
        "far.example",
        "x.close.example",
        "x.reset.example",
        "secure.example",
    ]


@pytest.mark.usefixtures("needsRoot")
def test_another_user(daemon: Callable[..., Running], program: Callable[..., str]) -> None:
    """A real daemon names the process of somebody else that asked, while it waits."""
    setpriv, curl = program("setpriv"), program("curl")
    running = daemon("--serve", "sinkhole@tcp:0:interface=127.0.0.1")
    port = running.port("sinkhole")
    user = ["--reuid", str(STRANGER), "--regid", str(STRANGER), "--clear-groups"]
    words = [curl, "-s", "-m", "20", "-H", "Host: spy.example", f"http://127.0.0.1:{port}/x"]
    done = subprocess.run(
        [setpriv, *user, *words], capture_output=True, text=True, timeout=30, check=True
    )
    assert "spy.example" in done.stdout
    running.says(rf"asked for spy\.example \(GET /x\): uid {STRANGER}, pid \d+, command \S*curl ")
    with connected(port) as client:
        client.sendall(b"HELO x\r\n")
        client.shutdown(socket.SHUT_WR)
        assert heard(client) == b""
    running.says(r"neither HTTP nor TLS: HELO x")
    running.stop()
