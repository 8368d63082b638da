"""Tests for L{loopbackd.commands.catalogue}: C{loopbackd toxics} and C{loopbackd profiles}."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest
from click.testing import CliRunner

from loopbackd.cli import main
from loopbackd.faults import kinds
from loopbackd.faults.profiles import PROFILES


def run(word: str) -> list[str]:
    """What the command says."""
    result = CliRunner().invoke(main, [word])
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_toxics() -> None:
    """A line for each, and below it one for each attribute."""
    lines = run("toxics")
    names = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert names[: len(kinds._BUILT_IN)] == list(kinds._BUILT_IN)
    at = next(n for n, line in enumerate(lines) if line.startswith("slicer "))
    assert lines[at + 1] == (
        "    average_size = ...  (a whole number from 1 to 1_073_741_824, must be given)"
    )
    assert "    reset = false  (true or false)" in lines


def test_unusable(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is installed and cannot be used is listed, and why."""
    points = [EntryPoint("kaput", "no.such:Module", kinds.GROUP)]
    monkeypatch.setattr(kinds, "entry_points", lambda group: points)
    assert run("toxics")[-1].startswith("kaput  cannot be used: no.such:Module does not load: ")


def test_profiles() -> None:
    """Two lines for each: its figures, and where they are from."""
    lines = run("profiles")
    assert [line.split()[0] for line in lines[::2]] == list(PROFILES)
    at = list(PROFILES).index("wifi-poor") * 2
    assert lines[at].endswith(
        ": 30 ms there and back, each way 10 ms more or less, 50 Mbit/s down, 50 Mbit/s up, 5% lost"
    )
    assert lines[at + 1].strip() == PROFILES["wifi-poor"].source
