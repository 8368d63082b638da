"""Certificates that are wrong in one thing, from a real server."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography import x509
from running import HERE, Running

from loopbackd.doctor.checks.certificate import checkServed
from loopbackd.doctor.facts.served import served
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.tls.store import AuthorityStore, stateDirectory, wallClock


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What a test leaves behind."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def authority(tmp_path: Path) -> x509.Certificate:
    """That of the daemon under test."""
    directory = stateDirectory({"LOOPBACKD_STATE_DIR": str(tmp_path / "state")})
    return AuthorityStore(directory).public()


Look = Callable[..., list[Finding]]


@pytest.fixture
def look(daemon: Callable[..., Running], authority: x509.Certificate) -> Look:
    """Asks a daemon for a name, trusting its authority or not."""
    running = daemon("--listen", HERE)

    def look(name: str, isTrusted: bool = True) -> list[Finding]:
        trusted = [authority] if isTrusted else []
        shown = served("127.0.0.1", running.port("auto"), name, authority, trusted)
        return list(checkServed(shown, "there", wallClock()))

    return look


def test_a_certificate_that_is_good(look: Look) -> None:
    """Nothing is wrong with it."""
    assert look("localhost") == []
    assert look("no-subject.badssl.localhost") == []


@pytest.mark.parametrize(
    ("site", "kind"),
    [
        ("expired", "certificate-expired"),
        ("not-yet-valid", "certificate-not-yet-valid"),
        ("wrong.host", "certificate-name"),
        ("no-names", "certificate-name"),
        ("self-signed", "certificate-self-signed"),
        ("untrusted-root", "certificate-untrusted"),
        ("incomplete-chain", "certificate-untrusted"),
        ("wrong-purpose", "certificate-purpose"),
        ("weak-key", "certificate-weak"),
        ("sha1", "certificate-weak"),
    ],
)
def test_a_certificate_that_is_wrong(look: Look, site: str, kind: str) -> None:
    """It is wrong in one thing, and that is found."""
    found = look(f"{site}.badssl.localhost")
    assert [one.kind for one in found] == [kind]
    assert found[0].severity is Severity.PROBLEM


def test_the_local_authority(look: Look) -> None:
    """It is not trusted yet, and how to trust it is said."""
    (one,) = look("localhost", isTrusted=False)
    assert one.kind == "certificate-of-local-authority"
    assert "loopbackd ca trust" in one.remedy


def test_a_name_that_is_refused(look: Look) -> None:
    """The server has no certificate for it, and says so."""
    (one,) = look("www.example.com")
    assert one.kind == "tls-refused" and "unrecognized name" in one.evidence[0]


def talkingServer(stack: ExitStack, said: bytes) -> int:
    """A server that says that, and closes nothing; its port."""
    server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

    def serve() -> None:
        sock, _ = server.accept()
        stack.callback(sock.close)
        sock.recv(4096)
        sock.sendall(said)

    thread = threading.Thread(target=serve)
    thread.start()
    stack.callback(thread.join)
    return int(server.getsockname()[1])


def test_a_server_without_tls(stack: ExitStack) -> None:
    """It says something else."""
    port = talkingServer(stack, b"HTTP/1.1 400 Bad Request\r\n\r\n")
    (one,) = checkServed(served("127.0.0.1", port, "localhost"), "there", wallClock())
    assert one.kind == "not-tls" and "HTTP/1.1 400" in one.evidence[0]


def test_a_server_that_says_nothing(stack: ExitStack) -> None:
    """After two seconds nobody waits any more."""
    port = talkingServer(stack, b"")
    (one,) = checkServed(served("127.0.0.1", port, "localhost"), "there", wallClock())
    assert one.kind == "tls-silent" and "2.0 s" in one.evidence[0]


def test_an_old_server(
    stack: ExitStack, tmp_path: Path, program: Callable[..., str], authority: x509.Certificate
) -> None:
    """OpenSSL's own, with nothing newer than TLS 1.1; its certificate has signed itself."""
    openssl = program("openssl")
    make = "req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -subj /CN=x -days 3"
    subprocess.run(
        [openssl, *make.split(), "-addext", "subjectAltName=DNS:localhost"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    serve = f"s_server -accept 127.0.0.1:{port} -cert cert -key key -tls1_1 -cipher ALL:@SECLEVEL=0"
    process = stack.enter_context(
        subprocess.Popen(
            [openssl, *serve.split()],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    )
    stack.callback(process.kill)
    assert process.stdout is not None
    while b"ACCEPT" not in (line := process.stdout.readline()):
        assert line
    found = checkServed(served("127.0.0.1", port, "localhost"), "there", wallClock())
    kinds = [one.kind for one in found]
    assert kinds == ["certificate-ends-soon", "certificate-self-signed", "tls-old"]
