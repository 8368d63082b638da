"""From a socket to its process, with real processes and with some that end at the wrong moment."""

import os
import subprocess
import sys

import pytest
from running import until

from loopbackd.peer import process
from loopbackd.peer.proc import contentOf
from loopbackd.peer.process import (
    COMMAND_LIMIT,
    Process,
    findProcess,
    findProcesses,
    holdsSocket,
    processOf,
    userName,
)

ME = userName(os.geteuid())


def inodeOf(sock):
    """Name the socket the way the kernel's rows do."""
    return os.fstat(sock.fileno()).st_ino


def test_findsThisProcess(listen):
    """Our own socket is ours."""
    found = findProcess(inodeOf(listen()), os.geteuid())
    assert (found.pid, found.user) == (os.getpid(), ME)
    assert "py" in found.command


def test_oneOfThoseThatShareASocket(listen, spawn):
    """Of two the one with the higher pid is named: the newer, but when pids have begun again."""
    listener = listen()
    child = spawn(listener)
    assert findProcess(inodeOf(listener), os.geteuid()).pid == max(child.pid, os.getpid())


def test_manyAtOnce(listen, spawn):
    """Each socket has its process; one that nobody has open, and none at all, are left out."""
    mine, shared = listen(), listen()
    child = spawn(shared)
    inodes = [inodeOf(mine), inodeOf(shared)]
    found = findProcesses([*inodes, 0, 1])
    assert sorted(found) == sorted(inodes)
    assert [found[inode].pid for inode in inodes] == [os.getpid(), max(child.pid, os.getpid())]
    assert findProcesses([]) == {}


def test_processOfAnotherUser(listen, spawnAs):
    """A process that does not belong to the socket's owner is found after the owner's."""
    listener = listen()
    inode = inodeOf(listener)
    child = spawnAs(12345, listener)
    listener.close()
    assert findProcess(inode, os.geteuid()) == Process(child.pid, "cat", "uid 12345")
    assert findProcess(inode, 12345).pid == child.pid


def test_otherUsersSocketsAreNotShown(listen, spawn, asUser):
    """What we may not look into is None, not an exception."""
    listener = listen()
    child = spawn(listener)
    inode = inodeOf(listener)
    listener.close()
    with asUser(12345):
        assert findProcess(inode, 0) is None
        assert not holdsSocket(child.pid, inode)
        assert processOf(child.pid) == Process(child.pid, "cat", "root")


def test_nothingIsFound(listen):
    """No socket, or one that nobody has any more, is None."""
    listener = listen()
    inode = inodeOf(listener)
    listener.close()
    assert findProcess(inode, os.geteuid()) is None
    assert findProcess(0, 0) is None


def test_holdsSocket(listen, spawn):
    """A process either has the socket or it has not."""
    listener = listen()
    assert holdsSocket(os.getpid(), inodeOf(listener))
    assert not holdsSocket(spawn().pid, inodeOf(listener))
    assert not holdsSocket(2**22 + 1, inodeOf(listener))


def test_processOf():
    """A pid becomes a command and a user; one that does not exist becomes None."""
    assert processOf(os.getpid()).user == ME
    assert processOf(2**22 + 1) is None
    assert processOf(-1) is None


def test_endedProcessIsNone(spawn):
    """A process that has ended, and was waited for, is None."""
    child = spawn()
    child.stdin.close()
    child.wait()
    assert processOf(child.pid) is None


def test_zombieHasItsName():
    """A process without a command line any more is called by its name."""
    child = subprocess.Popen(["cat"], stdin=subprocess.DEVNULL)
    try:
        until(lambda: b"\nState:\tZ" in contentOf(f"/proc/{child.pid}/status"), "zombie")
        assert process._command(child.pid) == "cat"
        assert processOf(child.pid) is None  # it has ended, and its pid may be reused
    finally:
        child.wait()


@pytest.mark.parametrize("pidfd", [True, False], ids=["pidfd", "no pidfd"])
def test_processEndingMeanwhileIsNone(listen, spawn, monkeypatch, pidfd):
    """A process that ends while its command is read is not named: its pid may be another's."""
    listener = listen()
    inode = inodeOf(listener)
    child = spawn(listener)
    listener.close()
    if not pidfd:
        monkeypatch.delattr(os, "pidfd_open")

    def ending(pid):
        if pid == child.pid:
            child.kill()
            child.wait()
        return "somebody else"

    monkeypatch.setattr(process, "_command", ending)
    monkeypatch.setattr(process, "_user", lambda pid: "somebody")
    assert findProcess(inode, os.geteuid()) is None
    assert child.returncode is not None


def test_reusedPidIsNotNamed(spawn, monkeypatch):
    """Even when everything could be read, a pid whose process ended meanwhile is not trusted."""
    child = spawn()

    def ending(pid):
        child.kill()
        child.wait()
        return "the next process with this pid"

    monkeypatch.setattr(process, "_command", ending)
    monkeypatch.setattr(process, "_user", lambda pid: "somebody")
    assert processOf(child.pid) is None


def test_socketGivenAwayMeanwhile(listen, monkeypatch):
    """A process that closed the socket while its command was read is not named."""
    listener = listen()
    inode = inodeOf(listener)

    def closing(pid):
        listener.close()
        return "innocent"

    monkeypatch.setattr(process, "_command", closing)
    assert findProcess(inode, os.geteuid()) is None


def test_commandIsSafeToShow(spawn):
    """Control characters, escapes, bidi overrides and bad UTF-8 come out escaped, on one line."""
    name = b"a\n\x1b[31mb\xff\xe2\x80\xaec\xc3\xa9"
    child = spawn(command=["sh", "-c", "read x", name])
    found = processOf(child.pid).command
    assert found == "sh -c read x a\\n\\x1b[31mb\\xff\\u202ecé"


def test_longCommandIsCut(spawn):
    """A long command line is cut, and shows that it was."""
    found = processOf(spawn(command=["sh", "-c", "read x", "y" * 9000]).pid).command
    assert len(found) == COMMAND_LIMIT
    assert found.startswith("sh -c read x yyy")
    assert found.endswith("y...")


def test_userName():
    """A user has a name, or the number says so."""
    assert userName(0) == "root"
    assert userName(1234567) == "uid 1234567"
    assert userName(2**40) == f"uid {2**40}"


def test_noProc(monkeypatch):
    """Without /proc nothing is found and nothing raises."""

    def missing(path):
        raise FileNotFoundError(path)

    with monkeypatch.context() as patching:
        patching.setattr(os, "listdir", missing)
        assert findProcess(1, 0) is None


def test_wholeCommandLine(spawn):
    """The command is the whole command line, words apart."""
    child = spawn(command=[sys.executable, "-c", "import sys; sys.stdin.read()"])
    said = f"{sys.executable} -c import sys; sys.stdin.read()"
    assert processOf(child.pid).command == said
