"""Tests for L{loopbackd.tls.factory}, C{auto}'s TLS, and the settings that ask for both."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from sockets import until
from twisted.internet import reactor as realReactor
from twisted.internet.threads import deferToThread

from loopbackd.prepared import prepare
from loopbackd.protocols.http2 import PREFACE
from loopbackd.settings import (
    AuthoritySettings,
    Routes,
    ServiceSettings,
    Settings,
    SettingsError,
    TLSSettings,
    parse,
)
from loopbackd.testing import addressOf, converse, serving, servingAll
from tls.ends import Client, client, clientContext, storeIn

reactor: Any = realReactor


async def asked(loopback: Any, data: bytes, **others: Any) -> bytes:
    """What is answered under TLS to a client that then finishes."""

    def talk() -> bytes:
        with client(loopback, clientContext(**others)) as one:
            if data:
                one.say(data)
            one.finish()
            return one.hear()

    return await deferToThread(talk)  # type: ignore[no-any-return]


@pytest_twisted.ensureDeferred
async def test_everything_that_auto_speaks_it_speaks_under_tls() -> None:
    """Greeting, echo, HTTP, HTTP/2's refusal; TLS within TLS is closed."""
    async with serving(reactor, "auto") as loopback:
        where = f"Hello from 127.0.0.1:{addressOf(loopback).port}!".encode()  # type: ignore[attr-defined]
        assert (await asked(loopback, b"")).startswith(where)
        assert await asked(loopback, b"x\x00y") == b"x\x00y"
        request = b"GET /headers HTTP/1.1\r\nHost: localhost\r\n\r\n"
        assert (await asked(loopback, request)).startswith(b"HTTP/1.1 200 OK\r\n")
        assert (await asked(loopback, PREFACE))[3] == 4
        hello = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + bytes(194)
        assert await asked(loopback, hello) == b""
        assert await asked(loopback, b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nhi") == b"hi"


@pytest_twisted.ensureDeferred
async def test_a_header_before_tls_counts_inside() -> None:
    """A PROXY header, TLS, and a second header within: one is enough."""

    def talk(port: int, inside: bytes) -> bytes:
        one = Client(port, clientContext())
        one.sock.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
        one.shake()
        one.say(inside)
        try:
            return one.hear(5)
        except ConnectionResetError:
            return b"reset"
        finally:
            one.close()

    async with serving(reactor, "auto") as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        assert await deferToThread(talk, port, b"hello") == b"hello"
        twice = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nhello"
        assert await deferToThread(talk, port, twice) == b"reset"


@pytest_twisted.ensureDeferred
async def test_who_is_silent_under_tls_is_greeted() -> None:
    """Once the handshake is done, however long that took."""

    def talk(port: int) -> bytes:
        with client(port, clientContext()) as one:
            heard = one.hear(10)
            one.say(b"quit\n")
            return heard + one.hear()

    async with serving(reactor, "auto", {"greeting_delay": 0.01}) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        heard = await deferToThread(talk, port)
        assert heard.startswith(b"Hello from ") and heard.endswith(b"Goodbye.\n")


@pytest_twisted.ensureDeferred
async def test_one_that_speaks_first() -> None:
    """hello says it with the end of the handshake, and is gone with a goodbye."""

    def talk(port: int) -> tuple[bytes, bool]:
        with client(port, clientContext()) as one:
            return one.hear(), one.ended

    async with serving(reactor, "hello", tls=TLSSettings()) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        heard, ended = await deferToThread(talk, port)
        assert heard == f"Hello from 127.0.0.1:{port}!\n".encode() and ended


@pytest_twisted.ensureDeferred
async def test_a_service_with_tls_has_nothing_else() -> None:
    """Plain words get no answer but an alert."""
    async with serving(reactor, "echo", tls=TLSSettings()) as loopback:
        heard = await converse(reactor, loopback, b"EHLO there\r\n")
        assert heard[:1] in (b"", b"\x15")


@pytest_twisted.ensureDeferred
async def test_over_a_unix_socket(tmp_path: Path) -> None:
    """TLS is not about TCP."""
    path = tmp_path / "s"

    def talk() -> bytes:
        one = Client.__new__(Client)
        one.sock = socket.socket(socket.AF_UNIX)
        one.sock.settimeout(10)
        one.sock.connect(str(path))
        one.tls = Client.fresh(clientContext(), "localhost")
        one.ended = one.cut = False
        try:
            one.shake().say(b"hello")
            one.finish()
            return one.hear()
        finally:
            one.close()

    async with serving(reactor, "echo", endpoint=f"unix:{path}", tls=TLSSettings()):
        assert await deferToThread(talk) == b"hello"


@pytest_twisted.ensureDeferred
async def test_sessions_end_when_the_daemon_does() -> None:
    """The drain hangs up with close_notify."""
    service = ServiceSettings(
        name="test",
        endpoint="tcp:0:interface=127.0.0.1",
        protocol="echo",
        tls=TLSSettings(),
        twin=False,
    )
    async with servingAll(reactor, Settings(service=(service,), drain=0)) as loopback:
        one = await deferToThread(
            lambda: Client(addressOf(loopback).port, clientContext()).shake()  # type: ignore[attr-defined]
        )
        one.say(b"x")
        assert await deferToThread(one.hear, 1) == b"x"
    assert await deferToThread(one.hear) == b""
    assert one.ended
    one.close()


@pytest_twisted.ensureDeferred
async def test_a_reload_changes_how_tls_is_spoken(tmp_path: Path) -> None:
    """The next connection has it; so does a route that is changed."""

    def settings(tls: TLSSettings | None) -> Settings:
        service = ServiceSettings(
            name="test", endpoint="tcp:0:interface=127.0.0.1", tls=tls, twin=False
        )
        return Settings(service=(service,), drain=0)

    async with servingAll(reactor, settings(None)) as loopback:
        assert await asked(loopback, b"\0a", version="1.2") == b"\0a"
        newer = settings(TLSSettings(min_version="1.3"))
        loopback.change(newer, prepare(newer, tmp_path))
        with pytest.raises(Exception, match="alert protocol version"):
            await asked(loopback, b"\0a", version="1.2")
        assert await asked(loopback, b"\0a", version="1.3") == b"\0a"


@pytest_twisted.ensureDeferred
async def test_nothing_is_made_until_tls_is_spoken(tmp_path: Path) -> None:
    """auto alone leaves the disk as it is, and a directory that is no good harms TLS alone."""
    service = ServiceSettings(name="test", endpoint="tcp:0:interface=127.0.0.1", twin=False)
    (tmp_path / "file").touch()
    bad = AuthoritySettings(directory=str(tmp_path / "file" / "a"))
    async with servingAll(reactor, Settings(service=(service,), authority=bad)) as loopback:
        assert await converse(reactor, loopback, b"\0x") == b"\0x"
        with pytest.raises(Exception, match="internal error"):
            await asked(loopback, b"\0x")
    assert not (tmp_path / "state").exists()


def prepared(tmp_path: Path, **keys: Any) -> Any:
    """A service of a configuration in that directory."""
    service = ServiceSettings(name="it", endpoint="tcp:0:interface=127.0.0.1", **keys)
    return prepare(Settings(service=(service,)), tmp_path)["it"]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"protocol": "echo", "tls": TLSSettings(client_ca="no.pem")}, "no.pem': No such file"),
        ({"tls": TLSSettings(client_ca="empty")}, "no certificate in it; give a PEM file"),
        (
            {"tls": TLSSettings(), "routes": Routes(tls="echo")},
            "tls = ... says how TLS is ended, and routes.tls leads elsewhere",
        ),
        ({"routes": Routes(http="terminate")}, "http = 'terminate' leads nowhere"),
        ({"routes": Routes(tls="unwrap")}, "tls = 'unwrap' leads nowhere"),
    ],
)
def test_what_cannot_be_prepared(tmp_path: Path, keys: dict[str, Any], said: str) -> None:
    """It is said before anything listens."""
    (tmp_path / "empty").touch()
    with pytest.raises(SettingsError, match="service 'it'") as caught:
        prepared(tmp_path, **keys)
    assert said in str(caught.value)


def test_an_authority_that_is_not_safe_is_told_beforehand(tmp_path: Path) -> None:
    """Where a service needs it in any case."""
    store = storeIn(tmp_path)
    store.root()
    (store.directory / "private.pem").chmod(0o666)
    with pytest.raises(SettingsError, match=r"service 'it': tls: authority: .*mode 666"):
        prepared(tmp_path, protocol="echo", tls=TLSSettings())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("min_version = '1.1'", "tls: min_version = '1.1': write '1.2' or '1.3'"),
        ("min = '1.2'", "tls: unknown key 'min'; known are min_version"),
        ("alpn = 'h2'", "tls: alpn = 'h2': expected a list, got a text"),
        (
            "client_certificate = 'maybe'",
            "client_certificate = 'maybe': write 'required' or 'optional'",
        ),
    ],
)
def test_mistakes_in_the_table(text: str, said: str) -> None:
    """They are named with their place."""
    with pytest.raises(SettingsError) as caught:
        parse(f"[[service]]\nname = 'a'\n[service.tls]\n{text}\n", "it.toml")
    assert said in str(caught.value)


def test_a_client_ca_is_read_again(tmp_path: Path) -> None:
    """A reload takes the file as it is now; everything else that is the same stays."""
    store = storeIn(tmp_path)
    root: x509.Certificate = store.root().certificate
    (tmp_path / "ca.pem").write_bytes(store.publicPath.read_bytes())
    tls = TLSSettings(client_ca="ca.pem")
    assert not prepared(tmp_path, tls=tls).isSame(prepared(tmp_path, tls=tls))
    own = TLSSettings(client_ca="own")
    assert prepared(tmp_path, tls=own).isSame(prepared(tmp_path, tls=own))
    assert root == store.root().certificate


@pytest_twisted.ensureDeferred
async def test_a_silent_client_is_closed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ClientHello's beginning, and then nothing: reset at the deadline."""
    monkeypatch.setattr("loopbackd.tls.end.HANDSHAKE_SECONDS", 0.2)

    def talk(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), 10) as one:
            one.sendall(b"\x16\x03\x01\x00\xc8\x01")
            with pytest.raises(ConnectionResetError):
                one.recv(1)

    async with serving(reactor, "auto") as loopback:
        await deferToThread(talk, addressOf(loopback).port)  # type: ignore[attr-defined]
        await until(lambda: not len(loopback.connections))
