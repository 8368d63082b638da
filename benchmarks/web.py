"""Measuring HTTP: wrk against the servers of a row."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from http.client import HTTPConnection

from measuring import Entry, Plan, Round, startedInTurn
from starting import NotRun, Running, Server, prepared

CONNECTIONS = 32
_IN_ALL = re.compile(r"^\s*(\d+) requests in ", re.M)
_RATE = re.compile(r"^Requests/sec:\s+([\d.]+)", re.M)
_TROUBLE = re.compile(r"^\s*(Socket errors: .*|Non-2xx or 3xx responses: \d+)", re.M)


def checked(port: int) -> None:
    """Fail if that is no answer, or a JSON that says something else than what was asked."""
    client = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        client.request("GET", "/get", headers={"Accept-Encoding": "identity"})
        answer = client.getresponse()
        body = answer.read()
    except OSError as error:
        raise NotRun(f"failed: {error}") from None
    finally:
        client.close()
    if answer.status != 200:
        raise NotRun(f"failed: GET /get is answered with {answer.status}")
    if body.startswith(b"x"):
        return  # The fixed body.
    where = f"127.0.0.1:{port}"
    wanted = {
        "args": {},
        "headers": {"Accept-Encoding": "identity", "Host": where},
        "origin": "127.0.0.1",
        "url": f"http://{where}/get",
    }
    if json.loads(body) != wanted or body.count(b"\n") != 9:
        raise NotRun(f"failed: GET /get is answered with {body!r}")


def wrk(plan: Plan, url: str, *options: str) -> Round:
    """Run wrk with one thread to its end; what it measured."""
    seconds = max(1, round(plan.seconds))
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *options, url]
    started = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, preexec_fn=prepared(plan.loadCpu)
    ) as process:
        assert process.stdout is not None
        said = process.stdout.read()  # It ends by itself after its seconds.
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    elapsed = time.perf_counter() - started
    inAll, rate, trouble = _IN_ALL.search(said), _RATE.search(said), _TROUBLE.search(said)
    if process.returncode or inAll is None or rate is None or inAll[1] == "0":
        raise NotRun(f"failed: wrk says {said.strip()[-160:]!r}")
    if trouble is not None:
        raise NotRun(f"failed: {trouble[1]}")
    return {
        "requests_per_second": float(rate[1]),
        "in_all": float(inAll[1]),
        "generator_cpu": (used.ru_utime + used.ru_stime) / elapsed,
    }


def webRound(plan: Plan, server: Running, options: tuple[str, ...]) -> Round:
    """One round against one server, with the CPU time the server spent on it."""
    before = server.cpuSeconds()
    result = wrk(plan, f"http://127.0.0.1:{server.port}/get", *options)
    after = server.cpuSeconds()
    if before is not None and after is not None:
        result["cpu_per_message"] = (after - before) / result["in_all"]
    return result


def underWrk(servers: tuple[Server, ...], *options: str) -> Callable[[Plan], list[Entry]]:
    """Start all servers, see that they answer what is asked, then load them in turn."""
    return startedInTurn(
        servers, "http", lambda plan, server: webRound(plan, server, options), checked
    )
