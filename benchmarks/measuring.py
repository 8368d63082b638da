"""Measuring: what is done to the servers of a row, round after round."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from starting import BUILD, NotRun, Running, Server, prepared, running

IDLE_CONNECTIONS = 2000
WARM_UP_CONNECTIONS = 1000

Round = dict[str, float]


@dataclass
class Entry:
    """One server of a row: a measurement per round, or why there are none."""

    name: str
    rounds: list[Round | None] = field(default_factory=list)
    """None where the server was not (or no longer) there; as long as any other entry's."""
    notRun: str | None = None


@dataclass(frozen=True)
class Plan:
    """How much is measured, and where: CPUs are None when nothing is pinned."""

    rounds: int
    startRounds: int
    seconds: float
    serverCpu: int | None
    loadCpu: int | None


def load(plan: Plan, port: int, *arguments: str) -> Round:
    """Run the load generator to its end; what it measured."""
    command = [str(BUILD / "load"), str(port), *arguments]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=plan.seconds + 60,
            preexec_fn=prepared(plan.loadCpu),
        )
    except subprocess.TimeoutExpired:
        raise NotRun("failed: the load generator did not come to an end") from None
    if done.returncode != 0:
        raise NotRun(f"failed: {done.stderr.strip()}")
    result: Round = json.loads(done.stdout)
    return result


def loadRound(plan: Plan, server: Running, arguments: tuple[str, ...]) -> Round:
    """One round against one server, with the CPU time the server spent on it."""
    before = server.cpuSeconds()
    result = load(plan, server.port, *arguments, str(plan.seconds))
    after = server.cpuSeconds()
    if before is not None and after is not None:
        result["cpu_per_message"] = (after - before) / result["in_all"]
    return result


def alternate(entries: list[Entry], rounds: int, measureOne: Callable[[int], Round]) -> list[Entry]:
    """A B C A B C ...: a server that fails is left out from then on, and says why."""
    for _ in range(rounds):
        for index, entry in enumerate(entries):
            result = None
            if entry.notRun is None:
                try:
                    result = measureOne(index)
                except NotRun as reason:
                    entry.notRun = str(reason)
            entry.rounds.append(result)
    return entries


def startedInTurn(
    servers: tuple[Server, ...],
    job: str,
    measureOne: Callable[[Plan, Running], Round],
    check: Callable[[int], None] = lambda port: None,
) -> Callable[[Plan], list[Entry]]:
    """
    Start all servers, then load them in turn.

    @param check: looks at a server's port first, and raises what is wrong.
    """

    def measure(plan: Plan) -> list[Entry]:
        entries = [Entry(server.name) for server in servers]
        started: dict[int, Running] = {}
        with ExitStack() as stack:
            for index, server in enumerate(servers):
                try:
                    started[index] = stack.enter_context(running(server, job, plan.serverCpu))
                    check(started[index].port)
                except NotRun as reason:
                    entries[index].notRun = str(reason)
            return alternate(entries, plan.rounds, lambda index: measureOne(plan, started[index]))

    return measure


def underLoad(
    servers: tuple[Server, ...], job: str, *arguments: str
) -> Callable[[Plan], list[Entry]]:
    """The load generator's work."""
    return startedInTurn(servers, job, lambda plan, server: loadRound(plan, server, arguments))


@contextmanager
def idleConnections(plan: Plan, port: int, count: int) -> Iterator[None]:
    """Hold connections that have had one byte echoed and say nothing more."""
    command = [str(BUILD / "load"), str(port), "idle", str(count)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=prepared(plan.loadCpu),
    ) as process:
        assert process.stdout and process.stderr
        # The generator gives up by itself after five silent seconds, so this line ends.
        if process.stdout.readline() != "ready\n":
            raise NotRun(f"failed: {process.stderr.read().strip()}")
        yield


def memoryRound(plan: Plan, server: Server) -> Round:
    """
    Start the server, and see how it grows with idle connections.

    The warm-up's connections stay: they use up the memory that starting left free.
    """
    with running(server, "echo", plan.serverCpu) as started:
        with idleConnections(plan, started.port, WARM_UP_CONNECTIONS):
            before = started.memory()
            with idleConnections(plan, started.port, IDLE_CONNECTIONS):
                after = started.memory()
        return {
            f"{word.lower()}_per_connection": (after[word] - before[word]) / IDLE_CONNECTIONS
            for word in before.keys() & after.keys()
        }


def startRound(plan: Plan, server: Server) -> Round:
    """Start the server; how long it took until it accepted."""
    missing = server.lacks()
    if missing:
        raise NotRun(missing)
    with running(server, "echo", plan.serverCpu) as started:
        return {"seconds_to_listening": started.secondsToListening}


def freshEachTime(
    servers: tuple[Server, ...],
    measureOne: Callable[[Plan, Server], Round],
    startRounds: bool = False,
    warmUp: bool = False,
) -> Callable[[Plan], list[Entry]]:
    """Every round starts its server anew; a warm-up fills the file caches first."""

    def measure(plan: Plan) -> list[Entry]:
        entries = [Entry(server.name) for server in servers]
        if warmUp:
            alternate(entries, 1, lambda index: measureOne(plan, servers[index]))
            for entry in entries:
                entry.rounds.clear()
        rounds = plan.startRounds if startRounds else plan.rounds
        return alternate(entries, rounds, lambda index: measureOne(plan, servers[index]))

    return measure
