"""What systemd says of the sockets that it keeps."""

from __future__ import annotations

import json
import time
from pathlib import Path

import fakeprograms
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.doctor.facts.holder import Holder, withUnits
from loopbackd.doctor.facts.socketunits import SocketUnit, parseSocketUnits, socketUnits, unitAt
from loopbackd.peer.sockdiag import SocketRow, TCPState

LISTED = [
    {"listen": "/run/dbus/system_bus_socket", "unit": "dbus.socket", "activates": "dbus.service"},
    {"listen": "127.0.0.1:631", "unit": "cups.socket", "activates": "cups.service"},
    {"listen": "[::1]:631", "unit": "cups.socket", "activates": ["cups.service"]},
    {"listen": "[::]:22", "unit": "ssh.socket", "activates": None},
]
CUPS = SocketUnit("cups.socket", "127.0.0.1:631", "cups.service")


def test_units() -> None:
    """Each address has its unit, and what it activates."""
    found = parseSocketUnits(json.dumps(LISTED))
    assert len(found) == 4
    assert unitAt(found, ("127.0.0.1", 631)) == CUPS
    other = unitAt(found, ("::1", 631))
    assert other is not None and other.activates == "cups.service"
    assert unitAt(found, ("127.0.0.2", 631)) is None
    assert str(CUPS) == "cups.socket, for cups.service"
    assert str(SocketUnit("a.socket", "127.0.0.1:1", isUsers=True)) == "user a.socket"


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "null", "[1, {}]", '[{"unit": 1, "listen": 2}]', "Failed to connect to bus"),
        # Nobody is told to run that.
        '[{"unit": "--root=x.socket", "listen": "127.0.0.1:1"}]',
        '[{"unit": "a; reboot #.socket", "listen": "127.0.0.1:1"}]',
    ],
)
def test_no_units(text: str) -> None:
    """What is no list of units has none."""
    assert parseSocketUnits(text) == ()


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda v: (
            st.lists(v) | st.dictionaries(st.sampled_from(["unit", "listen", "activates"]), v)
        ),
    )
)
def test_any_json(value: object) -> None:
    """Whatever another version of systemd says."""
    parseSocketUnits(json.dumps(value))


def program(directory: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have that be systemctl."""
    fakeprograms.put(directory / "systemctl", text)
    fakeprograms.firstIn(monkeypatch, directory)


def test_both_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's systemd, and that of whoever asks."""
    listed = '[{"listen": "127.0.0.1:1", "unit": "x\'$1\'.socket", "activates": ""}]'
    program(tmp_path, f"echo '{listed}'", monkeypatch)
    assert [(one.name, one.isUsers) for one in (*socketUnits(False), *socketUnits(True))] == [
        ("xlist-sockets.socket", False),
        ("x--user.socket", True),
    ]


def test_a_systemd_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for it."""
    program(tmp_path, "exec sleep 60", monkeypatch)
    began = time.monotonic()
    assert socketUnits(False, 0.1) == ()
    assert time.monotonic() - began < 5


def test_no_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not everybody has one."""
    fakeprograms.lookIn(monkeypatch, tmp_path)
    assert socketUnits(False) == socketUnits(True) == ()


def test_who_gets_a_unit() -> None:
    """Those that have their socket from systemd, and nobody else on the same address."""
    rows = [
        SocketRow(TCPState.LISTEN, ("127.0.0.1", 631), ("0.0.0.0", 0), 0, inode, 0.0)
        for inode in (1, 2)
    ]
    holders = {1: Holder(0, "root", isSystemds=True), 2: Holder(0, "root")}
    found = withUnits(holders, rows, [CUPS])
    assert found[1].socketUnit == CUPS and found[2].socketUnit is None


def test_a_unit_that_is_known_by_its_group() -> None:
    """It is told apart from others on the same address, and stays known where it is not listed."""
    row = SocketRow(TCPState.LISTEN, ("127.0.0.1", 631), ("0.0.0.0", 0), 0, 1, 0.0)
    mine = SocketUnit("mine.socket", "127.0.0.1:631", "mine.service")
    moved = SocketUnit("mine.socket", "127.0.0.1:632", "mine.service")
    known = {1: Holder(0, "root", isSystemds=True, socketUnit=SocketUnit("mine.socket"))}
    for listed, wanted in (
        ([CUPS, mine], mine),
        ([CUPS, moved], moved),
        ([CUPS], SocketUnit("mine.socket")),
        ([], SocketUnit("mine.socket")),
    ):
        assert withUnits(known, [row], listed)[1].socketUnit == wanted
