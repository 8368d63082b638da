"""
Sockets, processes and users of this machine, as fixtures of every test; all is given back at the
end.
"""

import os
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from running import until

from loopbackd.peer.netlink import SocketDiag


@pytest.fixture
def diag(stack, missing):
    """Open this kernel's socket diagnostics."""
    found = SocketDiag()
    stack.callback(found.close)
    if why := found.missing():
        missing(f"no socket diagnostics: {why}")
    return found


@pytest.fixture
def listen(stack):
    """Listen on a free port of a loopback address."""

    def listen(host="127.0.0.1", **options):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return stack.enter_context(socket.create_server((host, 0), family=family, **options))

    return listen


@pytest.fixture
def connect(stack):
    """Connect to a listener and accept: the client's end and ours."""

    def connect(listener, host=None, family=None, source=None):
        address = listener.getsockname()[:2]
        client = stack.enter_context(socket.socket(family or listener.family))
        if source:
            client.bind((source, 0))
        client.connect((host or address[0], address[1]))
        accepted, _ = listener.accept()
        return client, stack.enter_context(accepted)

    return connect


@pytest.fixture
def asUser(needsRoot):
    """Act as another user for a while; sockets made meanwhile are that user's."""

    @contextmanager
    def acting(uid):
        os.seteuid(uid)
        try:
            yield
        finally:
            os.seteuid(0)

    return acting


@pytest.fixture
def spawn(stack):
    """Start a process that keeps the given sockets and lives until its stdin ends."""

    def spawn(*sockets, command=("cat",), becoming=None):
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[kept.fileno() for kept in sockets],
        )
        stack.callback(child.wait, 10)
        stack.callback(child.stdin.close)
        # Popen returns in the middle of execve(): the command line comes a moment later.
        whole = b"".join(os.fsencode(word) + b"\0" for word in becoming or command)
        until(lambda: Path(f"/proc/{child.pid}/cmdline").read_bytes() == whole, "such process")
        return child

    return spawn


@pytest.fixture
def spawnAs(spawn, needsRoot, program):
    """Start such a process as another user."""
    setpriv = program("setpriv")

    def spawnAs(uid, *sockets):
        ids = ["--reuid", str(uid), "--regid", str(uid), "--clear-groups"]
        return spawn(*sockets, command=[setpriv, *ids, "cat"], becoming=["cat"])

    return spawnAs
