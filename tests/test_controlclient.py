"""Asking a control API: where it is, and what is said when nobody answers as it should."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest

from loopbackd.control import shapes
from loopbackd.controlclient import Address, ControlClient, ControlError, Trust, addressOf, path
from loopbackd.peer.identity import PeerIdentity


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("http://127.0.0.1:8474", Address("127.0.0.1", 8474)),
        ("http://127.0.0.1:9/", Address("127.0.0.1", 9)),
        ("localhost", Address("localhost", 8474)),
        ("9000", Address("127.0.0.1", 9000)),
        ("[::1]:9000", Address("::1", 9000)),
        ("tcp:9000:interface=127.0.0.2", Address("127.0.0.2", 9000)),
        (r"tcp6:9000:interface=\:\:1", Address("::1", 9000)),
        ("tcp:9000", Address("127.0.0.1", 9000)),
        ("unix:/run/x.sock", Address("localhost", 0, "/run/x.sock")),
    ],
)
def test_addresses(text: str, wanted: Address) -> None:
    """All ways to write one."""
    assert addressOf(text) == wanted
    assert addressOf(str(wanted)) == wanted


@pytest.mark.parametrize(
    "text", ["", "https://x", "http://", "http://h:99999", "h:p", "unix:", "http://h/x"]
)
def test_no_addresses(text: str) -> None:
    """What is none is refused, with what to write."""
    with pytest.raises(ControlError, match="write"):
        addressOf(text)


def test_paths() -> None:
    """A name can be any text."""
    assert path("services", "a b/c?", "toxics") == "/services/a%20b%2Fc%3F/toxics"


@contextmanager
def answering(answer: bytes) -> Iterator[ControlClient]:
    """A server that answers once with these bytes, whatever is asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                client.recv(65536)
                client.sendall(answer)

        thread = Thread(target=serve)
        thread.start()
        yield ControlClient(Address("127.0.0.1", server.getsockname()[1]), 5)
        thread.join()


def http(status: str, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


def test_answers() -> None:
    """JSON is given, and nothing is L{None}."""
    with answering(http("200 OK", b'{"a": 1}')) as client:
        assert client.ask("GET", "/") == {"a": 1}
    with answering(http("204 No Content", b"")) as client:
        assert client.ask("DELETE", "/", {"x": 2}) is None


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (
            http("404 Not Found", b'{"error": "proxy not found", "status": 404}'),
            404,
            "^proxy not found$",
        ),
        (http("403 Forbidden", b"403 Forbidden: a\x1bb\n"), 403, "^403 Forbidden: a b$"),
        (http("500 Oh", b""), 500, "HTTP 500"),
        (http("500 Oh", b"[1]"), 500, r"\[1\]"),
        (http("200 OK", b"<html>"), 0, "is that its control API"),
        (http("200 OK", b"[" * 100_000), 0, "is that its control API"),
        (http("302 Found", b""), 0, "is that its control API"),
        (http("400 Oh", '{"error": "a\u202eb\\ud800"}'.encode()), 400, r"^a\\u202eb\\ud800$"),
        (b"SSH-2.0-x\r\n", 0, "does not speak HTTP"),
        (b"", 0, "127.0.0.1"),
    ],
)
def test_errors(answer: bytes, status: int, said: str) -> None:
    """What is wrong is told in one line, with the status."""
    with answering(answer) as client, pytest.raises(ControlError, match=said) as raised:
        client.ask("GET", "/")
    assert raised.value.status == status
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{}", b'{"toxics": null}', b'{"toxics": [1]}']
)
def test_answers_of_somebody_else(body: bytes) -> None:
    """Where something is wanted of an answer, another one is an error, too."""
    with (
        answering(http("200 OK", body)) as client,
        pytest.raises(ControlError, match="is that its control API"),
    ):
        client.ask("GET", "/", answered=shapes.Toxics)


def test_answers_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not kept."""
    monkeypatch.setattr("loopbackd.controlclient._LONGEST", 10)
    with (
        answering(http("200 OK", b"[1, 2, 3, 4, 5, 6]")) as client,
        pytest.raises(ControlError, match="without end"),
    ):
        client.ask("GET", "/")


def test_nobody(tmp_path: Path) -> None:
    """Where nobody listens it says how to start one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ControlError, match="twistd -n loopbackd"):
        ControlClient(Address("127.0.0.1", port)).ask("GET", "/")
    with pytest.raises(ControlError, match="no such socket"):
        ControlClient(Address("localhost", 0, str(tmp_path / "none"))).ask("GET", "/")


def test_silence() -> None:
    """Who does not answer is not waited for without end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = ControlClient(Address("127.0.0.1", server.getsockname()[1]), 0.05)
        with pytest.raises(ControlError, match="did not answer"):
            client.ask("GET", "/")


STRANGER = PeerIdentity(61234, 0, None, "ESTABLISHED", "")
NOBODY = PeerIdentity(None, 0, None, "", "the kernel could not be asked: forbidden")


def test_who_is_believed() -> None:
    """One's own daemon, root's, and that of whom the user has named."""
    for uid in (0, os.geteuid()):
        assert Trust().doubt(PeerIdentity(uid, 0, None, "ESTABLISHED", "")) == ""
    assert "of user uid 61234, who is neither you nor root" in Trust().doubt(STRANGER)
    assert "--control-uid 61234" in Trust(frozenset([1])).doubt(STRANGER)
    assert Trust(frozenset([61234])).doubt(STRANGER) == ""


def test_who_is_unknown() -> None:
    """They are not believed unless the user says so; a known stranger is not even then."""
    assert "forbidden" in Trust().doubt(NOBODY)
    assert "LOOPBACKD_CONTROL_UNCHECKED=1" in Trust().doubt(NOBODY)
    assert Trust(unchecked=True).doubt(NOBODY) == ""
    assert Trust(unchecked=True).doubt(STRANGER)


@pytest.mark.parametrize("who", [STRANGER, NOBODY])
def test_a_stranger_is_told_nothing(who: PeerIdentity, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even the request: the connection is closed."""
    monkeypatch.setattr("loopbackd.controlclient.whoServes", lambda *_: who)
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = ControlClient(Address("127.0.0.1", server.getsockname()[1]), 5)
        with pytest.raises(ControlError, match="was told nothing: ") as raised:
            client.ask("POST", "/services", {"secret": 1})
        assert raised.value.status == 0
        accepted, _ = server.accept()
        with accepted:
            assert accepted.recv(1) == b""


@pytest.mark.parametrize(
    "drop", [b"HTTP/1.1 100 Continue\r\n\r\n", b"x", b"HTTP/1.1 200 OK\r\n\r\n"]
)
def test_a_byte_now_and_then(drop: bytes) -> None:
    """Who never comes to an end is not waited for, whatever it is that comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client, suppress(OSError):
                client.settimeout(0.02)
                while True:
                    client.sendall(drop)
                    with suppress(TimeoutError):
                        if client.recv(65536) == b"":
                            return

        thread = Thread(target=serve)
        thread.start()
        client = ControlClient(Address("127.0.0.1", server.getsockname()[1]), 0.3)
        with pytest.raises(ControlError, match="did not answer within"):
            client.ask("GET", "/")
        thread.join()
