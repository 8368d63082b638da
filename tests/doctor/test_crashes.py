"""The last words of JVMs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.doctor.checks.disconnected import checkCrashes
from loopbackd.doctor.facts.crashes import Crash, killedForMemory, parseCrash, readCrashes
from loopbackd.doctor.finding import Severity

SIGNAL = "#\n#  SIGSEGV (0xb) at pc=0x00007f0e, pid=4711, tid=4712\n#\n"


@pytest.mark.parametrize(
    ("text", "says", "pid"),
    [
        (SIGNAL, "SIGSEGV (0xb) at pc=0x00007f0e", 4711),
        ("#  Internal Error (a.cpp:12), pid=5, tid=6\n", "Internal Error (a.cpp:12)", 5),
        (
            "# There is insufficient memory for the Java Runtime Environment to continue.\n"
            "#  Out of Memory Error (os_linux.cpp:1), pid=7, tid=8\n",
            "there was not enough memory for the JVM to go on",
            7,
        ),
        ("", "it does not say why", 0),
        ("#  \x1b[31m, pid=5, tid=6\n", "\\x1b[31m", 5),
    ],
)
def test_heads(text: str, says: str, pid: int) -> None:
    """The reason, and the pid."""
    assert parseCrash(text) == (says, pid)


@given(st.text() | st.text(alphabet="# pid=5,\n"))
def test_any_text(text: str) -> None:
    """It is one line."""
    assert "\n" not in parseCrash(text)[0]


def test_the_newest_are_read(tmp_path: Path) -> None:
    """A few of them, by their names; what is no file is left out."""
    for number in range(5):
        path = tmp_path / f"hs_err_pid{number}.log"
        path.write_text(SIGNAL)
        os.utime(path, (1000 + number, 1000 + number))
    (tmp_path / "other.log").write_text(SIGNAL)
    os.mkfifo(tmp_path / "hs_err_pid99.log")
    found = readCrashes([str(tmp_path), str(tmp_path), "/nowhere"])
    assert [Path(one.path).name for one in found] == [f"hs_err_pid{n}.log" for n in (4, 3, 2)]


@pytest.mark.parametrize(("age", "severity"), [(60, Severity.WARNING), (90_000, Severity.NOTE)])
def test_old_crashes_are_no_trouble(age: float, severity: Severity) -> None:
    """Only a late one may be what somebody is looking for."""
    (found,) = checkCrashes([Crash("/x/hs_err_pid1.log", "SIGSEGV", 1, age, "then")])
    assert found.severity is severity


def test_the_kernels_count() -> None:
    """It is there for everybody."""
    assert killedForMemory() is not None
