"""
How long the doctor takes on a machine with 10,000 sockets, beside what people ask otherwise.

Run it as root, so that all of them see the processes: python benchmarks/doctor.py
"""

import argparse
import shutil
import statistics
import subprocess
import time

from crowd import SOCKETS, crowd

COMMANDS = {
    "loopbackd doctor": ["loopbackd", "doctor", "127.0.0.1:{port}"],
    "loopbackd port": ["loopbackd", "port", "{port}"],
    "loopbackd version (its start alone)": ["loopbackd", "version"],
    "lsof -nP -iTCP:PORT": ["lsof", "-nP", "-iTCP:{port}"],
    "ss -tlnpH sport = PORT": ["ss", "-tlnpH", "sport = :{port}"],
}


def took(command: list[str], port: int) -> float:
    """The seconds of one run."""
    began = time.monotonic()
    subprocess.run(
        [word.format(port=port) for word in command], stdout=subprocess.DEVNULL, check=False
    )
    return time.monotonic() - began


def main() -> None:
    """Run each in turn, so often, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sockets", type=int, default=SOCKETS)
    asked = parser.parse_args()
    present = {name: one for name, one in COMMANDS.items() if shutil.which(one[0])}
    seconds: dict[str, list[float]] = {name: [] for name in present}
    with crowd(asked.sockets) as port:
        for _ in range(asked.rounds):
            for name, command in present.items():
                seconds[name].append(took(command, port))
    print(f"{asked.sockets} sockets, medians of {asked.rounds}")
    for name, measured in seconds.items():
        print(f"{name:<40} {statistics.median(measured):6.2f} s  (most {max(measured):.2f} s)")


if __name__ == "__main__":
    main()
