"""Ending who has a socket, and nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from loopbackd.doctor import ending as endingModule
from loopbackd.doctor.endable import NotEnded
from loopbackd.doctor.ending import Ended, end


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that nobody means to end."""
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_a_pid_that_is_somebody_else_by_now(stranger: subprocess.Popen[bytes]) -> None:
    """Who has not that socket when the pidfd is open is left alone."""
    assert end({stranger.pid: {1}}, 0.2, lambda pid, inode: False) == Ended()
    assert stranger.poll() is None


def test_looked_at_behind_the_pidfd(
    stranger: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look that counts is after the pid was taken hold of, so that no reuse is missed."""
    told = []
    pidfdOpen = os.pidfd_open

    def opening(pid: int) -> int:
        told.append("opened")
        return pidfdOpen(pid)

    def holds(pid: int, inode: int) -> bool:
        told.append("looked")
        return False

    monkeypatch.setattr(os, "pidfd_open", opening)
    end({stranger.pid: {1}}, 0.2, holds)
    assert told[:2] == ["opened", "looked"] and stranger.poll() is None


def test_a_pid_that_nobody_has() -> None:
    """It has ended by itself, which is what was wanted."""
    assert end({2**22 + 1: {1}}, 0.2) == Ended()


def test_no_pidfds(stranger: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is ended by pid alone."""

    def refusing(pid: int) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", refusing)
    with pytest.raises(NotEnded, match=f"pid {stranger.pid} cannot be taken hold of"):
        end({stranger.pid: {1}}, 0.2, lambda pid, inode: True)
    assert stranger.poll() is None


def test_who_may_not_be_ended(
    stranger: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said whose it is."""

    def forbidden(descriptor: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(signal, "pidfd_send_signal", forbidden)
    with pytest.raises(NotEnded, match="not yours to end"):
        end({stranger.pid: {1}}, 0.2, lambda pid, inode: True)


def test_who_does_not_die(
    stranger: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that waits for a device hears of nothing."""
    monkeypatch.setattr(signal, "pidfd_send_signal", lambda descriptor, number: None)
    monkeypatch.setattr(endingModule, "_AFTER_KILL", 0.1)
    with pytest.raises(NotEnded, match=f"pid {stranger.pid} does not die"):
        end({stranger.pid: {1}}, 0.1, lambda pid, inode: True)
