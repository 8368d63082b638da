"""Measuring WebSockets: Autobahn's cases, by kosoku, against the servers of a row."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from measuring import Entry, Plan, Round, alternate
from starting import NotRun, Running, Server, prepared, running

SECONDS = 120.0
"""How long a run may take; with cases that wait, it takes ten at best."""


def kosokuRound(plan: Plan, server: Running, target: str) -> Round:
    """All cases but those of compression, one after the other; the time of each is added up."""
    if find_spec("kosoku") is None:
        raise NotRun("kosoku is not installed")
    with TemporaryDirectory(prefix="loopbackd-benchmark-") as directory:
        command = [str(Path(sys.executable).parent / "kosoku"), "-o", directory]
        command += ["-x", "12.*", "-x", "13.*", f"ws://127.0.0.1:{server.port}{target}"]
        before = server.cpuSeconds()
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                preexec_fn=prepared(plan.loadCpu),
            )
        except subprocess.TimeoutExpired:
            raise NotRun(f"failed: kosoku took more than {SECONDS:.0f} s") from None
        after = server.cpuSeconds()
        if done.returncode != 0:
            raise NotRun(f"failed: {(done.stderr or done.stdout).strip()[-160:]}")
        (cases,) = json.loads((Path(directory) / "index.json").read_text()).values()
    result = {"seconds": sum(one["duration"] for one in cases.values()) / 1e3}
    if before is not None and after is not None:
        result["cpu_seconds"] = after - before
    return result


def underKosoku(servers: dict[Server, str]) -> Callable[[Plan], list[Entry]]:
    """Start all servers, then run the cases on them in turn; each has its own path."""

    def measure(plan: Plan) -> list[Entry]:
        entries = [Entry(server.name) for server in servers]
        targets = list(servers.values())
        started: dict[int, Running] = {}
        with ExitStack() as stack:
            for index, server in enumerate(servers):
                try:
                    started[index] = stack.enter_context(running(server, "http", plan.serverCpu))
                except NotRun as reason:
                    entries[index].notRun = str(reason)
            return alternate(
                entries,
                plan.rounds,
                lambda index: kosokuRound(plan, started[index], targets[index]),
            )

    return measure
