"""A system without what Linux has: epoll, netlink, peer credentials, socket flags."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_BARE = """
import select, socket, os, sys
for module, names in (
    (select, ("epoll", "EPOLLIN", "EPOLLOUT", "EPOLLHUP", "EPOLLERR")),
    (socket, ("AF_NETLINK", "SO_PEERCRED", "SOCK_CLOEXEC", "SOCK_NONBLOCK", "TCP_INFO")),
    (os, ("pidfd_open", "splice")),
):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
sys.platform = "elsewhere"
sys.argv[0] = "twistd"
from twisted.scripts.twistd import run
run()
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int, list[str]]]:
    """The daemon on the poorest of reactors: an echo for everybody, and one for root alone."""
    config = tmp_path / "loopbackd.toml"
    config.write_text(
        "[[service]]\nprotocol = 'echo'\nendpoint = 'tcp:0:interface=127.0.0.1'\ntwin = false\n"
        "[[service]]\nname = 'mine'\nprotocol = 'echo'\nallow_uids = [0]\n"
        f"endpoint = 'unix:{tmp_path}/s'\n"
    )
    command = [sys.executable, "-c", _BARE, "-n", "-r", "select", "--pidfile="]
    command += ["--logger=loopbackd.logs.observer", "loopbackd", "--config", str(config)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "LOOPBACKD_PLAIN_REACTOR": ""},
    )
    lines: list[str] = []
    try:
        assert process.stdout is not None
        port = 0
        for line in process.stdout:
            lines.append(line)
            found = re.search(r"echo on 127\.0\.0\.1:(\d+)", line)
            port = int(found[1]) if found else port
            if "mine: echo on" in line:
                break
        assert port, "".join(lines)
        yield process, port, lines
    finally:
        process.send_signal(signal.SIGTERM)
        lines += process.communicate(timeout=20)[0].splitlines()


def test_it_serves_all_the_same_and_says_what_is_missing(
    daemon: tuple[subprocess.Popen[str], int, list[str]], tmp_path: Path
) -> None:
    """The echo answers; a service with allow_uids refuses instead of guessing."""
    _process, port, lines = daemon
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"x")
        assert client.recv(10) == b"x"
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(os.fspath(tmp_path / "s"))
        with pytest.raises(ConnectionResetError):
            if client.recv(10) == b"":
                raise ConnectionResetError
    said = "".join(lines)
    assert said.count("epoll(7) is missing") == 1
    assert said.count("sock_diag(7) is missing") == 1
    assert "Traceback" not in said
