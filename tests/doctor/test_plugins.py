"""Whether the real C{twistd} knows loopbackd, and what the doctor says of that."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from asuser import STRANGER, asUser
from hypothesis import given
from hypothesis import strategies as st
from running import script

from loopbackd.doctor.checks.plugins import checkPlugins
from loopbackd.doctor.facts.plugins import (
    Cache,
    Twistd,
    caches,
    interpreterOf,
    rememberedIn,
    twistd,
)

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "twisted" / "plugins" / "loopbackd_plugin.py"
FINE = Twistd("/x/twistd", "/x/python", True, True, "/x/twistd")

RUN = """
import sys
sys.path[:] = [sys.argv.pop(1), *(one for one in sys.path if one != {root!r})]
sys.argv[0] = "twistd"
from twisted.scripts.twistd import run
run()
"""
"""C{twistd} that has no other plugin of loopbackd's than in the first directory."""


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """A directory of plugins with ours alone, which was made a while ago."""
    directory = tmp_path / "first" / "twisted" / "plugins"
    directory.mkdir(parents=True)
    shutil.copy(PLUGIN, directory)
    os.utime(directory / PLUGIN.name, (10**9, 10**9))
    return directory


def says(plugins: Path, *words: str) -> str:
    """What C{twistd} says with these words."""
    command = [sys.executable, "-c", RUN.format(root=str(ROOT)), str(plugins.parents[1]), *words]
    ran = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=60)
    return ran.stdout + ran.stderr


def kinds(plugins: Path, found: Twistd = FINE) -> list[str]:
    """The names of what is found about a directory."""
    return [one.kind for one in checkPlugins(caches([str(plugins)]), found)]


def test_a_cache_that_is_right(plugins: Path) -> None:
    """Twisted's own is understood, and nothing is wrong with it, nor with none."""
    assert kinds(plugins) == []
    assert "\n    loopbackd " in says(plugins, "--help")
    remembered = rememberedIn((plugins / "dropin.cache").read_bytes())
    assert remembered == {"loopbackd_plugin": frozenset({"loopbackd"})}
    (one,) = caches([str(plugins)])
    assert (one.isBelieved, one.knows) == (True, True)
    assert kinds(plugins) == []


def test_a_stale_cache(plugins: Path) -> None:
    """One from when the plugin was another: twistd believes it, and does not know loopbackd."""
    plugin = plugins / PLUGIN.name
    mine = plugin.read_text()
    plugin.write_text("before = 1\n")
    os.utime(plugin, (10**9, 10**9))
    says(plugins, "--help")
    plugin.write_text(mine)
    os.utime(plugin, (10**9, 10**9))
    assert "Unknown command: loopbackd" in says(plugins, "loopbackd", "--version")
    assert kinds(plugins) == ["plugin-cache-stale"]
    (plugins / "dropin.cache").unlink()
    assert "Unknown command" not in says(plugins, "loopbackd", "--version")
    assert kinds(plugins) == []


def test_a_cache_that_cannot_be_written(plugins: Path, needsRoot: None) -> None:
    """It works, and every start reads all plugins; which is said to who may not write it."""
    for path in plugins.parents:
        if path == Path("/tmp"):
            break
        path.chmod(0o755)
    assert asUser(STRANGER, lambda: kinds(plugins)) == ["plugin-cache-unwritable"]
    says(plugins, "--help")
    assert asUser(STRANGER, lambda: kinds(plugins)) == []
    os.utime(plugins / "dropin.cache", (10**8, 10**8))
    assert asUser(STRANGER, lambda: kinds(plugins)) == ["plugin-cache-unwritable"]


def test_a_twistd_of_another_environment(tmp_path: Path) -> None:
    """A real environment, with a twistd and without loopbackd; then with it."""
    made = [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "other")]
    subprocess.run(made, check=True, timeout=60)
    place = tmp_path / "other" / "bin" / "twistd"
    place.write_text(f"#!{tmp_path}/other/bin/python3\nfrom twisted.scripts.twistd import run\n")
    place.chmod(0o755)
    found = twistd({"PATH": str(place.parent)})
    assert (found.isHere, found.isAble) == (False, False)
    (one,) = checkPlugins((), found)
    assert one.kind == "twistd-of-another-environment"
    assert str(Path(sys.executable).parent / "twistd") in one.remedy[0]
    (packages,) = (tmp_path / "other" / "lib").glob("python3*/site-packages")
    (packages / "loopbackd-0.1.0.dist-info").mkdir()
    assert list(checkPlugins((), twistd({"PATH": str(place.parent)}))) == []


def test_the_twistd_of_these_tests() -> None:
    """It is of this environment; without a directory of it in PATH none is found."""
    found = twistd({"PATH": str(Path(script("twistd")).parent)})
    assert (found.isHere, found.isAble) == (True, True)
    assert list(checkPlugins((), found)) == []
    (one,) = checkPlugins((), twistd({"PATH": "/nonexistent"}))
    assert one.kind == "twistd-not-in-path"


@pytest.mark.parametrize(
    ("head", "python"),
    [
        ("#!/opt/x/bin/python3.11\n", "/opt/x/bin/python3.11"),
        ("#! /usr/bin/python3 -I\n", "/usr/bin/python3"),
        ("#!/bin/sh\n'''exec' \"/a long/bin/python\" \"$0\" \"$@\"\n' '''\n", "/a long/bin/python"),
        ("#!/bin/sh\n'''exec' /long/bin/python \"$0\" \"$@\"\n' '''\n", "/long/bin/python"),
        ("#!/bin/sh\nexec something\n", ""),
        ("#!/usr/bin/env nonexistent-python\n", ""),
        ("\x7fELF", ""),
    ],
)
def test_what_runs_a_script(tmp_path: Path, head: str, python: str) -> None:
    """The first lines say it, in every way that pip writes them."""
    path = tmp_path / "twistd"
    path.write_text(head)
    assert interpreterOf(str(path), {"PATH": "/usr/bin"}) == python
    assert interpreterOf(str(tmp_path / "none"), {}) == ""


class Evil:
    """Makes a directory, where its pickle is loaded as pickles are."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.path),))


def test_nothing_of_a_cache_is_run(tmp_path: Path) -> None:
    """It may be somebody else's."""
    evil = pickle.dumps({"loopbackd_plugin": Evil(tmp_path / "made")})
    assert rememberedIn(evil) == {}
    assert not (tmp_path / "made").exists()
    pickle.loads(evil)
    assert (tmp_path / "made").exists()


@given(st.binary(max_size=300))
def test_any_cache(content: bytes) -> None:
    """What makes no sense is nothing."""
    assert isinstance(rememberedIn(content), dict)


def test_words_for_a_shell() -> None:
    """A path with a blank is quoted."""
    (one,) = checkPlugins([Cache("/a b/dropin.cache", True, True)], FINE)
    assert one.remedy[0].startswith("rm '/a b/dropin.cache'")
