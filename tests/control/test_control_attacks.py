"""Thousands of calls, good and bad, while services have traffic: each answered, nothing left."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
from running import HERE, Running, service

NAMES = ("a", "b", "c d", "\u00e4/\u00f6", "keep", "echo", "web", "%", ".", "x" * 200, "y" * 201)
TOXICS = (
    "latency",
    "bandwidth",
    "slow_close",
    "timeout",
    "reset_peer",
    "slicer",
    "limit_data",
    "noop",
    "loss",
    "cut",
    "corrupt",
    "duplicate",
    "slow_open",
    "refuse",
    "blackhole",
    "nope",
)
ATTRIBUTES = (
    *("latency", "jitter", "rate", "delay", "timeout", "average_size", "size_variation"),
    *("bytes", "every", "nope", "LATENCY"),
)
SCALARS = (
    *(None, True, 0, 1, 5, -1, 0.5, 1e3, 1 << 63, 10**30, "", "x", "127.0.0.1:0", "upstream"),
    *("\u2028", "\ud83d\ude00", [], {}, [[]], {"a": {}}),
)
BODIES = (b"", b"{", b"[", b"nope", b"\xff\xfe", b"null", b"[" * 5000, b'"\\ud800"', b"1e999")


class Caller:
    """
    Makes up calls, the same for the same seed.

    @ivar upstream: a real service, that some of them lead to.
    """

    def __init__(self, seed: int, upstream: str) -> None:
        self._random = Random(seed)
        self.upstream = upstream

    def _plain(self) -> str:
        # Most of the time one of a few, so that most of the time it is there.
        return self._random.choice(NAMES[:3] if self._random.random() < 0.8 else NAMES)

    def _name(self) -> str:
        return quote(self._plain(), safe="")

    def _some(self, names: tuple[str, ...], most: int) -> dict[str, Any]:
        pick = self._random.choice
        return {pick(names): self._value() for _ in range(self._random.randint(0, most))}

    def _value(self) -> Any:
        return self._random.choice(SCALARS)

    def _proxy(self) -> dict[str, Any]:
        made: dict[str, Any] = {"name": self._plain(), "upstream": self.upstream}
        if self._random.random() < 0.3:
            made["toxics"] = [self._toxic() for _ in range(self._random.randint(0, 3))]
        return made | self._some(("name", "listen", "upstream", "enabled", "toxics", "what"), 1)

    def _toxic(self) -> dict[str, Any]:
        made: dict[str, Any] = {"type": self._random.choice(TOXICS)}
        if self._random.random() < 0.7:
            numbers = {
                self._random.choice(ATTRIBUTES): self._random.randint(0, 50) for _ in range(2)
            }
            made["attributes"] = (
                numbers if self._random.random() < 0.7 else self._some(ATTRIBUTES, 3)
            )
        if self._random.random() < 0.2:
            made |= self._some(("name", "stream", "toxicity", "seed", "match", "what"), 2)
        return made

    def call(self) -> tuple[str, str, bytes]:
        """Method, path and body; nothing takes away the services that others lead to."""
        while True:
            method, path, body = self._any()
            isOurs = path.startswith(("/services/echo", "/services/web"))
            if not isOurs or (path.count("/") > 2 and "toggle" not in path) or method == "GET":
                return method, path, body

    def _any(self) -> tuple[str, str, bytes]:
        name, other = self._name(), self._name()
        method, path, body = self._random.choice(
            [
                ("GET", "/proxies", None),
                ("GET", f"/proxies/{name}", None),
                ("POST", "/proxies", self._proxy()),
                ("POST", "/proxies", self._proxy()),
                ("POST", f"/proxies/{name}", self._some(("listen", "upstream", "enabled"), 2)),
                ("PATCH", f"/proxies/{name}", {"enabled": self._random.random() < 0.5}),
                ("DELETE", f"/proxies/{name}", None),
                ("GET", f"/proxies/{name}/toxics", None),
                ("POST", f"/proxies/{name}/toxics", self._toxic()),
                ("POST", f"/proxies/{name}/toxics", self._toxic()),
                ("PATCH", f"/proxies/{name}/toxics/{other}", self._toxic()),
                (
                    "POST",
                    f"/proxies/{name}/toxics/{self._random.choice(TOXICS)}_downstream",
                    {"attributes": self._some(ATTRIBUTES, 3), "toxicity": self._value()},
                ),
                (
                    "DELETE",
                    f"/proxies/{name}/toxics/{self._random.choice(TOXICS)}_downstream",
                    None,
                ),
                ("POST", "/reset", None),
                ("POST", "/populate", [self._proxy() for _ in range(3)]),
                ("GET", "/services", None),
                (
                    "POST",
                    "/services",
                    {"name": self._plain(), "protocol": "echo", "endpoint": HERE}
                    | self._some(("protocol", "endpoint", "twin", "what", "toxic", "http"), 1),
                ),
                ("PATCH", f"/services/{name}", self._some(("protocol", "twin", "target"), 1)),
                ("DELETE", f"/services/{name}?reset={self._random.choice(['true', 'x'])}", None),
                ("POST", f"/services/{name}/toggle", None),
                ("POST", f"/services/{name}/toxics", self._toxic()),
                ("DELETE", f"/services/{name}/toxics", None),
                ("PUT", f"/services/{name}/profile", {"profile": "3g"}),
                ("GET", f"/services/{name}/connections", None),
                ("DELETE", f"/services/{name}/connections", None),
                ("POST", f"/services/{name}/stubs", {"path": "/x"} | self._some(("answer",), 1)),
                ("DELETE", f"/services/{name}/stubs", None),
                ("GET", f"/services/{name}/requests", None),
                ("GET", "/toxics", None),
                ("GET", "/openapi.json", None),
                (self._random.choice(["PUT", "HEAD", "OPTIONS", "X"]), "/proxies", None),
                ("GET", f"/{name}", None),
            ]
        )
        if method in ("POST", "PATCH", "PUT") and self._random.random() < 0.1:
            return method, path, self._random.choice(BODIES)
        return method, path, b"" if body is None else json.dumps(body).encode()


def traffic(addresses: Callable[[], list[tuple[str, int]]], isOver: threading.Event) -> None:
    """Say something everywhere again and again, and mind nothing that comes of it."""
    chance = Random(0)
    while not isOver.is_set():
        for address in addresses():
            try:
                with socket.create_connection(address, 0.5) as client:
                    client.settimeout(0.05)
                    client.sendall(bytes(chance.randint(1, 100_000)))
                    client.recv(1 << 16)
            except OSError:
                continue


def attack(running: Running, calls: int, seed: int) -> Counter[int]:
    """Make these calls during traffic; how often each status came."""
    port = int(running.says(r"control: on 127\.0\.0\.1:(\d+)")[1])
    caller = Caller(seed, f"127.0.0.1:{running.port('echo')}")
    statuses: Counter[int] = Counter()
    listens: list[tuple[str, int]] = [running.address("echo")]
    isOver = threading.Event()
    talking = threading.Thread(target=traffic, args=(lambda: list(listens), isOver))
    talking.start()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        for number in range(calls):
            method, path, body = caller.call()
            start = time.monotonic()
            connection.request(method, path, body)
            answer = connection.getresponse()
            said = answer.read()
            took = time.monotonic() - start
            assert took < 1, (method, path, body[:200], took)
            texts = (b"listen tcp", b"in address", b'"failed":[{')
            isMeant = any(text in said for text in texts)
            assert answer.status < 500 or (answer.status == 500 and isMeant), (
                *(method, path, body[:500]),
                *(answer.status, said),
            )
            statuses[answer.status] += 1
            if method == "GET" and path == "/proxies":
                found = json.loads(said).values()
                listens[1:] = [
                    (one["listen"].rpartition(":")[0], int(one["listen"].rpartition(":")[2]))
                    for one in found
                    if one["enabled"]
                ][:3]
            if number % 10 == 9:
                # So that there is something to be changed.
                made = [{"name": name, "upstream": caller.upstream} for name in NAMES[:3]]
                connection.request("POST", "/populate", json.dumps(made))
                connection.getresponse().read()
    finally:
        isOver.set()
        talking.join()
        connection.close()
    return statuses


def start(daemon: Callable[..., Running], directory: Path) -> Running:
    """A daemon with an echo and an HTTP service."""
    config = directory / "it.toml"
    config.write_text(
        "drain = 0\n"
        + service("echo", HERE, "echo", "twin = false")
        + service("web", HERE, "http", "twin = false")
    )
    running = daemon("--config", str(config), "--control", HERE)
    running.says("control: on ")
    return running


def test_a_thousand_calls(daemon: Callable[..., Running], tmp_path: Path) -> None:
    """Each is answered in a second, as it should be; no failure is logged."""
    running = start(daemon, tmp_path)
    statuses = attack(running, 1000, 1)
    assert {200, 201, 204, 400, 404, 405, 409} <= statuses.keys()
    running.stop()


@pytest.mark.load
@pytest.mark.timeout(600)
def test_ten_thousand_calls(daemon: Callable[..., Running], tmp_path: Path) -> None:
    """And memory stays what it was after the first two thousand."""
    running = start(daemon, tmp_path)
    attack(running, 2000, 2)
    before = running.memory()
    attack(running, 8000, 3)
    assert running.memory() - before < 16 << 20
    running.stop()
