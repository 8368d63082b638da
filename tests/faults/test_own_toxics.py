"""docs/write-a-toxic.md does what it says: its package is installed, and its tests are run."""

from __future__ import annotations

import configparser
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted
from suffering import call, serving, toxic
from twisted.internet.threads import deferToThread

import loopbackd
from loopbackd.cli import main
from loopbackd.faults.kinds import kindClass, makeKind

TEXT = (Path(__file__).parent.parent.parent / "docs" / "write-a-toxic.md").read_text()


def block(language: str, number: int = 0) -> str:
    """The code in the page."""
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)[number]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory where the page's package is, as an installer leaves it."""
    config = configparser.ConfigParser()
    config.read_string(block("ini"))
    name, version = config["metadata"]["name"], config["metadata"]["version"]
    about = tmp_path / f"{name}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    points = config["options.entry_points"]["loopbackd.toxics"].strip()
    (about / "entry_points.txt").write_text(f"[loopbackd.toxics]\n{points}\n")
    (tmp_path / f"{config['options']['py_modules']}.py").write_text(block("python"))
    (tmp_path / "test_hiccup.py").write_text(block("python", 1))
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield tmp_path
    sys.modules.pop("hiccup", None)


def test_can_be_installed() -> None:
    """pip is told how to build it, which it wants to know of a directory with a setup.cfg alone."""
    ours = Path(loopbackd.__path__[0]) / "skeleton" / "pyproject.toml.in"
    assert block("toml") == ours.read_text()


def test_its_tests(installed: Path) -> None:
    """The page's tests pass."""
    space: dict[str, object] = {}
    exec(compile((installed / "test_hiccup.py").read_text(), "test_hiccup.py", "exec"), space)
    tests = [name for name in space if name.startswith("test_")]
    assert len(tests) == 2
    for name in tests:
        space[name]()  # type: ignore[operator]


def test_on_the_command_line(installed: Path) -> None:
    """It is listed with its attributes and where it is from, and its configuration is good."""
    (installed / "it.toml").write_text(block("toml", 1))
    script = Path(sys.executable).with_name("loopbackd")
    assert main.name

    def said(*words: str) -> str:
        result = subprocess.run(
            [script, *words],
            env={"PYTHONPATH": str(installed)},
            capture_output=True,
            text=True,
            check=True,
        )
        return result.stdout

    listed = said("toxics")
    what = "Once in `every` milliseconds nothing goes on for `length` milliseconds."
    every = "every = 1000  (a number from 0 to 86_400_000)"
    assert f"hiccup  {what}  [hiccup]\n    {every}\n" in listed
    assert said("check-config", str(installed / "it.toml")).startswith("echo: echo on tcp:7007")


@pytest_twisted.ensureDeferred
async def test_on_a_service(installed: Path) -> None:
    """It works on a live connection."""
    with pytest.raises(ValueError, match="hiccup: length = 5 must be less than every = 5"):
        makeKind("hiccup", {"every": 5, "length": 5})
    assert kindClass("hiccup").__name__ == "Hiccup"
    async with serving(toxic("hiccup", every=200, length=199)) as loopback:
        with call(loopback) as client:
            client.sendall(b"x")
            assert await deferToThread(client.recv, 1) == b"x"
            loopback.live("main").toxics.change("hiccup_downstream", {"length": 1})
            client.sendall(b"y")
            assert await deferToThread(client.recv, 1) == b"y"
