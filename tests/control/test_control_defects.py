"""What Toxiproxy's API does wrong, as measured with 2.12.0, is not done here; one test each."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import pytest_twisted
from controlled import inThread, isFree, proxy, reactor, running, said
from twisted.internet.task import deferLater


@pytest.mark.parametrize(
    "toxic",
    [
        {"type": "bandwidth", "attributes": {"rate": -1}},
        {"type": "slicer"},
        {"type": "slicer", "attributes": {"average_size": -1}},
        {"type": "slicer", "attributes": {"average_size": 10, "size_variation": 20}},
        {"type": "latency", "attributes": {"latency": 1, "jitter": 1 << 62}},
    ],
)
@pytest_twisted.ensureDeferred
async def test_defects_what_crashes_it_is_refused(toxic: dict[str, Any]) -> None:
    """400, which names the attribute; and bytes go on through the proxy."""
    async with running() as api:
        made = await proxy(api)
        told = await api.ask("POST", "/proxies/p/toxics", toxic)
        assert told.status == 400
        names = ("rate", "average_size", "size_variation", "jitter")
        assert any(name in told.error for name in names), told.error
        assert await said(made["listen"], b"alive") == b"alive"


@pytest_twisted.ensureDeferred
async def test_defects_deleting_a_toxic_waits_for_nobody() -> None:
    """Neither for clients that do not read, nor for the time of a reset_peer."""
    async with running() as api:
        made = await proxy(api)
        host, _, port = made["listen"].rpartition(":")
        for toxic in (
            {"type": "latency", "attributes": {"latency": 60_000}},
            {"type": "reset_peer", "attributes": {"timeout": 60_000}},
        ):
            put = await api.post("/proxies/p/toxics", toxic)
            client = await inThread(socket.create_connection, (host, int(port)), 10)
            with client:
                client.setblocking(False)
                sent = 0
                for _ in range(50):
                    try:
                        sent += client.send(bytes(1 << 16))
                    except BlockingIOError:
                        break
                    await deferLater(reactor, 0.001, lambda: None)
                assert sent
                start = reactor.seconds()
                await api.delete(f"/proxies/p/toxics/{put['name']}")
                assert reactor.seconds() - start < 1
        await api.delete("/proxies/p")


@pytest_twisted.ensureDeferred
async def test_defects_deleting_a_proxy_does_not_wait_for_its_dial() -> None:
    """One that hangs: the queue of its target is full, and nobody answers."""
    with socket.socket() as target:
        target.bind(("127.0.0.1", 0))
        target.listen(0)
        where = target.getsockname()
        queue = []
        for _ in range(8):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(where)
            queue.append(one)
        try:
            async with running() as api:
                made = await proxy(api, upstream=f"127.0.0.1:{where[1]}")
                host, _, port = made["listen"].rpartition(":")
                client = await inThread(socket.create_connection, (host, int(port)), 10)
                with client:
                    client.sendall(b"anybody there?")
                    await proxy(api, "other")
                    start = reactor.seconds()
                    for method, path in [
                        ("POST", "/proxies/p/toxics"),
                        ("DELETE", "/proxies/p"),
                        ("GET", "/proxies"),
                    ]:
                        await api.ask(method, path, {"type": "noop"})
                    assert reactor.seconds() - start < 1
                    assert await inThread(client.recv, 10) == b""
        finally:
            for one in queue:
                one.close()


@pytest_twisted.ensureDeferred
async def test_defects_reset_does_all_that_can_be_done() -> None:
    """One that cannot listen is told, with the reason; all others are enabled and bare."""
    async with running() as api:
        made = [await proxy(api, name) for name in ("a", "b", "c")]
        for one in made:
            await api.post(f"/proxies/{one['name']}/toxics", {"type": "latency"})
            await api.post(f"/proxies/{one['name']}", {"enabled": False})
        host, _, port = made[1]["listen"].rpartition(":")
        with socket.create_server((host, int(port))):
            told = await api.ask("POST", "/reset")
        assert told.status == 500
        assert told.error == f"listen tcp {made[1]['listen']}: bind: address already in use"
        assert told.json["failed"] == [{"name": "b", "error": told.error}]
        found = await api.get("/proxies")
        assert {name: one["enabled"] for name, one in found.items()} == {
            "a": True,
            "b": False,
            "c": True,
        }
        assert not any(one["toxics"] for one in found.values())
        assert (await api.ask("POST", "/reset")).status == 204


@pytest_twisted.ensureDeferred
async def test_defects_populate_does_all_that_can_be_done() -> None:
    """Those behind the one that fails are there, too; one that cannot move stays as it was."""
    async with running() as api:
        stays = await proxy(api, "stays")
        with socket.create_server(("127.0.0.1", 0)) as other:
            busy = f"127.0.0.1:{other.getsockname()[1]}"
            told = await api.ask(
                "POST",
                "/populate",
                [
                    {"name": "a", "upstream": "x:1"},
                    {"name": "stays", "listen": busy, "upstream": stays["upstream"]},
                    {"name": "b", "upstream": "x:1"},
                ],
            )
        assert told.status == 500
        assert [one["name"] for one in told.json["proxies"]] == ["a", "b"]
        assert [one["name"] for one in told.json["failed"]] == ["stays"]
        assert await api.get("/proxies/stays") == stays
        assert await said(stays["listen"], b"here") == b"here"


@pytest_twisted.ensureDeferred
async def test_defects_names_with_a_slash_can_be_deleted() -> None:
    """As %2F, proxies and toxics both."""
    async with running() as api:
        made = await proxy(api, "a/b")
        await api.post("/proxies/a%2Fb/toxics", {"type": "noop", "name": "c/d"})
        await api.delete("/proxies/a%2Fb/toxics/c%2Fd")
        await api.delete("/proxies/a%2Fb")
        assert isFree(made["listen"])


@pytest_twisted.ensureDeferred
async def test_defects_a_failed_move_leaves_the_proxy_as_it_was() -> None:
    """Enabled, at its old address, with its connections."""
    async with running() as api:
        made = await proxy(api)
        host, _, port = made["listen"].rpartition(":")
        client = await inThread(socket.create_connection, (host, int(port)), 10)
        with client, socket.create_server(("127.0.0.1", 0)) as other:
            client.sendall(b"a")
            assert await inThread(client.recv, 1) == b"a"
            busy = f"127.0.0.1:{other.getsockname()[1]}"
            told = await api.ask("POST", "/proxies/p", {"listen": busy, "upstream": "x:1"})
            assert told.status == 500
            assert await api.get("/proxies/p") == made
            client.sendall(b"b")
            assert await inThread(client.recv, 1) == b"b"


@pytest_twisted.ensureDeferred
async def test_defects_errors_are_typed_as_what_they_are() -> None:
    """JSON, wherever they come from."""
    async with running() as api:
        for method, path in [
            ("GET", "/proxies/p"),
            ("GET", "/nope"),
            ("PUT", "/proxies"),
            ("POST", "/proxies"),
            ("POST", "/populate"),
        ]:
            told = await api.ask(method, path)
            assert told.headers["Content-Type"] == "application/json"
            assert told.error


@pytest_twisted.ensureDeferred
async def test_defects_lists_are_lists_and_no_logger_is_told() -> None:
    """Where there is nothing, too."""
    async with running() as api:
        assert (await api.ask("POST", "/populate", b"[]")).body == b'{"proxies":[]}'
        await proxy(api)
        assert (await api.ask("GET", "/proxies/p/toxics")).body == b"[]"
        assert b"ogger" not in (await api.ask("GET", "/proxies")).body
