"""
Pages that mean harm, in a real browser, against the control API of the real daemon.

The browser's own protection of local networks is off.  The same pages are let loose on a daemon
whose guard was taken out, which shows what of it arrives, is read and changes something: without
that, a browser which forbids everything by itself would pass for a guard.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from running import HERE, PATIENCE, Running, service, until
from test_browser import FLAGS

from loopbackd.http.pagetoken import FIELD

pytestmark = pytest.mark.timeout(180)

PAGE = (Path(__file__).parent / "strangers.html").read_bytes()

PROTECTIONS = (
    "LocalNetworkAccessChecks",
    "LocalNetworkAccessChecksWebRTC",
    "LocalNetworkAccessChecksWebSockets",
    "LocalNetworkAccessChecksWebTransport",
    "LocalNetworkAccessForFencedFrameNavigations",
    "LocalNetworkAccessForNavigations",
    "LocalNetworkAccessForSubframeNavigations",
    "LocalNetworkAccessForWorkers",
    "PrivateNetworkAccessNullIpAddress",
    "BlockInsecurePrivateNetworkRequests",
)
"""Those of Chromium 156 and of some before it, by the names of their switches."""

# Neither may change what a page asks for: nothing here speaks TLS.
_UPGRADES = ("HttpsUpgrades", "HttpsFirstBalancedModeAutoEnable")

WATCHED = '''
"""Runs before the daemon: notes what arrives, and takes the guard out if that is asked for."""
import json, os
from urllib.parse import parse_qs
import loopbackd.control.site as site
import loopbackd.control.tokens as tokens
from loopbackd.http.events import EVENT_STREAM, encodeEvent
from loopbackd.http.messages import Response
from loopbackd.http.pagetoken import SUBPROTOCOL
from loopbackd.websocket.conversations import echo
from loopbackd.websocket.opening import openSocket

is_guarded = os.environ["STRANGERS"] == "out"
admit, admit_to, add = site.admit, site.admitTo, site.tokenRoutes
notes = open(os.environ["STRANGERS_NOTES"], "a", buffering=1)

def watched(request, *others):
    tags = parse_qs(request.rawQuery.decode()).get("tag", [""])
    notes.write(json.dumps([tags[0], request.method, dict(request.fields)]) + "\\n")
    if is_guarded:
        admit(request, *others)

def with_streams(token):
    routes = add(token)

    @routes.add("/test/events", produces=[EVENT_STREAM], answers={})
    def events(request):
        return Response(200, encodeEvent("a secret event"), EVENT_STREAM)

    @routes.add("/test/socket", usual=101, produces=[])
    def talks(request):
        return openSocket(request, echo, subprotocols=[SUBPROTOCOL])

    return routes

site.admit, site.tokenRoutes = watched, with_streams
if not is_guarded:
    site.admitTo = lambda *others: None
    site.SHIELD = ()
    tokens.isOwnPage = lambda request: True
'''


class _Harm(BaseHTTPRequestHandler):
    """What the page is, wherever it is asked for, and two ways to have others ask."""

    def do_GET(self) -> None:
        to = parse_qs(urlsplit(self.path).query).get("to", [""])[0]
        if self.path.startswith("/bounce"):
            self.send_response(307)
            self.send_header("Location", to)
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        if to:
            self.send_header("Content-Security-Policy", f"img-src 'none'; report-uri {to}")
        self.end_headers()
        self.wfile.write(b"<img src=/x>" if to else PAGE)

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody wants to know."""


@contextmanager
def harmful(port: int = 0) -> Iterator[int]:
    """Serve the page; where."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _Harm)
    thread = threading.Thread(target=server.serve_forever, daemon=True, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def freePort() -> int:
    """One that nobody has at the moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class Target:
    """A daemon that is asked things by strangers."""

    def __init__(self, running: Running, notes: Path, port: int) -> None:
        self.running = running
        self._notes = notes
        self.port = port

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """As a program that may."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            said = answer.read()
            assert answer.status < 300, (answer.status, said)
            return json.loads(said) if said else None
        finally:
            connection.close()

    @property
    def state(self) -> Any:
        """All that could be changed."""
        services = self.ask("GET", "/services")["services"]
        told = [(one["name"], one["enabled"], one["toxics"], one["settings"]) for one in services]
        return self.ask("GET", "/proxies"), told

    @property
    def arrived(self) -> dict[str, tuple[str, dict[str, str]]]:
        """Each request that came with a tag: its method, and its fields."""
        found = {}
        for line in self._notes.read_text().splitlines():
            tag, method, fields = json.loads(line)
            if tag and method != "OPTIONS":
                found[tag] = method, fields
        return found


@pytest.fixture
def target(daemon: Callable[..., Running], tmp_path: Path) -> Callable[..., Target]:
    """Start a daemon with a relay that has a toxic, and with its control API at a port."""

    def begin(port: int, isGuarded: bool = True) -> Target:
        where = tmp_path / ("guarded" if isGuarded else "open")
        where.mkdir()
        control, relay = (f"tcp:{port}:interface=127.0.0.{number}" for number in (1, 2))
        (where / "sitecustomize.py").write_text(WATCHED)
        (where / "it.toml").write_text(
            "drain = 0\n"
            + service("echo", HERE, "echo", "twin = false")
            # So that the API is on 127.0.0.2 as well.
            + service("way", relay, "relay", f"target = '127.0.0.1:{port}'")
        )
        environ = {
            "PYTHONPATH": str(where),
            "STRANGERS": "out" if isGuarded else "in",
            "STRANGERS_NOTES": str(where / "notes"),
        }
        running = daemon("--config", str(where / "it.toml"), "--control", control, environ=environ)
        running.says("control: on ")
        found = Target(running, where / "notes", port)
        found.ask("POST", "/proxies", {"name": "keep", "upstream": "127.0.0.1:1"})
        found.ask("POST", "/proxies/keep/toxics", {"type": "latency", "name": "kept"})
        return found

    return begin


@pytest.fixture
def browser(chromium: Callable[..., Any]) -> Callable[..., Any]:
    """Open a browser; what is mapped are names of the web, which lead here."""

    @contextmanager
    def open(public: int = 0, isProtected: bool = False) -> Iterator[Any]:
        off = _UPGRADES if isProtected else (*PROTECTIONS, *_UPGRADES)
        args = [
            *FLAGS,
            f"--disable-features={','.join(off)}",
            "--host-resolver-rules=MAP *.example 127.0.0.1",
        ]
        if public:
            args.append(f"--ip-address-space-overrides=127.0.0.1:{public}=public")
        with chromium(args=args, ignore_default_args=["--disable-features"]) as context:
            context.set_default_timeout(20_000)
            yield context

    return open


HOSTS = ("localhost", "127.0.0.1", "[::1]", "0.0.0.0", "127.0.0.2")
"""What a page can call the API; the last is a relay of the daemon's that leads to it."""

PREFLIGHTED = {
    *(f"json-{method}" for method in ("DELETE", "PATCH", "PUT", "POST")),
    *("field-Loopbackd-Token", "field-X-Mine"),
}
"""What a browser does not send to another origin that has not agreed to it."""

FROM_HOME = {"redirected", "report"}
"""What a page has others of its own server do."""


class Attack:
    """
    A page let loose on a server.

    @ivar tried: what it did, by the tags of the page.
    @ivar read: what it could read, by the same tags.
    """

    def __init__(self, page: Any, base: str, way: str) -> None:
        # Those of the attack before.
        for other in page.context.pages:
            if other is not page:
                other.close()
        self._page = page
        self._target = base, way
        self.read: dict[str, str] = {}
        self.tried = self._try(())

    def _try(self, tags: Iterable[str]) -> set[str]:
        """Let it try these, or all it can."""
        self._began = time.monotonic()
        ask = [*self._target, [*tags]]
        told = self._page.evaluate("([base, way, tags]) => attack(base, way, tags)", ask)
        self.read |= told["read"]
        return {*told["tags"]}

    def arrives(self, target: Target, never: Collection[str] = ()) -> None:
        """Wait until all has arrived but these.  What a busy browser has lost is tried again."""
        prefix = f"{self._target[1]}."

        def lacking() -> set[str]:
            return self.tried.difference(never, (t.removeprefix(prefix) for t in target.arrived))

        def isThere() -> bool:
            if lacking() and time.monotonic() - self._began > PATIENCE / 4:
                self._try(lacking())
            return not lacking()

        until(isThere, lambda: f"arrival of {lacking()}")


def leaked(read: dict[str, str]) -> dict[str, str]:
    """What of it nobody should have read."""
    return {tag: text for tag, text in read.items() if "upstream" in text or "secret" in text}


@pytest.mark.parametrize("site", ["evil.example", "localhost"])
def test_pages_of_other_origins(
    browser: Callable[..., Any], target: Callable[..., Target], site: str
) -> None:
    """From the web, and from another port of this machine: all arrives, and nothing comes of it."""
    with harmful() as home, browser(public=home) as context:
        page = context.new_page()
        page.goto(f"http://{site}:{home}/")
        for isGuarded in (False, True):
            found = target(freePort(), isGuarded)
            before = found.state
            for number, host in enumerate(HOSTS):
                told = Attack(page, f"http://{host}:{found.port}", f"way{number}")
                told.arrives(found, PREFLIGHTED)
                if isGuarded:
                    assert leaked(told.read) == {}
                else:
                    # A WebSocket asks no server whether a page may read.
                    assert leaked(told.read) == {"socket": "echo of a secret"}
            assert {tag.partition(".")[2] for tag in found.arrived}.isdisjoint(PREFLIGHTED)
            assert (found.state == before) == isGuarded
            found.running.stop()


def test_a_rebound_name(browser: Callable[..., Any], target: Callable[..., Target]) -> None:
    """A page whose name leads to the API once it is loaded: to the browser it is of one origin."""
    with browser() as context:
        for isGuarded in (False, True):
            port = freePort()
            page = context.new_page()
            with harmful(port):
                page.goto(f"http://rebound.example:{port}/")
            found = target(port, isGuarded)
            before = found.state
            told = Attack(page, f"http://rebound.example:{port}", "way")
            told.arrives(found, FROM_HOME)
            methods = {method for method, _ in found.arrived.values()}
            assert {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} <= methods
            # Nothing but Host says what this is.
            _, fields = found.arrived["way.get-cors"]
            assert {"Origin", "Sec-Fetch-Site"}.isdisjoint(fields)
            if isGuarded:
                assert leaked(told.read) == {}
            else:
                read = leaked(told.read).keys()
                assert {"get-cors", "iframe", "window", "events", "socket"} <= read
                assert "token" in told.read
            assert (found.state == before) == isGuarded
            found.running.stop()


def test_a_page_of_our_own(browser: Callable[..., Any], target: Callable[..., Target]) -> None:
    """It reads; with the token, and not without, it changes things and has streams."""
    with browser() as context:
        port = freePort()
        page = context.new_page()
        with harmful(port):
            page.goto(f"http://localhost:{port}/")
        found = target(port)
        before = found.state
        told = Attack(page, f"http://localhost:{port}", "own")
        told.arrives(found, FROM_HOME)
        assert found.state == before
        # Not in frames and not from the windows it opens, where it could not say who it is.
        assert {"get-cors", "get-no-cors"} == leaked(told.read).keys()
        said = page.evaluate(
            """async () => {
                const {token, field, subprotocols} = await (await fetch("/token")).json();
                const headers = {[field]: token};
                const stream = await fetch("/test/events", {headers});
                const socket = new WebSocket(location.origin.replace("http", "ws") + "/test/socket",
                    subprotocols);
                const heard = await new Promise((done) => {
                    socket.onopen = () => socket.send("echo of a secret");
                    socket.onmessage = (said) => done([said.data, socket.protocol]);
                    socket.onerror = () => done(["nothing", ""]);
                });
                const gone = await fetch("/proxies/keep", {method: "DELETE", headers});
                return [field, await stream.text(), ...heard, gone.status];
            }"""
        )
        assert said == [FIELD, "data: a secret event\n\n", "echo of a secret", "loopbackd", 204]
        assert "keep" not in found.ask("GET", "/proxies")
        found.running.stop()


def test_the_browsers_own_protection(
    browser: Callable[..., Any], target: Callable[..., Target]
) -> None:
    """It is on by default, and keeps away most of what arrives above, but not all."""
    with harmful() as home, browser(public=home, isProtected=True) as context:
        page = context.new_page()
        page.goto(f"http://evil.example:{home}/")
        found = target(freePort(), False)
        told = Attack(page, f"http://localhost:{found.port}", "way")
        told.arrives(found, told.tried - {"form-top"})
        assert {"way.get-cors", "way.post-no-cors", "way.img"}.isdisjoint(found.arrived)
        found.running.stop()
