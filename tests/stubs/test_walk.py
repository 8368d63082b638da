"""docs/stubs.md, done word by word."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from running import Running

PAGE = Path(__file__).parent.parent.parent / "docs" / "stubs.md"


def test_thePageIsTrue(
    daemon: Callable[..., Running], program: Callable[..., str], tmp_path: Path
) -> None:
    """Its file runs, and its commands print what it says; only the port is another one."""
    program("curl")
    page = PAGE.read_text()
    (toml,) = re.findall(r"<!-- stubs.toml -->\n```toml\n(.*?)```", page, re.S)
    config = tmp_path / "stubs.toml"
    config.write_text(toml.replace("tcp:62894", "tcp:0"))
    running = daemon("--config", str(config))
    port = str(running.port("api"))
    said = 0
    for session in re.findall(r"<!-- session -->\n```console\n(.*?)```", page, re.S):
        for part in re.split(r"^\$ ", session, flags=re.M)[1:]:
            command, _, wanted = part.partition("\n")
            words = ["sh", "-c", command.replace("62894", port)]
            got = subprocess.run(words, capture_output=True, text=True, check=True)
            assert got.stdout.replace(port, "62894").rstrip("\n") == wanted.rstrip("\n"), command
            said += 1
    assert said == 9
    running.stop()
