"""What a process is, out of what C{/proc} says of it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time

import pytest
from making import program

from loopbackd.peer.process import Process, processOf
from loopbackd.watching.programs import programsOf, read


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


@pytest.mark.parametrize(("isReplaced", "isDeleted"), [(True, False), (False, True)])
def test_deleted(tmp_path, isReplaced, isDeleted):
    """A file that was replaced is an upgrade, one that is gone is not."""
    path = tmp_path / "x"
    shutil.copy("/bin/cat", path)
    with subprocess.Popen([path, "-u"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        running.stdin.write(b"!")
        running.stdin.flush()
        assert running.stdout.read(1) == b"!"
        path.unlink()
        if isReplaced:
            path.touch()
        found = read(processOf(running.pid))
        running.stdin.close()
    assert (found.path, found.words, found.name) == (str(path), (str(path), "-u"), "x")
    assert found.isDeleted is isDeleted
    assert 0 < found.started <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_whatCannotBeRead():
    """Of a process that is gone nothing is left but what was known."""
    found = read(Process(2**22, "x", "me"))
    assert (found.path, found.words, found.started, found.identity) == ("", (), None, "")
    assert found.name == "x" and not found.isDeleted


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
