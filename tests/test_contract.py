"""The OpenAPI document is held against the running daemon by a program that knows nothing else."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from running import HERE, Running, script

CHECKS = [
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "allow_header_conformance",
]
"""
Every status that comes is in the document, 5xx above all, and what comes with it is as described.

Not whether valid data is accepted: some words have a grammar that no schema tells. Nor whether
other methods are refused: of those that a route for any takes, this OpenAPI cannot name QUERY.
"""


def checked(directory: Path, address: tuple[str, int], seconds: int, *options: str) -> str:
    """
    What Schemathesis says of the service; it must find nothing wrong.

    @param seconds: how long it looks.
    """
    host, port = address
    done = subprocess.run(
        [
            *(script("st"), "run", f"http://{host}:{port}/openapi.json", "--no-color"),
            *("--max-time", str(seconds), "--phases", "examples,coverage,fuzzing"),
            *("--checks", ",".join(CHECKS), "--exclude-tag", "unruly", *options),
            # More than one worker upsets Python 3.11's compiler, redirects are answers, too.
            *("--workers", "1", "--request-timeout", "20", "--max-redirects", "0"),
            *("--generation-database", "none", "--warnings", "off"),
        ],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=seconds * 3,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " generated, " in done.stdout, done.stdout
    return done.stdout


@pytest.mark.load
@pytest.mark.timeout(600)
def test_schemathesis(
    tmp_path: Path, missing: Callable[[str], Any], daemon: Callable[..., Running]
) -> None:
    """Whatever Schemathesis can think of is answered as the document says, and logs no failure."""
    if find_spec("schemathesis") is None:
        missing("schemathesis is not installed: pip install 'loopbackd[contract]'")
    seconds = 120 if os.environ.get("CI") == "true" else 20
    # Not auto, which greets a client that on a busy machine has its first word after 0.1 s.
    running = daemon("--listen", HERE, "--protocol", "http")
    address = running.address("http")
    # What takes its time would take that of all others; the daemon has nothing to do meanwhile.
    with ThreadPoolExecutor(2) as both:
        quick = both.submit(checked, tmp_path, address, seconds, "--exclude-tag", "slow")
        slow = both.submit(checked, tmp_path, address, seconds, "--include-tag", "slow")
        quick.result()
        slow.result()
    running.stop()
