"""The API on its Unix socket, of a real daemon, and the commands that prefer it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from pwd import getpwnam
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import pytest_twisted
from asuser import STRANGER, asUser
from controlled import HERE, inThread, running
from running import LOGGED, PATIENCE, Running, script, service, until

from loopbackd.controlclient import Address, ControlClient, ControlError
from loopbackd.controlsettings import ControlSettings
from loopbackd.settings import SettingsError


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(self._path))


@pytest.fixture
def openly() -> Iterator[Path]:
    """A directory that every user can get into, unlike those that tests have."""
    with TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def get(path: Path, what: str = "/version", user: int | None = None) -> tuple[int, Any]:
    """Status and body of what is asked there, as another user perhaps."""

    def ask() -> tuple[int, Any]:
        connection = _Connection(path)
        try:
            connection.request("GET", what)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    return ask() if user is None else asUser(user, ask)


def socketOf(running: Running) -> Path:
    """Where a daemon says its socket is."""
    return Path(running.says(r"control: on (/\S+)")[1])


def test_a_socket_beside_the_port(daemon: Callable[..., Running], tmp_path: Path) -> None:
    """Of its owner alone, in a directory of its owner's alone, and gone when the daemon is."""
    one = daemon("--listen", HERE, "--control", HERE)
    path = socketOf(one)
    port = one.says(r"control: on 127\.0\.0\.1:(\d+)")[1]
    assert path == tmp_path / "run" / f"control-{port}.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert get(path)[0] == 200
    other = daemon("--listen", HERE, "--control", HERE)
    assert socketOf(other) != path and get(socketOf(other))[0] == get(path)[0] == 200
    one.stop()
    assert list(path.parent.iterdir()) == [socketOf(other)]
    other.stop()
    assert list(path.parent.iterdir()) == []


def test_no_control_no_socket(daemon: Callable[..., Running], tmp_path: Path) -> None:
    """Nor where it is one already, or switched off."""
    daemon("--listen", HERE, "--control", "off").port()
    path = tmp_path / "own.sock"
    daemon("--listen", HERE, "--control", f"unix:{path}").says(f"control: on {path}")
    config = tmp_path / "it.toml"
    config.write_text(service("echo") + '[control]\nsocket = "off"\n')
    daemon("--config", str(config), "--control", HERE).says(r"control: on 127")
    assert not (tmp_path / "run").exists()


def test_after_a_kill_and_beside_a_stopped_one(
    daemon: Callable[..., Running], tmp_path: Path
) -> None:
    """What a dead daemon left is replaced; a live one's is left alone, and done without."""
    config = tmp_path / "it.toml"
    config.write_text(service("echo") + f'[control]\nsocket = "{tmp_path}/s/it.sock"\n')
    words = ("--config", str(config), "--control", HERE)
    first = daemon(*words)
    path = socketOf(first)
    first.send(signal.SIGKILL)
    first.end()
    assert path.is_socket()
    second = daemon(*words)
    assert get(socketOf(second))[0] == 200
    second.send(signal.SIGSTOP)
    third = daemon(*words)
    assert third.end() == 1
    (line,) = third.errors.splitlines()
    assert f"somebody listens on {path}" in line and 'socket = "off" in [control]' in line
    second.send(signal.SIGCONT)
    assert get(path)[0] == 200
    second.stop()


def test_one_that_nobody_named_is_done_without(
    daemon: Callable[..., Running], tmp_path: Path
) -> None:
    """With one line that says why."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(0o777)
    running = daemon("--listen", HERE, "--control", HERE)
    line = running.says("control: it has no Unix socket: (.*)")[1]
    assert "others can write to" in line and "chmod 700" in line
    assert list((tmp_path / "run").iterdir()) == []
    running.stop()


def test_it_is_kept_over_reloads(daemon: Callable[..., Running], tmp_path: Path) -> None:
    """The very same one; it goes where another port, or path, is asked for, and comes back."""
    config = tmp_path / "it.toml"

    def write(more: str) -> None:
        config.write_text(f"{service('echo')}\n[control]\ntwin = false\n{more}\n")

    def reload() -> None:
        number = len(re.findall("The configuration was read again", running.log))
        running.send(signal.SIGHUP)
        running.says("The configuration was read again", number + 1)

    write(f'endpoint = "{HERE}"')
    running = daemon("--config", str(config), "--control", HERE)
    path = socketOf(running)
    inode = path.stat().st_ino
    write(f'endpoint = "{HERE}"\nmax_connections = 3')
    reload()
    assert path.stat().st_ino == inode and get(path)[0] == 200
    write(f'endpoint = "{HERE}"\nsocket = "{tmp_path}/other.sock"')
    reload()
    other = tmp_path / "other.sock"
    until(lambda: not path.exists(), "end of the first socket")
    assert get(other)[0] == 200
    write(f'endpoint = "{HERE}"\nsocket = "{tmp_path}/it.toml"')
    running.send(signal.SIGHUP)
    assert "is no socket" in running.says("Nothing was changed: (.*)")[1]
    assert get(other)[0] == 200
    write(f'endpoint = "{HERE}"\nsocket = "off"')
    reload()
    until(lambda: not other.exists(), "end of the other socket")
    write(f'endpoint = "{HERE}"')
    reload()
    assert get(path)[0] == 200
    running.stop()
    assert not path.exists()


@pytest_twisted.ensureDeferred
async def test_other_users_are_known_there(openly: Path, needsRoot: None) -> None:
    """By SO_PEERCRED: the mode of the file is not all that keeps them out."""
    path = openly / "run" / "s"
    asked = ControlSettings(endpoint=HERE, twin=False, socket=str(path), uids=(STRANGER + 1,))
    async with running(control=asked):
        path.chmod(0o777)
        path.parent.chmod(0o755)
        status, said = await inThread(get, path, "/version", STRANGER)
        assert status == 403 and f"not for uid {STRANGER}" in said["error"]
        assert (await inThread(get, path, "/version", STRANGER + 1))[0] == 200
        assert (await inThread(get, path))[0] == 200


@pytest_twisted.ensureDeferred
async def test_a_change_that_cannot_be_changes_nothing(tmp_path: Path) -> None:
    """Neither the port nor the socket, whichever of them it is that cannot be had."""
    path = tmp_path / "run" / "s"
    async with running(control=ControlSettings(endpoint=HERE, twin=False, socket=str(path))) as api:
        before = api.control.addresses
        file = tmp_path / "file"
        file.touch()
        for wanted in (
            ControlSettings(endpoint="tcp:0:interface=127.0.0.2", socket=str(file)),
            ControlSettings(endpoint=f"tcp:{api.port}:interface=127.0.0.1:backlog=7"),
        ):
            with pytest.raises(SettingsError):
                api.control.prepare(wanted)
        api.control.prepare(
            ControlSettings(endpoint=HERE, twin=True, socket=str(tmp_path / "run" / "t"))
        ).forgo()
        assert api.control.addresses == before
        assert (await inThread(get, path))[0] == 200
    assert not path.exists()


def run(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A command, asking where it asks by default."""
    kept = {name: value for name, value in os.environ.items() if name != "LOOPBACKD_CONTROL"}
    return subprocess.run(
        [script("loopbackd"), *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**kept, **environ},
        check=False,
    )


def test_commands_prefer_the_socket(daemon: Callable[..., Running], tmp_path: Path) -> None:
    """It is asked where the port, which anybody could have, would not be believed."""
    # The default's name, of a daemon that has another port.
    path = tmp_path / "run" / "control-8474.sock"
    config = tmp_path / "it.toml"
    config.write_text(service("mine") + f'[control]\nsocket = "{path}"\n')
    running = daemon("--config", str(config), "--control", HERE)
    assert socketOf(running) == path
    done = run("service", "list")
    assert done.returncode == 0, done.stderr
    assert [one["name"] for one in json.loads(done.stdout)] == ["mine"]
    elsewhere = run("service", "list", "--control", "127.0.0.1:9")
    assert elsewhere.returncode == 3 and "http://127.0.0.1:9" in elsewhere.stderr
    running.stop()


def test_a_socket_that_a_dead_daemon_left(tmp_path: Path) -> None:
    """The port is asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
    for left in (path, tmp_path / "none"):
        client = ControlClient(
            Address("localhost", 0, str(left)), otherwise=Address("127.0.0.1", port)
        )
        with pytest.raises(ControlError, match=f"no loopbackd at http://127.0.0.1:{port}"):
            client.ask("GET", "/version")


def asNobody(start: Callable[..., Running], directory: Path) -> Running:
    """A daemon that gives up root for another user."""
    user = getpwnam("nobody")
    directory.mkdir(0o700)
    os.chown(directory, user.pw_uid, user.pw_gid)
    ids = ["--uid", str(user.pw_uid), "--gid", str(user.pw_gid)]
    words = ["twistd", *LOGGED, *ids, "loopbackd", "--serve", f"echo@{HERE}", "--control", HERE]
    return start(words, environ={"LOOPBACKD_RUNTIME_DIR": str(directory)})


def test_another_users_daemon_is_asked_by_whoever_names_it(
    start: Callable[..., Running], needsRoot: None, openly: Path
) -> None:
    """Not even root says anything to it otherwise; the exit code is that of nobody being there."""
    running = asNobody(start, openly / "run")
    uid = getpwnam("nobody").pw_uid
    port = running.says(r"control: on 127\.0\.0\.1:(\d+)")[1]
    socketOf(running)
    where = ("--control", port)
    done = run("service", "list", *where)
    assert done.returncode == 3 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert f"http://127.0.0.1:{port} was told nothing: it is of user nobody ({uid})" in line
    assert f"pid {running.process.pid}" in line and "neither you nor root" in line
    assert run("service", "list", *where, "--control-uid", "nobody").returncode == 0
    assert run("service", "list", *where, LOOPBACKD_CONTROL_UID=f"7 {uid}").returncode == 0
    assert run("service", "list", *where, "--control-uid", "7").returncode == 3
    assert run("service", "list", *where, LOOPBACKD_CONTROL_UNCHECKED="1").returncode == 3
    wrong = run("service", "list", *where, "--control-uid", "nobody-of-that-name")
    assert wrong.returncode == 2 and "there is no user" in wrong.stderr
    running.stop()


def test_twistd_gives_up_its_user_first(
    start: Callable[..., Running], needsRoot: None, openly: Path
) -> None:
    """The socket is of the user that the daemon has in the end, and can be removed by it."""
    running = asNobody(start, openly / "run")
    path = socketOf(running)
    assert path.stat().st_uid == getpwnam("nobody").pw_uid
    assert get(path)[0] == 200
    running.stop()
    assert not path.exists()
