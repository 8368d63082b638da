"""Tests for L{loopbackd.protocols.httpbin.listing}."""

from __future__ import annotations

import pytest

from loopbackd.http.endpoints import Takes
from loopbackd.http.messages import Request, Response
from loopbackd.http.mounts import Mounts
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.listing import HIDDEN, Row, Way, asText, listed

WAY = Way("http://localhost:62893")


def nothing(request: Request) -> Response:
    """Nothing."""
    return Response()


def rows(routes: Routes) -> list[Row]:
    """Those of one table."""
    return [row for part in listed(Mounts(routes)) for group in part.groups for row in group.rows]


@pytest.mark.parametrize(
    ("options", "command"),
    [
        ({}, "curl http://localhost:62893/x"),
        ({"example": "/x?a=1&b='"}, """curl 'http://localhost:62893/x?a=1&b='"'"''"""),
        ({"example": "/x?a[b]={c}"}, "curl 'http://localhost:62893/x?a%5Bb%5D=%7Bc%7D'"),
        ({"methods": ["DELETE"]}, "curl -X DELETE http://localhost:62893/x"),
        ({"methods": ["POST"]}, "curl -X POST http://localhost:62893/x"),
        (
            {"methods": ["POST"], "takes": Takes.WHOLE},
            "curl -d name=value http://localhost:62893/x",
        ),
        (
            {"methods": ["PUT"], "takes": Takes.PIECES, "consumes": ["application/json"]},
            """curl -X PUT --json '{"name": "value"}' http://localhost:62893/x""",
        ),
        ({"methods": ["*"], "takes": Takes.WHOLE}, "curl http://localhost:62893/x"),
        ({"usual": 101}, None),
    ],
)
def test_command(options: dict[str, object], command: str | None) -> None:
    """The example of a route, as one types it in a shell."""
    routes = Routes("test")
    routes.add("/x", **options)(nothing)  # type: ignore[arg-type]
    (row,) = rows(routes)
    assert row.command(WAY) == command


def test_noExample() -> None:
    """A path with variables that shows no example has no command."""
    routes = Routes("test")

    @routes.add("/x/{n}")
    def x(request: Request, n: int) -> Response:
        return Response()

    (row,) = rows(routes)
    assert row.command(WAY) is None
    assert not row.isLink


def test_unixSocket() -> None:
    """Who came by a unix socket is told how to come again."""
    way = Way("http://localhost", "/run/a socket")
    assert way.curl("/ip") == "curl --unix-socket '/run/a socket' http://localhost/ip"


def test_tls() -> None:
    """Who came by TLS is told how to trust the certificate."""
    wanted = 'curl --cacert "$(loopbackd ca show --path)" https://localhost/ip'
    assert Way("https://localhost").curl("/ip") == wanted


def site() -> Mounts:
    """Two tables."""
    root, other = Routes("the root"), Routes("the others")
    root.add("/a", group="some")(nothing)
    root.add("/b", group="more")(nothing)
    root.add("/c", group="some")(nothing)
    root.add("/hidden", group=HIDDEN)(nothing)
    other.add("/a", group="some")(nothing)
    found = Mounts(root)
    found.mount("/go", other)
    return found


def test_order() -> None:
    """Routes stand in their groups, groups in the order of the table, prefixes last."""
    found = [(part.prefix, group.name, [row.path for row in group.rows])
             for part in listed(site()) for group in part.groups]  # fmt: skip
    assert found == [
        ("", "some", ["/a", "/c"]),
        ("", "more", ["/b"]),
        ("/go", "some", ["/go/a"]),
    ]


def test_asText() -> None:
    """A terminal gets the greeting, every path, and a command for each group."""
    text = asText(listed(site()), "Hello from there!", WAY)
    assert text.startswith("Hello from there!\n")
    assert "\nsome\n    /a /c\n\n    $ curl http://localhost:62893/a\n" in text
    assert "the others, under /go:" in text
    assert all(len(line) < 100 for line in text.splitlines())
