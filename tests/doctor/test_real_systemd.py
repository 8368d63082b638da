"""Ports of a real systemd's: for the doctor, C{loopbackd port}, and the daemon when it starts."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import fakeprograms
import pytest
from click.testing import CliRunner
from running import LOGGED, script, until
from systemds import NOBODY, Systemd
from systemds import realSystemd as realSystemd

from loopbackd.commands.doctor import doctor
from loopbackd.commands.port import port

# Not by way of the program, which imports a command when it is run: others may not read that.
COMMANDS = {"doctor": doctor, "port": port}

SERVER = """
import os, socket, sys, time
fds = int(os.environ.get("LISTEN_FDS", 0))
server = socket.socket(fileno=3) if fds else socket.create_server(("127.0.0.1", int(sys.argv[1])))
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
    if "NOTIFY_SOCKET" in os.environ:
        told.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
while True:
    client = server.accept()[0]
    client.sendall(b"hello")
    client.close()
"""

Units = Callable[..., int]


@pytest.fixture
def unit(realSystemd: Systemd) -> Iterator[Units]:
    """
    Start a service of that name with a port that nobody had, or the socket unit of one; gives the
    port. What is started is stopped again.
    """
    made: list[str] = []

    def start(name: str, socket: str = "", service: str = "", runs: str = "") -> int:
        number = next(PORTS)
        if socket:
            listening = f"[Socket]\nListenStream={socket.format(number)}\n"
            realSystemd.write(f"{name}.socket", listening)
        program = realSystemd.directory / "server.py"
        program.write_text(SERVER)
        kind = "Type=exec" if runs else "Type=notify"
        said = runs or f"{sys.executable} {program} {number}"
        realSystemd.write(f"{name}.service", f"[Service]\n{kind}\nExecStart={said}\n{service}\n")
        realSystemd.ctl("daemon-reload")
        made.extend([f"{name}.socket", f"{name}.service"] if socket else [f"{name}.service"])
        realSystemd.ctl("start", f"{name}.{'socket' if socket else 'service'}")
        return number

    yield start
    if made:
        realSystemd.ctl("stop", *made)
        realSystemd.run("systemctl", "reset-failed")


PORTS = iter(range(8001, 9000))
"""One for each unit: nobody else is in its network."""

HERE = "127.0.0.1:{}"


class Inside:
    """C{loopbackd} in the world of that systemd."""

    def __init__(self, systemd: Systemd) -> None:
        self.systemd = systemd

    def run(self, command: str, *words: str, uid: int = 0) -> tuple[int, str]:
        """The exit code of a command, and all that it says."""

        def call() -> tuple[int, str]:
            done = CliRunner().invoke(COMMANDS[command], words)
            if done.exception is not None and not isinstance(done.exception, SystemExit):
                raise done.exception
            return done.exit_code, done.output

        return self.systemd.within(call, uid)

    def found(self, *words: str, uid: int = 0) -> Any:
        """Its one finding that is no note, or the one note."""
        code, said = self.run(*words, "--json", uid=uid)
        findings = json.loads(said)["findings"]
        wrong = [one for one in findings if one["severity"] != "note"]
        assert code == (1 if wrong else 0), said
        (one,) = wrong or findings
        return one

    def pid(self, service: str) -> int:
        """Of the process that the service is."""
        return int(self.systemd.ctl("show", "--value", "--property=MainPID", service))


@pytest.fixture
def inside(realSystemd: Systemd) -> Inside:
    """Runs C{loopbackd} there."""
    return Inside(realSystemd)


def isActive(systemd: Systemd, name: str) -> bool:
    """Whether the unit is."""
    return systemd.run("systemctl", "is-active", name).stdout == "active\n"


def test_it_is_apart(realSystemd: Systemd) -> None:
    """What it and its programs do is not seen by this machine, which they cannot change."""
    wrote = realSystemd.run("sh", "-c", "touch /tmp/there /var/tmp/there /dev/there && ls /tmp")
    assert "there" in wrote.stdout.split()
    assert not any(os.path.exists(f"{one}/there") for one in ("/tmp", "/var/tmp", "/dev"))
    for path in ("/etc", "/var/lib", "/usr"):
        assert "Read-only" in realSystemd.run("touch", f"{path}/there").stderr
    wrote = realSystemd.run("sh", "-c", "cd /proc/sys/kernel && cat pid_max > pid_max")
    assert "Read-only" in wrote.stderr
    assert realSystemd.run("cat", "/proc/1/comm").stdout == "systemd\n"
    assert realSystemd.within(os.getuid, NOBODY) == NOBODY


def test_a_socket_unit_that_waits(inside: Inside, unit: Units) -> None:
    """Its port is systemd's; the unit is named, the service that it starts, and what to stop."""
    number = unit("waits", HERE)
    one = inside.found("port", str(number))
    assert one["kind"] == "port-taken"
    assert "held by systemd (pid 1) as waits.socket, for waits.service" in one["says"]
    stop = "systemctl stop waits.socket waits.service"
    assert one["remedy"][0] == f"stop waits.socket: {stop}"
    code, said = inside.run("port", str(number), "--free", "--yes")
    assert code == 1 and stop in said
    assert isActive(inside.systemd, "waits.socket")
    assert not isActive(inside.systemd, "waits.service")
    # What it says to do does it.
    assert inside.systemd.run(*stop.split()).returncode == 0
    code, said = inside.run("port", str(number))
    assert code == 0 and f"Nobody has port {number}." in said


def test_a_socket_unit_for_others(inside: Inside, unit: Units) -> None:
    """An ordinary user, who sees nothing of process 1, is told the same, and that root may."""
    number = unit("others", HERE)
    one = inside.found("port", str(number), uid=NOBODY)
    assert "held by systemd as others.socket, for others.service" in one["says"]
    stop = "systemctl stop others.socket others.service"
    assert one["remedy"][0] == f"stop others.socket, as root: {stop}"
    code, said = inside.run("port", str(number), "--free", "--yes", uid=NOBODY)
    assert code == 1 and stop in said and isActive(inside.systemd, "others.socket")
    note = inside.found("doctor", HERE.format(number), uid=NOBODY)
    assert note["says"].startswith(f"127.0.0.1:{number} is systemd as others.socket, for ")


def test_a_socket_unit_when_systemd_is_not_asked(
    inside: Inside, unit: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control group of its socket has its name, too."""
    number = unit("silent", HERE)
    with monkeypatch.context() as patching:
        fakeprograms.lookIn(patching, "/nowhere")
        for uid, who in ((0, "systemd (pid 1)"), (NOBODY, "systemd")):
            one = inside.found("port", str(number), uid=uid)
            assert f"held by {who} as silent.socket." in one["says"]
            assert one["remedy"][0].endswith(": systemctl stop silent.socket")


@pytest.mark.parametrize(
    ("name", "where"), [("six", "[::1]:{}"), ("every", "{}"), ("own", "127.0.0.2:{}")]
)
def test_a_socket_unit_at_any_address(inside: Inside, unit: Units, name: str, where: str) -> None:
    """However it is written in its file."""
    number = unit(name, where)
    assert f"as {name}.socket, for {name}.service" in inside.found("port", str(number))["says"]


def test_a_socket_unit_that_serves(inside: Inside, unit: Units) -> None:
    """Who connects starts its service, which has the port, too, and would have it again."""
    number = unit("serves", HERE)
    note = inside.found("doctor", HERE.format(number))
    pid = inside.pid("serves.service")
    who = f"pid {pid} ({sys.executable} "
    assert note["kind"] == "answers" and note["says"].startswith(f"127.0.0.1:{number} is {who}")
    assert note["says"].endswith("unit serves.service, socket unit serves.socket.")
    one = inside.found("port", str(number))
    assert f"held by {who}" in one["says"]
    assert one["says"].endswith("unit serves.service, socket unit serves.socket.")
    stop = "systemctl stop serves.socket serves.service"
    assert one["remedy"][0] == f"stop both, since systemd would start it again: {stop}"
    code, said = inside.run("port", str(number), "--free", "--yes")
    assert code == 1 and stop in said and inside.pid("serves.service") == pid
    # And so it would: the next client has another process.
    inside.systemd.ctl("stop", "serves.service")
    assert inside.found("doctor", HERE.format(number))["says"].startswith(
        f"127.0.0.1:{number} is pid "
    )
    assert inside.pid("serves.service") not in (0, pid)
    inside.systemd.ctl(*stop.split()[1:])
    assert inside.run("port", str(number))[0] == 0


def test_a_service_that_fails_for_every_client(inside: Inside, unit: Units) -> None:
    """Who connects is told which service it was; and from then on, why nobody listens any more."""
    number = unit("broken", HERE, runs="/bin/false")
    where = HERE.format(number)
    code, said = inside.run("doctor", where, "--json")
    one = json.loads(said)["findings"][0]
    assert (code, one["kind"]) == (1, "activation-fails")
    assert one["says"] == (
        f"systemd starts broken.service for whoever connects to {where}, and it does not serve:"
        " exit-code, its program ended with 1."
    )
    assert one["remedy"][0] == "journalctl -u broken.service -n 50"
    for uid in (0, NOBODY):
        code, said = inside.run("doctor", where, "--json", uid=uid)
        one = json.loads(said)["findings"][0]
        assert (code, one["kind"]) == (1, "socket-unit-rests")
        assert one["says"] == (
            f"{where} is the address of systemd's broken.socket, for broken.service, and that has"
            " failed: service-start-limit-hit."
        )
        assert one["remedy"][-1] == "then systemctl start broken.socket"


def test_our_own_units(inside: Inside, unit: Units) -> None:
    """That they have failed is said of the daemon, and not once more of its address."""
    unit("loopbackd", "127.0.0.1:62893", runs="/bin/false")

    def wrong() -> list[str]:
        found = json.loads(inside.run("doctor", "--json")[1])["findings"]
        return [one["kind"] for one in found if one["severity"] == "problem"]

    assert "activation-fails" in wrong()
    after = wrong()
    assert after.count("unit-failed") == 2 and "daemon-not-running" in after
    assert not {"activation-fails", "socket-unit-rests", "nothing-listens"} & set(after)


def test_a_socket_unit_that_is_not_started(inside: Inside, unit: Units) -> None:
    """Systemd has read it, here since another unit is to start after it; it does not listen."""
    number = unit("rests", "{}")
    inside.systemd.ctl("stop", "rests.socket")
    wants = "[Unit]\nAfter=rests.socket\n[Service]\nExecStart=/bin/sleep 1000\n"
    inside.systemd.write("wants.service", wants)
    inside.systemd.ctl("start", "wants.service")
    one, *_ = json.loads(inside.run("doctor", HERE.format(number), "--json")[1])["findings"]
    assert one["kind"] == "socket-unit-rests" and "is not started (inactive)." in one["says"]
    (start,) = one["remedy"]
    inside.systemd.ctl("stop", "wants.service")
    assert inside.systemd.run(*start.split()).returncode == 0
    code, said = inside.run("doctor", HERE.format(number))
    assert code == 0 and f"is pid {inside.pid('rests.service')} (" in said


def test_a_service_that_does_not_accept(inside: Inside, unit: Units) -> None:
    """It is the service that is named, and not systemd, which has started it."""
    number = unit("deaf", HERE, runs="/bin/sleep 1000")
    code, said = inside.run("doctor", HERE.format(number), "--json")
    one = json.loads(said)["findings"][0]
    assert (code, one["kind"]) == (1, "listener-silent")
    assert "(/bin/sleep 1000), user root, unit deaf.service, socket unit deaf.socket" in one["says"]


def test_a_service(inside: Inside, unit: Units) -> None:
    """It is named by its unit, which is what to stop."""
    number = unit("plain")
    one = inside.found("port", str(number))
    assert one["kind"] == "port-taken" and one["says"].endswith("user root, unit plain.service.")
    assert one["remedy"][0] == "stop what it belongs to: systemctl stop plain.service"
    code, said = inside.run("port", str(number), "--free", "--yes")
    assert code == 1 and "systemctl stop plain.service" in said and "again" not in said
    assert isActive(inside.systemd, "plain.service")
    inside.systemd.ctl("stop", "plain.service")
    assert inside.run("port", str(number))[0] == 0


def test_a_service_for_others(inside: Inside, unit: Units) -> None:
    """An ordinary user does not see the process, and is told of the unit."""
    number = unit("theirs", service="Restart=always")
    one = inside.found("port", str(number), uid=NOBODY)
    assert "held by another user (root, unit theirs.service)" in one["says"]
    assert one["remedy"][1] == (
        "stop what it belongs to, as root, since systemd would start it again (Restart=always):"
        " systemctl stop theirs.service"
    )


@pytest.mark.parametrize(
    ("restart", "again"),
    [
        ("always", "since systemd would start it again (Restart=always)"),
        ("on-success", "since systemd would start it again (Restart=on-success)"),
    ],
)
def test_a_service_that_comes_back(inside: Inside, unit: Units, restart: str, again: str) -> None:
    """It is said that it would, and what to stop; ending the process is no use indeed."""
    name = f"back-{restart}"
    number = unit(name, service=f"Restart={restart}\nRestartSec=0")
    stop = f"systemctl stop {name}.service"
    one = inside.found("port", str(number))
    assert one["remedy"][0] == f"stop what it belongs to, {again}: {stop}"
    code, said = inside.run("port", str(number), "--free", "--yes")
    assert code == 1 and f"{again.removeprefix('since ')}: {stop}" in said
    pid = inside.pid(f"{name}.service")
    assert inside.systemd.run("kill", str(pid)).returncode == 0
    until(lambda: inside.pid(f"{name}.service") not in (0, pid), "service that is back")
    until(lambda: isActive(inside.systemd, f"{name}.service"), "service that listens")
    assert inside.found("port", str(number))["kind"] == "port-taken"
    inside.systemd.ctl("stop", f"{name}.service")
    assert inside.run("port", str(number))[0] == 0


def test_a_service_that_comes_back_when_it_fails(inside: Inside, unit: Units) -> None:
    """That is another thing: being asked to end is no failure."""
    number = unit("fails", service="Restart=on-failure")
    (stop, _) = inside.found("port", str(number))["remedy"]
    assert stop == "stop what it belongs to: systemctl stop fails.service"


def test_a_program_beside(inside: Inside, realSystemd: Systemd) -> None:
    """What somebody runs in a session is nobody's unit to stop: it is ended itself."""
    number = next(PORTS)
    program = realSystemd.directory / "beside.py"
    program.write_text(SERVER)
    process = realSystemd.start(sys.executable, str(program), str(number))
    until(lambda: inside.run("port", str(number))[0] == 1, "program that listens")
    one = inside.found("port", str(number))
    assert one["says"].endswith("user root, unit session-1.scope.")
    assert one["remedy"][0].startswith("stop it: kill ")
    code, said = inside.run("port", str(number), "--free", "--yes")
    assert code == 0 and f"127.0.0.1:{number} is free" in said
    assert process.wait() != 0


@pytest.mark.parametrize("isServing", [False, True])
def test_a_daemon_that_wants_the_port_of_a_socket_unit(
    inside: Inside, unit: Units, isServing: bool
) -> None:
    """It does not start, and its one line names the units and what to do."""
    name = "wanted-serving" if isServing else "wanted"
    number = unit(name, HERE)
    if isServing:
        inside.systemd.ctl("start", f"{name}.service")
    said = refusal(inside.systemd, number)
    if isServing:
        assert f"unit {name}.service, socket unit {name}.socket; stop both, since" in said
    else:
        assert f"held by systemd (pid 1) as {name}.socket, for {name}.service; stop" in said
    assert f": systemctl stop {name}.socket {name}.service, or choose another port: " in said


def test_a_daemon_that_wants_the_port_of_a_service(inside: Inside, unit: Units) -> None:
    """The same, with the unit that would come back."""
    number = unit("wanted-too", service="Restart=always")
    said = refusal(inside.systemd, number)
    assert "user root, unit wanted-too.service; stop what it belongs to, since systemd" in said
    assert "(Restart=always): systemctl stop wanted-too.service, or choose another port: " in said


def refusal(systemd: Systemd, number: int) -> str:
    """The one line that a daemon says which does not get that port."""
    where = f"tcp:{number}:interface=127.0.0.1"
    done = systemd.run(script("twistd"), *LOGGED, "loopbackd", "--control=off", "--listen", where)
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    (line,) = (one for one in done.stderr.splitlines() if "cannot listen on" in one)
    return line
