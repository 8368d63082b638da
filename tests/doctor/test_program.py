"""What other programs say, and when they do not come to an end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import fakeprograms
import pytest
from asuser import STRANGER, asUser
from running import until

from loopbackd.doctor.facts import program as programModule
from loopbackd.doctor.facts.program import Said, isRoots, said, whereIs
from loopbackd.peer.process import stateOf


def python(script: str, **limits: float) -> Said:
    """What a script says."""
    return said([sys.executable, "-c", script], **limits)  # type: ignore[arg-type]


def test_what_it_says() -> None:
    """All of it, with no input and in no language."""
    found = python("import os, sys; print(sys.stdin.read(), os.environ['LC_ALL'])")
    assert found == Said(" C\n", status=0)


@pytest.mark.parametrize(
    ("script", "failed"),
    [
        ("import sys; sys.exit('not allowed\\nat all')", "not allowed"),
        ("import sys; sys.exit(3)", "ended with 3"),
    ],
)
def test_a_failure(script: str, failed: str) -> None:
    """The first line of what it says about it."""
    assert python(script).failed == failed


def test_no_program() -> None:
    """What is not there says nothing."""
    assert said(["/nowhere/at-all"]) == Said(failed="/nowhere/at-all is not installed")


def test_a_program_that_cannot_be_run(tmp_path: Path) -> None:
    """Nothing is raised for it."""
    (tmp_path / "broken").write_bytes(b"\x7fELF")
    (tmp_path / "broken").chmod(0o755)
    found = said([str(tmp_path / "broken")])
    assert found.failed and found.status is None


def test_nothing_of_the_callers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets no more of the environment than it needs."""
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    monkeypatch.setenv("LANGUAGE", "de")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/0")
    names = set(python("import os; print(*os.environ)").text.split())
    assert {"PATH", "XDG_RUNTIME_DIR", "LC_ALL"} <= names
    assert not names & {"LD_LIBRARY_PATH", "LANGUAGE", "PYTHONPATH"}


def test_where_root_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needsRoot: None, program: Callable[..., str]
) -> None:
    """Not where PATH says, which may be somebody else's word; others do."""
    fakeprograms.put(tmp_path / "nft", "echo stranger")
    (tmp_path / "true").symlink_to("nft")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "stranger" not in said(["nft", "--version"]).text
    assert os.path.dirname(whereIs("true")) in ("/usr/bin", "/bin")
    tmp_path.chmod(0o755)
    for above in list(tmp_path.parents)[:2]:
        above.chmod(0o755)
    assert asUser(STRANGER, lambda: said(["nft"]).text) == "stranger\n"


def test_whose_directories_root_believes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needsRoot: None
) -> None:
    """What was built here counts, where nobody else may put it there."""
    fakeprograms.put(tmp_path / "built", "echo here")
    monkeypatch.setattr(programModule, "_LOCAL", (str(tmp_path),))
    assert said(["built"]).text == "here\n"
    tmp_path.chmod(0o775)
    assert said(["built"]).failed == "built is not installed"
    tmp_path.chmod(0o755)
    os.chown(tmp_path, STRANGER, STRANGER)
    assert whereIs("built") == ""
    assert not isRoots(str(tmp_path / "nowhere"))


def test_what_it_has_started(tmp_path: Path) -> None:
    """It is ended as well."""
    path = tmp_path / "pid"
    script = f"import subprocess as s; p = s.Popen(['sleep', '60']); open({str(path)!r}, 'w')"
    found = python(f"{script}.write(str(p.pid)); p.wait()", patience=0.5)
    assert found == Said(failed="no answer in time")
    pid = int(path.read_text())
    until(lambda: stateOf(pid).letter in ("", "Z"), "end of it")


@pytest.mark.parametrize(
    "script",
    [
        "import time; print('x', flush=True); time.sleep(60)",
        "import os, time; os.close(1); os.close(2); time.sleep(60)",
    ],
)
def test_one_that_does_not_end(script: str) -> None:
    """It is not waited for, and gone."""
    began = time.monotonic()
    assert python(script, patience=0.5).failed == "no answer in time"
    assert time.monotonic() - began < 10


def test_one_that_says_too_much() -> None:
    """It is stopped, with no more kept than a little."""
    found = python("while True: print('x' * 9999)", patience=30, most=100_000)
    assert found.failed == "it says too much"
    assert 100_000 < len(found.text) < 300_000
