"""Who has a socket, with real processes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from asuser import STRANGER, become, inChild
from hypothesis import given
from hypothesis import strategies as st
from portservers import Serve
from portservers import serve as serve
from running import PATIENCE, until

from loopbackd.doctor.checks.holding import Looker, details, heldBy
from loopbackd.doctor.endable import NotEnded, whoToEnd
from loopbackd.doctor.facts import holder as holderModule
from loopbackd.doctor.facts.cgroups import Belonging
from loopbackd.doctor.facts.holder import (
    Companion,
    Holder,
    holderOf,
    holdersOf,
    rootsProgram,
)
from loopbackd.doctor.facts.sockets import sockets
from loopbackd.doctor.facts.socketunits import SocketUnit
from loopbackd.doctor.facts.units import Unit
from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.process import Process


def listening(port: int) -> bool:
    """Whether somebody listens there."""
    diag = SocketDiag()
    try:
        return bool(sockets(diag, port).listeners)
    finally:
        diag.close()


def looked(port: int) -> Holder:
    """Who listens there."""
    diag = SocketDiag()
    try:
        (row,) = sockets(diag, port).listeners
    finally:
        diag.close()
    return holdersOf((row,))[row.inode]


def test_a_process(serve: Serve, tmp_path: Path) -> None:
    """Where it runs, for how long, and what has started it."""
    server, port = serve(cwd=str(tmp_path))
    found = looked(port)
    assert found.pids == (server.pid,) and found.uid == os.geteuid()
    assert found.directory == str(tmp_path) and found.state in "RSD"
    assert found.seconds is not None and 0 <= found.seconds < PATIENCE
    assert found.parent is not None and found.parent.pid == os.getpid()


def test_the_oldest_of_a_family(serve: Serve) -> None:
    """The others came from it."""
    server, port = serve("forking")
    found = until(lambda: len(looked(port).others) == 1 and looked(port), "second process")
    assert found.process.pid == server.pid and str(found).startswith(f"pid {server.pid} (")


def test_a_stopped_process(serve: Serve) -> None:
    """As ps shows it."""
    server, port = serve()
    server.send_signal(signal.SIGSTOP)
    os.waitpid(server.pid, os.WUNTRACED)
    assert looked(port).state == "T"


def test_who_only_calls_itself_systemd() -> None:
    """It is told like anybody else, and ended like anybody else."""
    script = "import socket, time; s = socket.create_server(('127.0.0.1', 0));"
    script += "print(s.getsockname()[1], flush=True); time.sleep(60)"
    executable, words = os.path.realpath(sys.executable), ["systemd", "-S", "-c", script]
    process = subprocess.Popen(words, executable=executable, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        found = looked(int(process.stdout.readline()))
        assert str(found).startswith(f"pid {process.pid} (systemd ") and not found.isSystemds
        me = Looker(os.geteuid(), os.getpid(), found.belonging)
        assert heldBy(found, me, "another", 80)[0] == str(found)
        assert whoToEnd(found, me, ()) == (process.pid,)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def calledDockerProxy(executable: str, port: int) -> subprocess.Popen[bytes]:
    """It listens there, under a name that is not its own."""
    return subprocess.Popen(
        ["docker-proxy", "-l", "-k", "127.0.0.1", str(port)],
        executable=executable,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("isRoots", [True, False])
def test_who_is_called_docker_proxy(
    tmp_path: Path, program: Callable[..., str], needsRoot: None, isRoots: bool
) -> None:
    """Only a program that root has put there is believed to be one."""
    path = shutil.copy(os.path.realpath(program("nc")), tmp_path / "docker-proxy")
    if not isRoots:
        os.chown(tmp_path, STRANGER, STRANGER)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = calledDockerProxy(str(path), port)
    try:
        found = until(lambda: listening(port) and looked(port), "listener")
        assert found.pids == (process.pid,)
        me = Looker(0, os.getpid(), found.belonging)
        if isRoots:
            with pytest.raises(NotEnded, match="docker stop"):
                whoToEnd(found, me, ())
        else:
            assert whoToEnd(found, me, ()) == (process.pid,)
    finally:
        process.kill()
        process.wait()


def test_a_program_at_the_place_of_another(tmp_path: Path, needsRoot: None) -> None:
    """In a mount namespace of its own a process can have any program under any path."""
    place = tmp_path / "docker-proxy"
    place.touch(mode=0o755)
    script = f"mount --bind {os.path.realpath('/usr/bin/sleep')} {place} && exec {place} 60"
    process = subprocess.Popen(["unshare", "-m", "sh", "-c", script])
    try:
        until(lambda: os.readlink(f"/proc/{process.pid}/exe") == str(place), "other program")
        assert rootsProgram(process.pid) == ""
    finally:
        process.kill()
        process.wait()


def test_one_that_was_replaced(tmp_path: Path, needsRoot: None) -> None:
    """A newer version is in its place by now, as after an upgrade."""
    path = Path(shutil.copy("/usr/bin/sleep", tmp_path / "conmon"))
    process = subprocess.Popen([path, "60"])
    try:
        until(lambda: os.readlink(f"/proc/{process.pid}/exe") == str(path), "program")
        assert rootsProgram(process.pid) == "conmon"
        path.unlink()
        assert rootsProgram(process.pid) == "conmon"
    finally:
        process.kill()
        process.wait()
    assert rootsProgram(process.pid) == ""


def test_who_belongs_to_something_else(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several who have the socket, those that belong to another unit are told by name."""
    _, port = serve("forking")
    found = until(lambda: len(looked(port).others) == 1 and looked(port), "second process")
    assert found.apart == ()
    (child,) = found.others
    groups = {child: "/system.slice/other.service"}
    monkeypatch.setattr(holderModule, "groupOf", lambda pid: groups.get(pid, "/"))
    (one,) = looked(port).apart
    assert one.process.pid == child and one.belonging == Belonging("other.service")
    monkeypatch.setattr(holderModule, "groupOf", lambda pid: "/system.slice/other.service")
    assert looked(port).apart == ()


def test_workers_of_another_user(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """They belong to the server that has started them; who was given the socket does not."""
    _, port = serve("forking")
    found = until(lambda: len(looked(port).others) == 1 and looked(port), "second process")
    (child,) = found.others
    describe, state = holderModule.processOf, holderModule.stateOf

    def worker(pid: int) -> Process | None:
        one = describe(pid)
        return replace(one, user="www") if one is not None and pid == child else one

    monkeypatch.setattr(holderModule, "processOf", worker)
    assert looked(port).apart == ()
    monkeypatch.setattr(holderModule, "stateOf", lambda pid: replace(state(pid), parent=1))
    (one,) = looked(port).apart
    assert (one.process.pid, one.process.user) == (child, "www")


def test_many_sockets_of_one_process() -> None:
    """A server with a thousand connections is looked at once, not a thousand times."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        diag = SocketDiag()
        pairs = []
        try:
            for _ in range(100):
                client = socket.create_connection(server.getsockname())
                pairs.append((client, server.accept()[0]))
            there = sockets(diag, server.getsockname()[1])
            with pytest.MonkeyPatch.context() as patching:
                calls = []
                describe = holderModule.processOf
                patching.setattr(
                    holderModule, "processOf", lambda pid: calls.append(pid) or describe(pid)
                )
                found = holdersOf(there.rows)
        finally:
            diag.close()
            for pair in pairs:
                for sock in pair:
                    sock.close()
    assert len(found) == 101 and {one.pids for one in found.values()} == {(os.getpid(),)}
    assert len(calls) <= 4


def test_a_pid_that_was_reused_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has the socket no more when its command is read is not accused."""
    with socket.socket() as sock:
        inode = os.fstat(sock.fileno()).st_ino
        monkeypatch.setattr(holderModule, "holdsSocket", lambda pid, inode: False)
        found = holderOf(inode, 0)
    assert (found.uid, found.process, found.others) == (0, None, ())


def test_a_process_that_shuts_itself(serve: Serve, needsRoot: None) -> None:
    """One that has changed its user without a new program is named as one that it may be."""
    server, port = serve("as", str(STRANGER))
    found = inChild(lambda: become(STRANGER), lambda: looked(port))
    assert found.process is None and server.pid in [one.pid for one in found.closed]
    said = heldBy(found, Looker(STRANGER, 7), "another")[1][0]
    assert f"may not be looked into from here: pid {server.pid} (" in said


def holder(command: str = "nginx", **more: object) -> Holder:
    """Somebody."""
    return Holder(0, "root", Process(42, command, "root"), **more)  # type: ignore[arg-type]


ME, ROOT = Looker(1000, 7), Looker(0, 7)
USERS = SocketUnit("a.socket", "127.0.0.1:1", "a.service", isUsers=True)


@pytest.mark.parametrize(
    ("who", "looker", "first"),
    [
        (holder(), ME, "stop it: kill 42"),
        (holder("ssh -L 1:a:2 b"), ME, "stop it: kill 42"),
        (holder("conmon", program="conmon"), ME, "stop what it belongs to: podman"),
        (holder("conmon"), ME, "stop it: kill 42"),
        (
            holder(belonging=Belonging("a.service")),
            ME,
            "stop what it belongs to, as root: systemctl stop a.service",
        ),
        (
            holder(belonging=Belonging("a.service", isUsers=True)),
            ME,
            "stop what it belongs to: systemctl --user stop a.service",
        ),
        (
            holder(belonging=Belonging("a.service"), service=Unit("a.service", restart="always")),
            ROOT,
            "stop what it belongs to, since systemd would start it again (Restart=always):"
            " systemctl stop a.service",
        ),
        (
            # What would come back is not what is to be stopped.
            holder(
                "docker-proxy -host-port 80",
                program="docker-proxy",
                belonging=Belonging("docker.service"),
                service=Unit("docker.service", restart="always"),
            ),
            ME,
            "stop what it belongs to: docker stop $(",
        ),
        (
            holder(belonging=Belonging("a.service"), service=Unit("a.service", restart="no")),
            ROOT,
            "stop what it belongs to: systemctl stop a.service",
        ),
        (
            Holder(0, "root", isSystemds=True, socketUnit=SocketUnit("a.socket")),
            ME,
            "stop a.socket, as root: systemctl stop a.socket",
        ),
        (
            Holder(1000, "me", isSystemds=True, socketUnit=USERS),
            ME,
            "stop a.socket: systemctl --user stop a.socket a.service",
        ),
        (
            holder(isSystemds=True, socketUnit=SocketUnit("a.socket", activates="b@1.service")),
            ROOT,
            "stop both, since systemd would start it again: systemctl stop a.socket b@1.service",
        ),
        (
            holder(
                isSystemds=True,
                socketUnit=SocketUnit("a.socket"),
                belonging=Belonging("b.service"),
            ),
            ROOT,
            "stop both, since systemd would start it again: systemctl stop a.socket b.service",
        ),
        (
            holder(belonging=Belonging("a.service")),
            Looker(1000, 7, Belonging("a.service")),
            "stop it: kill 42",
        ),
        (
            holder(belonging=Belonging(container="docker 01")),
            Looker(0, 7, Belonging(container="docker 01")),
            "stop it: kill 42",
        ),
        (
            holder("/lib/systemd/systemd --user", isSystemds=True),
            ME,
            "stop the socket unit that it keeps it for:",
        ),
        (
            holder(belonging=Belonging("a\\x2db.service")),
            ROOT,
            r"stop what it belongs to: systemctl stop 'a\x2db.service'",
        ),
        (Holder(0, "root", isSystemds=True), ME, "stop the socket unit that it keeps it for:"),
        (Holder(0, "root"), ME, "run as root to see the process"),
        (Holder(0, "root"), Looker(0, 7), "look in containers"),
        (
            Holder(0, "root", closed=(Process(1, "init", "root"),)),
            Looker(0, 7),
            "see whether it is one that may not be looked into from here: pid 1 (init)",
        ),
        (Holder(0, "root"), Looker(1000, 7, isBlind=True), "ask from a terminal as root"),
        (Holder(1000, "me"), Looker(1000, 7, isBlind=True), "ask from a terminal as root"),
    ],
)
def test_what_to_do(who: Holder, looker: Looker, first: str) -> None:
    """The best comes first, and another port last."""
    remedy = heldBy(who, looker, "another", 80)[1]
    assert remedy[0].startswith(first) and remedy[-1] == "another"


def test_what_else_there_is_to_know() -> None:
    """A line each, only of what is known."""
    assert details(Holder(0, "root")) == ()
    assert details(holder()) == ()
    lines = details(
        holder(
            "docker-proxy -container-ip 172.17.0.2 -container-port 80",
            state="t",
            directory="/home/me/shop",
            seconds=7300,
            parent=Process(9, "dockerd", "root"),
            program="docker-proxy",
            others=(43, 44),
            apart=(Companion(Process(44, "worker", "me"), Belonging("b.service")),),
        )
    )
    assert lines == (
        "pid 42 is stopped by a debugger (state t)",
        "pid 42 runs in /home/me/shop, for 2 hours",
        "it was started by pid 9 (dockerd)",
        "docker-proxy only forwards: the server is behind it at 172.17.0.2:80",
        "pid 44 (worker), user me, unit b.service has the socket, too",
    )
    (line,) = details(holder("docker-proxy"))
    assert line == "pid 42 calls itself docker-proxy, and does not run this system's"
    assert "itself" in details(holder("python /bin/twistd -n loopbackd --listen x"))[0]


@given(st.text(), st.text(), st.floats(0, 1e9))
def test_anybody(command: str, directory: str, seconds: float) -> None:
    """Whatever a process calls itself."""
    one = holder(command, directory=directory, seconds=seconds, state=command[:1])
    assert heldBy(one, ME, "another")[1][-1] == "another"
    details(one)
