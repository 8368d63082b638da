"""Where the control API's socket is looked for, and which places are safe."""

from __future__ import annotations

import grp
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from asuser import STRANGER, asUser, inChild

from loopbackd.rundirectory import findSocket, runDirectories, socketName, whyUnsafe


def bound(path: Path) -> Path:
    """A socket's file."""
    path.parent.mkdir(0o700, parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
    return path


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A directory that every user can get to, unlike those that tests have."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_the_order(tmp_path: Path) -> None:
    """What is named for us comes first, then systemd's, the session's, and the state."""
    state, session = tmp_path / "state", tmp_path / "session"
    session.mkdir()
    environ = {"LOOPBACKD_STATE_DIR": str(state)}
    assert list(runDirectories(environ)) == [state / "run"]
    environ["XDG_RUNTIME_DIR"] = str(session)
    assert list(runDirectories(environ)) == [session / "loopbackd", state / "run"]
    environ["RUNTIME_DIRECTORY"] = "/run/one:/run/two"
    assert next(runDirectories(environ)) == Path("/run/one")
    environ["LOOPBACKD_RUNTIME_DIR"] = "here"
    assert next(runDirectories(environ)) == Path("here").absolute()


def test_the_session_of_somebody_else(tmp_path: Path, needsRoot: None) -> None:
    """After C{su} the variable is still another user's, or leads nowhere."""
    session = tmp_path / "session"
    environ = {"LOOPBACKD_STATE_DIR": str(tmp_path), "XDG_RUNTIME_DIR": str(session)}
    assert list(runDirectories(environ)) == [tmp_path / "run"]
    session.mkdir()
    os.chown(session, STRANGER, STRANGER)
    assert list(runDirectories(environ)) == [tmp_path / "run"]
    assert list(runDirectories({**environ, "XDG_RUNTIME_DIR": "relative"})) == [tmp_path / "run"]


def test_a_safe_directory(tmp_path: Path) -> None:
    """Its owner alone can write, whoever may look."""
    for mode in (0o700, 0o750, 0o755):
        tmp_path.chmod(mode)
        assert whyUnsafe(tmp_path) == ""


@pytest.mark.parametrize("mode", [0o770, 0o777, 0o1777, 0o702])
def test_a_directory_that_others_can_write_to(tmp_path: Path, mode: int) -> None:
    """Sticky or not: a name that is not there yet is anybody's."""
    tmp_path.chmod(mode)
    assert f"others can write to {tmp_path} (mode {mode:04o})" in whyUnsafe(tmp_path)


def test_a_directory_that_is_none(tmp_path: Path) -> None:
    """A link in its place, even to a good one, a file, or nothing."""
    (tmp_path / "good").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "good")
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        assert whyUnsafe(tmp_path / name) == f"{tmp_path / name} is no directory"
    assert "No such file" in whyUnsafe(tmp_path / "none")


def test_directories_above(tmp_path: Path) -> None:
    """Whoever can write there can put another one in its place, if it is not sticky."""
    inner = tmp_path / "open" / "inner"
    inner.mkdir(0o700, parents=True)
    inner.parent.chmod(0o777)
    assert f"{inner} is below {inner.parent}, to which others can write" in whyUnsafe(inner)
    inner.parent.chmod(0o1777)
    assert whyUnsafe(inner) == ""
    link = tmp_path / "link"
    link.symlink_to(inner.parent)
    inner.parent.chmod(0o777)
    assert f"below {inner.parent}" in whyUnsafe(link / "inner")


def test_directories_of_others(tmp_path: Path, needsRoot: None) -> None:
    """They may do there what they like."""
    inner = tmp_path / "theirs" / "inner"
    inner.mkdir(0o700, parents=True)
    os.chown(inner, STRANGER, STRANGER)
    assert f"is of user {STRANGER}" in whyUnsafe(inner)
    os.chown(inner, 0, 0)
    os.chown(inner.parent, STRANGER, STRANGER)
    assert f"{inner} is below {inner.parent}, which is of user {STRANGER}" in whyUnsafe(inner)
    os.chown(inner.parent, 0, STRANGER)
    inner.parent.chmod(0o770)
    assert "to which others can write (mode 0770)" in whyUnsafe(inner)


def someoneOf(group: int, path: Path) -> str:
    """Why that is unsafe for a user whose first group that is; a directory of root's."""
    path.chmod(0o755)
    inner = path / "shared" / "inner"
    inner.mkdir(0o700, parents=True)
    os.chown(inner.parent, 0, group)
    inner.parent.chmod(0o775)
    os.chown(inner, STRANGER, group)

    def become() -> None:
        os.setgroups([])
        os.setresgid(group, group, group)
        os.setresuid(STRANGER, STRANGER, STRANGER)

    return inChild(become, lambda: whyUnsafe(inner))


def test_a_group_of_ones_own(reachable: Path, needsRoot: None) -> None:
    """It has nobody else in it, so that it may write above."""
    assert someoneOf(STRANGER, reachable) == ""


def test_a_group_that_is_everybodys(reachable: Path, needsRoot: None) -> None:
    """As C{users} is on many systems: being one's first group does not make it one's own."""
    group = grp.getgrnam("users").gr_gid
    assert "to which others can write (mode 0775)" in someoneOf(group, reachable)


def test_a_group_of_ones_own_that_others_are_in(
    reachable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C{usermod -aG} makes it theirs, too."""
    inner = reachable / "shared" / "inner"
    inner.mkdir(0o700, parents=True)
    inner.parent.chmod(0o775)
    assert whyUnsafe(inner) == ""
    own = grp.getgrgid(os.getegid())
    shared = grp.struct_group((own.gr_name, "x", own.gr_gid, ["mallory"]))
    monkeypatch.setattr("grp.getgrgid", lambda gid: shared)
    assert "to which others can write (mode 0775)" in whyUnsafe(inner)


def test_an_access_control_list(reachable: Path, needsRoot: None, missing: Any) -> None:
    """What looks like the rights of one's group are the most that anybody named there has."""
    inner = reachable / "shared" / "inner"
    inner.mkdir(0o700, parents=True)
    inner.parent.chmod(0o755)
    entries = [(1, 7, -1), (2, 7, STRANGER), (4, 5, -1), (16, 7, -1), (32, 5, -1)]
    listed = b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(inner.parent, "system.posix_acl_access", struct.pack("<I", 2) + listed)
    except OSError as error:
        missing(f"no access control lists on {reachable}: {error.strerror}")
    said = whyUnsafe(inner)
    asUser(STRANGER, lambda: inner.rename(inner.parent / "away"))
    assert "to which others can write (mode 0775+)" in said


def test_the_socket_is_found(tmp_path: Path) -> None:
    """By its port, in the first directory that has one."""
    environ = {
        "LOOPBACKD_RUNTIME_DIR": str(tmp_path / "own"),
        "LOOPBACKD_STATE_DIR": str(tmp_path / "state"),
    }
    assert findSocket(environ, 8474) is None
    last = bound(tmp_path / "state" / "run" / socketName(8474))
    assert findSocket(environ, 8474) == last
    first = bound(tmp_path / "own" / socketName(8474))
    assert findSocket(environ, 8474) == first
    assert findSocket(environ, 8475) is None
    first.parent.chmod(0o777)
    assert findSocket(environ, 8474) == last


def test_what_is_no_socket_of_ours_is_not_found(tmp_path: Path) -> None:
    """A link to one, a file, and one whose path nobody could connect to."""
    real = bound(tmp_path / "real.sock")
    path = tmp_path / socketName(1)
    environ = {"LOOPBACKD_RUNTIME_DIR": str(tmp_path), "LOOPBACKD_STATE_DIR": "/nowhere"}
    path.symlink_to(real)
    assert findSocket(environ, 1) is None
    path.unlink()
    path.touch()
    assert findSocket(environ, 1) is None


def test_a_socket_of_somebody_else_is_not_found(tmp_path: Path, needsRoot: None) -> None:
    """However it came there."""
    path = bound(tmp_path / socketName(1))
    environ = {"LOOPBACKD_RUNTIME_DIR": str(tmp_path)}
    assert findSocket(environ, 1) == path
    os.chown(path, STRANGER, STRANGER)
    assert findSocket(environ, 1) is None
