"""What is usual, and the file it is in."""

from __future__ import annotations

import json
import os

import pytest
from making import EPHEMERAL, program

from loopbackd.watching.listeners import Place
from loopbackd.watching.memory import Memory, memoryPath
from loopbackd.watching.usual import LIMIT, Known, Usual

PLACE = Place("127.0.0.1", 80, 0)


@pytest.fixture
def remember(tmp_path):
    """A memory of that file, and what it complains of."""

    def remember(path=tmp_path / "deep" / "er" / "usual.json"):
        complaints = []
        memory = Memory(path, EPHEMERAL, complaints.append)
        memory.complaints = complaints
        return memory

    return remember


def test_aFileOfOnesOwn(remember):
    """It is made with its directories, for its owner alone, and read again."""
    memory = remember()
    assert memory.usual.isFresh
    memory.save()
    assert not memory.path.exists(), "there was nothing to remember"
    memory.usual.learn(PLACE, program(), 5.0, trusted=True)
    before = os.umask(0)
    try:
        memory.save()
    finally:
        os.umask(before)
    assert memory.path.stat().st_mode & 0o777 == 0o600
    assert memory.path.parent.stat().st_mode & 0o777 == 0o700
    assert json.loads(memory.path.read_text())["version"] == 1
    again = remember()
    assert not again.usual.isFresh
    assert again.usual.find(PLACE, program()).trusted
    assert memory.complaints == again.complaints == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"\xff\xfe", "malformed"),
        (b'{"version": 1}', "missing required field"),
        (b'{"version": 2, "listeners": []}', "version 2, not 1"),
        (b'{"version": 1, "listeners": [{"host": 3}]}', "Expected `str`"),
        (b"[" * 100_000, "recursion|malformed|truncated|Expected"),
        (b" " * (5 << 20), "more than"),
    ],
)
def test_aDamagedFile(remember, tmp_path, content, why):
    """One complaint, a fresh start, and the next thing that is learned replaces it."""
    path = tmp_path / "usual.json"
    path.write_bytes(content)
    memory = remember(path)
    assert memory.usual.isFresh and len(memory.usual) == 0
    (complaint,) = memory.complaints
    assert str(path) in complaint
    assert any(one in complaint for one in why.split("|")), complaint
    memory.usual.learn(PLACE, None, 1.0, trusted=False)
    memory.save()
    assert len(remember(path).usual) == 1
    assert len(memory.complaints) == 1


def test_linksAreNotFollowed(remember, tmp_path):
    """A link is of no use; what it leads to is neither read nor written."""
    victim = tmp_path / "victim"
    victim.write_text('{"version": 1, "listeners": []}')
    path = tmp_path / "usual.json"
    path.symlink_to(victim)
    memory = remember(path)
    assert memory.usual.isFresh and len(memory.complaints) == 1
    memory.usual.learn(PLACE, None, 1.0, trusted=False)
    memory.save()
    assert not path.is_symlink()
    assert victim.read_text() == '{"version": 1, "listeners": []}'


def test_othersMustNotWrite(remember, tmp_path):
    """What somebody else could have written says nothing of what is usual."""
    path = tmp_path / "usual.json"
    path.write_text('{"version": 1, "listeners": []}')
    path.chmod(0o666)
    memory = remember(path)
    assert memory.usual.isFresh and "others can write it" in memory.complaints[0]


@pytest.mark.parametrize("kind", ["fifo", "directory"])
def test_noFile(remember, tmp_path, kind):
    """Something else of that name is a complaint, and no waiting."""
    path = tmp_path / "usual.json"
    os.mkfifo(path) if kind == "fifo" else path.mkdir()
    assert remember(path).complaints


def test_cannotBeWritten(remember, tmp_path):
    """A directory that cannot be is told once, and nothing is lost meanwhile."""
    (tmp_path / "file").write_text("")
    memory = remember(tmp_path / "file" / "usual.json")
    memory.usual.learn(PLACE, None, 1.0, trusted=False)
    memory.save()
    memory.save()
    assert len(memory.complaints) == 1 and len(memory.usual) == 1


def test_twoAtOnce(remember):
    """What one has learned the other knows, both keep what they have, and to forget is for all."""
    one, other = remember(), remember()
    one.usual.learn(PLACE, None, 1.0, trusted=False)
    one.save()
    other.usual.learn(PLACE._replace(port=81), None, 1.0, trusted=True)
    other.refresh()
    assert len(other.usual) == 2
    other.save()
    one.refresh()
    assert len(one.usual) == 2 and one.usual.find(PLACE._replace(port=81), None).trusted
    assert other.forget()
    assert not other.forget()
    one.refresh()
    assert one.usual.isFresh and len(one.usual) == 0


def test_bounds():
    """The oldest are forgotten first, what is trusted last."""
    usual = Usual(EPHEMERAL)
    usual.learn(PLACE, None, 0.0, trusted=True)
    for number in range(2 * LIMIT):
        usual.learn(Place("127.0.0.1", 1 + number % 30000, number), None, 1.0 + number, False)
        assert len(usual) <= LIMIT
    assert usual.find(PLACE, None).trusted
    assert usual.knowsUser(2 * LIMIT - 1) and not usual.knowsUser(1)
    assert len(list(usual)) == len(usual)


def test_anUnseenProgram():
    """Who was seen once by root is the same for those who see no programs, and the reverse."""
    usual = Usual(EPHEMERAL)
    usual.learn(PLACE, program(path="/a"), 1.0, trusted=True)
    assert usual.find(PLACE, None).trusted
    assert usual.find(PLACE, program(path="/b")) is None
    usual.learn(PLACE, None, 2.0, trusted=False)
    assert len(usual) == 1
    usual.merge([Known(host="::1", port=5, uid=0, program="")])
    assert usual.find(Place("::1", 5, 0), program()) is not None


def test_where(tmp_path, monkeypatch):
    """It is in the directory of the daemon's state."""
    assert memoryPath({"LOOPBACKD_STATE_DIR": "/x"}).as_posix() == "/x/usual.json"
    assert memoryPath({"STATE_DIRECTORY": "/s:/t"}).as_posix() == "/s/usual.json"
    assert memoryPath({"XDG_STATE_HOME": "/h"}).as_posix() == "/h/loopbackd/usual.json"
