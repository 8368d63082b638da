"""Servers of every kind on a port, each a process of its own, for whoever looks at ports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

SERVER = """
import os, signal, socket, subprocess, sys, time
host, port, *how = sys.argv[1:]
family = socket.AF_INET6 if ":" in host else socket.AF_INET

def bound():
    sock = socket.socket(family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if "group" in how:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, "dual" not in how)
    sock.bind((host, int(port)))
    return sock

if "supervised" in how:
    # Whatever becomes of the server, there is another one at once.
    sock = bound(); port = str(sock.getsockname()[1]); sock.close()
    how.remove("supervised")
    while True:
        subprocess.call([sys.executable, "-c", os.environ["SERVER"], host, port, *how])
if "as" in how:
    os.setgroups([]); uid = int(how[how.index("as") + 1]); os.setgid(uid); os.setuid(uid)
if "stubborn" in how:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
server = bound()
if "draining" in how:
    def drain(*_):
        server.close()
        time.sleep(60)
    signal.signal(signal.SIGTERM, drain)
if "bound" not in how:
    server.listen()
if "heir" in how:
    def inherit(*_):
        if os.fork():
            os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(60)
    signal.signal(signal.SIGTERM, inherit)
if "forking" not in how or os.fork():
    os.write(1, b"%d\\n" % server.getsockname()[1])
if "bound" in how:
    time.sleep(60)
kept = []
while True:
    kept.append(server.accept()[0])
"""

Serve = Callable[..., tuple[subprocess.Popen[bytes], int]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """
    Starts a server on a free port, or on that one, in a process group of its own; gives the process
    and the port. It can be C{stubborn}, C{forking}, C{bound} alone, one of a C{group}, ...
    """
    with ExitStack() as stack:

        def start(
            *how: str, host: str = "127.0.0.1", port: int = 0, cwd: str = "/"
        ) -> tuple[subprocess.Popen[bytes], int]:
            process = subprocess.Popen(
                [sys.executable, "-c", SERVER, host, str(port), *how],
                stdout=subprocess.PIPE,
                start_new_session=True,
                env={**os.environ, "SERVER": SERVER},
                cwd=cwd,
            )
            stack.callback(process.wait)
            stack.callback(_kill, process.pid)
            assert process.stdout is not None
            stack.callback(process.stdout.close)
            return process, int(process.stdout.readline())

        yield start


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
