"""slowhttptest, which opens many connections and is slow on each, against the real daemon."""

from __future__ import annotations

import csv
import http.client
import json
import logging
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from running import HERE, Running, service, until

pytestmark = [pytest.mark.load, pytest.mark.timeout(120)]

_log = logging.getLogger(__name__)

CONNECTIONS = 200
TIMEOUT = 3.0
"""Seconds for a head, for a body, and to take an answer."""

MOST = TIMEOUT + 1.0
UNSHARP = 0.5
"""Seconds by which a look at the kernel's table on a busy machine may be late."""

MODES = {
    # A header line of up to ten bytes a second.
    "headers": "-H -r 200 -i 1 -x 10",
    # The same of a form; there is too little of it to buy another second (see min_rate).
    "body": "-B -r 200 -i 1 -x 10 -s 8192",
    # Asks ten times for a lot, more than the kernel keeps, and reads it five bytes a second.
    "read": "-X -r 50 -k 10 -w 512 -y 1024 -n 1 -z 5",
}

ATTACKS = [
    ("web", "headers", "/get"),
    ("web", "body", "/post"),
    ("web", "read", "/bytes/100000"),
    ("control", "headers", "/version"),
    ("control", "body", "/proxies"),
    ("control", "read", "/openapi.json"),
]

PROBES = {"web": "/get", "control": "/version"}


class Held:
    """
    How long the daemon holds its connections, by the kernel's table of them.

    @ivar seen: the client's port of each, when it was seen first and when last.
    """

    def __init__(self, port: int) -> None:
        self._ours = f"0100007F:{port:04X}"
        self.seen: dict[str, tuple[float, float]] = {}

    def look(self) -> None:
        """Note who is there now; what has no inode is the kernel's alone, not the daemon's."""
        now = time.monotonic()
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            words = line.split()
            if words[1] == self._ours and words[3] != "0A" and words[9] != "0":
                self.seen[words[2]] = self.seen.get(words[2], (now, now))[0], now

    @property
    def longest(self) -> float:
        """Seconds."""
        return max(last - first for first, last in self.seen.values())


class Probe(threading.Thread):
    """
    Somebody who wants to be served meanwhile.

    @ivar took: the seconds of each answer.
    @ivar failed: what went wrong.
    """

    def __init__(self, port: int, path: str) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._path = path
        self._enough = threading.Event()
        self.took: list[float] = []
        self.failed: list[str] = []

    def run(self) -> None:
        """Ask four times a second."""
        while not self._enough.wait(0.25):
            start = time.monotonic()
            client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
            try:
                client.request("GET", self._path)
                answer = client.getresponse()
                answer.read()
                if answer.status != 200:
                    self.failed.append(f"status {answer.status}")
            except OSError as error:
                self.failed.append(repr(error))
            finally:
                client.close()
            self.took.append(time.monotonic() - start)

    def end(self) -> None:
        """That was enough."""
        self._enough.set()
        self.join()


def waited(running: Running) -> float:
    """The seconds in which the daemon had something to do, and others had the processor."""
    return int(Path(f"/proc/{running.process.pid}/schedstat").read_text().split()[1]) / 1e9


def asOurPage(port: int) -> str:
    """
    What slowhttptest shall say that it accepts, and two fields behind that.

    It calls itself a browser, and would be told to leave where it is no page of ours.
    """
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        client.request("GET", "/token", headers={"Sec-Fetch-Site": "same-origin"})
        told = json.loads(client.getresponse().read())
    finally:
        client.close()
    return f"*/*\r\nSec-Fetch-Site: same-origin\r\n{told['field']}: {told['token']}"


@pytest.mark.parametrize(("what", "mode", "path"), ATTACKS)
def test_slowhttptest(
    tmp_path: Path,
    program: Callable[..., str],
    daemon: Callable[..., Running],
    what: str,
    mode: str,
    path: str,
) -> None:
    """Others are served throughout, and each slow connection is closed a second after its time."""
    attack = program("slowhttptest")
    more = (
        f"[service.http]\nhead_timeout = {TIMEOUT}\nbody_timeout = {TIMEOUT}\n"
        f"send_timeout = {TIMEOUT}\nidle_timeout = {TIMEOUT}\n"
        f"[control]\ntwin = false\ntimeout = {TIMEOUT}"
    )
    (tmp_path / "slow.toml").write_text(service("web", HERE, "http", f"twin = false\n{more}"))
    running = daemon("--config", f"{tmp_path}/slow.toml", "--control", HERE)
    port = int(running.says(rf"\b{what}: (?:\S+ )?on 127\.0\.0\.1:(\d+)")[1])
    words = ["-c", str(CONNECTIONS), "-l", "10", "-p", "3"]
    if what == "control":
        words += ["-m", asOurPage(port)]
    words += ["-g", "-o", "slow", "-u", f"http://127.0.0.1:{port}{path}"]
    held, probe = Held(port), Probe(port, PROBES[what])
    before = waited(running)
    probe.start()
    with (
        (tmp_path / "said").open("wb") as said,
        subprocess.Popen(
            [attack, *MODES[mode].split(), *words],
            cwd=tmp_path,
            stdout=said,
            stderr=said,
        ) as process,
    ):
        while process.poll() is None:
            held.look()
            time.sleep(0.05)
    probe.end()
    late = waited(running) - before
    rows = list(csv.DictReader((tmp_path / "slow.csv").open()))
    _log.info(
        "%s, %s: %d connections, the longest for %.2f s; %d others were served in at most %.3f s;"
        " the daemon waited %.2f s for a processor",
        *(what, mode, len(held.seen), held.longest, len(probe.took), max(probe.took), late),
    )
    assert not probe.failed
    assert len(probe.took) > 8
    assert max(probe.took) < 1.0 + late
    assert len(held.seen) >= CONNECTIONS, (tmp_path / "said").read_text()
    # Before it does not read it may have taken its time to ask.
    most = MOST + (TIMEOUT if mode == "read" else 0.0)
    assert held.longest <= most + UNSHARP + late
    # What the attacker saw: all in, nobody left in the end, and its own probe was served.
    assert max(int(row["Connected"]) for row in rows) >= CONNECTIONS * 0.9, rows
    if mode != "read":  # Who does not read does not see the end either.
        assert "No open connections left" in (tmp_path / "said").read_text()
    assert all(int(row["Service Available"]) for row in rows), rows
    until(lambda: "Traceback" not in running.log, "log without a failure")
    running.stop()
