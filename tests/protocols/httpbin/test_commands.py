"""Every command on the index page is given to a shell, and works."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from running import HERE, Running

from loopbackd.protocols.httpbin.listing import Way, listed
from loopbackd.protocols.httpbin.site import makeSite


@pytest.mark.timeout(240)
def test_commands(program: Callable[..., str], daemon: Callable[..., Running]) -> None:
    """Each gets a status that its route is there for; those that break clients on purpose aside."""
    program("curl")
    site = makeSite()
    rows = [row for part in listed(site) for group in part.groups for row in group.rows]
    byPath = {
        (prefix + one.template, one.methods): one
        for prefix, table in [("", site.root), *site.mounted.items()]
        for one in table.endpoints
    }
    running = daemon("--listen", HERE, "--protocol", "http")
    host, port = running.address("http")
    way = Way(f"http://{host}:{port}")
    wrong, tried = [], 0
    for row in rows:
        endpoint = byPath[row.path, row.methods]
        command = row.command(way)
        if command is None or endpoint.unruly:
            continue
        tried += 1
        line = command.replace("curl ", "curl -sS -m 20 -o /dev/null -w '%{http_code}' ", 1)
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
        fit = {endpoint.usual, *endpoint.answers} - {400, 405, 413}
        if done.returncode or not (int(done.stdout) in fit or 0 in fit):
            wrong.append(f"{command}: {done.returncode}, {done.stdout} {done.stderr}")
    assert not wrong, "\n".join(wrong)
    assert tried > 100
    running.stop()
