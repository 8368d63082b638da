"""Measuring TLS: full handshakes by openssl's own clock of them, several clients at a time."""

import os
import re
import subprocess
import time
from collections.abc import Callable

from measuring import Entry, Plan, Round, startedInTurn
from starting import NotRun, Running, Server, prepared

CLIENTS = 4
_IN_ALL = re.compile(r"^(\d+) connections in \d+ real seconds, (\d+) bytes read", re.M)


def handshakes(plan: Plan, port: int) -> Round:
    """
    Let some ``openssl s_time`` connect, shake hands, ask for /get and be closed, again and again.

    They resume nothing (``-new``), as wrk would.
    """
    seconds = max(1, round(plan.seconds))
    where = ["-connect", f"127.0.0.1:{port}", "-www", "/get"]
    command = ["openssl", "s_time", "-new", "-time", str(seconds), *where]
    started = time.perf_counter()
    clients = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=prepared(plan.loadCpu),
        )
        for _ in range(CLIENTS)
    ]
    inAll = spent = 0.0
    for client in clients:
        assert client.stdout is not None
        with client.stdout:
            said = client.stdout.read()
        _, status, used = os.wait4(client.pid, 0)
        client.returncode = os.waitstatus_to_exitcode(status)
        found = _IN_ALL.search(said)
        if client.returncode or found is None or found[2] == "0":
            raise NotRun(f"failed: openssl s_time says {said.strip()[-160:]!r}")
        inAll += float(found[1])
        spent += used.ru_utime + used.ru_stime
    elapsed = time.perf_counter() - started
    return {
        "handshakes_per_second": inAll / elapsed,
        "in_all": inAll,
        "generator_cpu": spent / elapsed,
    }


def handshakeRound(plan: Plan, server: Running) -> Round:
    """One round against one server, with the CPU time the server spent on it."""
    before = server.cpuSeconds()
    result = handshakes(plan, server.port)
    after = server.cpuSeconds()
    if before is not None and after is not None:
        result["cpu_per_message"] = (after - before) / result["in_all"]
    return result


def underHandshakes(servers: tuple[Server, ...]) -> Callable[[Plan], list[Entry]]:
    """Start all servers, then load them in turn."""
    return startedInTurn(servers, "https", handshakeRound)
