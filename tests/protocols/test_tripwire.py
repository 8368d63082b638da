"""Tests for L{loopbackd.protocols.tripwire}."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from asuser import STRANGER
from hypothesis import given
from hypothesis import strategies as st
from reactorinmemory import SHUT, Reactor, Visitor, served
from running import Running, connected, heard, until
from twisted.internet import reactor as realReactor
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.threads import deferToThread
from zope.interface.verify import verifyObject

from loopbackd.iloopbackd import Surroundings
from loopbackd.peer.identity import PeerIdentity
from loopbackd.protocols.tripwire import TripwireFactory, firstWords
from loopbackd.testing import addressOf, connect, serving

reactor: Any = realReactor
HELLO = (
    bytes.fromhex(
        "1603010043010000 3f0303" + "00" * 32 + "00 0002 1301 0100 0014 0000 0010 000e 00 000b"
    )
    + b"app.example"
)


@pytest.fixture
def lines(logged: Callable[[str], Any]) -> Any:
    """What it logs."""
    return logged("loopbackd.protocols.tripwire")


class Wired:
    """A tripwire in memory."""

    def __init__(self, who: PeerIdentity = SHUT, **options: Any) -> None:
        self.factory = TripwireFactory(**options)
        self.reactor: Reactor
        self.surroundings: Surroundings
        self.reactor, self.surroundings = served(self.factory, who)

    def touch(self) -> Visitor:
        """Somebody connects."""
        return Visitor(self.surroundings, self.factory)


def test_names_who_it_is(lines: Any) -> None:
    """It is looked up before anything is read; then come the first words, the line, the reset."""
    wired = Wired()
    one = wired.touch()
    assert verifyObject(IHalfCloseableProtocol, one.protocol)
    assert one.transport.isPaused and not lines
    wired.reactor.run()
    assert not one.transport.isPaused and not lines
    one.says(b"GET / HTTP/1.0\r\n\r\n")
    assert lines == [
        "wire: 127.0.0.1:50000 touched 127.0.0.1:2323: uid 4711, pid and command unknown"
        r" (it had closed its socket already); it said GET / HTTP/1.0\r\n\r\n."
    ]
    (event,) = lines.events
    assert (event["uid"], event["pid"], event["log_level"].name) == (4711, None, "warn")
    assert one.transport.disconnected
    one.ends()
    assert not wired.reactor.getDelayedCalls()


def test_says_nothing(lines: Any) -> None:
    """Its time for the first words begins when it is known."""
    wired = Wired(patience=2.0)
    one = wired.touch()
    wired.reactor.advance(10)
    wired.reactor.run()
    wired.reactor.advance(1.9)
    assert not lines
    wired.reactor.advance(0.2)
    assert len(lines) == 1 and lines[0].endswith("it said nothing.")
    assert one.transport.disconnected
    one.ends()


def test_is_gone_before_it_is_known(lines: Any) -> None:
    """It is named all the same, and nothing is done to what is not there."""
    wired = Wired()
    one = wired.touch()
    one.ends()
    assert not lines
    wired.reactor.run()
    assert len(lines) == 1
    assert not wired.reactor.getDelayedCalls()


def test_speaks_before_it_is_known(lines: Any) -> None:
    """As where another protocol has read its first bytes: they are kept."""
    wired = Wired()
    one = wired.touch()
    one.says(b"early")
    one.protocol.readConnectionLost()
    assert not lines and not one.transport.disconnecting
    wired.reactor.run()
    assert lines[0].endswith("it said early.")
    assert one.transport.disconnected
    one.ends()


def test_cannot_be_looked_up(lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is said, too."""

    def fails(reactor: Any, peer: Any) -> Any:
        from twisted.internet.defer import fail

        return fail(OSError("no threads"))

    monkeypatch.setattr("loopbackd.protocols.tripwire.lookUp", fails)
    one = Wired().touch()
    one.says(b"x")
    assert "unknown (no threads)" in lines[0]
    one.ends()


def test_a_flood_is_a_line_a_second(lines: Any) -> None:
    """Those behind the first are reset at once, looked up by nobody, and counted by the next."""
    wired = Wired()
    crowd = [wired.touch() for _ in range(1000)]
    assert all(one.transport.disconnected for one in crowd[1:])
    for one in crowd:
        one.ends()
    assert wired.reactor.run() == 1
    assert len(lines) == 1
    wired.reactor.advance(1)
    last = wired.touch()
    wired.reactor.run()
    last.says(b"x")
    assert lines[1].endswith(" (999 more like it since the last such line)")
    last.ends()


def test_closes(lines: Any) -> None:
    """An end, which is seen although more is sent."""
    wired = Wired(answer="close")
    one = wired.touch()
    wired.reactor.run()
    one.says(b"x")
    assert one.transport.finished and not one.transport.disconnecting
    one.says(b"more")
    one.protocol.readConnectionLost()
    assert one.transport.disconnecting and not one.transport.disconnected
    one.ends()


def test_holds(lines: Any) -> None:
    """So many for so long, and the others are reset; who leaves makes room."""
    wired = Wired(answer="hold", held_for=30.0, most_held=2)
    one = wired.touch()
    wired.reactor.run()
    one.says(b"x")
    # These are not told, and so answered at once.
    two, three = wired.touch(), wired.touch()
    assert not one.transport.disconnecting
    assert [two.transport.disconnected, three.transport.disconnected] == [False, True]
    one.says(b"y" * 100_000)
    assert not one.transport.disconnected
    two.protocol.readConnectionLost()
    assert two.transport.disconnecting
    two.ends()
    four = wired.touch()
    assert not four.transport.disconnected
    wired.reactor.advance(30)
    assert one.transport.disconnected and four.transport.disconnected
    for visitor in (one, three, four):
        visitor.ends()
    assert not wired.factory.held and not wired.reactor.getDelayedCalls()


def test_who_has_left_is_not_held() -> None:
    """Its end came while it was looked up."""
    wired = Wired(answer="hold")
    one = wired.touch()
    one.protocol.readConnectionLost()
    wired.reactor.run()
    assert one.transport.disconnecting and not wired.factory.held
    one.ends()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"answer": "refuse"}, "answer = 'refuse': write reset, close or hold"),
        ({"patience": 0}, "patience = 0: write seconds, more than 0, at most 60"),
        ({"patience": True}, "patience = True: write seconds"),
        ({"held_for": 9}, 'held_for = 9 is for answer = "hold"; remove it'),
        ({"answer": "hold", "held_for": -1}, "held_for = -1: write seconds"),
        ({"answer": "hold", "most_held": 0}, "most_held = 0: write a whole number"),
        ({"answer": "hold", "most_held": 1.5}, "most_held = 1.5: write a whole number"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], said: str) -> None:
    """They are refused at the start."""
    with pytest.raises(ValueError, match=re.escape(said)):
        TripwireFactory(**options)


def test_first_words() -> None:
    """TLS by the name it asks for; the rest as ASCII, not too much of it."""
    assert firstWords(HELLO) == "a ClientHello of TLS for app.example"
    assert firstWords(b"\x1b[2J\xff") == r"\x1b[2J\xff"
    assert firstWords(b"x" * 500) == "x" * 100 + "... (500 bytes)"


@given(
    st.binary(min_size=1, max_size=300) | st.binary(max_size=80).map(lambda end: HELLO[:60] + end)
)
def test_any_first_words(data: bytes) -> None:
    """One line of printable ASCII."""
    said = firstWords(data)
    assert said.isascii() and said.isprintable() and len(said) < 500


# With the kernel between.


@pytest_twisted.ensureDeferred
async def test_real_clients(lines: Any) -> None:
    """A reset, and the process that did it: this one."""
    async with serving(reactor, "tripwire") as loopback:
        client = await connect(reactor, addressOf(loopback))
        transport: Any = client.transport
        transport.write(b"hello\n")
        with pytest.raises(ConnectionLost):
            await client.finished
    (line,) = lines
    assert line.startswith("test: 127.0.0.1:")
    assert f"uid {os.geteuid()}" in line and f"pid {os.getpid()}, command" in line
    assert line.endswith(r"it said hello\n.")


@pytest_twisted.ensureDeferred
async def test_connects_and_closes(lines: Any) -> None:
    """A scanner is named by its user at least; what is unknown is said to be."""
    async with serving(reactor, "tripwire", {"patience": 5.0}) as loopback:
        host: Any = addressOf(loopback)

        def scan() -> None:
            socket.create_connection((host.host, host.port)).close()

        for _ in range(20):
            await deferToThread(scan)
        assert loopback.connections.totals("test").opened == 20
    known = [event for event in lines.events if event["uid"] is not None]
    assert lines and all("it said nothing" in line for line in lines)
    for event in known:
        assert event["uid"] == os.geteuid()
        assert event["pid"] or "unknown (" in event["who"]


@pytest.mark.usefixtures("needsRoot")
def test_another_user(
    daemon: Callable[..., Running], tmp_path: Path, program: Callable[..., str]
) -> None:
    """Its uid, its pid and its command are in the log of a real daemon."""
    setpriv, ncat = program("setpriv"), program("nc")
    configuration = tmp_path / "wire.toml"
    configuration.write_text(
        "[[service]]\nname = 'wire'\nprotocol = 'tripwire'\n"
        "endpoint = 'tcp:0:interface=127.0.0.1'\n"
    )
    running = daemon("--config", str(configuration))
    port = running.port("wire")
    user = ["--reuid", str(STRANGER), "--regid", str(STRANGER), "--clear-groups"]
    command = [setpriv, *user, ncat, "127.0.0.1", str(port)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as client:
        found = running.says(
            rf"wire: 127\.0\.0\.1:\d+ touched 127\.0\.0\.1:{port}: uid {STRANGER}, pid (\d+),"
            rf" command \S*nc 127\.0\.0\.1 {port}; it said nothing"
        )
        assert int(found[1]) == client.pid
        client.communicate(timeout=30)
    running.stop()


@pytest.mark.usefixtures("needsRoot")
def test_a_flood_of_another_user(
    daemon: Callable[..., Running], program: Callable[..., str]
) -> None:
    """It has its line a second, and leaves everybody else's alone."""
    setpriv, python = program("setpriv"), program("python3")
    running = daemon("--serve", "tripwire@tcp:0:interface=127.0.0.1")
    port = running.port("tripwire")
    script = (
        "import socket, sys\n"
        "for _ in range(3000):\n"
        "    socket.create_connection(('127.0.0.1', int(sys.argv[1]))).close()\n"
    )
    user = ["--reuid", str(STRANGER), "--regid", str(STRANGER), "--clear-groups"]
    with subprocess.Popen(
        [setpriv, *user, python, "-c", script, str(port)], stderr=subprocess.DEVNULL, cwd="/"
    ) as flood:
        running.says(f"uid {STRANGER}")
        with connected(port) as client, pytest.raises(ConnectionResetError):
            heard(client)
        running.says(rf"uid {os.geteuid()} .*pid {os.getpid()},")
        flood.wait(60)
    told = [line for line in running.lines if f"uid {STRANGER}" in line]
    until(lambda: running.process.poll() is None, "daemon")
    assert 0 < len(told) <= 30
    running.stop()
