"""The daemon itself, as the doctor sees it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from running import HERE, Running

from loopbackd.controlclient import Address, addressOf
from loopbackd.doctor.asked import Asked
from loopbackd.doctor.checks.daemon import checkDaemon
from loopbackd.doctor.examination import examineDaemon
from loopbackd.doctor.facts.daemon import Cache, Daemon, caches, deadPidIn, exposedIn, failedIn
from loopbackd.doctor.finding import Severity

NOWHERE = Address("127.0.0.1", 1)


def wrong(port: int, control: Address = NOWHERE, directory: Path = Path("/")) -> list[str]:
    """The names of what is wrong with a daemon that should be there."""
    found = examineDaemon(Asked("127.0.0.1", port), control, directory)
    return [one.kind for one in found if one.severity is not Severity.NOTE]


def test_a_daemon_that_runs(daemon: Callable[..., Running]) -> None:
    """Nothing is wrong with it."""
    running = daemon("--listen", HERE, "--control", HERE)
    control = int(running.says(r"\bcontrol: on 127\.0\.0\.1:(\d+)")[1])
    assert wrong(running.port("auto"), addressOf(str(control))) == []


def test_a_daemon_without_control(daemon: Callable[..., Running]) -> None:
    """That is a way to run it, and worth a word."""
    running = daemon("--listen", HERE)
    found = examineDaemon(Asked("127.0.0.1", running.port("auto")), NOWHERE, Path("/"))
    assert "control-unreachable" in [one.kind for one in found]
    assert all(one.severity is Severity.NOTE for one in found)


def test_no_daemon() -> None:
    """How to start it is said first."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    assert wrong(port)[0] == "daemon-not-running"


def test_a_stranger_on_its_port() -> None:
    """Who that is."""
    script = "import socket, time; s = socket.create_server(('127.0.0.1', 0));"
    script += "print(s.getsockname()[1], flush=True)\nwhile True: c = s.accept()"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert wrong(int(process.stdout.readline()))[0] == "daemon-port-taken"
        process.kill()


def test_another_version() -> None:
    """The one that runs is not the one that is installed."""
    (one,) = checkDaemon(Daemon("1.2", "http://127.0.0.1:8474", version="1.1"))
    assert one.kind == "daemon-other-version" and "1.1" in one.says


def test_a_stale_cache(tmp_path: Path) -> None:
    """What twistd remembers is from before, and it may not mend it."""
    plugin, cache = tmp_path / "loopbackd_plugin.py", tmp_path / "dropin.cache"
    plugin.write_text("")
    assert caches([str(tmp_path)]) == []
    cache.write_bytes(b"... loopbackd_plugin ...")
    os.utime(plugin, (1, 1))
    assert not caches([str(tmp_path)])[0].isStale
    os.utime(cache, (0, 0))
    assert caches([str(tmp_path)])[0].isStale
    cache.write_bytes(b"others")
    assert caches([str(tmp_path)])[0].isStale
    there = Daemon("1", "x", caches=(Cache("/p/dropin.cache", True, True),))
    assert [one.kind for one in checkDaemon(there)] == ["plugin-cache-stale"]
    there = Daemon("1", "x", caches=(Cache("/p/dropin.cache", True, False),))
    assert list(checkDaemon(there)) == []


def test_a_pid_file_that_was_left(tmp_path: Path) -> None:
    """Of a process that is gone."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    (tmp_path / "twistd.pid").write_text(f"{process.pid}\n")
    assert deadPidIn(tmp_path / "twistd.pid") == process.pid
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    assert "pid-file-left" in wrong(port, directory=tmp_path)
    (tmp_path / "twistd.pid").write_text(f"{os.getpid()}")
    assert deadPidIn(tmp_path / "twistd.pid") == 0
    (tmp_path / "twistd.pid").write_text("nonsense")
    assert deadPidIn(tmp_path / "twistd.pid") == 0


def test_an_authority_that_others_can_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its key is for its owner alone."""
    directory = tmp_path / "state" / "authority"
    directory.mkdir(parents=True, mode=0o700)
    (directory / "private.pem").touch(0o600)
    assert exposedIn(directory) == {}
    (directory / "private.pem").chmod(0o644)
    assert exposedIn(directory) == {str(directory / "private.pem"): 0o644}
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    assert "authority-exposed" in wrong(port)


def test_a_unit_that_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As systemctl shows it."""
    said = (
        "Id=loopbackd.service\nLoadState=loaded\nActiveState=failed\nSubState=failed\nResult=core"
    )
    assert failedIn(f"{said}\n\nId=loopbackd.socket\nActiveState=active\n") == {
        "loopbackd.service": "failed (core)"
    }
    fake = tmp_path / "systemctl"
    fake.write_text(f"#!/bin/sh\nprintf '%s\\n' '{said}'\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    assert "unit-failed" in wrong(port)
