"""
The README's commands, for CI: print a block, or hold a session against what it says.

    python .ci/readme.py block NAME     the fenced block behind <!-- NAME -->
    python .ci/readme.py session        run its lines, compare what they print (the daemon must run)
    python .ci/readme.py protocols      compare its table with what `loopbackd protocols` lists
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def block(name: str) -> str:
    """What is fenced behind a marker."""
    found = re.search(rf"<!-- {re.escape(name)} -->\n```\w*\n(.*?)```", README.read_text(), re.S)
    if found is None:
        raise SystemExit(f"README.md has no block {name!r}")
    return found[1]


def comparable(text: str) -> str:
    """Without what differs from machine to machine."""
    text = text.replace("[::1]", "127.0.0.1")
    text = re.sub(r"You are 127\.0\.0\.1:\d+, uid \d+, pid \d+,", "You are", text)
    text = re.sub(r'"curl/[\d.]+"', '"curl"', text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def session() -> int:
    """Run each command of the session; 1 if one prints something else than is written there."""
    wrong = 0
    for part in re.split(r"^\$ ", block("session"), flags=re.M)[1:]:
        command, _, wanted = part.partition("\n")
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, timeout=30, check=False
        )
        if comparable(done.stdout) != comparable(wanted):
            wrong = 1
            print(f"$ {command}\n--- README.md\n{wanted}\n--- here\n{done.stdout}{done.stderr}")
        else:
            print(f"$ {command}: as README.md says")
    return wrong


def protocols() -> int:
    """Compare the table; what is installed besides does not count."""
    table = re.search(r"<!-- protocols -->\n(.*?)\n\n", README.read_text(), re.S)
    written = re.findall(r"^\| `(\w+)` \| (.*) \|$", table[1] if table else "", re.M)
    command = [str(Path(sys.executable).parent / "loopbackd"), "protocols"]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    real = [tuple(line.split(None, 1)) for line in listed.splitlines() if "  [" not in line]
    if written != real:
        print(f"README.md: {written}\nloopbackd protocols: {real}")
    return int(written != real)


if __name__ == "__main__":
    if sys.argv[1] == "block":
        print(block(sys.argv[2]), end="")
    else:
        sys.exit({"session": session, "protocols": protocols}[sys.argv[1]]())
