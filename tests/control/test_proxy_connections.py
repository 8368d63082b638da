"""How the connections of proxies end when these are switched, moved or removed."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

import pytest
import pytest_twisted
from controlled import inThread, proxy, reactor, running
from twisted.internet.task import deferLater


@pytest_twisted.ensureDeferred
async def test_a_proxy_made_here_ends_without_a_reset() -> None:
    """Where its upstream refuses: accepted, then an end and no data, as there."""
    async with running() as api:
        with socket.create_server(("127.0.0.1", 0)) as gone:
            nobody = f"127.0.0.1:{gone.getsockname()[1]}"
        made = await proxy(api, upstream=nobody)
        host, _, port = made["listen"].rpartition(":")

        def listen() -> bytes:
            with socket.create_connection((host, int(port)), 10) as client:
                return client.recv(10)

        assert await inThread(listen) == b""


@pytest_twisted.ensureDeferred
async def test_switching_off_closes_at_once() -> None:
    """The client sees an end, also while a toxic holds what it should get."""
    async with running() as api:
        made = await proxy(api, toxics=[{"type": "latency", "attributes": {"latency": 60_000}}])
        host, _, port = made["listen"].rpartition(":")
        client = await inThread(socket.create_connection, (host, int(port)), 10)
        with client:
            client.sendall(b"never heard")
            await api.get("/proxies")
            await api.post("/proxies/p", {"enabled": False})
            assert await inThread(client.recv, 10) == b""
        assert len((await api.get("/proxies/p"))["toxics"]) == 1


@pytest.mark.parametrize(
    "toxics",
    [
        [],
        [{"type": "blackhole"}],
        [{"type": "slow_open", "attributes": {"delay": 60_000}}],
        [{"type": "bandwidth", "attributes": {"rate": 1}}],
        [{"type": "timeout"}],
    ],
)
@pytest.mark.parametrize("how", ["disable", "move", "delete", "redirect"])
@pytest_twisted.ensureDeferred
async def test_connections_end_with_the_proxy(toxics: list[Any], how: str) -> None:
    """Both sides, bare or not, also where neither reads what the other sends."""
    async with running() as api:
        made = await proxy(api, toxics=toxics)
        host, _, port = made["listen"].rpartition(":")
        client = await inThread(socket.create_connection, (host, int(port)), 10)
        with client:
            client.setblocking(False)
            for _ in range(20):
                with suppress(BlockingIOError):
                    client.send(bytes(1 << 16))
                await deferLater(reactor, 0.002, lambda: None)
            if how == "delete":
                await api.delete("/proxies/p")
            else:
                change = {
                    "disable": {"enabled": False},
                    "move": {"listen": "localhost:0"},
                    "redirect": {"upstream": "127.0.0.1:1"},
                }
                await api.post("/proxies/p", change[how])
            client.setblocking(True)

            def end() -> bytes:
                with suppress(ConnectionResetError):
                    while client.recv(1 << 16):
                        pass
                return b""

            assert await inThread(end) == b""
        for _ in range(300):
            if not len(api.loopback.connections):
                break
            await deferLater(reactor, 0.01, lambda: None)
        assert len(api.loopback.connections) == 0


@pytest_twisted.ensureDeferred
async def test_an_end_is_no_reset() -> None:
    """For a client of a bare relay, whose bytes no protocol sees."""
    async with running() as api:
        made = await proxy(api)
        host, _, port = made["listen"].rpartition(":")
        client = await inThread(socket.create_connection, (host, int(port)), 10)
        with client:
            for _ in range(3):
                client.sendall(b"x")
                assert await inThread(client.recv, 1) == b"x"
            await api.post("/proxies/p", {"enabled": False})
            assert await inThread(client.recv, 1) == b""
