"""Situations made for real, and what the doctor finds."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from sockets import freePort

from loopbackd.doctor.asked import Asked
from loopbackd.doctor.examination import examine
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.net.endpoint import hasIPv6
from loopbackd.peer.process import userName

needsIPv6 = pytest.mark.skipif(not hasIPv6(), reason="there is no ::1 here")


Look = Callable[[str, int], list[Finding]]
Kinds = Callable[[str, int], list[str]]


@pytest.fixture
def found(look: Look) -> Look:
    """Says what is wrong there."""
    return lambda host, port: [one for one in look(host, port) if one.severity is not Severity.NOTE]


@pytest.fixture
def kinds(found: Look) -> Kinds:
    """Says the names of what is wrong there."""
    return lambda host, port: [one.kind for one in found(host, port)]


def listen(stack: ExitStack, host: str, port: int = 0, backlog: int = 5) -> int:
    """Listen there, and accept nothing; the port."""
    sock = stack.enter_context(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET))
    if ":" in host:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind((host, port))
    sock.listen(backlog)
    return int(sock.getsockname()[1])


SERVE = """
import socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])), reuse_port=True)
print(server.getsockname()[1], flush=True)
kept = []
while True:
    kept.append(server.accept()[0])
"""


def serve(stack: ExitStack, host: str, port: int = 0) -> tuple[subprocess.Popen[str], int]:
    """A process that accepts and says nothing; and its port."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, host, str(port)], stdout=subprocess.PIPE, text=True
    )
    stack.callback(process.wait)
    stack.callback(process.kill)
    assert process.stdout is not None
    stack.callback(process.stdout.close)
    return process, int(process.stdout.readline())


def test_a_server_that_accepts_is_healthy(stack: ExitStack, look: Look) -> None:
    """Nothing is wrong, and whoever it is has a name."""
    process, port = serve(stack, "127.0.0.1")
    findings = look("127.0.0.1", port)
    assert [one.kind for one in findings if one.severity is not Severity.NOTE] == []
    (said,) = [one.says for one in findings if one.kind == "answers"]
    assert f"pid {process.pid} (" in said or f"user {userName(os.geteuid())}" in said


def test_nothing_listens(found: Look) -> None:
    """The connection is refused by the kernel, and nobody is there."""
    (one,) = found("127.0.0.1", freePort())
    assert one.kind == "nothing-listens"
    assert "ECONNREFUSED" in one.evidence[0]


@needsIPv6
def test_only_ipv6(stack: ExitStack, found: Look) -> None:
    """A server on ::1 alone, and a client that goes to 127.0.0.1."""
    port = listen(stack, "::1")
    (one,) = found("127.0.0.1", port)
    assert one.kind == "listens-elsewhere"
    assert one.remedy[0] == f"connect to [::1]:{port}"


def test_another_loopback_address(stack: ExitStack, found: Look) -> None:
    """A server on 127.0.0.2, and a client that goes to 127.0.0.1."""
    port = listen(stack, "127.0.0.2")
    (one,) = found("127.0.0.1", port)
    assert one.kind == "listens-elsewhere"
    assert f"127.0.0.2:{port}" in one.says


@needsIPv6
def test_all_of_ipv6_alone(stack: ExitStack, found: Look) -> None:
    """A server on all addresses that has left IPv4 out."""
    port = listen(stack, "::")
    (one,) = found("127.0.0.1", port)
    assert one.kind == "listens-elsewhere" and "IPV6_V6ONLY" in one.remedy[1]
    assert one.remedy[0].startswith("connect to [::1]:")


def test_all_addresses(stack: ExitStack, look: Look) -> None:
    """It works, and is said."""
    _, port = serve(stack, "0.0.0.0")
    notes = look("127.0.0.1", port)
    assert "listens-everywhere" in [one.kind for one in notes]
    assert all(one.severity is Severity.NOTE for one in notes)


def test_a_server_in_front_of_another(stack: ExitStack) -> None:
    """Who has the address itself gets what comes, and not who listens on all."""
    _, port = serve(stack, "127.0.0.1")
    serve(stack, "0.0.0.0", port)
    assert "listener-shadowed" in [one.kind for one in examine(Asked("127.0.0.1", port))]
    assert "listener-shadowed" not in [one.kind for one in examine(Asked("127.0.0.3", port))]


def test_a_server_that_does_not_accept(stack: ExitStack, kinds: Kinds) -> None:
    """The kernel has taken the connection, and nobody else."""
    assert kinds("127.0.0.1", listen(stack, "127.0.0.1")) == ["listener-silent"]


def test_a_stopped_server(stack: ExitStack) -> None:
    """A process at a breakpoint, or after Ctrl-Z."""
    process, port = serve(stack, "127.0.0.1")
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    findings = {one.kind: one for one in examine(Asked("127.0.0.1", port))}
    assert findings["listener-stopped"].remedy[0] == f"kill -CONT {process.pid}"
    assert "answers" not in findings


def test_a_full_queue(stack: ExitStack, kinds: Kinds) -> None:
    """More wait than its backlog takes, and the next one is not answered."""
    port = listen(stack, "127.0.0.1", backlog=1)
    for _ in range(4):
        sock = stack.enter_context(socket.socket())
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", port))
    assert kinds("127.0.0.1", port) == ["listener-overloaded"]


def test_a_server_that_hangs_up(stack: ExitStack, kinds: Kinds) -> None:
    """It takes the connection and ends it, as a forwarder with nobody behind it."""
    script = "import socket; s = socket.create_server(('127.0.0.1', 0)); "
    script += "print(s.getsockname()[1], flush=True)\nwhile True: s.accept()[0].close()"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    stack.callback(process.wait)
    stack.callback(process.kill)
    assert process.stdout is not None
    stack.callback(process.stdout.close)
    assert kinds("127.0.0.1", int(process.stdout.readline())) == ["hangs-up"]


def test_a_name_that_leads_nowhere(kinds: Kinds) -> None:
    """No address, no connection."""
    assert kinds("no-such-name.invalid", 80) == ["name-unknown"]


@pytest.mark.parametrize("host", ["fe80::1%nosuch", "255.255.255.255", "224.0.0.1"])
def test_an_address_where_nobody_can_be(host: str) -> None:
    """No firewall is blamed, and no number of another kind is shown as an error's."""
    if ":" in host and not hasIPv6():
        pytest.skip("no IPv6 here")
    (one,) = [one for one in examine(Asked(host, 80)) if one.severity is Severity.PROBLEM]
    assert one.kind == "cannot-connect"
    assert "Unknown error" not in " ".join(one.evidence)


def test_bound_and_not_listening(stack: ExitStack, kinds: Kinds) -> None:
    """Nobody can listen there, and nobody does."""
    sock = stack.enter_context(socket.socket())
    sock.bind(("127.0.0.1", 0))
    assert kinds("127.0.0.1", sock.getsockname()[1]) == ["nothing-listens", "port-bound"]


def test_an_outgoing_connection(stack: ExitStack, kinds: Kinds) -> None:
    """A client of somebody else has got the port as its own."""
    server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    # At an address of its own, where nobody else's client has the same port.
    source = ("127.0.95.1", 0)
    client = stack.enter_context(
        socket.create_connection(server.getsockname(), source_address=source)
    )
    assert kinds("127.0.95.1", client.getsockname()[1]) == ["nothing-listens", "port-outgoing"]


@pytest.mark.parametrize("reuse", [False, True])
def test_time_wait(stack: ExitStack, look: Look, reuse: bool) -> None:
    """A connection that has just ended: whether it is in a server's way, and for how long."""
    server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
    client.bind(("127.0.96.1", 0))
    client.connect(server.getsockname())
    port = client.getsockname()[1]
    accepted = stack.enter_context(server.accept()[0])
    client.close()
    assert accepted.recv(1) == b""
    accepted.close()
    kind = "port-lingers" if reuse else "port-closing"
    (one,) = [
        one for one in look("127.0.96.1", port) if one.kind in ("port-lingers", "port-closing")
    ]
    assert (one.kind, one.severity) == (kind, Severity.NOTE)
    assert ("TIME_WAIT, free in " in one.says) is not reuse and " s left" in one.evidence[0]
