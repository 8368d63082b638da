"""Who may use the control API: no page but our own, and that with a token."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from controlled import API, HERE, Told, running
from msgspec import ValidationError, convert
from programs import Program, run

from loopbackd.controlsettings import ControlSettings
from loopbackd.http.events import EVENT_STREAM, encodeEvent
from loopbackd.http.guarding import SHIELD
from loopbackd.http.messages import Request, Response, SwitchProtocols
from loopbackd.http.pagetoken import SUBPROTOCOL
from loopbackd.websocket.conversations import echo
from loopbackd.websocket.opening import openSocket

MOZILLA = {"User-Agent": "Mozilla/5.0"}
PAGE = {**MOZILLA, "Sec-Fetch-Site": "same-origin"}
UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
CALLS = [("GET", "/proxies"), ("POST", "/reset"), ("GET", "/nope"), ("OPTIONS", "/proxies/p")]
SERVED = {("GET", "/proxies"): 200, ("POST", "/reset"): 204, ("GET", "/nope"): 404}


def isShielded(told: Told) -> bool:
    """Whether an answer says all that keeps it from pages, and nothing that lets them in."""
    said = {name: told.headers[name] for name, _ in SHIELD}
    names = {name.lower() for name in told.headers}
    return said == dict(SHIELD) and not any(name.startswith("access-control") for name in names)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "192.168.1.1"}, 421),
        ({"Host": "0.0.0.0:8474"}, 421),
        ({"Host": "localhost.evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": "[::]"}, 421),
        ({"Host": "app.test"}, 421),
        ({"Host": ""}, 421),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 421),
        ({"Host": "evil.example", "Sec-Fetch-Site": "same-origin"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Host": "localhost", "Origin": "https://localhost"}, 403),
        ({"Host": "localhost", "Origin": "http://localhost, http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin, cross-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        (MOZILLA, 403),
        ({**MOZILLA, "Sec-Fetch-Site": "none"}, 403),
        ({**PAGE, "Origin": "x"}, 403),
    ],
)
@pytest_twisted.ensureDeferred
async def test_who_is_kept_out(fields: dict[str, str], status: int) -> None:
    """Whatever is asked, nothing is said, and the connection is ended."""
    async with running() as api:
        for method, path in CALLS:
            told = await api.ask(method, path, headers=fields)
            assert told.status == status
            assert told.headers["Connection"] == "close"
            assert isShielded(told)
            if fields == MOZILLA:
                assert told.error == "User agent not allowed"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"Host": "localhost:8474"},
        {"Host": "LOCALHOST."},
        {"Host": "127.9.9.9"},
        {"Host": "[::1]:8474"},
        {"Host": "app.localhost"},
        {"User-Agent": "mozilla/5.0"},
        {"User-Agent": "node", "Sec-Fetch-Mode": "cors"},
    ],
)
@pytest_twisted.ensureDeferred
async def test_programs(fields: dict[str, str]) -> None:
    """They are let in by their user, and need nothing else."""
    async with running() as api:
        for (method, path), status in SERVED.items():
            told = await api.ask(method, path, headers=fields)
            assert told.status == status
            assert told.headers["Connection"] is None
            assert isShielded(told)


@pytest_twisted.ensureDeferred
async def test_names_of_ones_own() -> None:
    """They are let in besides, and a browser's page at one of them is ours."""
    named = ControlSettings(endpoint=HERE, twin=False, names=("Dev.Box",))
    async with running(control=named) as api:
        for host, status in [("dev.box:1", 200), ("dev.box.", 200), ("a.dev.box", 421)]:
            assert (await api.ask("GET", "/proxies", headers={"Host": host})).status == status
        api.control.become(
            api.control.prepare(ControlSettings(endpoint=HERE, twin=False, names=()))
        )
        assert (await api.ask("GET", "/proxies", headers={"Host": "dev.box"})).status == 421


def test_names_that_are_none() -> None:
    """Neither a port nor a pattern belongs to one."""
    for name in ("a:1", "*", "*.example", "", "a b", ".", "a\n", "x" * 254):
        with pytest.raises(ValidationError):
            convert({"names": [name]}, ControlSettings)
    assert convert({"names": ["host.docker.internal"]}, ControlSettings).names


@pytest_twisted.ensureDeferred
async def test_a_target_that_names_another_than_host() -> None:
    """Both must be ours."""
    async with running() as api:
        for target, host, status in [
            ("http://localhost/version", "localhost", 200),
            ("http://localhost/version", "evil.example", 421),
            ("http://evil.example/version", "localhost", 421),
        ]:
            told = await api.ask("GET", target, headers={"Host": host})
            assert told.status == status


async def tokenOf(api: API) -> dict[str, Any]:
    """What a page of ours is told."""
    told = await api.ask("GET", "/token", headers=PAGE)
    assert told.status == 200
    assert isShielded(told)
    found: dict[str, Any] = told.json
    return found


@pytest_twisted.ensureDeferred
async def test_a_page_of_ours() -> None:
    """It reads without, and changes something with the token alone."""
    async with running() as api:
        origin = {"Origin": api.url}
        for fields in (PAGE, {**MOZILLA, **origin}, {**PAGE, **origin}):
            assert (await api.ask("GET", "/proxies", headers=fields)).status == 200
            told = await api.ask("POST", "/reset", headers=fields)
            assert told.status == 403
            assert "GET /token" in told.error
            token = await tokenOf(api)
            shown = {**fields, token["field"]: token["token"]}
            assert (await api.ask("POST", "/reset", headers=shown)).status == 204


@pytest.mark.parametrize("wrong", ["", "x", "\u00e9", "x" * 43, "{0}x", "{0}, {0}", "loopbackd"])
@pytest_twisted.ensureDeferred
async def test_a_wrong_token(wrong: str) -> None:
    """It is as good as none, and a right one beside it does not help."""
    async with running() as api:
        token = await tokenOf(api)
        shown = {**PAGE, token["field"]: wrong.format(token["token"])}
        shown["Sec-WebSocket-Protocol"] = ", ".join(token["subprotocols"])
        told = await api.ask("POST", "/reset", headers=shown)
        assert told.status == 403
        assert token["token"] not in told.error


@pytest.mark.parametrize(
    "fields",
    [{}, MOZILLA, {"Sec-Fetch-Site": "none"}, {**PAGE, "Host": "evil.example"}],
)
@pytest_twisted.ensureDeferred
async def test_who_is_not_told_the_token(fields: dict[str, str]) -> None:
    """Whoever is no page of ours; programs need none."""
    async with running() as api:
        told = await api.ask("GET", "/token", headers=fields)
        assert told.status in (403, 421)
        assert api.control.site.token.value.encode() not in told.body


@pytest_twisted.ensureDeferred
async def test_another_token_each_time() -> None:
    """256 bits, that the next daemon does not take."""
    async with running() as api, running() as other:
        token, another = await tokenOf(api), await tokenOf(other)
        assert len(token["token"]) == 43
        assert token["token"] != another["token"]
        shown = {**PAGE, token["field"]: another["token"]}
        assert (await api.ask("POST", "/reset", headers=shown)).status == 403


def addStreams(api: API) -> None:
    """Give the API an event stream and a WebSocket."""
    routes = api.control.site.routes

    @routes.add("/test/events", produces=[EVENT_STREAM])
    def events(request: Request) -> Response:
        return Response(200, encodeEvent("secret"), EVENT_STREAM)

    @routes.add("/test/socket", usual=101, produces=[])
    def socket(request: Request) -> SwitchProtocols:
        return openSocket(request, echo, subprotocols=[SUBPROTOCOL])


@pytest_twisted.ensureDeferred
async def test_event_streams() -> None:
    """A page must show the token, whatever it says that it takes; a program need not."""
    async with running() as api:
        addStreams(api)
        token = await tokenOf(api)
        for accept in ("*/*", EVENT_STREAM):
            fields = {"Accept": accept}
            assert (await api.ask("GET", "/test/events", headers=fields)).status == 200
            page = {**PAGE, **fields}
            told = await api.ask("GET", "/test/events", headers=page)
            assert told.status == 403
            page[token["field"]] = token["token"]
            told = await api.ask("GET", "/test/events", headers=page)
            assert b"secret" in told.body


@pytest_twisted.ensureDeferred
async def test_websockets() -> None:
    """The token is among the subprotocols, and is not said back."""
    async with running() as api:
        addStreams(api)
        token = await tokenOf(api)
        origin = {"Origin": api.url}
        offers = ", ".join(token["subprotocols"])
        wrong = f"{SUBPROTOCOL}, {SUBPROTOCOL}.token.{'x' * 43}"
        for fields, status in [
            ({}, 101),
            (origin, 403),
            ({**origin, "Sec-WebSocket-Protocol": SUBPROTOCOL}, 403),
            ({**origin, "Sec-WebSocket-Protocol": wrong}, 403),
            ({**origin, "Sec-WebSocket-Protocol": f"{offers}, {wrong}"}, 403),
            ({**origin, "Sec-WebSocket-Protocol": offers}, 101),
            ({"Origin": "http://localhost:1", "Sec-WebSocket-Protocol": offers}, 403),
        ]:
            told = await api.ask("GET", "/test/socket", headers={**UPGRADE, **fields})
            assert told.status == status, fields
            if fields.get("Sec-WebSocket-Protocol") == offers and status == 101:
                assert told.headers["Sec-WebSocket-Protocol"] == SUBPROTOCOL


@pytest_twisted.ensureDeferred
async def test_what_no_route_sees() -> None:
    """What is no request gets the same fields as everything else."""
    async with running() as api:
        for wrong in ({"Content-Length": "x"}, {"X": "x" * 20_000}, {"Expect": "x"}):
            told = await api.ask("GET", "/version", headers=wrong)
            assert told.status in (400, 417, 431)
            assert isShielded(told)


@pytest_twisted.ensureDeferred
async def test_a_preflight_is_told_nothing() -> None:
    """So that a browser does not go on; our own pages need none, and are told as little."""
    async with running() as api:
        for origin in ("http://evil.example", "null", api.url):
            fields = {
                "Origin": origin,
                "Access-Control-Request-Method": "DELETE",
                "Access-Control-Request-Headers": "loopbackd-token",
                "Access-Control-Request-Private-Network": "true",
            }
            told = await api.ask("OPTIONS", "/services/echo", headers=fields)
            assert told.status == (204 if origin == api.url else 403)
            assert isShielded(told)


@pytest_twisted.ensureDeferred
async def test_fetch_of_nodejs(program: Program) -> None:
    """It says Sec-Fetch-Mode, and is a program all the same."""
    async with running() as api:
        node = program("node")
        words = f"fetch('{api.url}/reset', {{method: 'POST'}}).then((a) => console.log(a.status))"
        ran = await run(node, "-e", words)
        assert ran.out.strip() == b"204", ran.err
