"""Toxiproxy's routes: what its clients depend on, over real connections."""

from __future__ import annotations

import re
import socket
from typing import Any

import pytest
import pytest_twisted
from controlled import HERE, echoOf, isFree, proxy, running, said

from loopbackd.controlsettings import ControlSettings
from loopbackd.settings import ServiceSettings

TOXIC = {
    "attributes": {"latency": 0, "jitter": 0},
    "name": "latency_downstream",
    "type": "latency",
    "stream": "downstream",
    "toxicity": 1,
}


@pytest_twisted.ensureDeferred
async def test_version() -> None:
    """Byte for byte; our own stands in a header."""
    async with running() as api:
        told = await api.ask("GET", "/version")
        assert told.body == b'{"version": "2.12.0"}\n'
        assert told.headers["Content-Type"] == "application/json;charset=utf-8"
        assert told.headers["Loopbackd-Version"]


@pytest_twisted.ensureDeferred
async def test_a_life() -> None:
    """A proxy is made, listed, used, switched, redirected, moved and removed."""
    async with running() as api:
        assert (await api.ask("GET", "/proxies")).body == b"{}"
        made = await proxy(api)
        assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", made["listen"])
        assert made == {
            "name": "p",
            "listen": made["listen"],
            "upstream": echoOf(api),
            "enabled": True,
            "toxics": [],
        }
        assert await api.get("/proxies") == {"p": made}
        assert await api.get("/proxies/p") == made
        assert await said(made["listen"], b"hello") == b"hello"
        off = await api.post("/proxies/p", {"enabled": False})
        assert off == {**made, "enabled": False}
        assert isFree(made["listen"])
        assert await api.patch("/proxies/p", {"enabled": True}) == made
        assert await said(made["listen"], b"again") == b"again"
        moved = await api.post("/proxies/p", {"listen": "127.0.0.1:0"})
        assert moved["listen"] != made["listen"] and isFree(made["listen"])
        assert await said(moved["listen"], b"there") == b"there"
        await api.delete("/proxies/p")
        assert isFree(moved["listen"])
        assert (await api.ask("GET", "/proxies/p")).error == "proxy not found"


@pytest_twisted.ensureDeferred
async def test_statuses_and_members() -> None:
    """Each as a client maps it; JSON on every answer, and an id."""
    async with running() as api:
        told = await api.ask("POST", "/proxies", {"name": "p", "upstream": echoOf(api)})
        assert (told.status, told.headers["Content-Type"]) == (201, "application/json")
        assert told.headers["X-Toxiproxy-Request-Id"]
        assert b"Logger" not in told.body
        assert list(told.json) == ["name", "listen", "upstream", "enabled", "toxics"]
        toxic = await api.ask("POST", "/proxies/p/toxics", {"type": "latency"})
        assert (toxic.status, toxic.json) == (200, TOXIC)
        assert list(toxic.json) == ["attributes", "name", "type", "stream", "toxicity"]
        for path, status in [("/proxies/q", 404), ("/nope", 404), ("/proxies/", 404)]:
            told = await api.ask("GET", path)
            assert told.status == status and told.error
            assert told.headers["X-Toxiproxy-Request-Id"]
        assert (await api.ask("PUT", "/proxies/p")).status == 405
        for path in ("/proxies/p/toxics/latency_downstream", "/proxies/p"):
            await api.delete(path)
        assert (await api.ask("POST", "/reset", b"whatever")).status == 204


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        ("POST", "/proxies", b"", 400, "bad request body: EOF"),
        ("POST", "/proxies", b'{"name":', 400, "bad request body: unexpected EOF"),
        ("POST", "/proxies", b"nope", 400, "bad request body: invalid character 'n'"),
        ("POST", "/proxies", b"[]", 400, "bad request body: the body is no object but array"),
        ("POST", "/proxies", b'{"name": 5}', 400, "bad request body: name is no string but number"),
        ("POST", "/proxies", b"{}", 400, "missing required field: name"),
        ("POST", "/proxies", b"null", 400, "missing required field: name"),
        ("POST", "/proxies", b'{"name": "a"}', 400, "missing required field: upstream"),
        ("POST", "/proxies", b'{"name": "p", "upstream": "x:1"}', 409, "proxy already exists"),
        ("POST", "/proxies", b'{"name": "echo", "upstream": "x:1"}', 409, "already exists, and"),
        (
            "POST",
            "/proxies",
            b'{"name": "a", "upstream": "x:1", "listen": "nope"}',
            500,
            "listen tcp: address nope: missing port in address",
        ),
        (
            "POST",
            "/proxies",
            b'{"name": "a", "upstream": "x:1", "listen": "127.0.0.1:99999"}',
            500,
            "listen tcp: address 99999: invalid port",
        ),
        (
            "POST",
            "/proxies",
            b'{"name": "a", "upstream": "x:1", "listen": "example.com:80"}',
            500,
            "listen tcp: lookup example.com: no such host",
        ),
        (
            "POST",
            "/proxies",
            b'{"name": "a", "upstream": "x:1", "listen": "0.0.0.0:0"}',
            400,
            "listen = 0.0.0.0:0: other machines could reach that",
        ),
        ("POST", "/proxies", b'{"name": "a", "upstream": "x"}', 400, "target 'x' is no address"),
        ("POST", "/proxies", b'{"name": "a\\n", "upstream": "x:1"}', 400, "name = 'a\\n': it has"),
        ("POST", "/proxies/q", b"nope", 404, "proxy not found"),
        ("POST", "/proxies/echo", b"{}", 404, "proxy not found"),
        ("POST", "/proxies/p", b'{"upstream": ""}', 400, "missing required field: upstream"),
        ("POST", "/proxies/p", b'{"listen": "x"}', 500, "address x: missing port in address"),
        ("POST", "/proxies/q/toxics", b"nope", 404, "proxy not found"),
        ("POST", "/proxies/p/toxics", b"{", 400, "bad request body: unexpected EOF"),
        (
            "POST",
            "/proxies/p/toxics",
            b'{"type": "nope", "stream": "sideways"}',
            400,
            "stream was invalid, can be either upstream or downstream",
        ),
        ("POST", "/proxies/p/toxics", b'{"type": "nope"}', 400, "invalid toxic type"),
        ("POST", "/proxies/p/toxics", b"{}", 400, "invalid toxic type"),
        (
            "POST",
            "/proxies/p/toxics",
            b'{"type": "latency", "name": "t", "attributes": {"latency": "x"}}',
            409,
            "toxic already exists",
        ),
        (
            "POST",
            "/proxies/p/toxics",
            b'{"type": "latency", "attributes": {"latency": "x"}}',
            400,
            "latency = 'x'",
        ),
        (
            "POST",
            "/proxies/p/toxics",
            b'{"type": "latency", "toxicity": 1.5}',
            400,
            "toxicity = 1.5",
        ),
        ("POST", "/proxies/p/toxics/u", b"nope", 404, "toxic not found"),
        ("PATCH", "/proxies/p/toxics/t", b'{"toxicity": -1}', 400, "toxicity = -1"),
        ("PATCH", "/proxies/p/toxics/t", b'{"attributes": {"latency": -1}}', 400, "latency = -1"),
        ("GET", "/proxies/p/toxics/u", b"", 404, "toxic not found"),
        ("DELETE", "/proxies/p/toxics/u", b"", 404, "toxic not found"),
        ("DELETE", "/proxies/q", b"", 404, "proxy not found"),
        ("POST", "/populate", b"{}", 400, "bad request body: it is no array of proxies"),
        (
            "POST",
            "/populate",
            b'[{"name": "a", "upstream": "x:1"}, {}]',
            400,
            "missing required field: name at proxy 2",
        ),
        (
            "POST",
            "/populate",
            b'[{"name": "a"}]',
            400,
            "missing required field: upstream at proxy 1",
        ),
    ],
)
@pytest_twisted.ensureDeferred
async def test_errors(method: str, path: str, body: bytes, status: int, error: str) -> None:
    """Status and text; and nothing has happened."""
    async with running() as api:
        await proxy(api)
        await api.post("/proxies/p/toxics", {"type": "latency", "name": "t"})
        before = await api.get("/proxies")
        told = await api.ask(method, path, body)
        assert told.status == status, told
        assert error in told.error
        assert "\n" not in told.error
        assert await api.get("/proxies") == before


@pytest_twisted.ensureDeferred
async def test_a_busy_address_is_told_as_there() -> None:
    """Clients' tests compare this text; whoever has it is one of ours, or not."""
    async with running() as api:
        await proxy(api)
        with socket.create_server(("127.0.0.1", 0)) as other:
            busy = f"127.0.0.1:{other.getsockname()[1]}"
            for listen in (busy, echoOf(api)):
                told = await api.ask(
                    "POST", "/proxies", {"name": "q", "listen": listen, "upstream": "x:1"}
                )
                assert told.status == 500
                assert told.error == f"listen tcp {listen}: bind: address already in use"
                told = await api.ask("POST", "/proxies/p", {"listen": listen})
                assert told.status == 500
                assert told.error == f"listen tcp {listen}: bind: address already in use"
        assert list(await api.get("/proxies")) == ["p"]


@pytest_twisted.ensureDeferred
async def test_members_in_any_case_and_what_follows() -> None:
    """The last one counts, null says nothing, trailing data is not looked at."""
    async with running() as api:
        body = f'{{"NAME":"a","name":"p","Upstream":"{echoOf(api)}","enabled":null}} }}trailing'
        told = await api.ask("POST", "/proxies", body)
        assert told.status == 201
        assert (told.json["name"], told.json["enabled"]) == ("p", True)
        told = await api.ask(
            "POST", "/proxies/p/toxics", '{"TYPE":"latency","Attributes":{"LATENCY":5}}'
        )
        assert told.json["attributes"] == {"latency": 5, "jitter": 0}
        told = await api.ask("POST", "/proxies/p", "null")
        assert told.status == 200


@pytest_twisted.ensureDeferred
async def test_what_is_unknown_is_warned_of(logged: Any) -> None:
    """It is taken as there, and a header and the log name it."""
    lines = logged("loopbackd.control")
    async with running() as api:
        told = await api.ask(
            "POST", "/proxies", {"name": "p", "upstream": "x:1", "Logger": {}, 'a"\u2028b': 1}
        )
        assert told.status == 201
        (warning,) = told.headers.get_all("Warning") or []
        assert warning.startswith('299 - "proxy p: ') and warning.count('"') == 2
        told = await api.ask(
            "POST", "/proxies/p/toxics", {"type": "latency", "attributes": {"latencyy": 1}}
        )
        assert told.status == 200
        assert "latencyy" in told.headers["Warning"]
        told = await api.ask(
            "PATCH",
            "/proxies/p/toxics/latency_downstream",
            {"name": "x", "attributes": {"nope": 1}},
        )
        assert told.status == 200
        assert "nope" in told.headers["Warning"] and "name" not in told.headers["Warning"]
        assert any("latencyy" in line for line in lines)
        assert all("\n" not in line for line in lines)


@pytest_twisted.ensureDeferred
async def test_toxics() -> None:
    """Put on, listed upstream first, merged, taken away; a name of their own by default."""
    async with running() as api:
        await proxy(api)
        base = "/proxies/p/toxics"
        assert (await api.ask("GET", base)).body == b"[]"
        await api.post(base, {"type": "latency", "toxicity": 0.5})
        await api.post(base, {"type": "latency", "stream": "Upstream", "name": "mine"})
        names = [one["name"] for one in await api.get(base)]
        assert names == ["mine", "latency_downstream"]
        changed = await api.post(f"{base}/mine", {"attributes": {"latency": 7}})
        assert changed["attributes"] == {"latency": 7, "jitter": 0}
        changed = await api.patch(f"{base}/mine", {"attributes": {"jitter": 3}, "toxicity": 0.25})
        assert changed["attributes"] == {"latency": 7, "jitter": 3}
        assert changed["toxicity"] == 0.25
        assert await api.get(f"{base}/mine") == changed
        assert [one["name"] for one in (await api.get("/proxies/p"))["toxics"]] == names
        await api.delete(f"{base}/mine")
        assert [one["name"] for one in await api.get(base)] == ["latency_downstream"]


@pytest_twisted.ensureDeferred
async def test_toxics_in_create_and_populate() -> None:
    """They are in force before the first connection; bad ones keep the proxy away."""
    async with running() as api:
        made = await proxy(api, toxics=[{"type": "latency", "attributes": {"latency": 300}}])
        assert [one["name"] for one in made["toxics"]] == ["latency_downstream"]
        start = api.loopback.core.seconds()
        assert await said(made["listen"], b"slow") == b"slow"
        assert api.loopback.core.seconds() - start > 0.29
        told = await api.ask(
            "POST",
            "/proxies",
            {"name": "q", "upstream": "x:1", "toxics": [{"type": "latency"}, {"type": "latency"}]},
        )
        assert told.status == 409
        filled = await api.post(
            "/populate",
            [{"name": "q", "upstream": "x:1", "toxics": [{"type": "latency", "name": "t"}]}],
            201,
        )
        assert [one["name"] for one in filled["proxies"][0]["toxics"]] == ["t"]
        assert list(await api.get("/proxies")) == ["p", "q"]


@pytest_twisted.ensureDeferred
async def test_a_whole_proxy_sent_back_changes_what_differs() -> None:
    """As clients do that have an object of their own; its toxics are not looked at."""
    async with running() as api:
        made = await proxy(api, toxics=[{"type": "latency"}])
        sent = {**made, "enabled": False, "toxics": [{"type": "nope"}, None]}
        assert await api.post("/proxies/p", sent) == {**made, "enabled": False}
        assert await api.post("/proxies/p", made) == made


@pytest_twisted.ensureDeferred
async def test_populate() -> None:
    """What is there as asked is left alone, what leads elsewhere is made anew without toxics."""
    async with running() as api:
        assert await api.post("/populate", [], 201) == {"proxies": []}
        assert (await api.ask("POST", "/populate", "null")).json == {"proxies": []}
        one, two = await proxy(api, "one"), await proxy(api, "two")
        for name in ("one", "two"):
            await api.post(f"/proxies/{name}/toxics", {"type": "latency"})
        await api.post("/proxies/one", {"enabled": False})
        asked = [
            {"name": "one", "listen": one["listen"], "upstream": one["upstream"]},
            {"name": "two", "listen": two["listen"], "upstream": "127.0.0.1:1"},
            {"name": "three", "upstream": echoOf(api)},
        ]
        found = (await api.post("/populate", asked, 201))["proxies"]
        assert [p["name"] for p in found] == ["one", "two", "three"]
        assert not found[0]["enabled"] and len(found[0]["toxics"]) == 1
        assert found[1]["upstream"] == "127.0.0.1:1" and found[1]["toxics"] == []
        assert await said(found[2]["listen"], b"hi") == b"hi"


@pytest_twisted.ensureDeferred
async def test_names_of_any_kind() -> None:
    """Spaces, UTF-8 and slashes are reached percent-encoded."""
    async with running() as api:
        for name, path in [
            ("a b", "a%20b"),
            ("ä/ö", "%C3%A4%2F%C3%B6"),
            ("a?b#c%", "a%3Fb%23c%25"),
        ]:
            await proxy(api, name)
            assert (await api.get(f"/proxies/{path}"))["name"] == name
            await api.post(f"/proxies/{path}/toxics", {"type": "latency", "name": name})
            assert (await api.get(f"/proxies/{path}/toxics/{path}"))["name"] == name
            await api.delete(f"/proxies/{path}/toxics/{path}")
            await api.delete(f"/proxies/{path}")


@pytest_twisted.ensureDeferred
async def test_relays_of_the_configuration_are_proxies() -> None:
    """Other services are none."""
    services = (
        ServiceSettings(name="echo", protocol="echo", endpoint=HERE, twin=False),
        ServiceSettings(name="r", protocol="relay", endpoint=HERE, target="tcp:127.0.0.1:1"),
    )
    async with running(*services) as api:
        (found,) = (await api.get("/proxies")).values()
        assert (found["name"], found["upstream"]) == ("r", "127.0.0.1:1")
        await api.delete("/proxies/r")


@pytest_twisted.ensureDeferred
async def test_an_address_stays_as_it_was_written_until_it_is_listened_on() -> None:
    """And is remembered from then on."""
    async with running() as api:
        made = await proxy(api, enabled=False)
        assert made["listen"] == "localhost:0"
        on = await api.post("/proxies/p", {"enabled": True})
        assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", on["listen"])
        assert (await api.post("/proxies/p", {"enabled": False}))["listen"] == on["listen"]
        _, _, port = on["listen"].partition(":")
        same = await api.post("/proxies/p", {"listen": f"localhost:{port}", "enabled": True})
        assert same["listen"] == on["listen"]


@pytest_twisted.ensureDeferred
async def test_other_machines_only_where_allowed() -> None:
    """The operator says so."""
    body = {"name": "q", "listen": "0.0.0.0:0", "upstream": "127.0.0.1:1"}
    async with running(
        control=ControlSettings(endpoint=HERE, twin=False, allow_remote=True)
    ) as api:
        await proxy(api)
        for path, asked in (("/proxies", body), ("/proxies/p", {"listen": "0.0.0.0:0"})):
            told = await api.ask("POST", path, asked)
            assert told.status == 400 and "let allow_addresses = " in told.error
    control = ControlSettings(
        endpoint=HERE, twin=False, allow_remote=True, allow_addresses=("192.0.2.0/24",)
    )
    async with running(control=control) as api:
        made = await proxy(api, listen="0.0.0.0:0")
        assert re.fullmatch(r"0\.0\.0\.0:[1-9]\d*", made["listen"])
        await proxy(api, "q")
        moved = await api.post("/proxies/q", {"listen": "0.0.0.0:0"})
        assert moved["listen"].startswith("0.0.0.0:")
        for name in "pq":
            settings = (await api.get(f"/services/{name}"))["settings"]
            assert settings["allow_addresses"] == ["192.0.2.0/24"]


@pytest_twisted.ensureDeferred
async def test_there_is_a_bound_to_services_and_toxics() -> None:
    """Whoever is over it is told so."""
    control = ControlSettings(endpoint=HERE, twin=False, max_services=2)
    async with running(control=control) as api:
        for name in ("a", "b"):
            await proxy(api, name)
        told = await api.ask("POST", "/proxies", {"name": "c", "upstream": "x:1"})
        assert told.status == 503 and "2 services" in told.error
        many = [{"type": "latency", "name": f"{n}"} for n in range(257)]
        await api.delete("/proxies/b")
        body = {"name": "b", "upstream": "x:1", "toxics": many}
        assert (await api.ask("POST", "/proxies", body)).status == 400
        body["toxics"] = many[:256]
        await api.post("/proxies", body, 201)
        told = await api.ask("POST", "/proxies/b/toxics", {"type": "latency", "name": "one more"})
        assert told.status == 400 and "256 toxics" in told.error


@pytest_twisted.ensureDeferred
async def test_populate_moves_one_to_where_another_was() -> None:
    """In the order of the array, as there."""
    async with running() as api:
        there = (await proxy(api, "first"))["listen"]
        here = (await proxy(api, "second"))["listen"]
        free = (await proxy(api, "third"))["listen"]
        await api.delete("/proxies/third")
        wanted = [
            {"name": name, "listen": where, "upstream": echoOf(api)}
            for name, where in (("first", free), ("second", there), ("fourth", here))
        ]
        done = await api.post("/populate", wanted, 201)
        assert [one["listen"] for one in done["proxies"]] == [free, there, here]
        assert await said(there) == b"x"
