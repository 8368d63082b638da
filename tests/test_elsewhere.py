"""A system without what Linux has: epoll, netlink, peer credentials, socket flags."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from running import HERE, LOGGED, PATIENCE, Running, connected, echoes, heard, service

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


def test_it_serves_all_the_same_and_says_what_is_missing(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    """
    On the poorest of reactors the echo answers; services with allow_uids refuse, and do not guess.
    """
    config = tmp_path / "it.toml"
    mine = "allow_uids = [0]"
    config.write_text(
        service("echo", HERE, "echo", "twin = false")
        + service("mine", f"unix:{tmp_path}/s", "echo", mine)
        + service("ours", HERE, "echo", f"{mine}\ntwin = false")
    )
    running = start(
        [
            sys.executable,
            "-c",
            _BARE,
            *LOGGED,
            "-r",
            "select",
            "loopbackd",
            "--config",
            str(config),
            "--control",
            "off",
        ],
        environ={"LOOPBACKD_PLAIN_REACTOR": ""},
    )
    with connected(running.port("echo")) as client:
        assert echoes(client, b"x")
    # The reset may be there before connect(2) has returned.
    with pytest.raises(ConnectionResetError), connected(running.port("ours")) as client:
        client.recv(10)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(str(tmp_path / "s"))
        # unix(7): its end is a reset only where something that was sent to it is left unread.
        assert heard(client) == b""
    assert running.log.count("epoll(7) is missing") == 1
    assert running.log.count("sock_diag(7) is missing") == 1
    running.stop()
