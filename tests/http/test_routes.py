"""Tests for L{loopbackd.http.routes}."""

from __future__ import annotations

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta
from visiting import Answered, ask

from loopbackd.http.messages import Request, Response
from loopbackd.http.mounts import Mounts
from loopbackd.http.routes import Routes

Size = Annotated[int, Meta(ge=0, le=100)]


def text(value: object) -> Response:
    """That, as text."""
    return Response(200, repr(value).encode(), "text/plain")


def makeRoutes(unfitWord: int = 404) -> Routes:
    """A table with every kind of path."""
    routes = Routes("test", unfitWord=unfitWord)

    @routes.add("/plain", methods=["GET", "POST"])
    def plain(request: Request) -> Response:
        return text("plain")

    @routes.add("/size/{n}")
    def size(request: Request, n: Size, *, seed: int | None = None, wide: bool = False) -> Response:
        return text((n, seed, wide))

    @routes.add("/two/{a}/{b}")
    def two(request: Request, a: str, b: str) -> Response:
        return text((a, b))

    @routes.add("/rest/{rest...}", methods=["*"])
    def rest(request: Request, rest: str) -> Response:
        return text(rest)

    @routes.add("/must")
    def must(request: Request, *, url: str) -> Response:
        return text(url)

    @routes.add("/{any}/tail")
    def tail(request: Request, any: str) -> Response:
        return text(any)

    return routes


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("/plain", "'plain'"),
        ("/plain?x", "'plain'"),
        ("/%70lain", "'plain'"),
        ("/size/5", "(5, None, False)"),
        ("/size/5?seed=-1&wide=true&seed=2", "(5, -1, True)"),
        ("/two/a%2Fb/c%20d", "('a/b', 'c d')"),
        ("/two/%e4%b8%ad/%ff", "('中', '\ufffd')"),
        ("/rest/", "''"),
        ("/rest/a/b//c", "'a/b//c'"),
        ("/must?url=http%3A%2F%2Fx+y", "'http://x y'"),
        ("/odd/tail", "'odd'"),
        ("http://elsewhere/plain", "'plain'"),
    ],
)
def test_found(target: str, wanted: str) -> None:
    """The handler gets what its signature asks for."""
    answered = ask(makeRoutes(), target)
    assert (answered.status, answered.text) == (200, wanted)


@pytest.mark.parametrize(
    ("target", "status", "word"),
    [
        ("/nowhere", 404, "/nowhere"),
        ("/plain/", 404, "/plain/"),
        ("/size/", 404, "/size/"),
        ("/size/x", 404, "n = 'x'"),
        ("/size/-1", 404, "no whole number"),
        ("/size/101", 400, "100"),
        ("/size/5?seed=x", 400, "seed = 'x'"),
        ("/size/5?wide=maybe", 400, "wide"),
        ("/two/a", 404, "/two/a"),
        ("/must", 400, "url"),
        ("/a/b/tail", 404, "tail"),
    ],
)
def test_notFound(target: str, status: int, word: str) -> None:
    """What does not fit is told with the name and the value."""
    answered = ask(makeRoutes(), target)
    assert answered.status == status
    assert word in answered.text


def test_unfitWord() -> None:
    """A table can call a word that does not fit a bad request."""
    assert ask(makeRoutes(400), "/size/x").status == 400


def test_methods() -> None:
    """HEAD comes with GET, OPTIONS with everything, and what is not there is 405 with Allow."""
    routes = makeRoutes()
    assert ask(routes, "/plain", "HEAD").status == 200
    assert ask(routes, "/plain", "POST").status == 200
    refused = ask(routes, "/plain", "DELETE")
    assert (refused.status, refused.get("Allow")) == (405, "GET, POST, HEAD, OPTIONS")
    options = ask(routes, "/size/3", "OPTIONS")
    assert (options.status, options.get("Allow")) == (204, "GET, HEAD, OPTIONS")
    assert ask(routes, "/rest/x", "BREW").text == "'x'"
    assert ask(routes, "*", "OPTIONS").status == 204


def test_mounts() -> None:
    """Below its prefix a table has everything, also how errors look."""
    root, inner = makeRoutes(), makeRoutes(400)
    inner.failed = lambda request, error: Response(error.status, b"inner")
    mounts = Mounts(root)
    mounts.mount("/in", inner)
    assert ask(mounts, "/in/plain").text == "'plain'"
    assert ask(mounts, "/in/size/x").body == b"inner"
    assert ask(mounts, "/in").body == b"inner"
    assert ask(mounts, "/inside").status == 404
    assert ask(mounts, "/plain").text == "'plain'"


def test_mistakesInTheTable() -> None:
    """A handler that does not fit its path is found when the table is made."""
    routes = makeRoutes()
    with pytest.raises(ValueError, match="twice"):
        routes.add("/plain")(lambda request: Response())
    with pytest.raises(ValueError, match="its path has"):
        routes.add("/x/{name}")(lambda request, other: Response())


def test_summary() -> None:
    """The first paragraph of the docstring says what a route is for."""
    routes = Routes("test")

    @routes.add("/")
    def documented(request: Request) -> Response:
        """
        Short, and over
        two lines.

        The rest is for those who read the source.
        """
        return Response()

    assert routes.endpoints[0].summary == "Short, and over two lines."


@given(st.text(alphabet=st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=40))
def test_anyTarget(rest: str) -> None:
    """Whatever the target, somebody answers, and it is never our mistake."""
    answered: Answered = ask(makeRoutes(), "/" + rest.replace("#", ""))
    assert answered.status in (200, 400, 404)


def test_anyCase() -> None:
    """Where a route says so, names of the query are understood in any case."""
    routes = Routes("two")

    @routes.add("/any", anyCase=True)
    def anyCase(request: Request, *, seed: int = 0) -> Response:
        return Response(200, b"%d" % seed)

    @routes.add("/one")
    def oneCase(request: Request, *, seed: int = 0) -> Response:
        return Response(200, b"%d" % seed)

    assert ask(routes, "/any?Seed=5").text == "5"
    assert ask(routes, "/any?SEED=5&seed=6").text == "6"
    assert ask(routes, "/one?Seed=5").text == "0"


def test_twoSlashes() -> None:
    """An address that ends with a slash and a path that begins with one lead to the path."""
    assert ask(makeRoutes(), "//plain").status == 200
    assert ask(makeRoutes(), "///size/5").status == 200
    assert ask(makeRoutes(), "//nowhere").status == 404


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "x", "-1"])
def test_noNumber(text: str) -> None:
    """What cannot be reckoned with is no number."""
    routes = Routes("one")

    @routes.add("/wait")
    def wait(request: Request, *, seconds: Annotated[float, Meta(ge=0)]) -> Response:
        return Response(200)

    assert ask(routes, f"/wait?seconds={text}").status == 400
    assert ask(routes, "/wait?seconds=1.5").status == 200
