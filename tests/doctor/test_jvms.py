"""Which listening sockets are never connected to, by made facts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loopbackd.debuggers.jdwp import JDWP
from loopbackd.doctor.facts.holder import Holder
from loopbackd.doctor.facts.jvms import JVM, Phase, javaVersion, phaseOf, waitsForDebugger
from loopbackd.peer.process import Process
from loopbackd.peer.sockdiag import SocketRow, TCPState

ROW = SocketRow(TCPState.LISTEN, ("127.0.0.1", 5005), ("0.0.0.0", 0), 1000, 77, 0.0, unsent=1)
JAVA = Process(9, "java -agentlib:jdwp=... Main", "alice")
TOLD = JDWP("...", port=5005, server=True)
ONE = JVM(JAVA, 1000, TOLD, Phase.WAITING, frozenset({77}))
NGINX = Holder(1000, "alice", Process(8, "nginx: master process", "alice"))
UNSEEN = Holder(1000, "alice")
DOCKER = Holder(0, "root", Process(7, "/usr/bin/docker-proxy -proto tcp", "root"))


@pytest.mark.parametrize(
    ("jvm", "row"),
    [
        (ONE, ROW),
        (replace(ONE, sockets=None), ROW),
        (replace(ONE, jdwp=replace(TOLD, port=None)), ROW),
        (replace(ONE, jdwp=replace(TOLD, port=None), sockets=None), ROW),
        (replace(ONE, jdwp=JDWP("", server=True), sockets=None), ROW),
    ],
    ids=["seen", "other user's", "its own choice", "other user's choice", "told unseen"],
)
def test_it_waits(jvm: JVM, row: SocketRow) -> None:
    """It is told so, or does so."""
    assert waitsForDebugger(row, [jvm])


def test_its_sockets_were_looked_at_too_early() -> None:
    """Where nobody is seen to have it, the one who was told may; who is seen has it himself."""
    late = replace(ONE, sockets=frozenset())
    assert waitsForDebugger(ROW, [late]) and waitsForDebugger(ROW, [late], UNSEEN)
    assert not waitsForDebugger(ROW, [late], NGINX)


@pytest.mark.parametrize(
    ("jvm", "row"),
    [
        (replace(ONE, jdwp=replace(TOLD, server=False)), ROW),
        (replace(ONE, jdwp=replace(TOLD, error="wrong")), ROW),
        (replace(ONE, jdwp=replace(TOLD, transport="dt_shmem")), ROW),
        (ONE, replace(ROW, local=("127.0.0.1", 8080))),
        (replace(ONE, uid=1, sockets=None), ROW),
        (replace(ONE, jdwp=replace(TOLD, port=None)), replace(ROW, unsent=50)),
        (replace(ONE, jdwp=replace(TOLD, port=None)), replace(ROW, inode=78)),
    ],
    ids=[
        "connects",
        "wrong",
        "shared memory",
        "other port",
        "other user",
        "server's queue",
        "not its",
    ],
)
def test_it_does_not_wait(jvm: JVM, row: SocketRow) -> None:
    """A JVM's web server may be looked at, and so may others' ports."""
    assert not waitsForDebugger(row, [jvm])


def test_a_project_attaches_there() -> None:
    """Whoever cannot be seen, or leads elsewhere, may be a JVM; whoever is seen is none."""
    assert waitsForDebugger(ROW, [], UNSEEN, {5005}) and waitsForDebugger(ROW, [], None, {5005})
    assert waitsForDebugger(ROW, [], DOCKER, {5005})
    assert not waitsForDebugger(ROW, [], NGINX, {5005})
    assert not waitsForDebugger(ROW, [], UNSEEN, {5006})
    assert not waitsForDebugger(ROW, [])


@pytest.mark.parametrize(
    ("threads", "phase"),
    [
        ((), Phase.NOTHING),
        (("java", "GC Thread#0"), Phase.NOTHING),
        (("JDWP Transport", "JDWP Event Help"), Phase.WAITING),
        (("JDWP Transport", "JDWP Event Help", "JDWP Command Re"), Phase.ATTACHED),
        (("JDWP Event Help",), Phase.LEFT),
    ],
)
def test_phases(threads: tuple[str, ...], phase: Phase) -> None:
    """By the threads of libjdwp, as JDK 17 and 25 have them."""
    assert phaseOf(threads) is phase


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ('IMPLEMENTOR="x"\nJAVA_VERSION="1.8.0_402"\n', 8),
        ('JAVA_VERSION="17.0.15"\n', 17),
        ('JAVA_VERSION="25"\n', 25),
        ("JAVA_VERSION=1.7.0", 7),
        ('SOURCE_JAVA_VERSION="9"', None),
        ("", None),
        ('JAVA_VERSION="' + "9" * 5000, None),
    ],
)
def test_versions(release: str, version: int | None) -> None:
    """Of a JDK's own file."""
    assert javaVersion(release) == version
