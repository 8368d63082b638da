"""What other programs say, and when they do not come to an end."""

from __future__ import annotations

import sys
import time

import pytest

from loopbackd.doctor.facts.program import Said, said


def python(script: str, **limits: float) -> Said:
    """What a script says."""
    return said([sys.executable, "-c", script], **limits)  # type: ignore[arg-type]


def test_what_it_says() -> None:
    """All of it, with no input and in no language."""
    found = python("import os, sys; print(sys.stdin.read(), os.environ['LC_ALL'])")
    assert found == Said(" C\n")


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
    assert said(["/nowhere/at-all"]).failed == "No such file or directory"


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
