"""Room for the API's Unix socket: what is there already, and who could put something there."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
from asuser import STRANGER
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.control.socketplace import checkSocket, endpointAt, room, socketPath
from loopbackd.controlsettings import ControlSettings
from loopbackd.net.endpoint import parse
from loopbackd.settings import SettingsError

PORT = SimpleNamespace(port=8474)


def refusal(path: Path) -> str:
    """Why there is no room, in one line; nobody got to binding it."""
    with pytest.raises(SettingsError) as caught, room(path):
        raise AssertionError("there was room")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def bind(path: Path) -> socket.socket:
    """A socket's file, of whoever keeps it open."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    return sock


def test_where_it_is(tmp_path: Path) -> None:
    """Named after the port, in the first directory there is; or where the operator wants it."""
    environ = {"LOOPBACKD_RUNTIME_DIR": str(tmp_path)}
    assert socketPath(ControlSettings(), PORT, environ) == tmp_path / "control-8474.sock"
    named = ControlSettings(socket="/run/x.sock", endpoint="tcp:1")
    assert socketPath(named, None, None) == Path("/run/x.sock")


@pytest.mark.parametrize(
    "settings",
    [
        ControlSettings(socket="off"),
        ControlSettings(endpoint="off"),
        ControlSettings(endpoint="off", socket="/run/x.sock"),
    ],
)
def test_where_it_is_not(settings: ControlSettings) -> None:
    """Off is off."""
    assert socketPath(settings, PORT, {"LOOPBACKD_RUNTIME_DIR": "/run"}) is None


def test_without_a_port_there_is_no_name() -> None:
    """An API on a Unix socket has one already."""
    assert socketPath(ControlSettings(), object(), {"LOOPBACKD_RUNTIME_DIR": "/run"}) is None
    assert socketPath(ControlSettings(), PORT, None) is None


@pytest.mark.parametrize(
    ("asked", "said"), [("x.sock", "write a path from /"), ("/" + "x" * 107, "at most 107 bytes")]
)
def test_what_cannot_be_is_found_beforehand(asked: str, said: str) -> None:
    """By check-config, too."""
    with pytest.raises(SettingsError, match=said):
        checkSocket(ControlSettings(socket=asked))


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=20))
def test_any_path_is_quoted(name: str) -> None:
    """As an endpoint string it is the same path."""
    assert parse(endpointAt(Path("/run") / name)).path == str(Path("/run") / name)


def test_the_directory_is_made(tmp_path: Path) -> None:
    """With those above it, for its owner alone."""
    path = tmp_path / "a" / "b" / "c.sock"
    with room(path), bind(path):
        pass
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_a_dead_daemon_left_is_removed(tmp_path: Path) -> None:
    """A refused connection proves that nobody listens."""
    path = tmp_path / "s"
    for _ in range(2):
        with room(path):
            assert not path.exists()
            bind(path).close()
    assert path.is_socket()


def test_somebody_who_listens_is_left_alone(tmp_path: Path) -> None:
    """Also where so many wait there that no more may."""
    path = tmp_path / "s"
    with bind(path) as server:
        server.listen(0)
        assert refusal(path) == f"somebody listens on {path}"
        with socket.socket(socket.AF_UNIX) as waiting:
            waiting.setblocking(False)
            waiting.connect_ex(str(path))
            assert refusal(path) == f"somebody listens on {path}"
    assert path.is_socket()


def test_other_things_are_left_alone(tmp_path: Path) -> None:
    """Files, and links, to whatever they lead."""
    path = tmp_path / "s"
    path.write_text("precious")
    assert "is there and is no socket" in refusal(path)
    assert path.read_text() == "precious"
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    assert "is there and is no socket" in refusal(path)
    bind(tmp_path / "elsewhere").close()
    assert "is there and is no socket" in refusal(path)
    assert path.is_symlink() and (tmp_path / "elsewhere").is_socket()


def test_unsafe_directories(tmp_path: Path) -> None:
    """A link to one, or one that others can write to."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    assert "others can write to" in refusal(tmp_path / "open" / "s")
    (tmp_path / "link").symlink_to(tmp_path)
    assert "is no directory" in refusal(tmp_path / "link" / "s")
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in refusal(tmp_path / "file" / "s")
    assert "more than the 107 bytes" in refusal(tmp_path / ("x" * 100) / "s")


def test_a_directory_of_somebody_else(tmp_path: Path, needsRoot: None) -> None:
    """Nothing is put there."""
    inner = tmp_path / "theirs"
    inner.mkdir(0o700)
    os.chown(inner, STRANGER, STRANGER)
    assert f"is of user {STRANGER}" in refusal(inner / "s")


def test_one_daemon_at_a_time(tmp_path: Path) -> None:
    """The other's socket may be there and not listen yet."""
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        assert "another daemon is making one" in refusal(tmp_path / "s")
    finally:
        os.close(directory)


def test_what_was_put_there_is_looked_at(tmp_path: Path) -> None:
    """If it has become something else meanwhile, it is none of ours."""
    path = tmp_path / "s"
    with pytest.raises(SettingsError, match="is not what was put there"), room(path):
        path.write_text("")
    path.unlink()
    with pytest.raises(SettingsError, match="No such file"), room(path):
        pass
