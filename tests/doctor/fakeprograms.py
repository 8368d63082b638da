"""Programs in the place of the system's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loopbackd.doctor.facts import program


def lookIn(monkeypatch: pytest.MonkeyPatch, *directories: str | Path) -> None:
    """Have programs be looked for there, for root as well."""
    paths = tuple(map(str, directories))
    monkeypatch.setenv("PATH", os.pathsep.join(paths))
    monkeypatch.setattr(program, "_SYSTEMS", paths)
    monkeypatch.setattr(program, "_LOCAL", ())


def firstIn(monkeypatch: pytest.MonkeyPatch, directory: str | Path) -> None:
    """Have programs be looked for there first."""
    lookIn(monkeypatch, directory, *os.environ["PATH"].split(os.pathsep))


def put(path: Path, script: str) -> None:
    """Make it a program, of the shell's."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
