"""Relays that end TLS, begin it, or both."""

from __future__ import annotations

import os
import random
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from OpenSSL import SSL
from running import PATIENCE
from sockets import reset, until
from tls.ends import Client, clientContext, storeIn
from tls.targetcases import leaf, serverEnd
from twisted.internet.threads import deferToThread

from loopbackd.prepared import prepare
from loopbackd.relaysettings import RelaySettings
from loopbackd.settings import SettingsError, TLSSettings, parse
from loopbackd.targetsettings import TargetTLSSettings
from loopbackd.testing import addressOf
from loopbackd.tls.contexts import NoSharedProtocol, Policy
from relay.relaying import listening, relaying

PLAIN = bool(os.environ.get("LOOPBACKD_PLAIN_REACTOR"))
OWN = TargetTLSSettings(trust="own")
NAMES = ("app.test", "other.test", "127.0.0.1", "localhost")


class Plain:
    """The far end of a socket without TLS, with the words that L{Client} has."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.ended = self.cut = False
        self.say = sock.sendall
        sock.settimeout(PATIENCE)

    def shake(self) -> Plain:
        return self

    def finish(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def hear(self, size: int = 1 << 30) -> bytes:
        heard = b""
        while len(heard) < size:
            data = self.sock.recv(min(size - len(heard), 1 << 16))
            if not data:
                self.ended = True
                break
            heard += data
        return heard


class Served(Client):
    """A target: the server's end of TLS, one thing at a time."""

    def __init__(self, sock: socket.socket, tls: SSL.Connection) -> None:
        sock.settimeout(PATIENCE)
        self.sock, self.tls = sock, tls
        self.ended = self.cut = False


class Pair:
    """
    A client and its target, with a relay between them.

    @ivar loopback: the relay's daemon.
    """

    def __init__(self, near: Any, far: Any, loopback: Any) -> None:
        self.near, self.far, self.loopback = near, far, loopback


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Where the target listens."""
    with listening() as server:
        yield server


@asynccontextmanager
async def paired(
    tmp_path: Path,
    listener: socket.socket,
    how: str,
    *,
    tls: TargetTLSSettings = OWN,
    name: str = "app.test",
    offers: tuple[bytes, ...] = (),
    ends: TLSSettings | None = None,
    serves: Policy | None = None,
) -> AsyncIterator[Pair]:
    """C{how} the relay does it: C{ends} the client's TLS, C{begins} one, or C{both}."""
    port = listener.getsockname()[1]
    settings: dict[str, Any] = {}
    target = f"tcp:127.0.0.1:{port}"
    if how != "ends":
        target = f"tls:127.0.0.1:{port}"
        settings["relay"] = RelaySettings(tls=tls)
    if how != "begins":
        settings["tls"] = ends or TLSSettings()
    root = storeIn(tmp_path).root()
    async with relaying(target, **settings) as loopback:
        relayed = addressOf(loopback).port  # type: ignore[attr-defined]

        def client() -> Any:
            if how == "begins":
                return Plain(socket.create_connection(("127.0.0.1", relayed)))
            context = clientContext(trusted=root.certificate, alpn=offers)
            return Client(relayed, context, name).shake()

        def serve() -> Any:
            sock, _ = listener.accept()
            if how == "ends":
                return Plain(sock)
            return Served(sock, serverEnd(leaf(root, *NAMES), serves)).shake()

        calling = deferToThread(client)
        far = await deferToThread(serve)
        near = await calling
        try:
            yield Pair(near, far, loopback)
        finally:
            near.sock.close()
            far.sock.close()
            await until(lambda: not loopback.connections)


HOW = pytest.mark.parametrize("how", ["ends", "begins", "both"])


@HOW
@pytest_twisted.ensureDeferred
async def test_each_direction_ends_by_itself(
    tmp_path: Path, listener: socket.socket, how: str
) -> None:
    """The client's end is heard by the target, whose answer comes after it, and its end."""

    def talk(pair: Pair) -> None:
        pair.near.say(b"question")
        pair.near.finish()
        assert pair.far.hear() == b"question" and pair.far.ended
        pair.far.say(b"answer")
        pair.far.finish()
        assert pair.near.hear() == b"answer" and pair.near.ended

    def otherWay(pair: Pair) -> None:
        pair.far.finish()
        assert pair.near.hear() == b"" and pair.near.ended
        pair.near.say(b"still here")
        assert pair.far.hear(10) == b"still here"

    for one in (talk, otherWay):
        async with paired(tmp_path, listener, how) as pair:
            await deferToThread(one, pair)


@HOW
@pytest_twisted.ensureDeferred
async def test_four_megabytes_both_ways(tmp_path: Path, listener: socket.socket, how: str) -> None:
    """At once, to the last byte, the ends behind them."""
    up, down = (random.Random(seed).randbytes(4_000_000) for seed in (1, 2))

    def say(end: Any, data: bytes) -> None:
        end.say(data)
        end.finish()

    async with paired(tmp_path, listener, how) as pair:
        # OpenSSL's end is not for two threads: one says all before it hears.
        heard = deferToThread(pair.far.hear)
        await deferToThread(say, pair.near, up)
        assert await heard == up
        heard = deferToThread(pair.near.hear)
        await deferToThread(say, pair.far, down)
        assert await heard == down
        assert pair.near.ended and pair.far.ended


@HOW
@pytest_twisted.ensureDeferred
async def test_a_reset_stays_a_reset(tmp_path: Path, listener: socket.socket, how: str) -> None:
    """From either side."""
    for sender, hearer in (("near", "far"), ("far", "near")):
        async with paired(tmp_path, listener, how) as pair:
            one, other = getattr(pair, sender), getattr(pair, hearer)
            one.say(b"x")
            assert await deferToThread(other.hear, 1) == b"x"
            reset(one.sock)
            with pytest.raises(ConnectionResetError):
                await deferToThread(other.hear)


@pytest_twisted.ensureDeferred
async def test_what_was_cut_short_does_not_become_a_clean_end(
    tmp_path: Path, listener: socket.socket
) -> None:
    """FIN without close_notify is passed on as that, whichever side it came from, and no reset."""
    for sender, hearer in (("near", "far"), ("far", "near")):
        for answers in (True, False):
            async with paired(tmp_path, listener, "both") as pair:
                one, other = getattr(pair, sender), getattr(pair, hearer)
                if not answers:
                    other.finish()
                    assert await deferToThread(one.hear) == b""
                one.say(b"cut sh")
                one.sock.shutdown(socket.SHUT_WR)
                assert await deferToThread(other.hear) == b"cut sh"
                assert other.cut and not other.ended
                if answers:
                    other.say(b"I see")
                    other.finish()
                    assert await deferToThread(one.hear) == b"I see" and one.ended


@pytest_twisted.ensureDeferred
async def test_where_one_side_has_no_tls_an_end_is_an_end(
    tmp_path: Path, listener: socket.socket
) -> None:
    """There FIN is all that can be said."""
    async with paired(tmp_path, listener, "begins") as pair:
        pair.far.say(b"cut sh")
        pair.far.sock.shutdown(socket.SHUT_WR)
        assert await deferToThread(pair.near.hear) == b"cut sh" and pair.near.ended
        pair.near.say(b"I see")
        pair.near.finish()
        assert await deferToThread(pair.far.hear) == b"I see" and pair.far.ended


@pytest_twisted.ensureDeferred
async def test_the_name_is_passed_on_where_that_is_asked_for(
    tmp_path: Path, listener: socket.socket
) -> None:
    """Else it is the target's own, or one that is set; an address is asked for by nobody."""
    for asked, expected in (("client", b"other.test"), ("", None), ("app.test", b"app.test")):
        tls = TargetTLSSettings(trust="own", server_name=asked)
        async with paired(tmp_path, listener, "both", tls=tls, name="other.test") as pair:
            assert pair.far.tls.get_servername() == expected


@pytest_twisted.ensureDeferred
async def test_the_protocol_is_passed_on(tmp_path: Path, listener: socket.socket) -> None:
    """The target chooses among what the client offers, which is told what it chose."""
    offers = (b"one", b"two", b"three")
    for speaks, chosen in ((("two", "one"), b"two"), (("three",), b"three"), ((), b"")):
        words: dict[str, Any] = {"serves": Policy(alpn=speaks), "offers": offers}
        async with paired(tmp_path, listener, "both", **words) as pair:
            assert pair.near.tls.get_alpn_proto_negotiated() == chosen
            assert pair.far.tls.get_alpn_proto_negotiated() == chosen
            await deferToThread(pair.far.say, b"hello")
            assert await deferToThread(pair.near.hear, 5) == b"hello"


@pytest_twisted.ensureDeferred
async def test_a_list_of_ones_own_is_offered_instead(
    tmp_path: Path, listener: socket.socket
) -> None:
    """The client gets what the service speaks, the target is offered what is said."""
    words: dict[str, Any] = {"offers": (b"h2",), "serves": Policy(alpn=("http/1.1", "h2"))}
    ends = TLSSettings(alpn=("h2",))
    tls = TargetTLSSettings(trust="own", alpn=("http/1.1",))
    async with paired(tmp_path, listener, "both", tls=tls, ends=ends, **words) as pair:
        assert pair.near.tls.get_alpn_proto_negotiated() == b"h2"
        assert pair.far.tls.get_alpn_proto_negotiated() == b"http/1.1"
    # Nothing said about it to the client: nothing is passed on.
    async with paired(tmp_path, listener, "both", ends=TLSSettings(alpn=()), **words) as pair:
        assert pair.near.tls.get_alpn_proto_negotiated() == b""
        assert pair.far.tls.get_alpn_proto_negotiated() == b""
    # A relay that only ends TLS speaks what its service says.
    async with paired(tmp_path, listener, "ends", ends=ends, offers=(b"h2",)) as pair:
        assert pair.near.tls.get_alpn_proto_negotiated() == b"h2"


@pytest_twisted.ensureDeferred
async def test_a_target_that_is_not_who_it_should_be(
    tmp_path: Path, listener: socket.socket, logged: Any
) -> None:
    """The client is reset, and one line says why."""
    lines = logged("loopbackd.protocols.relay")
    root = storeIn(tmp_path).root()
    target = f"tls:127.0.0.1:{listener.getsockname()[1]}"

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            served = Served(sock, serverEnd(leaf(root, "wrong.test")))
            with pytest.raises(SSL.Error, match="alert"):
                served.shake()

    serving = deferToThread(serve)
    async with relaying(target, relay=RelaySettings(tls=OWN)) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.settimeout(PATIENCE)
            with pytest.raises(ConnectionResetError):
                await deferToThread(client.recv, 1)
        await serving
    assert len(lines) == 1 and lines[0].count(target) == 1
    assert "not for '127.0.0.1', but for 'wrong.test'; the client is reset" in lines[0]


@pytest.mark.parametrize("refused", ["reset", "close"])
@pytest_twisted.ensureDeferred
async def test_a_target_that_speaks_nothing_in_common(
    tmp_path: Path, listener: socket.socket, logged: Any, refused: Any
) -> None:
    """The client's handshake is not begun, and one line says why."""
    lines = logged("loopbackd.protocols.relay")
    root = storeIn(tmp_path).root()
    target = f"tls:127.0.0.1:{listener.getsockname()[1]}"

    def serve() -> None:
        sock, _ = listener.accept()
        with sock, pytest.raises(NoSharedProtocol):
            Served(sock, serverEnd(leaf(root, *NAMES), Policy(alpn=("other",)))).shake()

    def call(port: int) -> None:
        with pytest.raises(ConnectionResetError if refused == "reset" else EOFError):
            Client(port, clientContext(alpn=(b"h2",)), "app.test").shake()

    serving = deferToThread(serve)
    relay = RelaySettings(tls=OWN, refused=refused)
    async with relaying(target, relay=relay, tls=TLSSettings()) as loopback:
        await deferToThread(call, addressOf(loopback).port)  # type: ignore[attr-defined]
        await serving
        await until(lambda: not loopback.connections)
    # The target was not told to say why: it broke off.
    assert len(lines) == 1 and "cannot be reached" in lines[0]


@pytest_twisted.ensureDeferred
async def test_who_goes_while_the_target_is_asked(
    tmp_path: Path, listener: socket.socket, logged: Any
) -> None:
    """The client, and the target's connection goes with it; or the target's time is up."""
    lines = logged("loopbackd.protocols.relay")
    target = f"tls:127.0.0.1:{listener.getsockname()[1]}"
    relay = RelaySettings(tls=OWN, connect_timeout=0.5)
    hello = Client.fresh(clientContext(alpn=(b"h2",)), "app.test")
    with pytest.raises(SSL.WantReadError):
        hello.do_handshake()
    words = hello.bio_read(1 << 16)
    async with relaying(target, relay=relay, tls=TLSSettings()) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        for isGone in (True, False):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.settimeout(PATIENCE)
                client.sendall(words)
                far, _ = await deferToThread(listener.accept)
                far.settimeout(PATIENCE)
                with far:
                    assert await deferToThread(far.recv, 1 << 16)
                    if isGone:
                        reset(client)
                    else:
                        with pytest.raises(ConnectionResetError):
                            await deferToThread(client.recv, 1)
                    with pytest.raises(ConnectionResetError):
                        await deferToThread(far.recv, 1)
            await until(lambda: not loopback.connections)
    assert len(lines) == 1 and "no answer in 0.5 s" in lines[0]


@pytest_twisted.ensureDeferred
async def test_a_target_that_does_not_wait_for_the_client(
    tmp_path: Path, listener: socket.socket, logged: Any
) -> None:
    """The client finishes its handshake, and is reset."""
    lines = logged("loopbackd.protocols.relay")
    root = storeIn(tmp_path).root()
    target = f"tls:127.0.0.1:{listener.getsockname()[1]}"

    def serve() -> None:
        sock, _ = listener.accept()
        Served(sock, serverEnd(leaf(root, *NAMES))).shake()
        reset(sock)

    async with relaying(target, relay=RelaySettings(tls=OWN), tls=TLSSettings()) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        serving = deferToThread(serve)
        client = Client(port, clientContext(alpn=(b"http/1.1",)), "app.test")
        with pytest.raises(SSL.WantReadError):
            client.tls.do_handshake()
        client.flush()
        assert await deferToThread(client.fill)
        await serving
        if not PLAIN:
            await until(lambda: len(gone(loopback)) == 1)
        with pytest.raises(ConnectionResetError):
            await deferToThread(lambda: client.shake().hear())
        client.close()
        await until(lambda: not loopback.connections)
    # Twisted's own reactors do not watch who is paused: there the reset comes when it is read.
    assert len(lines) == (0 if PLAIN else 1)
    assert all("before the client was ready" in line for line in lines)


def gone(loopback: Any) -> list[Any]:
    """The targets that were reached ahead, and are gone."""
    found = []
    for connection in loopback.connections:
        ready = connection._transport.protocol._ready
        if ready is not None and ready._isOver:
            found.append(ready)
    return found


@pytest_twisted.ensureDeferred
async def test_python_clients_and_servers(tmp_path: Path, listener: socket.socket) -> None:
    """The relay's own certificate is believed, as the target's is."""
    async with paired(tmp_path, listener, "ends") as pair:
        port = addressOf(pair.loopback).port  # type: ignore[attr-defined]
        context = ssl.create_default_context(cafile=storeIn(tmp_path).publicPath)

        def talk() -> bytes:
            with socket.create_connection(("127.0.0.1", port)) as sock:
                sock.settimeout(PATIENCE)
                with context.wrap_socket(sock, server_hostname="app.test") as tls:
                    far, _ = listener.accept()
                    with far:
                        tls.sendall(b"question")
                        return far.recv(100)

        assert await deferToThread(talk) == b"question"


def relayFile(tmp_path: Path, more: str, target: str = "tls:a.test:1") -> Any:
    """What becomes of a configuration with that in it."""
    text = f'[[service]]\nprotocol = "relay"\ntarget = "{target}"\n{more}'
    settings = parse(text, "the file")
    return list(prepare(settings, tmp_path).values())


def test_what_can_be_written_into_a_file(tmp_path: Path) -> None:
    """All of it, in a table of the relay's."""
    storeIn(tmp_path).root()
    pem = storeIn(tmp_path).publicPath
    more = f'[service.relay.tls]\ntrust = "{pem}"\nserver_name = "client"\nalpn = ["h2"]\n'
    [one] = relayFile(tmp_path, more)
    [other] = relayFile(tmp_path, more)
    # The file may be another one at a reload.
    assert not one.isSame(other)
    [one], [other] = relayFile(tmp_path, ""), relayFile(tmp_path, "")
    assert one.isSame(other)


@pytest.mark.parametrize(
    ("more", "target", "what"),
    [
        ('[service.relay.tls]\npin = "abc"', "tls:a.test:1", "pin = 'abc' is no SHA-256"),
        ('[service.relay.tls]\ntrust = "own"', "tcp:a.test:1", "relay.tls is for a target"),
        ('[service.relay.tls]\ntrsut = "own"', "tls:a.test:1", "did you mean 'trust'"),
        ('[service.relay.tls]\nmin_version = "1.1"', "tls:a.test:1", "write '1.2' or '1.3'"),
        ("", "tls:a.test", "port '' is not a number"),
    ],
)
def test_what_is_wrong_in_a_file(tmp_path: Path, more: str, target: str, what: str) -> None:
    """One line for the operator."""
    with pytest.raises(SettingsError, match=what) as caught:
        relayFile(tmp_path, more, target)
    assert "\n" not in str(caught.value)
