"""What a process is, out of what C{/proc} says of it."""

from __future__ import annotations

import os
import socket
import sys

import pytest
from making import program

from loopbackd.peer.process import Process, processOf
from loopbackd.watching.programs import programFrom, programsOf, read

STAT = b"7 (a) b) S " + b" ".join(b"%d" % number for number in range(4, 53))


@pytest.mark.parametrize(
    ("words", "identity"),
    [
        (("/usr/bin/python3.11", "app.py", "--port", "1"), "/usr/bin/python3.11 app.py"),
        (("/usr/bin/python3", "-X", "dev", "-m", "http.server"), "/usr/bin/python3 -m http.server"),
        (("/usr/bin/python3", "-m", "http.server", "8000"), "/usr/bin/python3 -m http.server"),
        (("/usr/bin/python3", "-c", "import x"), "/usr/bin/python3 -c"),
        (("/usr/bin/java", "-Xmx1g", "-jar", "a.jar"), "/usr/bin/java -jar a.jar"),
        (("/usr/bin/node", "--inspect", "a\x1b.js"), "/usr/bin/node a\\x1b.js"),
        (("/usr/bin/node",), "/usr/bin/node"),
        (("/usr/sbin/nginx", "-g", "x"), "/usr/sbin/nginx"),
    ],
)
def test_identity(words, identity):
    """An interpreter is told from others by what it runs, anything else by its executable."""
    assert program(path=words[0], words=words).identity == identity


@pytest.mark.parametrize(
    ("link", "isThere", "isDeleted"),
    [
        ("/usr/bin/x", True, False),
        ("/usr/bin/x (deleted)", False, True),
        ("/usr/bin/x (deleted)", True, False),
        ("", False, False),
    ],
)
def test_deleted(link, isThere, isDeleted):
    """A file that was replaced is an upgrade, one that is gone is not."""
    process = Process(7, "x -y", "me")
    found = programFrom(process, link, isThere, b"x\0-y\0", STAT, 100)
    assert found.isDeleted is isDeleted
    assert found.path == ("/usr/bin/x" if link else "")
    assert found.words == ("x", "-y")
    assert found.started == 0.22
    assert found.name == "x"


def test_whatCannotBeRead():
    """A process of which little is shown is what is left."""
    found = programFrom(Process(7, "x", "me"), "", False, b"", b"", 100)
    assert (found.path, found.words, found.started, found.identity) == ("", ("",), None, "")
    assert found.name == ""


@pytest.mark.parametrize("count", [1, 10])
def test_thisProcess(count):
    """Few sockets or many: whoever has them is found, and nobody else."""
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        inodes = [os.fstat(server.fileno()).st_ino for server in servers]
        found = programsOf({inode: os.geteuid() for inode in [*inodes, 1]})
        assert sorted(found) == sorted(inodes)
        (one,) = set(found.values())
        assert one.pid == os.getpid() and one.path == os.path.realpath(sys.executable)
        assert one == read(processOf(os.getpid()))
    finally:
        for server in servers:
            server.close()
