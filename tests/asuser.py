"""Doing something as another user of this machine, and having its result back."""

from __future__ import annotations

import ctypes
import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

STRANGER = 61234
"""A uid that nobody has."""

_PR_SET_DUMPABLE = 4
_CLONE_NEWNET = 0x40000000


def asUser(uid: int, call: Callable[[], T]) -> T:
    """
    What it returns when that user does it; everything it needs must be imported before.

    @raise AssertionError: it raised; with its traceback.
    """
    return call() if os.geteuid() == uid else inChild(lambda: become(uid), call)


def become(uid: int) -> None:
    """Be that user from now on, in a process that may."""
    if os.geteuid() == uid:
        return
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    # Its own /proc is shut for a process that has changed its user, until it is dumpable.
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


def apart() -> None:
    """Be in a network of one's own from now on, with a loopback interface that is up."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


@contextmanager
def apartForAWhile() -> Iterator[None]:
    """The same for this thread and what it starts, until the end of the C{with} statement."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        apart()
        try:
            yield
        finally:
            assert ctypes.CDLL(None).setns(before, _CLONE_NEWNET) == 0
    finally:
        os.close(before)


def inChild(prepare: Callable[[], object], call: Callable[[], T]) -> T:
    """
    What it returns in a process of its own, which was prepared for it; what that returned is kept.

    @raise AssertionError: either of the two raised; with its traceback.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            try:
                kept = prepare()
                said: Any = (True, call())
                del kept
            except BaseException:
                said = (False, traceback.format_exc())
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(said, pipe)
            status = 0
        finally:
            sys.stderr.flush()
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        heard = pipe.read()
    os.waitpid(child, 0)
    assert heard, "the child died without a word"
    worked, result = pickle.loads(heard)
    assert worked, result
    return result  # type: ignore[no-any-return]
