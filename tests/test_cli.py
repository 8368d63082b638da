"""Tests for `loopbackd.cli`: the ``loopbackd`` command."""

from __future__ import annotations

import os
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from running import script

from loopbackd.cli import main
from loopbackd.protocols import registry


def run(*words: str) -> Result:
    """Run the command."""
    result = CliRunner().invoke(main, list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def test_protocols() -> None:
    """A line for each, its name first."""
    result = run("protocols")
    assert result.exit_code == 0
    listed = [line.split()[0] for line in result.stdout.splitlines()]
    assert listed[: len(registry._BUILT_IN)] == list(registry._BUILT_IN)
    assert "everything comes back (RFC 862)" in result.stdout


def test_a_good_configuration(tmp_path: Path) -> None:
    """What would run, a line for each service."""
    path = tmp_path / "it.toml"
    path.write_text(
        "[[service]]\nname = 'one'\n"
        "[[service]]\nprotocol = 'echo'\nendpoint = 'tcp:7:interface=127.0.0.1'\n"
    )
    result = run("check-config", str(path))
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "one: auto on tcp:62893:interface=127.0.0.1",
        "echo: echo on tcp:7:interface=127.0.0.1",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("drain = -1", "drain = -1: expected"),
        ("[[service]]\nprotocol = 'no-such'", "there is no protocol 'no-such'"),
        ("[[service]]\nendpoint = 'tcp:1'", "which other machines can reach"),
        ("[log]\nlevel = 'loud'", 'log level "loud" is not one of'),
        ("[[service]]\nprotocol = './fails.py:P'", "fails.py line 1: ZeroDivisionError"),
    ],
)
def test_a_bad_configuration(tmp_path: Path, text: str, said: str) -> None:
    """One line, with the file first, and exit code 1."""
    path = tmp_path / "it.toml"
    path.write_text(text)
    (tmp_path / "fails.py").write_text("1 / 0")
    result = run("check-config", str(path))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"Error: {path}: ")
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    """The same, not a page of usage."""
    result = run("check-config", str(tmp_path / "none.toml"))
    assert result.exit_code == 1
    assert result.stderr == f"Error: {tmp_path}/none.toml: No such file or directory; " + (
        "give a file you can read\n"
    )


def test_new(tmp_path: Path) -> None:
    """The files are named, and what to do next."""
    result = run("new", "shout", "--directory", str(tmp_path))
    assert result.exit_code == 0
    *files, empty, after = result.stdout.splitlines()
    assert empty == ""
    assert all(Path(file).is_file() for file in files)
    assert tmp_path / "shout" / "setup.cfg" in map(Path, files)
    assert after.startswith(f"Next:  cd {tmp_path}/shout && ")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Shout", "'Shout' cannot be a package"),
        ("twisted", "would hide what has that name already"),
        ("there", "there exists; take another name"),
    ],
)
def test_new_with_a_name_that_cannot_be(tmp_path: Path, name: str, said: str) -> None:
    """One line and exit code 1."""
    (tmp_path / "there").mkdir()
    result = run("new", name, "--directory", str(tmp_path))
    assert result.exit_code == 1
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_new_where_nothing_can_be_written() -> None:
    """The reason is the system's, in one line."""
    result = run("new", "shout", "--directory", "/proc/nowhere")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "/proc" in result.stderr


def test_version() -> None:
    """As a command and as an option."""
    expected = f"loopbackd {version('loopbackd')}\n"
    assert run("version").stdout == run("--version").stdout == expected


def test_help() -> None:
    """It says how the daemon itself is run."""
    result = run("-h")
    assert result.exit_code == 0
    assert "twistd -n loopbackd" in result.stdout


@pytest.mark.parametrize("words", [["--help"], ["port", "1"], ["watch", "--once", "--json"]])
def test_a_full_disk(tmp_path: Path, words: list[str]) -> None:
    """Whoever cannot print says so in a line, and does not end as if something were found."""
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [script("loopbackd"), *words],
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, "LOOPBACKD_STATE_DIR": str(tmp_path)},
            timeout=60,
        )
    assert ended.returncode == 2
    assert ended.stderr == b"Error: cannot print it: No space left on device\n"
