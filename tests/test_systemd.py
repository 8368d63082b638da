"""Tests for L{loopbackd.systemd} and the units in C{etc/}."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from loopbackd.systemd import Notifier, Watchdog, explainSystemd, watchdogInterval

ETC = Path(__file__).parent.parent / "etc"


class Systemd:
    """The receiving end: a real datagram socket, at the address that NOTIFY_SOCKET would have."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)

    def heard(self) -> list[str]:
        """The datagrams that wait."""
        messages = []
        try:
            while True:
                messages.append(self.socket.recv(65536).decode("utf-8"))
        except BlockingIOError:
            return messages


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    """A systemd that listens at a path, and one with an abstract name."""
    name = f"loopbackd-test-{os.getpid()}"
    made = Systemd(f"@{name}" if request.param == "abstract" else str(tmp_path / name))
    with made.socket:
        yield made


@pytest.fixture
def notifier(systemd: Systemd) -> Iterator[Notifier]:
    """A notifier that tells `systemd`."""
    made = Notifier.fromEnvironment({"NOTIFY_SOCKET": systemd.address})
    assert made is not None
    yield made
    made.close()


@pytest.fixture
def warnings(logged: Callable[[str], Any]) -> Any:
    """What is logged meanwhile."""
    return logged("loopbackd.systemd")


# --- Notifier


def test_notifierSaysWhatSystemdUnderstands(systemd: Systemd, notifier: Notifier) -> None:
    """Each state is one datagram of assignments."""
    notifier.ready("2 services")
    notifier.ready()
    notifier.watchdog()
    notifier.stopping()
    assert systemd.heard() == [
        "READY=1\nSTATUS=2 services",
        "READY=1",
        "WATCHDOG=1",
        "STOPPING=1",
    ]


def test_reloadingHasTheTime(systemd: Systemd, notifier: Notifier) -> None:
    """The time of a reload is that of the monotonic clock."""
    before = time.monotonic_ns() // 1000
    notifier.reloading()
    found = re.fullmatch("RELOADING=1\nMONOTONIC_USEC=([0-9]+)", systemd.heard()[0])
    assert found is not None
    assert before <= int(found[1]) <= time.monotonic_ns() // 1000


@given(text=st.text(st.characters()))
def test_statusIsOneLine(text: str) -> None:
    """Whatever the status, it is one assignment of printable UTF-8 that systemd takes."""
    systemd = Systemd(f"@loopbackd-status-{os.getpid()}")
    notifier = Notifier(systemd.address)
    notifier.ready(text * 100)
    notifier.close()
    (message,) = systemd.heard()
    systemd.socket.close()
    assert len(message.encode("utf-8")) < 4096
    lines = message.splitlines()
    assert lines[0] == "READY=1"
    assert len(lines) <= 2
    assert all(line.isprintable() for line in lines)


def test_fullQueueDoesNotBlock(systemd: Systemd, notifier: Notifier) -> None:
    """When systemd does not read, nothing waits and nothing is raised."""
    for _ in range(1000):
        notifier.watchdog()
    assert 0 < len(systemd.heard()) < 1000
    notifier.watchdog()
    assert systemd.heard() == ["WATCHDOG=1"]


def test_readyIsNotLostInAFullQueue(systemd: Systemd, notifier: Notifier) -> None:
    """READY=1 that found the queue full goes out before the next sign of life, once."""
    for _ in range(1000):
        notifier.watchdog()
    notifier.reloading()
    notifier.ready("here")
    notifier.watchdog()
    systemd.heard()
    notifier.watchdog()
    notifier.watchdog()
    assert systemd.heard() == ["READY=1\nSTATUS=here", "WATCHDOG=1", "WATCHDOG=1"]


def test_errorIsLoggedOnce(systemd: Systemd, notifier: Notifier, warnings: Any) -> None:
    """A systemd that is gone is told of once, and never raised."""
    systemd.socket.close()
    if not systemd.address.startswith("@"):
        os.unlink(systemd.address)
    for _ in range(3):
        notifier.ready("anybody?")
        notifier.watchdog()
    notifier.close()
    notifier.stopping()
    assert [event["log_level"].name for event in warnings.events] == ["warn"]


def test_nobodyWantsToKnow(warnings: Any) -> None:
    """Without NOTIFY_SOCKET there is no notifier; with one that cannot be spoken to, a warning."""
    assert Notifier.fromEnvironment({}) is None
    assert Notifier.fromEnvironment({"NOTIFY_SOCKET": ""}) is None
    assert warnings == []
    assert Notifier.fromEnvironment({"NOTIFY_SOCKET": "vsock:2:1234"}) is None
    assert len(warnings) == 1


def test_longPathIsNoError(warnings: Any) -> None:
    """A path that is too long for a socket is logged and not raised."""
    notifier = Notifier("/" + "x" * 200)
    notifier.ready()
    notifier.close()
    assert len(warnings) == 1


def test_childrenDoNotInheritTheSocket(notifier: Notifier) -> None:
    """The descriptor is closed in what the daemon starts."""
    assert not notifier._socket.get_inheritable()
    assert not notifier._socket.getblocking()


# --- watchdog


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "42"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "43"}, None),
        ({"WATCHDOG_PID": "42"}, None),
    ],
)
def test_watchdogInterval(environ: Mapping[str, str], interval: float | None) -> None:
    """The interval is half of systemd's patience, if it is this process that is watched."""
    assert watchdogInterval(environ, 42) == interval


@pytest.mark.parametrize("variable", ["WATCHDOG_USEC", "WATCHDOG_PID"])
@pytest.mark.parametrize("value", ["", "0", "-1", "1.5", "1_0", " 1", "one", "9" * 30, "\u0663"])
def test_watchdogWrongValue(variable: str, value: str) -> None:
    """A value that makes no sense is named with its variable."""
    with pytest.raises(ValueError, match=f"^{variable} is "):
        watchdogInterval({"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "42", variable: value}, 42)


def test_watchdogGivesSigns(systemd: Systemd, notifier: Notifier) -> None:
    """There is a sign at the start and one every interval, until the service stops."""
    clock = Clock()
    watchdog = Watchdog(notifier, 15.0, clock)
    assert systemd.heard() == []
    watchdog.startService()
    assert systemd.heard() == ["WATCHDOG=1"]
    clock.advance(14.9)
    assert systemd.heard() == []
    clock.advance(0.1)
    assert systemd.heard() == ["WATCHDOG=1"]
    watchdog.stopService()
    clock.advance(60)
    assert systemd.heard() == []
    assert clock.getDelayedCalls() == []
    watchdog.startService()
    assert systemd.heard() == ["WATCHDOG=1"]
    watchdog.stopService()


# --- explainSystemd


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The first of two descriptors as systemd passes them, listening: INET, then UNIX."""
    first = 200
    monkeypatch.setattr("loopbackd.systemd.FIRST_DESCRIPTOR", first)
    inet, unix = socket.socket(), socket.socket(socket.AF_UNIX)
    inet.bind(("127.0.0.1", 0))
    unix.bind(f"\0loopbackd-passed-{os.getpid()}")
    for place, listener in enumerate((inet, unix)):
        listener.listen()
        os.dup2(listener.fileno(), first + place)
        listener.close()
    yield first
    os.close(first)
    os.close(first + 1)


def test_explainNothing(passed: int) -> None:
    """Where Twisted will do what is meant there is nothing to explain."""
    environ = {"LISTEN_FDNAMES": "a:b"}
    for description in (
        "systemd:domain=INET:name=a",
        "systemd:INET:0",
        "systemd:domain=UNIX:index=1",
        "tcp:62893",
        "unix:/run/systemd:mode=600",
    ):
        assert explainSystemd(description, environ) is None
    before = {**environ, "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2"}
    assert explainSystemd("systemd:domain=INET:name=a", before) is None
    os.fstat(passed)


@pytest.mark.parametrize(
    ("description", "names", "explanation"),
    [
        ("domain=INET:name=c", "a:b", 'systemd gave 2 sockets named a, b; wanted "c"'),
        ("domain=INET:name=c", "a", 'systemd gave 1 socket named a; wanted "c"'),
        (
            "domain=INET:index=2",
            "a:b",
            "systemd gave 2 sockets named a, b; wanted number 2, counted from 0",
        ),
        (
            "domain=INET:index=-1",
            "a:b",
            "index=-1 is not a number: the first socket of systemd's is index=0",
        ),
        (
            "domain=INET:name=a",
            "a:a",
            'systemd gave 2 sockets named "a", and only the last would be used: give each a '
            ".socket unit and FileDescriptorName= of its own, or write index=",
        ),
        ("domain=INET6:name=a", "a:b", 'the socket "a" is of domain=INET, and not INET6'),
        ("domain=INET:name=b", "a:b", 'the socket "b" is of domain=UNIX, and not INET'),
        (
            "domain=INET:name=c",
            "a:b:c",
            'there is no socket at descriptor 202, where "c" should be: '
            "a service had it before, or LISTEN_FDNAMES is from another process",
        ),
        (
            "domain=INET:name=a:index=0",
            "a",
            "a systemd: endpoint has either name= or index=: name=loopbackd",
        ),
        ("domain=INET", "a", "a systemd: endpoint has either name= or index=: name=loopbackd"),
        (
            "name=a",
            "a",
            "a systemd: endpoint says which family its socket is of: domain=INET, INET6 or UNIX",
        ),
        ("domain=INET:nmae=a", "a", '"nmae" is no option of a systemd: endpoint'),
        (
            "domain=INET:name=a",
            "",
            "no sockets were passed (LISTEN_FDS is not set, or LISTEN_FDNAMES): "
            "start loopbackd.socket, or use a tcp: endpoint",
        ),
    ],
)
def test_explain(passed: int, description: str, names: str, explanation: str) -> None:
    """What would go wrong is said in one line, with what systemd gave and what was wanted."""
    environ = {"LISTEN_FDNAMES": names}
    assert explainSystemd(f"systemd:{description}", environ) == explanation


def test_explainAnotherProcess(passed: int) -> None:
    """Sockets for another process, a shell around ours say, are not taken for ours."""
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "a"}
    explanation = explainSystemd("systemd:domain=INET:name=a", environ)
    assert explanation == (
        f"systemd passed its sockets to process 1, and this is {os.getpid()}: "
        "start twistd without a shell around it, or by exec"
    )


def test_explainNamesMissing(passed: int) -> None:
    """Twisted drops descriptors without names, or with fewer; systemd-socket-activate does that."""
    environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2"}
    explanation = explainSystemd("systemd:domain=INET:index=0", environ)
    assert explanation is not None and "--fdname=loopbackd" in explanation
    environ["LISTEN_FDNAMES"] = "a"
    explanation = explainSystemd("systemd:domain=INET:index=0", environ)
    assert explanation == "LISTEN_FDS is 2, but LISTEN_FDNAMES has 1 names"


def test_explainNotListening(passed: int) -> None:
    """A connection, of Accept=yes, and a datagram socket are not to be listened on."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as other:
            os.dup2(other.fileno(), passed)
        assert explainSystemd("systemd:INET:0", {"LISTEN_FDNAMES": "a"}) == (
            'the socket "a" does not listen: its unit wants ListenStream= and Accept=no'
        )


PASSED = """
import os
from loopbackd.systemd import explainSystemd
names = "systemd:domain=UNIX:name=loopbackd", "systemd:domain=UNIX:name=other"
print([explainSystemd(name, os.environ) for name in names])
from twisted.internet import endpoints, reactor
print([explainSystemd(name, os.environ) for name in names])
print("LISTEN_PID" in os.environ, endpoints.serverFromString(reactor, names[0]))
"""


def test_explainAgreesWithTwisted(tmp_path: Path, program: Callable[..., str]) -> None:
    """With sockets really passed the answers are right before and after Twisted took them."""
    path = str(tmp_path / "socket")
    command = [program("systemd-socket-activate"), "-l", path, "--fdname=loopbackd"]
    with subprocess.Popen(
        [*command, sys.executable, "-c", PASSED],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as process:
        assert process.stderr is not None
        assert "Listening on" in process.stderr.readline()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            output, errors = process.communicate(timeout=60)
    answers = """[None, 'systemd gave 1 socket named loopbackd; wanted "other"']"""
    lines = output.splitlines()
    assert lines[:2] == [answers, answers], errors
    assert lines[2].startswith("False <twisted.internet.endpoints.AdoptedStreamServerEndpoint")


# --- the units


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units with a twistd that exists here, in a directory of their own."""
    twistd = Path(sys.executable).with_name("twistd")
    service = (ETC / "loopbackd.service").read_text()
    installed = service.replace("ExecStart=/opt/loopbackd/bin/twistd", f"ExecStart={twistd}")
    assert installed != service
    (tmp_path / "loopbackd.service").write_text(installed)
    (tmp_path / "loopbackd.socket").write_text((ETC / "loopbackd.socket").read_text())
    return tmp_path


def verify(command: str, units: Path) -> str:
    """What systemd-analyze verify complains of."""
    # Its exit status is 0 for an unknown key: what counts is that it says nothing.
    result = subprocess.run(
        [command, "verify", "--man=no", "loopbackd.service", "loopbackd.socket"],
        cwd=units,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return result.stdout + result.stderr


def test_unitsAreRight(units: Path, program: Callable[..., str]) -> None:
    """systemd has nothing to say against the units."""
    assert verify(program("systemd-analyze"), units) == ""


def test_unitsAreLookedAt(units: Path, program: Callable[..., str]) -> None:
    """A wrong key is complained of, so that silence means something."""
    with open(units / "loopbackd.socket", "a") as unit:
        unit.write("[Socket]\nFileDescriptorNaem=loopbackd\n")
    assert "FileDescriptorNaem" in verify(program("systemd-analyze"), units)


def test_unitsFitEachOther() -> None:
    """The service asks for the socket by the name and the family that the socket unit has."""
    service = (ETC / "loopbackd.service").read_text()
    listener = (ETC / "loopbackd.socket").read_text()
    name = re.search(r"^FileDescriptorName=(\w+)$", listener, re.MULTILINE)
    assert name is not None
    assert len(re.findall("^ListenStream=127.0.0.1:62893$", listener, re.MULTILINE)) == 1
    assert f"systemd:domain=INET:name={name[1]}\n" in service
    wanted = """
        Type=notify
        NotifyAccess=main
        ExecReload=/bin/kill -HUP $MAINPID
        Restart=on-failure
        DynamicUser=yes
    """
    assert set(textwrap.dedent(wanted).split("\n")) - {""} <= set(service.splitlines())
    assert not re.search("^PrivateUsers=", service, re.MULTILINE)
