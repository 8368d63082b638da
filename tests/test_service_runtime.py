"""Services that come, go and change one at a time while the daemon runs."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from test_service import Caller, asked, counted, freePort, isFree, port, running, service, turn
from twisted.internet.threads import deferToThread

from loopbackd.faultsettings import Stream, ToxicSettings
from loopbackd.listener import CannotListen
from loopbackd.net.endpoint import parse, withPort
from loopbackd.service import ServiceExists
from loopbackd.settings import SettingsError
from loopbackd.testing import addressOf


@pytest.fixture
def caller() -> Iterator[Caller]:
    """Its clients are closed at the end."""
    caller = Caller()
    yield caller
    caller.close()


async def ended(client: socket.socket) -> bytes:
    """What is heard until the end, which must be one and no reset."""

    def listen() -> bytes:
        heard = b""
        while data := client.recv(1 << 16):
            heard += data
        return heard

    return await deferToThread(listen)


def portOf(loopback: Any, name: str) -> int:
    """Where a service listens."""
    found: int = addressOf(loopback, name).port  # type: ignore[attr-defined]
    return found


@pytest_twisted.ensureDeferred
async def test_a_service_is_added_and_removed(caller: Caller) -> None:
    """Its connections end with it, those of others go on, and its counters are forgotten."""
    async with running(*asked(service("a"))) as loopback:
        stays = caller.call(loopback, "a")
        assert await caller.says(stays) == b"x"
        live = loopback.add(service("b"))
        assert loopback.isAdded("b") and not loopback.isAdded("a")
        assert [one.name for one in loopback.services()] == ["a", "b"]
        goes = caller.call(loopback, "b")
        assert await caller.says(goes) == b"x"
        where = portOf(loopback, "b")
        loopback.remove("b")
        assert await ended(goes) == b""
        await turn()
        assert isFree("127.0.0.1", where)
        assert live not in list(loopback.services())
        assert await caller.says(stays, b"still") == b"still"
        assert loopback.connections.services() == ["a"]
        with pytest.raises(KeyError):
            loopback.remove("b")


@pytest_twisted.ensureDeferred
async def test_the_end_is_no_reset_also_where_something_was_not_read(caller: Caller) -> None:
    """A client that has said more than was read hears all that was sent, and an end."""
    async with running(*asked(service("a"), service("b", "discard"))) as loopback:
        client = caller.call(loopback, "a")
        assert await caller.says(client, b"hello") == b"hello"
        (connection,) = loopback.connections
        transport: Any = connection._transport
        transport.pauseProducing()
        client.sendall(b"never read" * 1000)
        loopback.disable("a")
        assert await ended(client) == b""
        assert connection.reason == "done"


@pytest_twisted.ensureDeferred
async def test_a_client_that_does_not_read_is_cut_off(caller: Caller) -> None:
    """What it was sent and did not take is lost: nothing waits for it."""
    async with running(*asked(service("a"))) as loopback:
        client = caller.call(loopback, "a")
        assert await caller.says(client) == b"x"
        (connection,) = loopback.connections
        transport: Any = connection._transport
        transport.write(bytes(32 << 20))
        assert connection.hasUnsent
        loopback.disable("a")
        await turn()
        assert len(loopback.connections) == 0


@pytest_twisted.ensureDeferred
async def test_a_toxic_does_not_hold_up_the_end(caller: Caller) -> None:
    """Neither for the client nor for the protocol; the toxics of the service stay."""
    async with running(*asked(service("a"))) as loopback:
        client = caller.call(loopback, "a")
        assert await caller.says(client) == b"x"
        streams: tuple[Stream, ...] = ("upstream", "downstream")
        for stream in streams:
            loopback.live("a").toxics.add(
                ToxicSettings(type="latency", stream=stream, attributes={"latency": 60_000})
            )
        client.sendall(b"late")
        await turn()
        loopback.disable("a")
        assert await ended(client) == b""
        await turn()
        assert len(loopback.connections) == 0
        loopback.replace("a", service("a", "discard"))
        names = [toxic.name for toxic in loopback.live("a").toxics]
        assert names == ["latency_upstream", "latency_downstream"]


@pytest_twisted.ensureDeferred
async def test_off_and_on_again(caller: Caller) -> None:
    """The port that was chosen stays the service's, its factory stays in use; twice is as once."""
    first = asked(service("a"))
    factories = counted(first[1])
    async with running(*first) as loopback:
        where = portOf(loopback, "a")
        client = caller.call(loopback, "a")
        assert await caller.says(client) == b"x"
        live = loopback.live("a")
        for _ in range(2):
            assert loopback.disable("a") is live
            assert await ended(client) == b""
            await turn()
            assert isFree("127.0.0.1", where)
            assert loopback.addresses == {}
            assert not live.prepared.settings.enabled
        for _ in range(2):
            assert loopback.enable("a") is live
            assert portOf(loopback, "a") == where
        assert await caller.says(caller.call(loopback, "a")) == b"x"
        assert (factories["a"].started, factories["a"].stopped) == (1, 0)
    assert (factories["a"].started, factories["a"].stopped) == (1, 1)


@pytest_twisted.ensureDeferred
async def test_a_port_that_was_lost_meanwhile(caller: Caller) -> None:
    """The service stays off, and can be switched on once the port is free."""
    async with running(*asked(service("a"))) as loopback:
        where = portOf(loopback, "a")
        loopback.disable("a")
        await turn()
        with socket.create_server(("127.0.0.1", where)):
            with pytest.raises(CannotListen, match=f"'a' cannot listen on tcp:{where}:") as caught:
                loopback.enable("a")
            assert caught.value.number == errno.EADDRINUSE
            assert not loopback.live("a").prepared.settings.enabled
        loopback.enable("a")
        assert portOf(loopback, "a") == where


@pytest_twisted.ensureDeferred
async def test_a_move(caller: Caller) -> None:
    """The connections end, the old port is free, and the new one is served."""
    async with running(*asked(service("a"))) as loopback:
        old, new = portOf(loopback, "a"), freePort()
        client = caller.call(loopback, "a")
        assert await caller.says(client) == b"x"
        loopback.replace("a", port("a", new, "daytime"))
        assert await ended(client) == b""
        await turn()
        assert isFree("127.0.0.1", old)
        assert b"UTC" in await caller.says(caller.callAt("127.0.0.1", new), b"")


@pytest_twisted.ensureDeferred
async def test_a_replacement_that_changes_nothing(caller: Caller) -> None:
    """Nobody notices."""
    async with running(*asked(service("a"))) as loopback:
        client = caller.call(loopback, "a")
        live = loopback.live("a")
        assert loopback.replace("a", service("a")) is live
        assert await caller.says(client) == b"x"


@pytest_twisted.ensureDeferred
async def test_another_protocol_at_the_same_place(caller: Caller) -> None:
    """The port that was chosen is kept, also while it is switched off; or another one is chosen."""
    async with running(*asked(service("a"))) as loopback:
        where = portOf(loopback, "a")
        loopback.replace("a", service("a", "discard"))
        assert portOf(loopback, "a") == where
        loopback.disable("a")
        await turn()
        loopback.replace("a", service("a", "echo", enabled=False))
        loopback.enable("a")
        assert portOf(loopback, "a") == where
        loopback.replace("a", service("a"), anew=True)
        assert portOf(loopback, "a") != where
        assert await caller.says(caller.call(loopback, "a")) == b"x"
        await turn()
        assert isFree("127.0.0.1", where)


@pytest_twisted.ensureDeferred
async def test_defects_a_move_that_fails_leaves_everything_as_it_was(caller: Caller) -> None:
    """The service goes on at its old address, enabled, with its connections."""
    async with running(*asked(service("a"))) as loopback:
        client = caller.call(loopback, "a")
        live, where = loopback.live("a"), portOf(loopback, "a")
        with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(CannotListen):
            loopback.replace("a", port("a", other.getsockname()[1], "daytime"))
        assert loopback.live("a") is live and portOf(loopback, "a") == where
        assert await caller.says(client) == b"x"
        assert await caller.says(caller.call(loopback, "a")) == b"x"


@pytest_twisted.ensureDeferred
async def test_names_and_addresses_are_taken_once(caller: Caller) -> None:
    """Who has them is said; a service that is switched off has no address."""
    number = freePort()
    async with running(*asked(port("a", number), service("b"))) as loopback:
        with pytest.raises(ServiceExists, match="'a' already"):
            loopback.add(service("a"))
        with pytest.raises(CannotListen, match="service 'a' of this daemon does"):
            loopback.add(port("c", number))
        with pytest.raises(CannotListen, match="service 'a' of this daemon does"):
            loopback.replace("b", port("b", number))
        loopback.add(port("c", number, "discard", enabled=False))
        with pytest.raises(CannotListen, match="service 'a' of this daemon does"):
            loopback.enable("c")
        loopback.disable("a")
        await turn()
        loopback.enable("c")
        with pytest.raises(CannotListen, match="service 'c' of this daemon does"):
            loopback.enable("a")


@pytest_twisted.ensureDeferred
async def test_the_configuration_is_read_again(caller: Caller) -> None:
    """Its own services are as it says, whatever became of them; the others stay."""
    first = [service("a"), service("b"), service("c")]
    async with running(*asked(*first)) as loopback:
        loopback.add(service("new"))
        client = caller.call(loopback, "new")
        assert await caller.says(client) == b"x"
        loopback.disable("a")
        loopback.remove("b")
        loopback.replace("c", service("c", "daytime"))
        await turn()
        loopback.change(*asked(*first))
        assert list(loopback.addresses) == ["c", "new", "a", "b"]
        assert await caller.says(client) == b"x"
        assert await caller.says(caller.call(loopback, "c")) == b"x"
        assert loopback.isAdded("new")


@pytest_twisted.ensureDeferred
async def test_a_configuration_that_clashes_with_what_was_added(caller: Caller) -> None:
    """It is refused in one line, and nothing changes."""
    number = freePort()
    async with running(*asked(service("a"))) as loopback:
        loopback.add(port("new", number))
        with pytest.raises(SettingsError, match="'new': one of that name was added") as caught:
            loopback.change(*asked(service("new")))
        assert "\n" not in str(caught.value)
        with pytest.raises(SettingsError, match="service 'new' of this daemon does"):
            loopback.change(*asked(port("b", number)))
        assert list(loopback.addresses) == ["a", "new"]
        assert [one.name for one in loopback.settings.service] == ["a"]


@pytest_twisted.ensureDeferred
async def test_a_configuration_with_a_service_that_is_off(caller: Caller) -> None:
    """It does not listen until a change says so; a change that switches it off ends connections."""
    async with running(*asked(service("a", enabled=False), service("b"))) as loopback:
        assert list(loopback.addresses) == ["b"]
        loopback.change(*asked(service("a"), service("b")))
        client = caller.call(loopback, "a")
        assert await caller.says(client) == b"x"
        loopback.change(*asked(service("a", enabled=False), service("b")))
        assert await ended(client) == b""
        assert list(loopback.addresses) == ["b"]
        loopback.change(*asked(service("a"), service("b")))
        client = caller.call(loopback, "a")
        assert await caller.says(client) == b"x"
        loopback.change(*asked(service("a", "discard", enabled=False), service("b")))
        assert await ended(client) == b""


@pytest_twisted.ensureDeferred
async def test_a_protocol_in_a_file_is_not_loaded_again_by_a_switch(tmp_path: Path) -> None:
    """What it remembers, it still does."""
    (tmp_path / "p.py").write_text(
        "from twisted.internet.protocol import Factory, Protocol\n"
        "class F(Factory):\n    protocol = Protocol\n    noisy = False\n"
    )
    async with running(*asked(service("a", f"{tmp_path}/p.py:F"))) as loopback:
        live = loopback.live("a")
        factory = live.prepared.factory
        loopback.disable("a")
        await turn()
        loopback.enable("a")
        assert loopback.live("a") is live and live.prepared.factory is factory


@pytest_twisted.ensureDeferred
async def test_a_unix_socket_goes_and_comes(tmp_path: Path, caller: Caller) -> None:
    """Its path, too."""
    path = tmp_path / "a.sock"
    async with running(*asked(service("a", endpoint=f"unix:{path}"))) as loopback:
        loopback.disable("a")
        await turn()
        assert not path.exists()
        loopback.enable("a")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(os.fspath(path))
            assert await caller.says(client) == b"x"


@pytest_twisted.ensureDeferred
async def test_a_name_with_a_line_end_stays_on_one_line(logged: Callable[[str], list[str]]) -> None:
    """Names that come over the API may be any text."""
    name = "a\nb: echo on 127.0.0.1:1"
    lines = logged("loopbackd")

    async with running(*asked(service("a"))) as loopback:
        loopback.add(service(name))
    assert any("a\\nb: echo on" in line for line in lines)
    assert not any("\n" in line for line in lines)


@pytest.mark.parametrize(
    "text, other",
    [
        ("tcp:0:interface=127.0.0.1", "tcp:7:interface=127.0.0.1"),
        ("tcp:interface=127.0.0.1:port=0", "tcp:interface=127.0.0.1:port=7"),
        (r"tcp6:0:interface=\:\:1", r"tcp6:7:interface=\:\:1"),
        ("tcp:0:127.0.0.1:5", "tcp:7:127.0.0.1:5"),
    ],
)
def test_the_same_endpoint_on_another_port(text: str, other: str) -> None:
    """Everything else in it stays."""
    assert withPort(parse(text), 7).text == other
    assert withPort(parse(text), 7).port == 7
