"""Our own routes: services of any protocol, their toxics, connections, stubs and journals."""

from __future__ import annotations

import socket
from typing import Any

import msgspec
import pytest
import pytest_twisted
from controlled import API, HERE, inThread, isFree, running, said

from loopbackd.control.servicesettings import asked
from loopbackd.controlsettings import ControlSettings
from loopbackd.settings import ServiceSettings, convert

ECHO = {"name": "a", "protocol": "echo", "endpoint": HERE, "twin": False}


async def added(api: API, **others: Any) -> Any:
    """One more service."""
    return await api.post("/services", {**ECHO, **others}, 201)


@pytest_twisted.ensureDeferred
async def test_a_life() -> None:
    """A service is added, used, changed, switched and removed."""
    async with running() as api:
        made = await added(api)
        assert made["added"] and made["enabled"]
        (where,) = made["listening"]
        assert await said(where, b"hi") == b"hi"
        assert (await api.get("/services/a"))["connections"]["opened"] == 1
        assert [one["name"] for one in (await api.get("/services"))["services"]] == ["echo", "a"]
        changed = await api.patch("/services/a", {"protocol": "daytime"})
        assert changed["protocol"] == "daytime" and changed["listening"] == [where]
        assert b"UTC" in await said(where, b"")
        changed = await api.patch("/services/a", {"protocol": None, "idle_timeout": 5})
        assert changed["protocol"] == "auto" and changed["settings"]["idle_timeout"] == 5.0
        for path, enabled in [("disable", False), ("disable", False), ("toggle", True)]:
            assert (await api.post(f"/services/a/{path}"))["enabled"] is enabled
        assert (await api.post("/services/a/toggle"))["listening"] == []
        assert isFree(where)
        assert (await api.post("/services/a/enable"))["listening"] == [where]
        await api.delete("/services/a")
        assert isFree(where)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        ("POST", "/services", b"", 400, "the body: "),
        ("POST", "/services", b"[]", 400, "the body: Expected object, got array"),
        ("POST", "/services", b"{}", 400, "name is missing"),
        ("POST", "/services", b'{"name": 3}', 400, "name is missing"),
        ("POST", "/services", {"name": "a", "protocl": "echo"}, 400, "did you mean 'protocol'?"),
        ("POST", "/services", {"name": "a", "protocol": "ech"}, 400, "did you mean 'echo'"),
        ("POST", "/services", {"name": "a", "protocol": "os:system"}, 400, "code is not loaded"),
        ("POST", "/services", {"name": "a", "protocol": "/x.py:F"}, 400, "code is not loaded"),
        (
            "POST",
            "/services",
            {"name": "a", "routes": {"other": "os:system"}},
            400,
            "code is not loaded",
        ),
        ("POST", "/services", {"name": "a\u202e"}, 400, "cannot be seen"),
        ("POST", "/services", {"name": "a" * 201}, 400, "200 are the most"),
        ("POST", "/services", {**ECHO, "name": "echo"}, 409, "service 'echo' already"),
        ("POST", "/services", {**ECHO, "endpoint": "tcp:0"}, 400, "other machines can reach"),
        (
            "POST",
            "/services",
            {**ECHO, "endpoint": "tcp:0", "allow_remote": True},
            400,
            "the operator has not allowed that",
        ),
        ("POST", "/services", {**ECHO, "toxic": [{"type": "nope"}]}, 400, "there is no toxic"),
        ("PATCH", "/services/nope", {}, 404, "there is no service 'nope'"),
        ("PATCH", "/services/echo", {"name": "b"}, 400, "keeps its name"),
        ("PATCH", "/services/echo", {"max_connections": -1}, 400, "max_connections = -1"),
        ("DELETE", "/services/nope", None, 404, "there is no service 'nope'"),
        ("POST", "/services/nope/enable", None, 404, "there is no service 'nope'"),
        ("DELETE", "/services/echo?reset=maybe", None, 400, "reset = 'maybe'"),
        ("POST", "/services/echo/toxics", {"type": "latency", "x": 1}, 400, "unknown key 'x'"),
        (
            "POST",
            "/services/echo/toxics",
            {"type": "latency", "attributes": {"latencyy": 1}},
            400,
            "did you mean 'latency'?",
        ),
        ("POST", "/services/echo/toxics", {"type": "latency", "toxicity": 2}, 400, "toxicity = 2"),
        (
            "POST",
            "/services/echo/toxics",
            {"type": "noop", "match": {"comand": "x"}},
            400,
            "unknown key 'comand'; did you mean 'command'?",
        ),
        (
            "POST",
            "/services/echo/toxics",
            {"type": "latency", "attributes": {"latency": "5"}},
            400,
            "latency = '5': expected a number, got a text",
        ),
        (
            "POST",
            "/services/echo/toxics",
            {"type": "latency", "attributes": {"latency": -5}},
            400,
            "latency = -5: expected a number >= 0",
        ),
        ("GET", "/services/ecco", None, 404, "there is no service 'ecco'; did you mean 'echo'?"),
        ("POST", "/services/echo/toxics", {"type": "nope"}, 400, "there is no toxic 'nope'"),
        ("POST", "/services/echo/toxics", {}, 400, "the key 'type' is missing"),
        ("PATCH", "/services/echo/toxics/t", {"toxicity": 0}, 404, "has no toxic 't'"),
        ("GET", "/services/echo/toxics/t", None, 404, "has no toxic 't'"),
        ("PUT", "/services/echo/profile", {"profile": "5g"}, 400, "there is no profile '5g'"),
        ("PUT", "/services/echo/profile", {}, 400, "missing required field profile"),
        ("GET", "/services/echo/stubs", None, 404, "has no HTTP"),
        ("GET", "/services/echo/requests", None, 404, "has no HTTP"),
        ("DELETE", "/services/echo/connections/77", None, 404, "no connection 77"),
        ("DELETE", "/services/echo/connections/x", None, 404, "no whole number"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_errors(method: str, path: str, body: Any, status: int, error: str) -> None:
    """Each names what is wrong; and nothing has happened."""
    async with running() as api:
        before = await api.get("/services")
        told = await api.ask(method, path, body)
        assert told.status == status, told
        assert error in told.error
        assert await api.get("/services") == before


@pytest_twisted.ensureDeferred
async def test_refused_requests_are_in_the_log(logged: Any) -> None:
    """Once a second, for clients that do not show why; nothing in them moves a cursor."""
    lines = logged("loopbackd.control")
    async with running() as api:
        await api.ask("GET", "/services/a%1b", None)
        await api.ask("GET", "/services/b", None)
    assert [line for line in lines if "answered 404" in line] == [
        "control: GET /services/a%1b is answered 404: there is no service 'a\\x1b'"
    ]


@pytest_twisted.ensureDeferred
async def test_a_busy_address_says_who_has_it() -> None:
    """With the remedy."""
    async with running() as api:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            endpoint = f"tcp:{port}:interface=127.0.0.1"
            told = await api.ask("POST", "/services", {**ECHO, "endpoint": endpoint})
            assert told.status == 409
            assert "held by" in told.error and "\n" not in told.error


@pytest_twisted.ensureDeferred
async def test_toxics_of_any_service() -> None:
    """With a seed, strict, and on live connections."""
    async with running() as api:
        base = "/services/echo/toxics"
        made = await api.post(
            base, {"type": "latency", "seed": 7, "attributes": {"latency": 50}}, 201
        )
        assert (made["name"], made["seed"]) == ("latency_downstream", 7)
        assert (await api.ask("POST", base, {"type": "latency"})).status == 409
        assert await api.get(base) == {"toxics": [made]}
        changed = await api.patch(f"{base}/latency_downstream", {"toxicity": 0.5})
        assert changed == {**made, "toxicity": 0.5}
        assert await api.get(f"{base}/latency_downstream") == changed
        await api.delete(f"{base}/latency_downstream")
        await api.post(base, {"type": "latency", "name": "x"}, 201)
        await api.delete(base)
        assert await api.get(base) == {"toxics": []}


@pytest_twisted.ensureDeferred
async def test_profiles() -> None:
    """A service has the toxics of one of them, or of none."""
    async with running() as api:
        names = [one["name"] for one in (await api.get("/profiles"))["profiles"]]
        assert "3g" in names
        told = await api.ask("PUT", "/services/echo/profile", {"profile": "3g"})
        assert told.status == 200 and len(told.json["toxics"]) > 1
        assert await api.get("/services/echo/profile") == {"profile": "3g"}
        assert (await api.get("/services/echo"))["profile"] == "3g"
        told = await api.ask("PUT", "/services/echo/profile", {"profile": None})
        assert told.json == {"toxics": []}
        assert (await api.get("/services/echo"))["profile"] is None


@pytest_twisted.ensureDeferred
async def test_the_kinds_of_toxics() -> None:
    """Each with the types, bounds and defaults of its attributes."""
    async with running() as api:
        kinds = {one["type"]: one for one in (await api.get("/toxics"))["toxics"]}
        assert kinds["latency"]["attributes"]["latency"]["default"] == 0
        assert all(one["what"] and one["origin"] for one in kinds.values())


async def connectedTo(api: API, name: str = "echo") -> socket.socket:
    """A client of a service, that was answered."""
    address: Any = api.loopback.addresses[name][0]

    def connect() -> socket.socket:
        client = socket.create_connection(("127.0.0.1", address.port), 10)
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        return client

    found: socket.socket = await inThread(connect)
    return found


@pytest_twisted.ensureDeferred
async def test_connections() -> None:
    """Listed with who is there, closed one by one or all, or reset."""
    async with running() as api:
        base = "/services/echo/connections"
        one, two, three = [await connectedTo(api) for _ in range(3)]
        with one, two, three:
            await api.post("/services/echo/toxics", {"type": "latency"}, 201)
            found = (await api.get(base))["connections"]
            assert [c["bytes_received"] for c in found] == [1, 1, 1]
            assert found[0]["toxics"] == ["latency_downstream"]
            assert found[0]["uid"] is not None and found[0]["state"] == "open"
            await api.delete(f"{base}/{found[0]['id']}")
            assert await inThread(one.recv, 1) == b""
            await api.delete(f"{base}/{found[1]['id']}?reset=true")
            with pytest.raises(ConnectionResetError):
                await inThread(two.recv, 1)
            await api.delete(base)
            assert await inThread(three.recv, 1) == b""
            assert await api.get(base) == {"connections": []}


@pytest.mark.parametrize("path", ["", "/disable", "/toggle"])
@pytest_twisted.ensureDeferred
async def test_resets(path: str) -> None:
    """Whoever asks for it has clients reset, not closed."""
    async with running() as api:
        with await connectedTo(api) as client:
            method = "POST" if path else "DELETE"
            told = await api.ask(method, f"/services/echo{path}?reset=true")
            assert told.status in (200, 204)
            with pytest.raises(ConnectionResetError):
                await inThread(client.recv, 1)


@pytest_twisted.ensureDeferred
async def test_stubs_and_requests() -> None:
    """Stubs are added, counted, replaced and removed; what was asked is told."""
    web = ServiceSettings(name="web", protocol="http", endpoint=HERE, twin=False)
    async with running(web) as api:
        address: Any = api.loopback.addresses["web"][0]
        base = "/services/web/stubs"
        assert await api.get(base) == {"stubs": [], "states": {}}
        stub = {"name": "hi", "path": "/hi", "answer": {"text": "hello"}}
        made = await api.post(base, stub, 201)
        assert made == {"name": "hi", "count": 0, "settings": stub}
        assert (await api.ask("POST", base, stub)).status == 409
        asked_ = b"GET /hi HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        where = f"127.0.0.1:{address.port}"
        assert (await said(where, asked_)).endswith(b"hello")
        assert (await api.get(f"{base}/hi"))["count"] == 1
        told = await api.ask("PUT", f"{base}/hi", {**stub, "answer": {"text": "other"}})
        assert told.json["count"] == 0
        assert (await said(where, asked_)).endswith(b"other")
        assert (await api.ask("POST", f"{base}/reset")).status == 204
        assert (await api.get(f"{base}/hi"))["count"] == 0
        requests = await api.get("/services/web/requests?stub=hi")
        assert [one["target"] for one in requests["requests"]] == ["/hi", "/hi"]
        found = await api.post("/services/web/requests/find", {"path": "/hi"})
        assert found["count"] == 2
        await api.delete("/services/web/requests")
        assert (await api.get("/services/web/requests"))["count"] == 0
        await api.delete(f"{base}/hi")
        assert (await api.ask("GET", f"{base}/hi")).status == 404
        await api.post(base, stub, 201)
        await api.delete(base)
        assert (await api.get(base))["stubs"] == []
        for body, error in [
            ({"path": "no slash"}, "path"),
            ({"answer": {"status": 7}}, "status"),
            ({"nope": 1}, "unknown field nope"),
        ]:
            told = await api.ask("POST", base, body)
            assert told.status == 400 and error in told.error


@pytest_twisted.ensureDeferred
async def test_other_machines_only_where_allowed() -> None:
    """The operator says so, and whoever asks, too."""
    control = ControlSettings(endpoint=HERE, twin=False, allow_remote=True)
    async with running(control=control) as api:
        body = {**ECHO, "endpoint": "tcp:0"}
        assert (await api.ask("POST", "/services", body)).status == 400
        told = await api.ask("POST", "/services", {**body, "allow_remote": True})
        assert told.status == 400 and "speak to it in the clear" in told.error
        one = await added(api, name="one", endpoint="tcp:0", allow_remote=True, tls={"alpn": []})
        assert one["listening"] and "allow_addresses" not in one["settings"]
        networks = ["192.0.2.0/24"]
        two = await added(
            api, name="two", endpoint="tcp:0", allow_remote=True, allow_addresses=networks
        )
        assert two["settings"]["allow_addresses"] == networks


@pytest_twisted.ensureDeferred
async def test_the_operator_can_say_which_machines() -> None:
    """For services that are added without saying it, and for those alone."""
    control = ControlSettings(
        endpoint=HERE, twin=False, allow_remote=True, allow_addresses=("10.0.0.0/8",)
    )
    async with running(control=control) as api:
        one = await added(api, name="one", endpoint="tcp:0", allow_remote=True)
        assert one["settings"]["allow_addresses"] == ["10.0.0.0/8"]
        own = {"allow_addresses": ["192.0.2.1"]}
        two = await added(api, name="two", endpoint="tcp:0", allow_remote=True, **own)
        assert two["settings"]["allow_addresses"] == ["192.0.2.1"]
        three = await added(api, name="three", endpoint="tcp:0:interface=127.0.0.1")
        assert "allow_addresses" not in three["settings"]


def test_what_was_asked_can_be_asked_again() -> None:
    """The settings of a service, as they are told, make the same service."""
    given = {
        "name": "a",
        "protocol": "auto",
        "routes": {"http": {"protocol": "http", "options": {}}},
        "http": {"journal": 5, "stub": [{"path": "/x", "answer": {"json": {"a": None}}}]},
        "toxic": [{"type": "latency", "attributes": {"latency": 5}, "match": {"nth": 2}}],
        "allow_uids": ["root", 5],
    }
    (settings,) = convert({"service": [given]}, "it").service
    told = msgspec.json.decode(msgspec.json.encode(asked(settings)))
    assert convert({"service": [told]}, "it").service == (settings,)


@pytest_twisted.ensureDeferred
async def test_standard_input_is_no_place_for_services() -> None:
    """It is refused as what others can reach, and everything stays as it was."""
    async with running() as api:
        asked = {"name": "s", "protocol": "echo", "endpoint": "stdio:"}
        told = await api.ask("POST", "/services", asked)
        assert told.status == 400
        assert "stdio" in told.error
        assert [one["name"] for one in (await api.get("/services"))["services"]] == ["echo"]


@pytest_twisted.ensureDeferred
async def test_long_lists_and_resets_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """What others do to services in between is no mistake of ours."""
    monkeypatch.setattr("loopbackd.control.toxiproxy._A_TURN", -1.0)
    async with running() as api:
        for number in range(20):
            asked = {"name": f"p{number}", "upstream": "127.0.0.1:1", "enabled": False}
            await api.post("/proxies", asked, 201)
        asking = [
            api.ask(*words)
            for words in (
                ("GET", "/services"),
                ("GET", "/proxies"),
                ("POST", "/reset"),
                ("DELETE", "/proxies/p19"),
                ("DELETE", "/proxies/p18"),
                ("PATCH", "/services/p17", {"idle_timeout": 5}),
            )
        ]
        assert [(await one).status for one in asking] == [200, 200, 204, 204, 204, 200]
        found = (await api.get("/services"))["services"]
        assert len(found) == len(await api.get("/proxies")) + 1 == 19
        assert all(one["enabled"] for one in found)
