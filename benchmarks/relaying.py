"""Measuring relays: a target behind them, a load generator in front, both on the second CPU."""

import json
import subprocess
import time
from collections.abc import Callable

from measuring import Entry, Plan, Round, loadRound, startedInTurn
from relays import IPERF, RELAYS, Relay
from servers import EPOLL
from starting import NotRun, Running, Server, prepared, running

Ask = Callable[[Plan, Running], Round]
"""One round against one relay."""


def relaying(
    relays: tuple[Relay, ...], target: Server, job: str, ask: Ask
) -> Callable[[Plan], list[Entry]]:
    """
    Start the target and all relays to it, then load them in turn.

    What the target spends counts as the load generator's: they share a CPU.
    """

    def measure(plan: Plan) -> list[Entry]:
        with running(target, job, plan.loadCpu) as behind:

            def round(plan: Plan, relay: Running) -> Round:
                started, before = time.perf_counter(), behind.cpuSeconds()
                result = ask(plan, relay)
                elapsed, after = time.perf_counter() - started, behind.cpuSeconds()
                if before is not None and after is not None:
                    result["generator_cpu"] += (after - before) / elapsed
                return result

            servers = tuple(relay(behind.port) for relay in relays)
            return startedInTurn(servers, job, round)(plan)

    def measureOrSay(plan: Plan) -> list[Entry]:
        try:
            return measure(plan)
        except NotRun as reason:
            return [Entry("all", notRun=f"{target.name}: {reason}")]

    return measureOrSay


def underRelayed(
    job: str, *arguments: str, relays: tuple[Relay, ...] = RELAYS
) -> Callable[[Plan], list[Entry]]:
    """The load generator's work, through relays to the C target."""
    return relaying(relays, EPOLL, job, lambda plan, relay: loadRound(plan, relay, arguments))


def iperf(plan: Plan, relay: Running) -> Round:
    """One stream of iperf3 from the client to the target; what the target received."""
    seconds = max(1, round(plan.seconds))
    where = ["-c", "127.0.0.1", "-p", str(relay.port)]
    command = ["iperf3", *where, "-t", str(seconds), "--connect-timeout", "5000", "-J"]
    before = relay.cpuSeconds()
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=seconds + 30,
            preexec_fn=prepared(plan.loadCpu),
        )
        said = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError) as reason:
        raise NotRun(f"failed: iperf3: {reason}") from None
    after = relay.cpuSeconds()
    if "error" in said or done.returncode:
        raise NotRun(f"failed: iperf3 says {said.get('error', done.stderr)}")
    received, cpu = said["end"]["sum_received"], said["end"]["cpu_utilization_percent"]
    result = {
        "megabytes_per_second": received["bits_per_second"] / 8e6,
        "in_all": received["bytes"] / 1e6,
        "generator_cpu": cpu["host_total"] / 100,
    }
    if before is not None and after is not None:
        result["cpu_per_message"] = (after - before) / result["in_all"]
    return result


def underIperf(relays: tuple[Relay, ...] = RELAYS) -> Callable[[Plan], list[Entry]]:
    """iperf3 at both ends: a second opinion, and the other direction."""
    return relaying(relays, IPERF, "", iperf)
