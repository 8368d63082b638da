"""What /proc says of processes, real ones."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from loopbackd.peer.proc import (
    contentOf,
    descriptorsOf,
    directoryOf,
    executableOf,
    linkOf,
    ownerOf,
    pids,
    socketsOf,
    threadsOf,
    variablesOf,
    wordsOf,
)

GONE = 2**22
"""No process: pids are smaller."""


def test_a_process(tmp_path: Path) -> None:
    """Its words, variables, executable and directory, odd bytes and all."""
    with subprocess.Popen(
        ["sh", "-c", "echo; read x", "", b"\xff\n", "last"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env={b"ONE": b"a=b", b"TWO": b"\xfe", b"NOT_ONE": b"ONE=3"},
    ) as child:
        assert child.stdout is not None and child.stdout.read(1) == b"\n"
        pid = child.pid
        assert pid in pids() and ownerOf(pid) == os.geteuid()
        assert wordsOf(pid) == ("sh", "-c", "echo; read x", "", "\\xff\n", "last")
        assert variablesOf(pid, ("ONE", "TWO", "THREE")) == {"ONE": "a=b", "TWO": "\\xfe"}
        assert Path(executableOf(pid)).samefile("/bin/sh")
        assert directoryOf(pid) == str(tmp_path)
        tmp_path.rmdir()
        assert directoryOf(pid) == str(tmp_path)


def test_order() -> None:
    """The highest pid is the newest, as a rule."""
    found = pids()
    assert os.getpid() in found and found == sorted(found, reverse=True)


def test_sockets_and_threads() -> None:
    """All that this process has."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        inode = os.fstat(server.fileno()).st_ino
        assert inode in (socketsOf(os.getpid()) or ())
        path = f"/proc/{os.getpid()}/fd/{server.fileno()}"
        assert (path, f"socket:[{inode}]") in list(descriptorsOf(os.getpid()))
    assert inode not in (socketsOf(os.getpid()) or ())
    own = contentOf(f"/proc/self/task/{threading.get_native_id()}/comm") or b""
    assert own.decode().strip() in threadsOf(os.getpid())


def test_who_is_gone() -> None:
    """Nothing is said of who is not there, and nothing raises."""
    assert ownerOf(GONE) is socketsOf(GONE) is None
    assert wordsOf(GONE) == () and variablesOf(GONE, ("PATH",)) == {}
    assert executableOf(GONE) == directoryOf(GONE) == ""
    assert threadsOf(GONE) == frozenset() and list(descriptorsOf(GONE)) == []
    assert contentOf(f"/proc/{GONE}/status") is linkOf(f"/proc/{GONE}/exe") is None


def test_a_bound(tmp_path: Path) -> None:
    """No more is read than was asked for."""
    (tmp_path / "x").write_bytes(b"y" * 9000)
    assert contentOf(str(tmp_path / "x"), 10) == b"y" * 10
    assert len(contentOf(str(tmp_path / "x")) or b"") == 4096


def test_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is none, there are no processes."""

    def missing(path: str) -> list[str]:
        raise FileNotFoundError(path)

    with monkeypatch.context() as patching:
        patching.setattr(os, "listdir", missing)
        assert pids() == [] and socketsOf(os.getpid()) is None
