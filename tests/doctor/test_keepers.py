"""What systemd says of holders, with answers of the test's own; C{test_real_systemd.py} has one."""

from __future__ import annotations

import os
import time
from pathlib import Path

import fakeprograms
import pytest

from loopbackd.doctor.facts.cgroups import Belonging
from loopbackd.doctor.facts.holder import Holder
from loopbackd.doctor.facts.keepers import asSystemdSays
from loopbackd.doctor.facts.socketunits import SocketUnit
from loopbackd.peer.process import Process
from loopbackd.peer.sockdiag import SocketRow, TCPState

LISTED = '[{"listen": "127.0.0.1:80", "unit": "x.socket", "activates": "x.service"}]'
ROWS = [SocketRow(TCPState.LISTEN, ("127.0.0.1", 80), ("0.0.0.0", 0), 0, 1, 0.0)]
ME = os.geteuid()


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What was asked of a systemd that has one socket unit, and services with C{Restart=always}."""
    log = tmp_path / "asked"
    log.touch()
    fakeprograms.put(
        tmp_path / "systemctl",
        f"""echo "$@" >> {log}
if [ "$1" = --user ]; then shift; list='[]'; else list='{LISTED}'; fi
case $1 in
    list-sockets) echo "$list" ;;
    show) printf 'Id=%s\\nLoadState=loaded\\nRestart=always\\n\\n' "$2" ;;
esac""",
    )
    fakeprograms.firstIn(monkeypatch, tmp_path)
    return log


def holder(unit: str = "", uid: int = 0, isUsers: bool = False) -> Holder:
    """Somebody, of that unit."""
    return Holder(uid, "me", Process(42, "x", "me"), belonging=Belonging(unit, isUsers))


def test_nothing_is_asked_of_others(asked: Path) -> None:
    """Who is of no unit is nothing that systemd knows of."""
    holders = {1: holder(), 2: holder("session-1.scope")}
    assert asSystemdSays(holders, ROWS) == holders and asked.read_text() == ""


def test_a_service(asked: Path) -> None:
    """The system's systemd is asked of its own, each once; that of whoever asks of theirs."""
    holders = {1: holder("a.service"), 2: holder("a.service"), 3: holder("b.service", ME, True)}
    found = asSystemdSays(holders, ROWS)
    services = [(one.service.name, one.service.isUsers) for one in found.values() if one.service]
    assert services == [("a.service", False), ("a.service", False), ("b.service", True)]
    lines = asked.read_text().splitlines()
    assert [line.partition(" --property")[0] for line in lines] == [
        "show a.service",
        "--user show b.service",
    ]


def test_a_service_of_another_users_systemd(asked: Path) -> None:
    """That cannot be asked, and ours may have another unit of that name."""
    holders = {1: holder("b.service", ME + 1, True)}
    assert asSystemdSays(holders, ROWS) == holders and asked.read_text() == ""


def test_a_socket_unit(asked: Path) -> None:
    """It is found by its address, and the service that it starts is asked of."""
    (found,) = asSystemdSays({1: Holder(0, "root", isSystemds=True)}, ROWS).values()
    assert found.socketUnit == SocketUnit("x.socket", "127.0.0.1:80", "x.service")
    assert found.service is not None and found.service.name == "x.service"
    assert "--user" not in asked.read_text()


def test_a_socket_unit_of_nobody_knows_whom(asked: Path) -> None:
    """Where the system's systemd does not have it, the user's may."""
    rows = [SocketRow(TCPState.LISTEN, ("127.0.0.1", 81), ("0.0.0.0", 0), 0, 1, 0.0)]
    holders = {1: Holder(0, "root", isSystemds=True)}
    assert asSystemdSays(holders, rows) == holders
    assert [line.partition(" --all")[0] for line in asked.read_text().splitlines()] == [
        "list-sockets",
        "--user list-sockets",
    ]


def test_a_systemd_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it takes no longer than one may wait, and changes nothing."""
    fakeprograms.put(tmp_path / "systemctl", "exec sleep 60")
    fakeprograms.firstIn(monkeypatch, tmp_path)
    holders = {1: Holder(0, "root", isSystemds=True), 2: holder("a.service")}
    began = time.monotonic()
    assert asSystemdSays(holders, ROWS, 0.2) == holders
    assert time.monotonic() - began < 5
