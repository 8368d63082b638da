"""The daemon itself, as the doctor sees it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fakeprograms
import pytest
from asuser import STRANGER, asUser
from running import HERE, Running
from tlsserving import answering, http

from loopbackd.controlclient import Address, addressOf
from loopbackd.doctor.asked import Asked
from loopbackd.doctor.checks.authority import checkAuthority
from loopbackd.doctor.checks.daemon import checkDaemon, checkItsPort
from loopbackd.doctor.checks.units import checkUnits
from loopbackd.doctor.examination import examine, examineDaemon
from loopbackd.doctor.facts.authority import AuthorityFiles, authorityFiles
from loopbackd.doctor.facts.control import ControlSeen, control, servicesIn
from loopbackd.doctor.facts.daemon import Daemon, pidFileIn
from loopbackd.doctor.facts.units import Unit, units, unitsIn
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.tls.store import AuthorityStore, stateDirectory

NOWHERE = Address("127.0.0.1", 1)


def look(port: int, control: Address = NOWHERE, directory: Path = Path("/")) -> dict[str, Finding]:
    """What is to be found about a daemon that should be there, by name."""
    found = examineDaemon(Asked("127.0.0.1", port), control, directory)
    return {one.kind: one for one in found}


def wrong(findings: dict[str, Finding]) -> list[str]:
    """The names of what is wrong."""
    return [one.kind for one in findings.values() if one.severity is not Severity.NOTE]


def controlOf(running: Running) -> Address:
    """Where a daemon has its control API."""
    return addressOf(running.says(r"\bcontrol: on 127\.0\.0\.1:(\d+)")[1])


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell would find the twistd of whoever runs the tests."""
    here = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{here}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def nobody() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@pytest.fixture
def stranger() -> Iterator[int]:
    """A port that another program has."""
    script = "import socket; s = socket.create_server(('127.0.0.1', 0));"
    script += "print(s.getsockname()[1], flush=True)\nwhile True: c = s.accept()"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


def test_a_daemon_that_runs(daemon: Callable[..., Running]) -> None:
    """Nothing is wrong with it."""
    running = daemon("--listen", HERE, "--control", HERE)
    assert wrong(look(running.port("auto"), controlOf(running))) == []


def test_a_daemon_without_control(daemon: Callable[..., Running]) -> None:
    """That is a way to run it, and worth a word."""
    found = look(daemon("--listen", HERE).port("auto"))
    assert "control-unreachable" in found
    assert wrong(found) == []


def test_no_daemon(nobody: int) -> None:
    """How to start it is said first, and of systemd only where it has a unit."""
    found = look(nobody)
    assert wrong(found)[0] == "daemon-not-running"
    assert found["daemon-not-running"].remedy[0] == "start it: twistd -n loopbackd"
    there = Daemon("1", control(NOWHERE), (Unit("loopbackd.socket", isUsers=True),))
    (one,) = checkItsPort(there, "127.0.0.1:1", 1, None, False)
    assert one.remedy[1] == "or: systemctl --user start loopbackd.socket"


def test_a_stranger_on_its_port(stranger: int) -> None:
    """Who that is."""
    assert wrong(look(stranger))[0] == "daemon-port-taken"


def test_a_daemon_elsewhere(daemon: Callable[..., Running], nobody: int, stranger: int) -> None:
    """Where there is one all the same is said, whoever has the port."""
    running = daemon("--listen", HERE, "--control", HERE)
    where, control = f"on 127.0.0.1:{running.port('auto')}", controlOf(running)
    found = look(nobody, control)
    assert where in found["daemon-not-running"].evidence[1]
    added, beside = found["daemon-not-running"].remedy
    # Its own has the name auto already.
    assert added.endswith(f"loopbackd service add here -l {nobody}")
    assert "--control off" in beside and "port-of-chance" not in found
    assert where in look(stranger, control)["daemon-port-taken"].evidence[1]


def test_a_relay_without_a_target(daemon: Callable[..., Running]) -> None:
    """Where it is loopbackd that hangs up, its own reasons are named, and no other program's."""
    running = daemon("--relay", f"gone@{HERE}=127.0.0.1:1", "--control", "off")
    found = {one.kind: one for one in examine(Asked("127.0.0.1", running.port("gone")))}
    assert "loopbackd service list" in found["hangs-up"].remedy[0]


def test_another_daemon_answers(daemon: Callable[..., Running]) -> None:
    """Of two, one has the port and the other the control API."""
    one = daemon("--listen", HERE)
    other = daemon("--listen", HERE, "--control", HERE)
    found = look(one.port("auto"), controlOf(other))
    assert wrong(found) == ["control-of-another-daemon"]
    assert f"127.0.0.1:{other.port('auto')}" in found["control-of-another-daemon"].evidence[0]
    pids = {f"pid {running.process.pid} " for running in (one, other)}
    assert all(any(pid in line for line in found["daemons-several"].evidence) for pid in pids)


def test_a_daemon_of_another_version(
    daemon: Callable[..., Running], tmp_path: Path, nobody: int
) -> None:
    """The one that runs was installed before."""
    before = tmp_path / "before" / "loopbackd-0.0.1.dist-info"
    before.mkdir(parents=True)
    (before / "METADATA").write_text("Metadata-Version: 2.1\nName: loopbackd\nVersion: 0.0.1\n")
    paths = [str(before.parent), os.environ.get("PYTHONPATH", "")]
    environ = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    running = daemon("--listen", HERE, "--control", HERE, environ=environ)
    found = look(running.port("auto"), controlOf(running))
    assert wrong(found) == ["daemon-other-version"]
    assert "0.0.1" in found["daemon-other-version"].says


def test_a_user_who_may_not(daemon: Callable[..., Running], needsRoot: None) -> None:
    """The daemon says for whom it is, and that is passed on."""
    running = daemon("--listen", HERE, "--control", HERE)
    port, where = running.port("auto"), controlOf(running)
    found = asUser(STRANGER, lambda: look(port, where))
    assert f"not for uid {STRANGER}" in found["control-forbidden"].evidence[0]
    assert "daemon-port-taken" not in found


def test_a_unix_socket_of_another_user(
    daemon: Callable[..., Running], needsRoot: None, tmp_path: Path
) -> None:
    """It is there, and not for who asks."""
    path = tmp_path / "control.sock"
    running = daemon("--listen", HERE, "--control", f"unix:{path}")
    running.says("control: on ")
    assert control(Address("localhost", 0, str(path))).serves(running.port("auto"))
    found = asUser(STRANGER, lambda: control(Address("localhost", 0, str(path))))
    (one,) = checkDaemon(Daemon("1", found))
    assert (one.kind, one.evidence) == ("control-forbidden", ("Permission denied",))


def test_a_unix_socket_that_was_left(daemon: Callable[..., Running], tmp_path: Path) -> None:
    """Nobody listens there any more; the daemon is asked at its port."""
    path = tmp_path / "left.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.bind(str(path))
    running = daemon("--listen", HERE, "--control", HERE)
    seen = control(Address("localhost", 0, str(path)), controlOf(running))
    assert seen.serves(running.port("auto"))


@pytest.mark.parametrize(
    ("said", "kind", "word"),
    [
        (http("404 Not Found", b"404 page not found\n"), "control-port-taken", "Toxiproxy"),
        (http("200 OK", b"{}", Server="nginx"), "control-port-taken", "not loopbackd"),
        (lambda asked: b"SSH-2.0-x\r\n", "control-port-taken", "not loopbackd"),
        (lambda asked: b"", "control-port-taken", "not loopbackd"),
        (lambda asked: None, "control-silent", "does not answer"),
    ],
)
def test_a_stranger_on_the_port_of_control(said: Any, kind: str, word: str) -> None:
    """What it says instead is shown."""
    with answering(said) as port:
        (one,) = checkDaemon(Daemon("1", control(Address("127.0.0.1", port))))
    assert one.kind == kind
    assert word in one.says


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"services": [1]}', b"\xff", b"[" * 10**5])
def test_answers_that_make_no_sense(body: bytes) -> None:
    """There are no services in them."""
    assert servicesIn(body) == ()


def test_a_pid_file_that_was_left(tmp_path: Path, nobody: int) -> None:
    """Of a process that is gone, of one that is another program now, and of nobody."""
    path = tmp_path / "twistd.pid"
    assert pidFileIn(path) is None
    with subprocess.Popen(["true"]) as process:
        process.wait()
    path.write_text(f"{process.pid}\n")
    assert "pid-file-left" in wrong(look(nobody, directory=tmp_path))
    with subprocess.Popen(["sleep", "60"]) as process:
        path.write_text(f"{process.pid}")
        found = look(nobody, directory=tmp_path)
        process.kill()
    assert "sleep" in found["pid-file-of-another"].evidence[0]
    path.write_text("nonsense")
    assert "pid-file-broken" in wrong(look(nobody, directory=tmp_path))


@pytest.mark.parametrize("endless", ["pipe", "zeros"])
def test_a_pid_file_of_somebody_elses(tmp_path: Path, endless: str) -> None:
    """One that has no end, as anybody can put it into /tmp, is not waited for, nor read."""
    path = tmp_path / "twistd.pid"
    if endless == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    script = "import resource, sys; from pathlib import Path;"
    script += "from loopbackd.doctor.facts.daemon import pidFileIn;"
    script += "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30));"
    script += "print(pidFileIn(Path(sys.argv[1])))"
    command = [sys.executable, "-c", script, str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert (ran.stdout, ran.stderr) == ("None\n", "")


def test_the_pid_file_of_a_daemon_that_runs(start: Callable[..., Running], tmp_path: Path) -> None:
    """It is as it should be; twistd refuses to start with those that are called wrong."""
    words = ["twistd", "-n", "loopbackd", "--listen", HERE]
    running = start(words, cwd=tmp_path)
    running.says(r"auto: \S+ on 127\.0\.0\.1:(\d+)")
    file = pidFileIn(tmp_path / "twistd.pid")
    assert file is not None and file.pid == running.process.pid
    seen = Daemon("1", ControlSeen("x", "gone"), pidFile=file)
    assert [one.kind for one in checkDaemon(seen)] == ["control-unreachable"]
    for text, complaint in ((str(os.getpid()), "Another twistd"), ("nonsense", "non-numeric")):
        other = tmp_path / text
        other.mkdir()
        (other / "twistd.pid").write_text(text)
        refused = start(words, cwd=other)
        assert refused.end() == 1
        assert complaint in refused.log + refused.errors


def test_an_authority_that_others_can_read(tmp_path: Path, nobody: int) -> None:
    """Its key is for its owner alone."""
    directory = stateDirectory(os.environ)
    AuthorityStore(directory).root()
    assert [*checkAuthority(authorityFiles(directory), datetime.now(UTC))] == []
    (directory / "private.pem").chmod(0o644)
    assert "authority-exposed" in wrong(look(nobody))
    assert authorityFiles(directory).exposed == {str(directory / "private.pem"): 0o644}


def test_an_authority_of_another_user(needsRoot: None, nobody: int) -> None:
    """The daemon refuses it, and so is it said."""
    directory = stateDirectory(os.environ)
    AuthorityStore(directory).root()
    os.chown(directory / "private.pem", STRANGER, STRANGER)
    assert "authority-not-ours" in wrong(look(nobody))


def test_an_authority_that_is_a_link(tmp_path: Path, nobody: int) -> None:
    """It is not followed."""
    directory = stateDirectory(os.environ)
    AuthorityStore(directory).root()
    (directory / "private.pem").rename(tmp_path / "moved.pem")
    (directory / "private.pem").symlink_to(tmp_path / "moved.pem")
    assert "authority-is-link" in wrong(look(nobody))


def test_an_authority_that_ends() -> None:
    """A month before its end, and after it."""
    directory = stateDirectory(os.environ)
    AuthorityStore(directory).root()
    files = authorityFiles(directory)
    assert files.end is not None
    for days, kinds in ((31, []), (29, ["authority-ends"]), (-1, ["authority-ends"])):
        now = files.end - timedelta(days=days)
        assert [one.kind for one in checkAuthority(files, now)] == kinds
    assert authorityFiles(directory / "nowhere") == AuthorityFiles(str(directory / "nowhere"))


UNIT = (
    "Id=loopbackd.service\nLoadState={load}\nActiveState={active}\nSubState={sub}\n"
    "Result={result}\nExecMainStatus={status}\nNRestarts=3\nNeedDaemonReload={changed}\n"
)
GOOD = {
    "load": "loaded",
    "active": "active",
    "sub": "running",
    "result": "success",
    "status": 0,
    "changed": "no",
}
FAILED = {"active": "failed", "sub": "failed", "result": "exit-code"}


@pytest.mark.parametrize(
    ("others", "kinds", "word"),
    [
        ({}, [], ""),
        ({"active": "inactive", "sub": "dead"}, [], ""),
        ({"load": "not-found"}, [], ""),
        ({**FAILED, "status": 203}, ["unit-failed"], "203/EXEC"),
        ({**FAILED, "status": 1}, ["unit-failed"], "exit-code, its program ended with 1"),
        ({**FAILED, "result": "resources"}, ["unit-failed"], "resources"),
        ({"active": "activating", "sub": "auto-restart"}, ["unit-restarting"], "again and again"),
        ({"load": "bad-setting"}, ["unit-unusable"], "bad-setting"),
        ({"changed": "yes"}, ["unit-changed"], "has not read it again"),
    ],
)
def test_a_unit(others: Any, kinds: list[str], word: str) -> None:
    """What systemctl shows, and what it means."""
    shown = UNIT.format(**{**GOOD, **others})
    both = f"{shown}\nId=loopbackd.socket\nLoadState=loaded\nActiveState=active\nSubState=listening"
    found = list(checkUnits(list(unitsIn(both))))
    assert [one.kind for one in found] == kinds
    assert word in " ".join(one.says for one in found)


def test_a_unit_that_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nobody: int
) -> None:
    """As systemctl shows it, the system's and the user's."""
    said = UNIT.format(**{**GOOD, **FAILED, "status": 203}).replace("\n", "\\n")
    fake = tmp_path / "systemctl"
    fake.write_text(f"#!/bin/sh\n[ \"$1\" = --user ] && exit 1\nprintf '{said}'\n")
    fake.chmod(0o755)
    fakeprograms.firstIn(monkeypatch, tmp_path)
    found = look(nobody)["unit-failed"]
    assert found.remedy[0] == "journalctl -u loopbackd.service -n 50"
    fake.write_text(f"#!/bin/sh\n[ \"$1\" = --user ] || exit 1\nprintf '{said}'\n")
    assert look(nobody)["unit-failed"].remedy[0] == "journalctl --user -u loopbackd.service -n 50"


def test_no_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not there, does not run or does not answer in a second has no units."""
    fake = tmp_path / "systemctl"
    fake.write_text("#!/bin/sh\nexec sleep 60\n")
    fake.chmod(0o755)
    fakeprograms.firstIn(monkeypatch, tmp_path)
    assert units() == ()
    fake.write_text("#!/bin/sh\necho System has not been booted with systemd >&2; exit 1\n")
    assert units() == ()
    fakeprograms.lookIn(monkeypatch, "/nonexistent")
    assert units() == ()


def test_the_systemd_of_this_machine(program: Callable[..., str]) -> None:
    """Whatever it says is understood; where loopbackd has no units there, there are none."""
    program("systemctl")
    assert all(isinstance(one, Unit) and one.name.startswith("loopbackd") for one in units())
