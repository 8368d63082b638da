"""The daemon as people run it: real clients on its relays, while its API is asked for anything."""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from between import HARMLESS, SECONDS, held, isLeft
from realservers import PATIENCE, RealServer
from running import HERE, Running, service, until

MEGABYTE = 1 << 20

NONSENSE: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/proxies/redis/toxics", {"type": "no-such-type"}),
    ("POST", "/proxies/redis/toxics", {"type": "latency", "toxicity": 2}),
    ("POST", "/proxies/redis/toxics", {"type": "bandwidth", "attributes": {"rate": -1}}),
    ("POST", "/proxies/redis/toxics", {"type": "latency", "stream": "sideways"}),
    ("POST", "/proxies/redis/toxics", b"{not json"),
    ("POST", "/proxies/redis/toxics", b"[" * 5000),
    ("POST", "/services/postgres/toxics", {"type": "latency", "attributes": {"latencyy": 1}}),
    ("DELETE", "/proxies/redis/toxics/nobody", None),
    ("PATCH", "/proxies/nobody", {"enabled": False}),
    ("POST", "/proxies", {"name": "redis", "upstream": "127.0.0.1:1"}),
    ("POST", "/populate", [{"name": "x"}]),
    ("PUT", "/reset", None),
    ("GET", "/%00", None),
)
"""What can only be refused."""


class Caller:
    """
    A client of the API that keeps its connection.

    @ivar asked: how many answers it has had.
    @ivar slowest: the seconds of the one that took longest.
    """

    def __init__(self, port: int, seed: int) -> None:
        self.asked = 0
        self.slowest = 0.0
        self._chance = random.Random(seed)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body)
        started = time.monotonic()
        self._connection.request(method, path, sent)
        answer = self._connection.getresponse()
        said = answer.read()
        self.slowest = max(self.slowest, time.monotonic() - started)
        self.asked += 1
        isJSON = "json" in (answer.headers["Content-Type"] or "")
        return answer.status, json.loads(said) if isJSON and said else None

    def step(self) -> None:
        """Something at random; toxics only of those that change nothing but when things come."""
        chance, what = self._chance, self._chance.random()
        name = chance.choice(["redis", "postgres"])
        where = f"/{chance.choice(['proxies', 'services'])}/{name}/toxics"
        if what < 0.15:
            method, path, body = chance.choice(NONSENSE)
            status, _ = self.ask(method, path, body)
            assert 400 <= status < 500, (method, path, body, status)
        elif what < 0.17:
            assert self.ask("POST", "/reset")[0] == 204
        elif what < 0.3:
            assert self.ask("GET", chance.choice(["/proxies", "/services", where]))[0] == 200
        else:
            self._change(where, what)

    def _change(self, where: str, what: float) -> None:
        chance = self._chance
        status, found = self.ask("GET", where)
        assert status == 200
        toxics = found if isinstance(found, list) else found["toxics"]
        if (len(toxics) < 5 and what < 0.65) or not toxics:
            kind = chance.choice(list(HARMLESS))
            stream = chance.choice(["upstream", "downstream"])
            asked = {"type": kind, "stream": stream, "attributes": HARMLESS[kind]}
            asked["name"], asked["toxicity"] = f"it{self.asked}", chance.choice([0.5, 1])
            assert self.ask("POST", where, asked)[0] in (200, 201)
        elif what < 0.75:
            one = chance.choice(toxics)
            changed = {"attributes": HARMLESS[one["type"]], "toxicity": chance.choice([0, 0.5, 1])}
            assert self.ask("PATCH", f"{where}/{one['name']}", changed)[0] == 200
        else:
            one = chance.choice(toxics)
            assert self.ask("DELETE", f"{where}/{one['name']}")[0] == 204

    def close(self) -> None:
        """No more."""
        self._connection.close()


@pytest.fixture
def relays(
    daemon: Callable[..., Running], tmp_path: Path, redis: RealServer, postgres: RealServer
) -> Iterator[Running]:
    """A daemon with a relay to each server; it ends as it should."""
    config = tmp_path / "relays.toml"
    config.write_text(
        f'[control]\nendpoint = "{HERE}"\ntwin = false\n'
        + "".join(
            service(name, HERE, "relay", f'target = "127.0.0.1:{server.port}"\ntwin = false')
            for name, server in (("redis", redis), ("postgres", postgres))
        )
    )
    running = daemon("--config", str(config), "--control", HERE)
    yield running
    running.stop()


def benching(server: RealServer, port: int, deadline: float, *words: str) -> int:
    """Run one of a server's clients again and again; how often, all without an error."""
    times = 0
    while time.monotonic() < deadline:
        done = subprocess.run(
            [server.tool(words[0]), "-h", "127.0.0.1", "-p", str(port), *words[1:]],
            env={**os.environ, **server.environ},
            capture_output=True,
            timeout=PATIENCE + SECONDS,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, said[-2000:]
        assert words[0] != "pgbench" or b"failed transactions: 0 (0" in said
        times += 1
    return times


@pytest.mark.usefixtures("accounts")
@pytest.mark.timeout(180 + 3 * SECONDS)
def test_anything_is_asked(relays: Running, redis: RealServer, postgres: RealServer) -> None:
    """
    Neither server's client has an error, each answer comes within a second, nothing is left.
    """
    port = int(relays.says(r"control: on 127\.0\.0\.1:(\d+)")[1])
    caller, memory = Caller(port, seed=4), 0
    # Who is answered asks a daemon that has begun whole.
    assert caller.ask("GET", "/version")[0] == 200
    sockets, pipes = held(relays.process.pid)
    before = sockets - 1, pipes
    deadline = time.monotonic() + SECONDS
    bench = ("-c", "8", "-n", "500", "-d", "600", "-q", "-t", "ping,set,get,lpush")
    with ThreadPoolExecutor(2) as threads:
        clients = [
            threads.submit(
                benching, redis, relays.port("redis"), deadline, "redis-benchmark", *bench
            ),
            threads.submit(
                *(benching, postgres, relays.port("postgres"), deadline),
                *("pgbench", "-n", "-c", "4", "-t", "50"),
            ),
        ]
        while time.monotonic() < deadline:
            caller.step()
            if not memory and time.monotonic() > deadline - SECONDS * 3 / 4:
                memory = relays.memory()
        # What still runs need not end under toxics.
        assert caller.ask("POST", "/reset") == (204, None)
        assert all(client.result() for client in clients)
    assert caller.asked > 50 * SECONDS
    assert caller.slowest < 1.0
    assert relays.memory() < memory + 10 * MEGABYTE
    for name in ("redis", "postgres"):
        until(
            lambda name=name: caller.ask("GET", f"/services/{name}")[1]["connections"]["open"] == 0,
            f"end of all connections of {name}",
        )
    caller.close()
    until(
        lambda: not isLeft(before, held(relays.process.pid)),
        lambda: f"{before} but {held(relays.process.pid)}",
    )
