"""Tests for `loopbackd.newpackage`: the package it writes works."""

from __future__ import annotations

import ast
import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.newpackage import NameTaken, write
from loopbackd.protocols.registry import makeFactory


def test_its_own_tests_pass(tmp_path: Path) -> None:
    """In memory and on a real port, as they are written."""
    write("loud_echo", tmp_path)
    root = tmp_path / "loud_echo"
    environ = {name: value for name, value in os.environ.items() if name != "CI"}
    environ["PYTHONPATH"] = str(root)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(root)],
        cwd=root,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 passed" in result.stdout
    assert "warning" not in result.stdout


def test_what_is_written(tmp_path: Path) -> None:
    """Exactly these files, all filled in, and the entry point leads to the factory."""
    written = write("shout", tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in written) == [
        "shout/README.md",
        "shout/pyproject.toml",
        "shout/setup.cfg",
        "shout/shout/__init__.py",
        "shout/shout/protocol.py",
        "shout/tests/test_shout.py",
    ]
    for path in written:
        assert "$" not in path.read_text()
        if path.suffix == ".py":
            ast.parse(path.read_text())
    setup = configparser.ConfigParser()
    setup.read(tmp_path / "shout" / "setup.cfg")
    points = setup["options.entry_points"]["loopbackd.protocols"].split("\n")
    assert points == ["", "shout = shout.protocol:ShoutFactory"]


def test_it_can_be_served_without_being_installed(tmp_path: Path) -> None:
    """By its file, as its README says, with the option it has."""
    write("shout", tmp_path)
    path = tmp_path / "shout" / "shout" / "protocol.py"
    try:
        makeFactory(f"{path}:ShoutFactory", {"suffix": "!"})
    finally:
        sys.modules.pop("loopbackd_file_protocol", None)


@pytest.mark.parametrize(
    "name",
    ["", "Shout", "9lives", "a-b", "a.b", "../up", "a b", "class", "a" * 41, "é", "_a", "a\n"],
)
def test_a_name_that_cannot_be_a_package(tmp_path: Path, name: str) -> None:
    """It is refused with an example, and nothing is written."""
    with pytest.raises(ValueError, match="cannot be a package; write small letters"):
        write(name, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["loopbackd", "twisted", "tests", "json", "pytest", "factory"])
def test_a_name_that_hides_another_package(tmp_path: Path, name: str) -> None:
    """What is needed to run it, or part of Python, must not be hidden."""
    with pytest.raises(ValueError, match="would hide"):
        write(name, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["echo", "talk"])
def test_a_name_that_another_protocol_has(tmp_path: Path, name: str) -> None:
    """What is built in goes before what is installed, which nobody would ever reach."""
    with pytest.raises(ValueError, match=f"there is a protocol '{name}' already; take another"):
        write(name, tmp_path)
    assert not list(tmp_path.iterdir())


@given(st.text())
def test_any_name_is_refused_or_an_identifier(tmp_path: Path, name: str) -> None:
    """Whatever is asked for, nothing is written outside of its directory."""
    try:
        write(name, tmp_path)
    except (ValueError, NameTaken):
        return
    assert name.isidentifier()


@pytest.mark.parametrize("kind", ["directory", "file", "link"])
def test_nothing_is_overwritten(tmp_path: Path, kind: str) -> None:
    """Whatever has the name already is left as it is."""
    taken = tmp_path / "shout"
    if kind == "directory":
        taken.mkdir()
    elif kind == "file":
        taken.write_text("mine")
    else:
        taken.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NameTaken, match="exists; take another name, or remove it first"):
        write("shout", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["shout"]
    assert kind != "directory" or not list(taken.iterdir())
