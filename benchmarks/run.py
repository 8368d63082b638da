"""
Measure loopbackd beside other servers of the same job, and print Markdown tables.

Servers take turns round by round (A B C A B C ...), so that whatever else the machine does falls on
all of them.  The rounds themselves are kept in ``build/latest.json``.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from types import FrameType

from measuring import Entry, Plan
from rows import ROWS, Row
from starting import BUILD, NotRun, compileTools
from tables import table


def asked(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    keys = [row.key for row in ROWS]
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0] if __doc__ else "")
    parser.add_argument("--short", action="store_true", help="2 rounds of half a second: a trial")
    parser.add_argument("--rounds", type=int, help="rounds per server (default 5, short 2)")
    parser.add_argument("--only", default="", help=f"rows, separated by commas: {','.join(keys)}")
    parser.add_argument(
        "--no-pin", action="store_true", help="let the kernel place server and load generator"
    )
    found = parser.parse_args(arguments)
    found.only = [key for key in found.only.split(",") if key] or keys
    unknown = [key for key in found.only if key not in keys]
    if unknown:
        parser.error(f"--only: no row is called '{unknown[0]}'; there are {', '.join(keys)}")
    if found.rounds is not None and found.rounds < 1:
        parser.error("--rounds: at least 1")
    return found


def planned(options: argparse.Namespace) -> Plan:
    """The amount of work, with server and load generator on a CPU each where there are two."""
    cpus = sorted(os.sched_getaffinity(0))
    pinned = len(cpus) >= 2 and not options.no_pin
    return Plan(
        rounds=options.rounds or (2 if options.short else 5),
        startRounds=options.rounds or (3 if options.short else 7),
        seconds=0.5 if options.short else 2.0,
        serverCpu=cpus[0] if pinned else None,
        loadCpu=cpus[1] if pinned else None,
    )


def versionOf(name: str) -> str:
    """A distribution's version."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def cpuModel() -> str:
    """What the kernel calls the CPU."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def machine(plan: Plan) -> dict[str, str]:
    """What the figures depend on besides the servers."""
    return {
        "CPU": f"{cpuModel()}, {os.cpu_count()} in all",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "Twisted": versionOf("Twisted"),
        "uvloop": versionOf("uvloop"),
        "placement": "not pinned"
        if plan.serverCpu is None
        else f"servers on CPU {plan.serverCpu}, load generator on CPU {plan.loadCpu}",
        "load average before": f"{os.getloadavg()[0]:.2f}",
    }


def measured(row: Row, plan: Plan, lacking: str | None) -> list[Entry]:
    """The row's entries; without a load generator, one line that says so."""
    if lacking and row.needsLoad:
        return [Entry("all", notRun=lacking)]
    return row.measure(plan)


def end(number: int, frame: FrameType | None) -> None:
    """Leave by way of every ``finally``, so that no server stays behind."""
    raise SystemExit(128 + number)


def main() -> None:
    """Measure the rows asked for."""
    signal.signal(signal.SIGTERM, end)
    options = asked(sys.argv[1:])
    plan = planned(options)
    lacking = None
    try:
        compileTools()
    except (NotRun, subprocess.CalledProcessError) as reason:
        lacking = str(reason)
    about = machine(plan)
    kept: dict[str, object] = {"machine": about, "plan": asdict(plan)}
    print("\n".join(f"- {name}: {value}" for name, value in about.items()) + "\n")
    BUILD.mkdir(exist_ok=True)
    for row in ROWS:
        if row.key not in options.only:
            continue
        entries = measured(row, plan, lacking)
        kept[row.key] = [asdict(entry) for entry in entries]
        (BUILD / "latest.json").write_text(json.dumps(kept, indent=1) + "\n")
        print(table(row, entries), flush=True)


if __name__ == "__main__":
    main()
