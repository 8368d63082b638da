"""Listening for a service: with its twin, or a line that says why not."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sockets import freePort
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock

from loopbackd import listener as listenerModule
from loopbackd.listener import Listener
from loopbackd.net.endpoint import Endpoint, hasIPv6
from loopbackd.net.endpoint import listen as reallyListen
from loopbackd.net.reactor import PlainReactor
from loopbackd.peer.netlink import SocketDiag
from loopbackd.prepared import Prepared
from loopbackd.settings import ServiceSettings, SettingsError, TLSSettings
from loopbackd.tls.store import AuthorityStore


class Real(Clock):
    """Stands for the real reactor: watches nobody."""

    def addReader(self, reader: Any) -> None: ...
    def removeReader(self, reader: Any) -> None: ...
    def addWriter(self, writer: Any) -> None: ...
    def removeWriter(self, writer: Any) -> None: ...


class House:
    """Listeners on real sockets; they close when the clock is told."""

    def __init__(self) -> None:
        self.real = Real()
        self.diag = SocketDiag()
        self.listeners: list[Listener] = []

    def listener(self, endpoint: str = "tcp:0:interface=127.0.0.1", **others: Any) -> Listener:
        """One that is not open yet."""
        live: Any = live_(endpoint, **others)
        self.listeners.append(Listener(PlainReactor(self.real), self.diag, live))
        return self.listeners[-1]

    def opened(self, endpoint: str = "tcp:0:interface=127.0.0.1", **others: Any) -> Listener:
        listener = self.listener(endpoint, **others)
        listener.open()
        return listener

    def refusal(self, endpoint: str = "tcp:0:interface=127.0.0.1", **others: Any) -> str:
        """Why an endpoint cannot be had; nothing of it is kept."""
        listener = self.listener(endpoint, **others)
        with pytest.raises(SettingsError) as caught:
            listener.open()
        assert listener.ports == []
        line = str(caught.value)
        assert "\n" not in line
        return line

    def turn(self) -> None:
        self.real.advance(0)

    def close(self) -> None:
        for listener in self.listeners:
            listener.close()
        self.turn()
        self.diag.close()


def live_(endpoint: str, **others: Any) -> SimpleNamespace:
    """As much of a running service as a listener needs."""
    settings = ServiceSettings(name="a", endpoint=endpoint, protocol="echo", **others)
    return SimpleNamespace(
        bound=None, prepared=Prepared(settings, Path(), AuthorityStore(Path("/nowhere"))), gate=None
    )


@pytest.fixture
def house() -> Iterator[House]:
    """One for the test; all it opened is closed afterwards."""
    house = House()
    yield house
    house.close()


@pytest.fixture
def needsIPv6() -> None:
    """Twins are a matter of IPv6."""
    if not hasIPv6():
        pytest.skip("::1 cannot be bound here")


def hold(stack: ExitStack, host: str, port: int = 0) -> int:
    """Listen there, so that nobody else can; the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = stack.enter_context(socket.create_server((host, port), family=family))
    return int(sock.getsockname()[1])


def isFree(host: str, port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        return probe.connect_ex((host, port)) == errno.ECONNREFUSED


def shown(listener: Listener) -> list[tuple[str, int]]:
    """What is listened on."""
    return [(address.host, address.port) for address in listener.addresses]  # type: ignore[attr-defined]


def test_the_twin_is_claimed(house: House, needsIPv6: None) -> None:
    """The same port on both, so that localhost is us whichever way it resolves."""
    listener = house.opened()
    (_, port), _ = shown(listener)
    assert shown(listener) == [("127.0.0.1", port), ("::1", port)]
    listener.close()
    assert listener.addresses == []
    house.turn()
    assert isFree("127.0.0.1", port) and isFree("::1", port)


@pytest.mark.parametrize(
    ("endpoint", "twin"),
    [
        ("tcp:0:interface=127.0.0.1", False),
        ("tcp:0:interface=127.0.0.2", True),
        (r"tcp6:0:interface=\:\:1", True),
    ],
)
def test_no_twin(house: House, needsIPv6: None, endpoint: str, twin: bool) -> None:
    """Where it is not wanted, and where there is none."""
    assert len(house.opened(endpoint, twin=twin).addresses) == 1


def test_without_ipv6_there_is_no_twin(house: House, monkeypatch: Any) -> None:
    """And nobody complains."""
    monkeypatch.setattr(listenerModule, "hasIPv6", lambda: False)
    assert len(house.opened().addresses) == 1


def test_a_busy_twin_says_who_has_it(house: House, stack: ExitStack, needsIPv6: None) -> None:
    """The other half is given back."""
    port = hold(stack, "::1", freePort())
    line = house.refusal(f"tcp:{port}:interface=127.0.0.1")
    assert line.startswith(f"service 'a' cannot listen on tcp6:{port}")
    assert f"pid {os.getpid()}" in line
    house.turn()
    assert isFree("127.0.0.1", port)
    assert len(house.opened(f"tcp:{port}:interface=127.0.0.1", twin=False).addresses) == 1


@contextmanager
def squatting(monkeypatch: Any, stack: ExitStack, times: int) -> Iterator[list[int]]:
    """Take the twin of a port as soon as the port is opened; the ports this was done to."""
    taken: list[int] = []

    async def listen(reactor: Any, endpoint: Endpoint, factory: Any) -> Any:
        port = await reallyListen(reactor, endpoint, factory)
        host: Any = port.getHost()
        if host.host == "127.0.0.1" and len(taken) < times:
            taken.append(hold(stack, "::1", host.port))
        return port

    monkeypatch.setattr(listenerModule, "listen", listen)
    yield taken


def test_port_0_is_a_port_that_is_free_on_both(
    house: House, stack: ExitStack, needsIPv6: None, monkeypatch: Any
) -> None:
    """It is chosen again until it is."""
    with squatting(monkeypatch, stack, 3) as taken:
        listener = house.opened()
    (_, port), (_, twin) = shown(listener)
    assert port == twin and port not in taken and len(taken) == 3
    house.turn()
    assert all(isFree("127.0.0.1", one) for one in taken)


def test_port_0_is_not_looked_for_for_ever(
    house: House, stack: ExitStack, needsIPv6: None, monkeypatch: Any
) -> None:
    """There may be no such port."""
    with squatting(monkeypatch, stack, 1000):
        assert "no port is free on both loopback addresses" in house.refusal()


def test_a_busy_port_says_who_has_it(house: House, stack: ExitStack) -> None:
    """Another program, by pid, command and user, and what to do about it."""
    program = (
        "import socket, sys\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "print(server.getsockname()[1], flush=True)\n"
        "sys.stdin.read()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None and child.stdout is not None
    with child, child.stdout:
        port = int(child.stdout.readline())
        line = house.refusal(f"tcp:{port}:interface=127.0.0.1")
        child.stdin.close()
    assert line.startswith(f"service 'a' cannot listen on tcp:{port}:interface=127.0.0.1: ")
    assert f"pid {child.pid}" in line and f"kill {child.pid}" in line and "user " in line


def test_a_port_that_may_not_be_used(house: House, needsRoot: None) -> None:
    """What an ordinary user is told about port 80."""
    first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if first <= 80:
        pytest.skip("here everybody may use port 80")
    os.seteuid(12345)
    try:
        line = house.refusal("tcp:80:interface=127.0.0.1")
    finally:
        os.seteuid(0)
    assert "you may not use port 80; take one above 1023, or let systemd open it" in line


def test_an_address_that_is_not_ours(house: House) -> None:
    """One that is kept for documentation (RFC 5737)."""
    line = house.refusal(
        "tcp:0:interface=192.0.2.1", allow_remote=True, allow_addresses=("192.0.2.0/24",)
    )
    assert "this machine does not have the address 192.0.2.1" in line


def test_a_unix_path_somebody_listens_on(house: House, stack: ExitStack, tmp_path: Path) -> None:
    """Who that is, and the path stays."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        line = house.refusal(f"unix:{path}")
    assert line.startswith(f"service 'a' cannot listen on unix:{path}: ")
    assert f"pid {os.getpid()}" in line
    assert path.is_socket()


def test_a_unix_path_that_somebody_left_behind(house: House, tmp_path: Path) -> None:
    """The remedy is to remove it."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
    line = house.refusal(f"unix:{path}")
    assert "rm " in line and str(path) in line


def test_a_unix_path_another_listener_of_ours_has(house: House, tmp_path: Path) -> None:
    """Twisted finds that out by a lock file."""
    house.opened(f"unix:{tmp_path}/s")
    line = house.refusal(f"unix:{tmp_path}/s")
    assert line.startswith(f"service 'a' cannot listen on unix:{tmp_path}/s: ")
    assert "lock" in line or f"pid {os.getpid()}" in line


def test_a_unix_path_without_its_directory(house: House, tmp_path: Path) -> None:
    """The system's own words are good enough."""
    assert "No such file or directory" in house.refusal(f"unix:{tmp_path}/none/s")


def test_an_endpoint_twisted_does_not_know(house: House) -> None:
    """The message names the service and the endpoint."""
    line = house.refusal("carrier:pigeon")
    assert line.startswith("service 'a': endpoint 'carrier:pigeon' cannot be used")


def test_an_endpoint_that_turns_out_to_be_remote_is_closed(house: House, monkeypatch: Any) -> None:
    """Its string did not say so: a socket of systemd's, a plugin of the user's."""
    ports: list[int] = []

    async def listen(reactor: Any, endpoint: Endpoint, factory: Any) -> Any:
        port = reactor.listenTCP(0, factory, interface="0.0.0.0")
        ports.append(port.getHost().port)
        return port

    monkeypatch.setattr(listenerModule, "listen", listen)
    line = house.refusal("carrier:pigeon")
    assert "which other machines can reach" in line and "allow_remote = true" in line
    assert f"0.0.0.0:{ports[0]}" in line
    house.turn()
    assert isFree("127.0.0.1", ports[0])
    line = house.refusal("carrier:pigeon", allow_remote=True)
    assert "every machine speak to it in the clear" in line and f"0.0.0.0:{ports[1]}" in line
    known: dict[str, Any] = {"allow_remote": True, "allow_addresses": ("192.0.2.0/24",)}
    assert len(house.opened("carrier:pigeon", **known).ports) == 1


def test_an_endpoint_where_nobody_is_asked_who_they_are(house: House, monkeypatch: Any) -> None:
    """A list of addresses is no use there: it would let everybody in."""

    class Port:
        stopped = False

        def getHost(self) -> str:
            return "the moon"

        def stopListening(self) -> None:
            self.stopped = True

    port = Port()

    async def listen(*_: Any) -> Any:
        return port

    monkeypatch.setattr(listenerModule, "listen", listen)
    known: dict[str, Any] = {"allow_remote": True, "allow_addresses": ("192.0.2.0/24",)}
    line = house.refusal("carrier:pigeon", **known)
    assert "listens on the moon, and from which machine somebody comes cannot be seen" in line
    assert "[service.tls]" in line and port.stopped
    assert house.opened("carrier:pigeon", allow_remote=True, tls=TLSSettings()).ports == [port]


def test_standard_input_may_be_from_anywhere(house: House) -> None:
    """It is refused before it is read, also with a list that could not be looked at."""
    assert "standard input, which other machines can reach" in house.refusal("stdio:")
    assert "cannot be seen there" in house.refusal("stdio:", allow_remote=True)


def test_other_failures_are_told_with_their_name(house: House, monkeypatch: Any) -> None:
    """Of an endpoint that is somebody else's."""

    async def listen(*_: Any) -> Any:
        raise LookupError("no pigeon")

    monkeypatch.setattr(listenerModule, "listen", listen)
    assert house.refusal("carrier:pigeon") == (
        "service 'a' cannot listen on carrier:pigeon: LookupError: no pigeon"
    )


class Late:
    """An endpoint that takes its time."""

    def __init__(self, monkeypatch: Any) -> None:
        self.asked: list[tuple[Any, Any]] = []
        self.answer: Deferred[Any] = Deferred()
        monkeypatch.setattr(listenerModule, "listen", self.listen)

    async def listen(self, reactor: Any, endpoint: Endpoint, factory: Any) -> Any:
        self.asked.append((reactor, factory))
        return await self.answer

    def open(self, interface: str = "127.0.0.1") -> int:
        reactor, factory = self.asked[0]
        port = reactor.listenTCP(0, factory, interface=interface)
        self.answer.callback(port)
        return int(port.getHost().port)


@pytest.fixture
def lines(logged: Callable[[str], list[str]]) -> list[str]:
    """What the listener logs."""
    return logged("loopbackd.listener")


def test_an_endpoint_that_takes_its_time(house: House, monkeypatch: Any) -> None:
    """It is listened on when it is ready, and closed like any other."""
    late = Late(monkeypatch)
    listener = house.opened("carrier:pigeon")
    assert listener.addresses == []
    port = late.open()
    assert shown(listener) == [("127.0.0.1", port)]
    listener.close()
    house.turn()
    assert isFree("127.0.0.1", port)


def test_an_endpoint_that_fails_late_is_logged(
    house: House, monkeypatch: Any, lines: list[str]
) -> None:
    """There is nobody to raise it to any more."""
    late = Late(monkeypatch)
    listener = house.opened("carrier:pigeon")
    problem = OSError(errno.ENETDOWN, "Network is down")
    late.answer.errback(CannotListenError("", 0, problem))
    assert listener.ports == []
    assert lines == ["service 'a' cannot listen on carrier:pigeon: Network is down"]


def test_an_endpoint_that_is_late_and_remote_is_closed(
    house: House, monkeypatch: Any, lines: list[str]
) -> None:
    """The rule is the same."""
    late = Late(monkeypatch)
    listener = house.opened("carrier:pigeon")
    port = late.open("0.0.0.0")
    assert listener.ports == [] and "allow_remote" in lines[0]
    house.turn()
    assert isFree("127.0.0.1", port)


def test_an_endpoint_that_comes_after_its_service_has_gone_is_closed(
    house: House, monkeypatch: Any
) -> None:
    """Nobody would ever close it."""
    late = Late(monkeypatch)
    listener = house.opened("carrier:pigeon")
    listener.close()
    port = late.open()
    assert listener.ports == []
    house.turn()
    assert isFree("127.0.0.1", port)


def test_the_twin_follows_the_settings(house: House, needsIPv6: None) -> None:
    """Given up and claimed again while the port stays open."""
    listener = house.opened()
    (_, port), _ = shown(listener)
    number = os.fstat(listener.ports[0].fileno()).st_ino  # type: ignore[attr-defined]
    endpoint = listener.endpoint.text
    listener.service = live_(endpoint, twin=False)  # type: ignore[assignment]
    listener.openTwin()
    listener.closeTwin()
    house.turn()
    assert shown(listener) == [("127.0.0.1", port)]
    listener.service = live_(endpoint, twin=True)  # type: ignore[assignment]
    listener.closeTwin()
    listener.openTwin()
    listener.openTwin()
    assert shown(listener) == [("127.0.0.1", port), ("::1", port)]
    assert os.fstat(listener.ports[0].fileno()).st_ino == number  # type: ignore[attr-defined]


def test_door_and_factory_are_those_of_the_service_that_has_it_now(house: House) -> None:
    """So a port can be handed over without being closed."""
    listener = house.listener()
    told: list[Any] = []

    def service(name: str) -> Any:
        gate = SimpleNamespace(
            admit=lambda sock, remote: told.append((name, "admit", sock, remote)),
            flooded=lambda howMany: told.append((name, "flooded", howMany)),
        )
        factory = SimpleNamespace(buildProtocol=lambda addr: told.append((name, "build", addr)))
        return SimpleNamespace(gate=gate, bound=None, prepared=SimpleNamespace(factory=factory))

    address: Any = "address"
    for name in ("one", "two"):
        listener.service = service(name)
        listener.admit("sock", address)  # type: ignore[arg-type]
        listener.flooded(3)
        listener.buildProtocol(address)
        listener.doStart()
        listener.doStop()
    assert told == [
        (name, *rest)
        for name in ("one", "two")
        for rest in (("admit", "sock", "address"), ("flooded", 3), ("build", "address"))
    ]
