"""Who may use the API, where it listens, and what bounds it."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from controlled import API, HERE, inThread, reactor, running
from running import Running, refused, service
from sockets import until
from twisted.internet.task import deferLater

from loopbackd.control.listening import check
from loopbackd.controlsettings import ControlSettings
from loopbackd.httpsettings import HTTPSettings
from loopbackd.peer.identity import PeerIdentity
from loopbackd.settings import ServiceSettings, SettingsError

_ASK = """
import encodings.idna, http.client, os, sys
os.setuid(int(sys.argv[2]))
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
connection.request("GET", "/proxies")
answer = connection.getresponse()
print(answer.status, answer.read().decode())
"""


def asUser(port: int, uid: int) -> str:
    """What another user is told."""
    words = [sys.executable, "-c", _ASK, str(port), str(uid)]
    return subprocess.run(words, capture_output=True, text=True, timeout=20, check=True).stdout


@pytest_twisted.ensureDeferred
async def test_other_users(needsRoot: None) -> None:
    """They are told who may, until the operator lets them in; a change counts at once."""
    async with running() as api:
        told = await inThread(asUser, api.port, 4321)
        assert told.startswith("403 ") and "not for uid 4321" in told
        assert "uids = [4321] in [control]" in told
        settings = ControlSettings(endpoint=HERE, twin=False, uids=(4321,))
        api.control.become(api.control.prepare(settings))
        assert (await inThread(asUser, api.port, 4321)).startswith("200 ")


@pytest_twisted.ensureDeferred
async def test_users_who_are_unknown() -> None:
    """They are told so."""
    async with running() as api:
        unknown = PeerIdentity(None, 0, None, "", "nobody was home")
        api.control.connections.identify = lambda sock: unknown
        told = await api.ask("GET", "/version")
        assert told.status == 403
        assert "who asks is unknown (nobody was home)" in told.error


async def untilOpen(api: API, number: int) -> None:
    """Wait until the API has so many connections."""
    connections = api.control.connections
    await until(lambda: len(connections) == number, lambda: list(connections))


def asked(client: socket.socket) -> bytes:
    """The answer to a question; more can be asked."""
    client.sendall(b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return client.recv(4096)


def kept(api: API) -> socket.socket:
    """A connection on which something was asked, and more may be."""
    client = socket.create_connection(("127.0.0.1", api.port), 10)
    assert asked(client).startswith(b"HTTP/1.1 200 ")
    return client


@pytest_twisted.ensureDeferred
async def test_strangers_take_no_room_of_others() -> None:
    """They have few places of their own, and all who may come have theirs."""
    control = ControlSettings(endpoint=HERE, twin=False, max_connections=2)
    async with running(control=control) as api:
        identify = api.control.connections.identify
        stranger = PeerIdentity(4321, 1, None, "ESTABLISHED", "")
        api.control.connections.identify = lambda sock: stranger
        opened: list[socket.socket] = []
        try:
            for _ in range(20):
                opened.append(socket.create_connection(("127.0.0.1", api.port), 10))
            await untilOpen(api, 16)
            with pytest.raises(ConnectionResetError):
                await inThread(opened[-1].recv, 1)
            assert len(api.control.connections) == 16
            api.control.connections.identify = identify
            assert (await api.ask("GET", "/version")).status == 200
            await untilOpen(api, 16)
            opened += [await inThread(kept, api) for _ in range(2)]
            await untilOpen(api, 18)
            with pytest.raises((ConnectionError, http.client.HTTPException)):
                await api.ask("GET", "/version")
        finally:
            for one in opened:
                one.close()


@pytest_twisted.ensureDeferred
async def test_who_was_let_in_to_nothing_makes_room() -> None:
    """A page has the user's browser open any number of connections: no program waits for those."""
    control = ControlSettings(endpoint=HERE, twin=False, max_connections=3)
    async with running(control=control) as api:
        with ExitStack() as opened:
            old = opened.enter_context(await inThread(kept, api))
            page = b"POST /reset HTTP/1.1\r\nHost: localhost\r\nOrigin: http://a.example\r\n"
            for said in (b"", b"GET", page + b"Content-Length: 9\r\n\r\n") * 3:
                last = opened.enter_context(socket.create_connection(("127.0.0.1", api.port), 10))
                last.sendall(said)
                assert (await api.ask("GET", "/version")).status == 200
                # Who asked is gone, too.
                await until(lambda: len(api.control.connections) <= 2)
            # Those who are served stay, and the newest of the others.
            assert (await inThread(asked, old)).startswith(b"HTTP/1.1 200 ")
            assert (await inThread(last.recv, 12)) == b"HTTP/1.1 403"


@pytest_twisted.ensureDeferred
async def test_bounds_count_at_once() -> None:
    """Where they are changed, for connections from then on."""
    async with running() as api:
        settings = ControlSettings(endpoint=HERE, twin=False, timeout=0.5, max_body=1024)
        api.control.become(api.control.prepare(settings))

        def trickle(data: bytes) -> tuple[bytes, float]:
            start = time.monotonic()
            with socket.create_connection(("127.0.0.1", api.port), 10) as client:
                client.sendall(data)
                return client.recv(1000), time.monotonic() - start

        heard, took = await inThread(trickle, b"")
        assert heard == b"" and took < 5
        heard, took = await inThread(trickle, b"GET /version")
        assert heard.startswith(b"HTTP/1.1 408 ") and took < 5
        assert (await api.ask("POST", "/proxies", b"x" * 2000)).status == 413


@pytest_twisted.ensureDeferred
async def test_bodies_and_heads_are_bounded() -> None:
    """In bytes, and nothing comes of them."""
    control = ControlSettings(endpoint=HERE, twin=False, max_body=2000, max_head=1024)
    async with running(control=control) as api:
        told = await api.ask("POST", "/populate", b"[" + b" " * 3000 + b"]")
        assert told.status == 413 and "2000 bytes" in told.error
        told = await api.ask("GET", "/version", headers={"X": "x" * 2000})
        assert told.status == 431


@pytest.mark.parametrize(
    "data",
    [
        b"GET /version HT",
        b"POST /proxies HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
    ],
)
@pytest_twisted.ensureDeferred
async def test_time_is_bounded(data: bytes) -> None:
    """A trickle of bytes does not buy any."""
    control = ControlSettings(endpoint=HERE, twin=False, timeout=1.0)
    async with running(control=control) as api:

        def trickle() -> float:
            start = time.monotonic()
            with socket.create_connection(("127.0.0.1", api.port), 10) as client:
                client.settimeout(0.2)
                client.sendall(data)
                while time.monotonic() - start < 10:
                    try:
                        client.sendall(b" ")
                        client.recv(1000)
                        break
                    except TimeoutError:
                        continue
                    except ConnectionError:
                        break
            return time.monotonic() - start

        assert await inThread(trickle) < 4


@pytest_twisted.ensureDeferred
async def test_time_to_read_is_bounded() -> None:
    """Who asks for much and reads none of it is reset, and others are served meanwhile."""
    control = ControlSettings(endpoint=HERE, twin=False, timeout=1.0)
    async with running(control=control) as api:

        def slow() -> float:
            start = time.monotonic()
            with socket.socket() as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                client.settimeout(10)
                client.connect(("127.0.0.1", api.port))
                ask = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
                try:
                    while True:
                        client.sendall(ask)
                except ConnectionError:
                    return time.monotonic() - start

        reading = inThread(slow)
        asked = time.monotonic()
        assert (await api.ask("GET", "/version")).status == 200
        assert time.monotonic() - asked < 1
        assert await reading < 4


@pytest_twisted.ensureDeferred
async def test_other_machines_are_never_listened_for() -> None:
    """Their users are unknown."""
    async with running() as api:
        with pytest.raises(SettingsError, match="other machines could reach it"):
            api.control.prepare(ControlSettings(endpoint="tcp:0"))


@pytest_twisted.ensureDeferred
async def test_a_change_that_is_forgone() -> None:
    """The API stays where it is, and is where it was wanted only for as long as it takes."""
    async with running() as api:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        ready = api.control.prepare(ControlSettings(endpoint=f"tcp:{port}:interface=127.0.0.1"))
        ready.forgo()
        await deferLater(reactor, 0.01, lambda: None)
        assert refused(port)
        assert (await api.ask("GET", "/version")).status == 200


@pytest_twisted.ensureDeferred
async def test_it_goes_and_comes() -> None:
    """Off, and on again elsewhere; what is open stays open."""
    async with running() as api:
        first = api.port
        connection = http.client.HTTPConnection("127.0.0.1", first, timeout=10)

        def ask() -> int:
            connection.request("GET", "/version")
            answer = connection.getresponse()
            answer.read()
            return answer.status

        assert await inThread(ask) == 200
        api.control.become(api.control.prepare(ControlSettings(endpoint="off")))
        await deferLater(reactor, 0.01, lambda: None)
        assert refused(first) and api.control.addresses == []
        assert await inThread(ask) == 200
        connection.close()
        api.control.become(api.control.prepare(ControlSettings(endpoint=HERE, twin=False)))
        address: Any = api.control.addresses[0]
        api.port = address.port
        assert (await api.ask("GET", "/version")).status == 200


@pytest_twisted.ensureDeferred
async def test_services_that_are_full_do_not_concern_it() -> None:
    """It has room of its own, however many connections there may be."""
    async with running() as api:
        api.loopback.room.resize(1)
        echo: Any = api.loopback.addresses["echo"][0]
        clients = [await inThread(socket.create_connection, (echo.host, echo.port)) for _ in "12"]
        assert (await api.ask("GET", "/services")).status == 200
        for client in clients:
            client.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (ControlSettings(uids=("nobody-of-that-name",)), "there is no user 'nobody-of-that-name'"),
        (ControlSettings(endpoint="off", uids=("nobody-of-that-name",)), "there is no user"),
        (ControlSettings(endpoint="tcp:0"), "other machines could reach it"),
        (ControlSettings(allow_addresses=("10.0.0.0/7", "x")), "allow_addresses: 'x' is no"),
        (ControlSettings(endpoint="tpc:0:interface=127.0.0.1"), "did you mean 'tcp'?"),
    ],
)
def test_what_cannot_be_is_found_beforehand(settings: ControlSettings, said: str) -> None:
    """By check-config, too; one line says so."""
    with pytest.raises(SettingsError) as caught:
        check(settings)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).startswith("control: ")


def test_defects_a_busy_port_is_refused_in_one_line(
    daemon: Callable[..., Running], tmp_path: Path
) -> None:
    """Never a daemon without its API: who has it is said, and what to do."""
    first = daemon("--listen", HERE, "--control", HERE)
    port = first.says(r"control: on 127\.0\.0\.1:(\d+)")[1]
    for options in (
        ["--control", f"tcp:{port}:interface=127.0.0.1"],
        ["--control", f"tcp:{port}:interface=127.0.0.1", "--protocol", "echo"],
    ):
        second = daemon("--listen", HERE, *options)
        assert second.end() == 1
        (line,) = second.errors.splitlines()
        assert line.startswith("loopbackd: control: cannot listen on tcp:")
        assert "twistd" in line and "--control off" in line and "--listen" not in line
    first.stop()


@pytest.mark.parametrize(
    ("control", "said"),
    [
        ("tcp:0", "other machines could reach it"),
        ("nope:1", "there is no kind 'nope'"),
        ("tcp:x", "port 'x' is not a number"),
        ("on", "is not complete"),
    ],
)
def test_what_is_no_endpoint(daemon: Callable[..., Running], control: str, said: str) -> None:
    """It is found before anything listens."""
    running = daemon("--listen", HERE, "--control", control)
    assert running.end() == 1
    (line,) = running.errors.splitlines()
    assert line.startswith("loopbackd: control: ") and said in line


def test_a_unix_socket_is_its_owners(
    daemon: Callable[..., Running], tmp_path: Path, program: Callable[..., str]
) -> None:
    """Mode 0600, and curl reaches it."""
    path = tmp_path / "control.sock"
    running = daemon("--listen", HERE, "--control", f"unix:{path}")
    running.says("control: on ")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    curl = [program("curl"), "-sS", "--unix-socket", str(path), "http://localhost/version"]
    assert subprocess.check_output(curl, timeout=20) == b'{"version": "2.12.0"}\n'
    running.stop()
    assert not path.exists()


def get(port: int, path: str, method: str = "GET", body: str | None = None) -> tuple[int, Any]:
    """Status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_the_configuration_is_read_again(daemon: Callable[..., Running], tmp_path: Path) -> None:
    """The API moves, goes and comes, with what was added; where it cannot, nothing changes."""
    config = tmp_path / "it.toml"

    def write(control: str, more: str = "") -> None:
        text = service("echo", HERE, "echo", "twin = false") + more
        config.write_text(f"{text}\n[control]\ntwin = false\nendpoint = '{control}'\n")

    write(HERE)
    running = daemon("--config", str(config), "--control", HERE)
    port = int(running.says(r"control: on 127\.0\.0\.1:(\d+)")[1])
    body = '{"name": "p", "upstream": "127.0.0.1:1"}'
    assert get(port, "/proxies", "POST", body)[0] == 201
    running.send(signal.SIGHUP)
    running.says("The configuration was read again")
    assert b'"p"' in get(port, "/proxies")[1]
    write(HERE, service("p"))
    running.send(signal.SIGHUP)
    line = running.says("Nothing was changed: (.*)")[1]
    assert "'p': one of that name was added" in line
    assert b'"p"' in get(port, "/proxies")[1]
    running.stop()


def test_it_is_ended_first(daemon: Callable[..., Running]) -> None:
    """A connection that is kept alive does not keep the daemon."""
    running = daemon("--listen", HERE, "--control", HERE, "--drain", "30")
    port = int(running.says(r"control: on 127\.0\.0\.1:(\d+)")[1])
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert re.match(rb"HTTP/1.1 200 ", client.recv(1000))
        start = time.monotonic()
        running.stop()
        assert time.monotonic() - start < 10
        assert client.recv(1000) == b""


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("relays", [1, 2])
async def test_other_users_behind_our_own_relays(needsRoot: None, relays: int) -> None:
    """A relay that leads here makes nobody the daemon's user, however many there are."""
    async with running() as api:
        port = api.port
        for number in range(relays):
            asked = {"name": f"way{number}", "upstream": f"127.0.0.1:{port}"}
            made = await api.post("/proxies", asked, 201)
            port = int(made["listen"].rpartition(":")[2])
        told = await inThread(asUser, port, 4321)
        assert told.startswith("403 ") and "not for uid 4321" in told
        assert (await inThread(asUser, port, 0)).startswith("200 ")


@pytest_twisted.ensureDeferred
async def test_stubs_that_pass_requests_on() -> None:
    """Whoever asks the service would be the daemon's user here."""
    http = HTTPSettings(fallback="not_found")
    service = ServiceSettings(name="http", protocol="http", endpoint=HERE, twin=False, http=http)
    async with running(service) as api:
        stub = {"path": "/version", "answer": {"target": api.url}}
        await api.post("/services/http/stubs", stub, 201)
        address: Any = api.loopback.addresses["http"][0]
        other = API(api.loopback, api.control)
        other.port = address.port
        told = await other.ask("GET", "/version")
        assert told.status == 403
        assert "stub" in told.error


_NAMED = [
    ("/services", {"name": "s", "protocol": "echo", "endpoint": "unix:/nowhere/s"}),
    ("/services", {"name": "s", "protocol": "echo", "endpoint": "systemd:domain=INET:index=0"}),
    ("/services", {"name": "s", "endpoint": HERE, "protocol": "relay", "target": "unix:/x"}),
    ("/services", {"name": "s", "endpoint": HERE, "protocol": "relay", "target": "ssl:h:1"}),
    ("/proxies", {"name": "s", "upstream": "tls:h:1:certificate=/x"}),
    ("/proxies", {"name": "s", "upstream": "tls:h:1:/x"}),
    ("/services", {"name": "s", "endpoint": HERE, "tls": {"client_ca": "/etc/passwd"}}),
    (
        "/services",
        {
            "name": "s",
            "endpoint": HERE,
            "protocol": "relay",
            "target": "tls:127.0.0.1:1",
            "relay": {"tls": {"certificate": "/etc/passwd"}},
        },
    ),
    (
        "/services",
        {
            "name": "s",
            "endpoint": HERE,
            "protocol": "http",
            "http": {"stub": [{"path": "/", "answer": {"file": "/etc/passwd"}}]},
        },
    ),
    ("/services/http/stubs", {"path": "/", "answer": {"file": "/etc/passwd"}}),
    ("/services/http/stubs", {"path": "/", "answer": [{"template_file": "/etc/passwd"}]}),
    ("/proxies", {"name": "s", "upstream": "unix:/x"}),
]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(("path", "body"), _NAMED)
async def test_what_is_done_with_the_rights_of_the_daemon(path: str, body: Any) -> None:
    """Users who are only named do not get it; everything else they do."""
    http = ServiceSettings(name="http", protocol="http", endpoint=HERE, twin=False)
    async with running(http) as api:
        api.control.site.allow(ControlSettings(endpoint=HERE, twin=False, uids=(4321,)))
        named = PeerIdentity(4321, 1, None, "ESTABLISHED", "")
        api.control.connections.identify = lambda sock: named
        told = await api.ask("POST", path, body)
        assert told.status == 403, told
        assert "with the daemon's rights" in told.error
        await api.post("/proxies", {"name": "p", "upstream": "127.0.0.1:1"}, 201)
        told = await api.ask("POST", "/proxies/p", {"upstream": "unix:/x"})
        assert told.status == 403, told
        told = await api.ask("POST", "/populate", [{"name": "q", "upstream": "unix:/x"}])
        assert told.status == 500, told
        assert "rights" in told.error


@pytest_twisted.ensureDeferred
async def test_what_the_operator_has_named_stays() -> None:
    """A service of the configuration that names a file can be changed by those who are named."""
    relay = ServiceSettings(
        name="r", protocol="relay", endpoint=HERE, twin=False, target="unix:/nowhere"
    )
    async with running(relay) as api:
        api.control.site.allow(ControlSettings(endpoint=HERE, twin=False, uids=(4321,)))
        named = PeerIdentity(4321, 1, None, "ESTABLISHED", "")
        api.control.connections.identify = lambda sock: named
        await api.patch("/services/r", {"idle_timeout": 5})
        await api.post("/proxies/r", {"upstream": "unix:/nowhere", "enabled": False})
