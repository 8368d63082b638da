"""Clients that others wrote for Toxiproxy, and curl, against a real daemon."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from running import HERE, Running, service

NODE_CLIENT = "toxiproxy-node-client@4.1.0"


@pytest.fixture
def served(daemon: Callable[..., Running], tmp_path: Path) -> Iterator[tuple[int, str]]:
    """The port of the API, and the address of an echo service."""
    config = tmp_path / "it.toml"
    config.write_text(service("echo", HERE, "echo", "twin = false"))
    running = daemon("--config", str(config), "--control", HERE)
    port = int(running.says(r"control: on 127\.0\.0\.1:(\d+)")[1])
    yield port, f"127.0.0.1:{running.port('echo')}"
    running.stop()


def said(listen: str, data: bytes) -> bytes:
    """What comes back."""
    host, _, port = listen.partition(":")
    with socket.create_connection((host, int(port)), 10) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        heard = b""
        while part := client.recv(1 << 16):
            heard += part
        return heard


def test_toxiproxy_python(served: tuple[int, str], module: Callable[[str], Any]) -> None:
    """All that toxiproxy-python can do; its exceptions are those it has for each mistake."""
    toxiproxy = module("toxiproxy")
    exceptions = module("toxiproxy.exceptions")
    port, upstream = served
    server = toxiproxy.Toxiproxy()
    server.update_api_consumer("127.0.0.1", port)
    assert server.running() and b"2.12.0" in server.version()
    proxy = server.create(name="echo proxy", upstream=upstream)
    assert said(proxy.listen, b"hello") == b"hello"
    with pytest.raises(exceptions.ProxyExists):
        server.create(name="echo proxy", upstream=upstream)
    proxy.add_toxic(type="latency", attributes={"latency": 300, "jitter": 0})
    start = time.monotonic()
    assert said(proxy.listen, b"slow") == b"slow"
    assert time.monotonic() - start > 0.29
    with pytest.raises(exceptions.InvalidToxic):
        proxy.add_toxic(type="nope")
    with pytest.raises(exceptions.NotFound):
        proxy.destroy_toxic("nope")
    assert list(proxy.toxics()) == ["latency_downstream"]
    assert proxy.get_toxic("latency_downstream").attributes["latency"] == 300
    proxy.destroy_toxic("latency_downstream")
    with proxy.down(), pytest.raises(ConnectionRefusedError):
        said(proxy.listen, b"x")
    assert said(proxy.listen, b"up") == b"up"
    proxy.disable()
    server.reset()
    assert said(proxy.listen, b"up") == b"up"
    (other,) = server.populate([{"name": "o", "upstream": upstream, "listen": "127.0.0.1:0"}])
    assert said(other.listen, b"o") == b"o"
    server.destroy_all()
    assert server.proxies() == {}


def test_toxiproxy_node_client(
    served: tuple[int, str],
    tmp_path: Path,
    program: Callable[..., str],
    missing: Callable[[str], Any],
) -> None:
    """All that toxiproxy-node-client can do."""
    port, upstream = served
    npm, node = program("npm"), program("node")
    words = [npm, "install", "--silent", "--no-fund", "--no-audit", NODE_CLIENT]
    installed = subprocess.run(words, cwd=tmp_path, capture_output=True, timeout=100, check=False)
    if installed.returncode:
        missing(f"{NODE_CLIENT} cannot be installed: {installed.stderr[-500:]!r}")
    script = Path(__file__).with_name("toxiproxy.mjs")
    words = [node, str(script), f"http://127.0.0.1:{port}", upstream, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "all is well\n"


def test_curl(served: tuple[int, str], program: Callable[..., str]) -> None:
    """The examples that Toxiproxy's own documentation is full of."""
    port, upstream = served

    def curl(*words: str) -> str:
        command = [program("curl"), "-sS", *words[:-1], f"http://localhost:{port}{words[-1]}"]
        return subprocess.check_output(command, text=True, timeout=20)

    asked = json.dumps({"name": "c", "upstream": upstream, "enabled": True})
    made = json.loads(curl("-X", "POST", "-d", asked, "/proxies"))
    assert said(made["listen"], b"hi") == b"hi"
    toxic = '{"type": "latency", "attributes": {"latency": 1000}}'
    assert json.loads(curl("-d", toxic, "/proxies/c/toxics"))["name"] == "latency_downstream"
    assert curl("-X", "DELETE", "/proxies/c/toxics/latency_downstream") == ""
    assert curl("-o", "/dev/null", "-w", "%{http_code}", "-X", "DELETE", "/proxies/c") == "204"
    assert curl("/proxies") == "{}"
