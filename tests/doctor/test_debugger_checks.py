"""What the facts about debuggers mean, by made facts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loopbackd.debuggers.debugger import Debugger
from loopbackd.debuggers.jdwp import JDWP, TOOL_OPTIONS
from loopbackd.doctor.asked import Asked
from loopbackd.doctor.checks.debuggers import checkDebuggers
from loopbackd.doctor.checks.disconnected import EXITS, disconnected, looksPicked
from loopbackd.doctor.checks.projects import checkProject
from loopbackd.doctor.facts.configured import Configured, Project, Told
from loopbackd.doctor.facts.debuggers import Debugged
from loopbackd.doctor.facts.debugging import Debugging
from loopbackd.doctor.facts.holder import Holder
from loopbackd.doctor.facts.jvms import JVM, Phase
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.peer.process import Process
from loopbackd.peer.sockdiag import SocketRow, TCPState

JAVA = Process(9, "java Main", "alice")
HOSTS = {"localhost": ("127.0.0.1",), "::1": ("::1",)}


def listener(host: str, port: int, inode: int = 77) -> SocketRow:
    """Somebody who listens."""
    nowhere = ("::" if ":" in host else "0.0.0.0", 0)
    return SocketRow(TCPState.LISTEN, (host, port), nowhere, 1000, inode, 0.0, unsent=1)


def jvm(host: str = "", port: int = 5005, **others: object) -> JVM:
    """A JVM that listens there."""
    jdwp = JDWP("-agentlib:...", host, port, server=True)
    return replace(JVM(JAVA, 1000, jdwp, Phase.WAITING, frozenset({77})), **others)  # type: ignore[arg-type]


def java(port: int = 5005, host: str = "localhost", isListening: bool = False) -> Configured:
    """An IDE's configuration."""
    return Configured("java", "Attach", host, port, isListening, "launch.json", 3)


def kinds(project: Project, there: Debugging) -> list[str]:
    """What is found, without notes."""
    found = checkProject(project, there, HOSTS)
    return [one.kind for one in found if one.severity is not Severity.NOTE]


def of(*configured: Configured, told: tuple[Told, ...] = ()) -> Project:
    """A project that says this."""
    return Project("/p", configured, told)


def test_all_is_well() -> None:
    """A JVM waits where an IDE attaches, and nobody else has a word to say."""
    there = Debugging((jvm(),), (), (listener("127.0.0.1", 5005),))
    assert kinds(of(java()), there) == []
    assert [one.kind for one in checkDebuggers(there)] == ["debugger-waits"]
    assert list(checkDebuggers(there, 8080)) == []


def test_sockets_that_are_not_told() -> None:
    """Then nothing is said of ports."""
    there = Debugging((jvm(),), missing="Permission denied")
    (one,) = checkDebuggers(there)
    assert (one.kind, one.severity) == ("debuggers-unseen", Severity.NOTE)
    assert kinds(of(java()), there) == []


@pytest.mark.parametrize(
    ("host", "option", "isOld", "allow", "severity"),
    [
        ("0.0.0.0", "", True, "", Severity.WARNING),
        ("::", "*", False, "", Severity.WARNING),
        ("192.0.2.1", "192.0.2.1", False, "", Severity.WARNING),
        ("::", "*", False, "*", Severity.WARNING),
        ("::", "*", False, "192.0.2.0/24", Severity.NOTE),
    ],
)
def test_all_addresses(host: str, option: str, isOld: bool, allow: str, severity: Severity) -> None:
    """Of JDK 8 a port alone; a C{*}; an address of the network; who lets in some alone."""
    told = JDWP("-agentlib:...", option, 5005, server=True, allow=allow)
    there = Debugging((jvm(jdwp=told, isOld=isOld),), (), (listener(host, 5005),))
    (one,) = [one for one in checkDebuggers(there) if one.kind == "debugger-everywhere"]
    assert one.severity is severity
    assert any("older than 9" in line for line in one.evidence) is isOld


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1"])
def test_loopback_is_well(host: str) -> None:
    """No other machine gets there."""
    node = Debugged(Debugger("node", "", 1, "x"), Process(8, "it", "alice"))
    there = Debugging((jvm(),), (node,), (listener(host, 5005),))
    assert [one.kind for one in checkDebuggers(there)] == ["debugger-waits"]


def other(kind: str, takesOne: bool = True, option: str = "--x") -> Debugged:
    """A debugger of another language than Java."""
    told = Debugger(kind, "*", 1234, option, takesOne=takesOne)
    return Debugged(told, Process(8, "it", "alice"), 1000, frozenset({77}))


@pytest.mark.parametrize("kind", ["node", "debugpy", "delve", "gdbserver", "chrome"])
def test_other_debuggers(kind: str) -> None:
    """On all addresses they are as bad; with nobody there, or at another port, it is said."""
    there = Debugging((), (other(kind, takesOne=False),), (listener("0.0.0.0", 1234),))
    (found,) = checkDebuggers(there)
    assert found.kind == "debugger-everywhere" and found.remedy[0].endswith("127.0.0.1:1234")
    wanted = Configured(kind, "A", "localhost", 1234)
    assert kinds(of(wanted), there) == []
    assert kinds(of(wanted), Debugging()) == ["debugger-absent"]
    assert kinds(of(replace(wanted, port=1235)), there) == ["debugger-other-port"]
    assert kinds(of(replace(wanted, isListening=True)), there) == ["debugger-both-listen"]


def test_one_that_takes_whoever_comes() -> None:
    """It is told where it waits, once, and of another port nothing."""
    there = Debugging((), (other("delve"), other("delve")), (listener("127.0.0.1", 1234),))
    (found,) = checkDebuggers(there)
    assert (found.kind, found.severity) == ("debugger-waits", Severity.NOTE)
    assert found.says == "A Go debugger (dlv) waits at 127.0.0.1:1234."
    assert found.evidence[0] == "a Go debugger (dlv) (--x), pid 8 (it)"
    assert list(checkDebuggers(there, 1235)) == []
    assert str(other("node", option="")) == "Node's inspector (opened by a signal), pid 8 (it)"


def test_an_address_of_the_other_family() -> None:
    """What listens at ::1 alone is not at 127.0.0.1, and the other way round."""
    there = Debugging((jvm("::1"),), (), (listener("::1", 5005),))
    assert kinds(of(java()), there) == ["debugger-elsewhere"]
    assert kinds(of(java(host="::1")), there) == []


def test_another_machine_is_not_looked_at() -> None:
    """Nobody here knows who listens there."""
    assert kinds(of(java(host="example.test")), Debugging()) == []


def test_a_debugger_is_there() -> None:
    """The configured port is the one that is taken."""
    row = SocketRow(TCPState.ESTABLISHED, ("127.0.0.1", 5005), ("127.0.0.1", 4000), 1000, 77, 0.0)
    there = Debugging((jvm(phase=Phase.ATTACHED),), (), (row,))
    assert kinds(of(java()), there) == ["debugger-attached"]


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("nginx: master process", ["debugger-port-taken"]),
        ("/usr/bin/docker-proxy -proto tcp", []),
        ("ssh -N -L 5005:localhost:5005 there", []),
    ],
)
def test_somebody_else_has_the_port(command: str, found: list[str]) -> None:
    """Forwarders have JVMs behind them, perhaps; and nothing is said of whom nobody sees."""
    rows = (listener("127.0.0.1", 5005),)
    holder = Holder(1000, "alice", Process(8, command, "alice"))
    assert kinds(of(java()), Debugging((), (), rows, {77: holder})) == found
    assert kinds(of(java()), Debugging((), (), rows, {77: Holder(0, "root")})) == []


def test_both_ends_do_the_same() -> None:
    """Two listeners, two clients."""
    there = Debugging((jvm(),), (), (listener("127.0.0.1", 5005),))
    assert kinds(of(java(isListening=True)), there) == ["debugger-both-listen"]
    client = jvm(jdwp=JDWP("-agentlib:...", "", 5005), phase=Phase.LEFT)
    assert kinds(of(java()), Debugging((client,))) == ["debugger-both-connect"]


def told(source: str = "vmArgs", byIDE: bool = False, **parts: object) -> Told:
    """An option of a JVM that is yet to be started."""
    jdwp = JDWP("-agentlib:...", source=source, **parts)  # type: ignore[arg-type]
    return Told(jdwp, "Gradle", f"in {source}", 0, byIDE)


def test_options_of_jvms() -> None:
    """Which JVMs would not start, and which would be open to all."""
    nobody = Debugging()
    good = told(port=5005, server=True)
    assert kinds(of(told=(good,)), nobody) == []
    assert kinds(of(told=(told(error="no"),)), nobody) == ["jdwp-option-wrong"]
    everywhere = told(port=5005, server=True, host="*")
    assert kinds(of(told=(everywhere,)), nobody) == ["debugger-everywhere"]
    assert kinds(of(told=(told(port=5005, byIDE=True, server=True),)), nobody) == ["jdwp-twice"]
    variable = told(TOOL_OPTIONS, port=5006, server=True)
    assert kinds(of(told=(variable,)), nobody) == []
    assert kinds(of(told=(variable, good)), nobody) == ["jdwp-twice"]
    assert kinds(of(told=(told(port=5005),)), nobody) == ["debugger-not-listening"]
    assert kinds(of(told=(told(port=5005, host="192.0.2.1"),)), nobody) == []


def test_the_port_of_jvms_to_be() -> None:
    """The one that was started so has it, or somebody else; a variable is for all of them."""
    rows = (listener("127.0.0.1", 5005),)
    started = Debugging((jvm(),), (), rows)
    assert kinds(of(told=(told(port=5005, server=True),)), started) == []
    variable = (told(TOOL_OPTIONS, port=5005, server=True),)
    assert kinds(of(told=variable), started) == ["jdwp-port-taken"]
    other = Debugging((), (), rows)
    assert kinds(of(told=(told(port=5005, server=True),)), other) == ["jdwp-port-taken"]


def test_disconnected() -> None:
    """It is a note, has every exit code, and the address in it."""
    found: Finding = disconnected(Asked("127.0.0.1", 62893), Debugging(), (), 3)
    assert found.severity is Severity.NOTE and "address: '127.0.0.1:62893'" in found.says
    assert all(any(f"exit code {code}:" in line for line in found.remedy) for code in EXITS)
    assert "3 processes for want of memory" in found.evidence[-1]
    assert "picked this port itself" in found.evidence[0]
    other = disconnected(Asked("127.0.0.1", 5005), Debugging())
    assert "picked" not in other.evidence[0]


@pytest.mark.parametrize(
    ("port", "isPicked"), [(62893, True), (49152, True), (33000, True), (5005, False), (80, False)]
)
def test_ports_that_ides_pick(port: int, isPicked: bool) -> None:
    """A free one of the system's choice."""
    assert looksPicked(port) is isPicked
