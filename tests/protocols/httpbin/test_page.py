"""Tests for L{loopbackd.protocols.httpbin.page}."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from loopbackd.http.messages import Request, Response
from loopbackd.http.mounts import Mounts
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.listing import Way, listed
from loopbackd.protocols.httpbin.page import asPage, policy, template

NASTY = "<script>alert(1)</script>\"'&"


class Tags(HTMLParser):
    """Collects what a browser would see of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Text."""
        self.text += data


def page(routes: Routes, where: str = "127.0.0.1:1", base: str = "http://127.0.0.1:1") -> Tags:
    """The page for a table."""
    return Tags(asPage(template(), listed(Mounts(routes)), where, Way(base)))


def table() -> Routes:
    """Some routes, one with everything in it that HTML could take for its own."""
    routes = Routes(f"title {NASTY}")

    @routes.add("/x/{n}", group=f"group {NASTY}", example=f"/x/{NASTY}")
    def x(request: Request, n: str) -> Response:
        """Says <script>alert(2)</script> & "more"."""
        return Response()

    @routes.add("/socket", group="websocket", usual=101, example="/socket?much=1")
    def socket(request: Request) -> Response:
        """A conversation."""
        return Response()

    return routes


def test_escaped() -> None:
    """Nothing of the table, and nothing that the client says, becomes an element."""
    seen = page(table(), where=f"@{NASTY}", base=f"http://{NASTY}")
    scripts = [attributes for tag, attributes in seen.tags if tag == "script"]
    assert len(scripts) == 3
    assert all("src" in attributes for attributes in scripts)
    assert f"Hello from @{NASTY}!" in seen.text
    assert 'Says <script>alert(2)</script> & "more".' in seen.text


def test_ownFilesOnly() -> None:
    """All that the page loads is its own, and its policy allows it: nothing is inline."""
    for tag, attributes in page(table()).tags:
        assert not {name for name in attributes if name.startswith("on") or name == "style"}
        assert tag != "style"
        for name in ("src", "href", "action"):
            target = attributes.get(name)
            assert target is None or target[0] in "/#", (tag, attributes)


def test_anchors() -> None:
    """Every link within the page has its place."""
    seen = page(table()).tags
    places = {attributes.get("id") for _, attributes in seen}
    links = [attributes["href"] for tag, attributes in seen if tag == "a"]
    assert {str(link)[1:] for link in links if str(link).startswith("#")} <= places


def test_labels() -> None:
    """Every field has a label."""
    seen = page(table()).tags
    labelled = {attributes.get("for") for tag, attributes in seen if tag == "label"}
    fields = {
        attributes.get("id") for tag, attributes in seen if tag in ("input", "textarea", "select")
    }
    assert fields == labelled


def test_socket() -> None:
    """The console begins with the table's first WebSocket, whose row has no command."""
    seen = page(table())
    assert dict(seen.tags)["body"] == {}
    (path,) = [
        attributes["value"] for _, attributes in seen.tags if attributes.get("id") == "ws-path"
    ]
    assert path == "/socket"
    assert "curl http://127.0.0.1:1/socket" not in seen.text


@pytest.mark.parametrize(
    ("host", "isNamed"),
    [
        ("localhost:62893", True),
        ("[::1]:62893", True),
        ("a;script-src*", False),
        ("a b", False),
        ("", False),
    ],
)
def test_policy(host: str, isNamed: bool) -> None:
    """A host is named in the policy only if it cannot say anything else there."""
    said = policy(host)
    assert (f"ws://{host} wss://{host};" in said) == isNamed
    assert said.count(";") == 7
    assert "unsafe" not in said
