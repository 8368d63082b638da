"""Which connections a toxic may hit."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_twisted
from sockets import until
from suffering import call, serving, toxic
from twisted.internet.threads import deferToThread

from loopbackd.faults.matching import Matcher
from loopbackd.faults.toxics import check
from loopbackd.faultsettings import MatchSettings, ToxicSettings
from loopbackd.peer.identity import PeerIdentity

UNKNOWN = PeerIdentity(None, 0, None, "", "who knows")


class Peers:
    """A connection, as far as a matcher looks at it."""

    def __init__(self, peer: PeerIdentity | None) -> None:
        self.asked = 0
        self._peer = peer

    @property
    def peer(self) -> PeerIdentity | None:
        self.asked += 1
        return self._peer


def matching(peer: PeerIdentity | None = UNKNOWN, times: int = 1, **asked: Any) -> list[bool]:
    """What a matcher says of so many connections of that peer."""
    matcher = Matcher(MatchSettings(**asked))
    connection: Any = Peers(peer)
    return [matcher.matches(connection) for _ in range(times)]


def numbers(said: list[bool]) -> list[int]:
    return [number for number, one in enumerate(said, 1) if one]


def test_number() -> None:
    """The nth alone, each so many-th, and each so many-th from the nth on."""
    assert numbers(matching(times=10, nth=3)) == [3]
    assert numbers(matching(times=10, every=3)) == [3, 6, 9]
    assert numbers(matching(times=10, every=3, nth=2)) == [2, 5, 8]
    assert numbers(matching(times=5, every=1)) == [1, 2, 3, 4, 5]


def test_numbers_do_not_ask_who_it_is() -> None:
    """The kernel is not asked where that decides nothing."""
    matcher, connection = Matcher(MatchSettings(nth=1)), Peers(None)
    assert matcher.matches(connection)  # type: ignore[arg-type]
    assert connection.asked == 0


def test_uid() -> None:
    """A user by number or by name."""
    me = PeerIdentity(os.getuid(), 1, None, "ESTABLISHED", "")
    name = pwd.getpwuid(os.getuid()).pw_name
    assert matching(me, uid=os.getuid()) == matching(me, uid=name) == [True]
    assert matching(me, uid=os.getuid() + 1) == [False]


@pytest.mark.parametrize("asked", [{"uid": 0}, {"pid": 1}, {"command": "*"}])
@pytest.mark.parametrize("peer", [UNKNOWN, None])
def test_unknown(peer: PeerIdentity | None, asked: dict[str, Any]) -> None:
    """Who is unknown is none of them, whatever is asked."""
    assert matching(peer, **asked) == [False]


def test_pid_of_a_unix_peer() -> None:
    """The kernel vouches for it, and its program is looked at."""
    peer = PeerIdentity(os.getuid(), 0, os.getpid(), "CONNECTED", "")
    assert matching(peer, pid=os.getpid()) == [True]
    assert matching(peer, pid=os.getppid()) == [False]
    assert matching(peer, command="*py*") == [True]
    assert matching(peer, command="nothing like it") == [False]


def test_counts_those_that_match_otherwise() -> None:
    """The nth of these, not of all."""
    matcher = Matcher(MatchSettings(uid=7, nth=2))
    mine: Any = Peers(PeerIdentity(7, 1, None, "ESTABLISHED", ""))
    other: Any = Peers(PeerIdentity(8, 1, None, "ESTABLISHED", ""))
    said = [matcher.matches(one) for one in (other, mine, other, other, mine, mine)]
    assert numbers(said) == [5]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"uid": "nobody-of-that-name"}, "match: uid: there is no user 'nobody-of-that-name'"),
        ({"uid": "a\0b"}, "match: uid: there is no user"),
        ({}, "match: it is empty"),
    ],
)
def test_wrong(asked: dict[str, Any], message: str) -> None:
    """What cannot match anybody is told beforehand, with the toxic's name."""
    settings = ToxicSettings(type="latency", match=msgspec.convert(asked, MatchSettings))
    with pytest.raises(ValueError, match=f"toxic 'latency_downstream': {message}"):
        check((settings,))


@pytest.mark.parametrize(
    "wrong", [{"nth": 0}, {"every": 0}, {"pid": 0}, {"uid": -1}, {"command": ""}]
)
def test_bounds(wrong: dict[str, Any]) -> None:
    """Numbers begin at one, users at zero."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, MatchSettings)


CLIENT = """
import socket, sys
family, where = sys.argv[1:3]
client = socket.socket(getattr(socket, family))
client.connect(where if family == "AF_UNIX" else ("127.0.0.1", int(where)))
client.sendall(b"x")
print(client.recv(1), flush=True)
client.close()
"""


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("family", ["AF_INET", "AF_UNIX"])
async def test_real_peers(family: str, tmp_path: Path) -> None:
    """A program is told from another by its command line, and this process by its pid."""
    script = tmp_path / "particular.py"
    script.write_text(CLIENT)
    others = {"endpoint": f"unix:{tmp_path}/s"} if family == "AF_UNIX" else {}
    match = MatchSettings(command="*particular.py*")
    refuse = ToxicSettings(type="refuse", match=match)
    async with serving(refuse, **others) as loopback:
        toxics = loopback.live("main").toxics
        address: Any = loopback.addresses["main"][0]
        where = f"{tmp_path}/s" if others else str(address.port)

        def other() -> subprocess.CompletedProcess[str]:
            words = [sys.executable, str(script), family, where]
            return subprocess.run(words, capture_output=True, text=True, timeout=30)

        def here() -> bytes:
            with socket.socket(getattr(socket, family)) as client:
                client.connect(where if others else ("127.0.0.1", address.port))
                client.sendall(b"x")
                return client.recv(1)

        # Whoever is reset before it has said anything cannot say it, on a unix socket.
        said = (await deferToThread(other)).stderr
        assert "ConnectionResetError" in said or "BrokenPipeError" in said
        assert await deferToThread(here) == b"x"
        toxics.clear()
        toxics.add(ToxicSettings(type="refuse", match=MatchSettings(pid=os.getpid())))
        assert "b'x'" in (await deferToThread(other)).stdout
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            await deferToThread(here)
        await until(lambda: not len(loopback.connections))


@pytest_twisted.ensureDeferred
async def test_second_connection_only() -> None:
    """A link toxic hits the second connection alone, and not again when it is changed."""
    late = ToxicSettings(type="latency", attributes={"latency": 60_000}, match=MatchSettings(nth=2))
    async with serving(late) as loopback:
        toxics = loopback.live("main").toxics
        clients = [call(loopback) for _ in range(3)]
        for client in clients:
            client.sendall(b"x")
        await until(lambda: len(loopback.connections) == 3)
        toxics.change("latency_downstream", {"latency": 50_000})
        hit = [connection.transport.wire is not None for connection in loopback.connections]
        assert hit == [False, True, False]
        toxics.clear()
        for client in clients:
            assert await deferToThread(client.recv, 1) == b"x"
            client.close()


def test_toxic_helper() -> None:
    """The helper of these tests makes what it should."""
    assert toxic("latency", latency=1).match is None
