"""Pipes for streams (`loopbackd.net.pipes`)."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Any

import pytest

from loopbackd.net.pipes import Pipes


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    """Three at most; closed afterwards."""
    pipes = Pipes(3)
    yield pipes
    pipes.close()


def test_one_that_came_back_is_given_again(pipes: Pipes) -> None:
    """It costs nothing then."""
    pipe = pipes.take()
    assert pipe is not None
    os.write(pipe[1], b"x")
    assert os.read(pipe[0], 1) == b"x"
    with pytest.raises(BlockingIOError):
        os.read(pipe[0], 1)
    pipes.give(pipe)
    assert pipes.take() == pipe
    pipes.give(pipe)


def test_there_are_so_many_and_no_more(pipes: Pipes) -> None:
    """Until one comes back."""
    taken = [pipes.take() for _ in range(3)]
    assert None not in taken and pipes.take() is None
    assert taken[0] is not None and taken[1] is not None and taken[2] is not None
    pipes.drop(taken.pop())  # type: ignore[arg-type]
    taken.append(pipes.take())
    assert taken[-1] is not None
    for pipe in taken:
        pipes.give(pipe)  # type: ignore[arg-type]


def test_those_in_use_are_closed_when_they_come_back() -> None:
    """The descriptors of all are closed in the end."""
    pipes = Pipes()
    one, two = pipes.take(), pipes.take()
    assert one is not None and two is not None
    pipes.give(one)
    pipes.close()
    pipes.give(two)
    for descriptor in (*one, *two):
        with pytest.raises(OSError):
            os.fstat(descriptor)


def test_without_descriptors_there_are_none(pipes: Pipes, monkeypatch: Any) -> None:
    """Whoever wanted one does without, and can have one later."""

    def full(flags: int) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pipe2", full)
        assert pipes.take() is None
    pipe = pipes.take()
    assert pipe is not None
    pipes.give(pipe)
