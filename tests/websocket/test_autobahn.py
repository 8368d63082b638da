"""Autobahn's cases against the echo of a running service (kosoku runs them)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor as realReactor
from twisted.internet.threads import deferToThread

from loopbackd.testing import addressOf, serving

reactor: Any = realReactor

FRAMES = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
LIMITS = ["9.*"]
# One or two of each kind; the others differ in size, and all 216 of them take minutes.
DEFLATE = [
    *("12.1.1", "12.1.10", "12.2.6", "12.3.3", "12.4.4", "12.5.2"),
    *("13.1.1", "13.2.3", "13.3.6", "13.4.2", "13.5.1", "13.6.3", "13.7.2"),
]
RIGHT = ("OK", "INFORMATIONAL")
PATIENCE = 100.0


@pytest.mark.parametrize(
    ("cases", "least"),
    [
        pytest.param(FRAMES, 247, id="frames"),
        pytest.param(LIMITS, 54, id="limits", marks=pytest.mark.load),
        pytest.param(DEFLATE, 13, id="deflate", marks=pytest.mark.load),
    ],
)
@pytest_twisted.ensureDeferred
async def test_cases(
    cases: list[str], least: int, missing: Callable[[str], Any], tmp_path: Path
) -> None:
    """Every case is OK or informational, and so is how it closes."""
    kosoku = shutil.which("kosoku", path=str(Path(sys.executable).parent)) or missing(
        "kosoku is not installed"
    )
    command = [kosoku, "-p", "4", "-o", str(tmp_path)]
    for case in cases:
        command += ["-i", case]
    async with serving(reactor, "http") as loopback:
        address: Any = addressOf(loopback)
        command.append(f"ws://{address.host}:{address.port}/websocket/echo")
        ran = await deferToThread(
            subprocess.run, command, capture_output=True, text=True, timeout=PATIENCE
        )
    assert ran.returncode == 0, ran.stderr
    (results,) = json.loads((tmp_path / "index.json").read_text()).values()
    wrong = {
        name: one
        for name, one in results.items()
        if one["behavior"] not in RIGHT or one["behaviorClose"] not in RIGHT
    }
    assert wrong == {}
    assert len(results) >= least
