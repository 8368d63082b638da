"""Tests for L{loopbackd.http.openapi}."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

import pytest
from msgspec import Meta
from openapi_spec_validator import validate

from loopbackd.http.endpoints import Takes
from loopbackd.http.messages import Request, Response
from loopbackd.http.mounts import Mounts
from loopbackd.http.openapi import describe
from loopbackd.http.routes import Routes

Size = Annotated[int, Meta(ge=0, le=100, description="So many.")]


class Told(TypedDict):
    """What C{/told} answers."""

    name: str


def nothing(request: Request) -> Response:
    """Nothing."""
    return Response()


def described(routes: Routes, **mounted: Routes) -> dict[str, Any]:
    """The document for these, which must be valid."""
    site = Mounts(routes)
    for prefix, table in mounted.items():
        site.mount(f"/{prefix}", table)
    document = describe(site, title="test", version="1.2")
    validate(document)
    return document


class TestParameters:
    """What a handler's signature says is said to others."""

    def operation(self) -> Any:
        """A route that takes something of every kind."""
        routes = Routes("test")

        @routes.add(
            "/sizes/{n}/{name}",
            example="/sizes/16/some%20thing?seed=7",
            reads={"Range": "Which bytes."},
        )
        def sizes(
            request: Request,
            n: Size,
            name: str,
            *,
            must: str,
            seed: int | None = None,
            kind: Literal["a", "b"] = "a",
        ) -> Response:
            """
            So many, in C{bytes}.

            More about L{it}.
            @param n: not for others.
            """
            return Response()

        return described(routes)["paths"]["/sizes/{n}/{name}"]["get"]

    def test_path(self) -> None:
        """Variables have the bounds of their types, and what they are in the example."""
        n, name = self.operation()["parameters"][:2]
        assert n == {
            "name": "n",
            "in": "path",
            "required": True,
            "description": "So many.",
            "schema": {"type": "integer", "minimum": 0, "maximum": 100},
            "example": 16,
        }
        assert name["example"] == "some thing"

    def test_query(self) -> None:
        """A name without a default is required; L{None} is nothing that a client could write."""
        must, seed, kind = self.operation()["parameters"][2:5]
        assert must == {
            "name": "must",
            "in": "query",
            "required": True,
            "schema": {"type": "string"},
        }
        assert seed == {"name": "seed", "in": "query", "schema": {"type": "integer"}, "example": 7}
        assert kind["schema"] == {"enum": ["a", "b"], "default": "a"}

    def test_fields(self) -> None:
        """Header fields that change the answer are parameters."""
        field = self.operation()["parameters"][5]
        assert (field["name"], field["in"]) == ("Range", "header")

    def test_words(self) -> None:
        """The docstring is the summary and the description, without its markup."""
        operation = self.operation()
        assert operation["summary"] == "So many, in bytes."
        assert operation["description"] == "More about `it`."


def test_rest() -> None:
    """A variable for all that follows is one parameter, and says so."""
    routes = Routes("test")

    @routes.add("/all/{rest...}")
    def rest(request: Request, rest: str) -> Response:
        return Response()

    (parameter,) = described(routes)["paths"]["/all/{rest}"]["get"]["parameters"]
    assert "slashes" in parameter["description"]
    assert "minLength" not in parameter["schema"]


def test_onePathInOpenAPI() -> None:
    """Paths that differ in the names of their variables alone become one, and none is lost."""
    routes = Routes("test")

    @routes.add("/a/{one}", group="first")
    def one(request: Request, one: str) -> Response:
        """One."""
        return Response()

    @routes.add("/a/{two...}", methods=["GET", "PUT"])
    def two(request: Request, two: str) -> Response:
        """Two."""
        return Response()

    paths = described(routes)["paths"]
    assert list(paths) == ["/a/{one}"]
    assert paths["/a/{one}"]["get"]["description"].strip() == "Two."
    assert paths["/a/{one}"]["put"]["parameters"][0]["name"] == "one"


def test_anyMethod() -> None:
    """A route for any method is written down for those that OpenAPI has."""
    routes = Routes("test")
    routes.add("/x", methods=["*"], takes=Takes.WHOLE)(nothing)
    routes.add("/y", methods=["BREW"])(nothing)
    document = described(routes)
    assert list(document["paths"]["/x"]) == ["get", "put", "post", "delete", "patch", "trace"]
    assert document["paths"]["/y"] == {}
    bodies = [method for method, one in document["paths"]["/x"].items() if "requestBody" in one]
    assert bodies == ["put", "post", "delete", "patch"]


class TestResponses:
    """An answer that can come is there, and none that cannot."""

    def test_usual(self) -> None:
        """The usual answer has the media types, and the type of the JSON."""
        routes = Routes("test")
        types = ["application/json", "text/html; charset=utf-8"]
        routes.add("/told", returns=Told, produces=types)(nothing)
        document = described(routes)
        assert document["paths"]["/told"]["get"]["responses"]["200"]["content"] == {
            "application/json": {"schema": {"$ref": "#/components/schemas/Told"}},
            "text/html": {"schema": {"type": "string"}},
        }
        assert "Told" in document["components"]["schemas"]

    @pytest.mark.parametrize(("usual", "key"), [(302, "302"), (0, "default"), (204, "204")])
    def test_other(self, usual: int, key: str) -> None:
        """Where the usual status is another, 200 is not promised."""
        routes = Routes("test")
        routes.add("/x", usual=usual, answers={404: "None."})(nothing)
        responses = described(routes)["paths"]["/x"]["get"]["responses"]
        assert set(responses) == {key, "400", "404"}
        assert ("content" in responses[key]) == (usual == 302)

    def test_refusals(self) -> None:
        """What the stack itself can answer follows from what the route takes."""
        routes = Routes("test", errorType="text/html; charset=utf-8")

        @routes.add("/n/{n}", methods=["POST"], takes=Takes.WHOLE)
        def number(request: Request, n: int) -> Response:
            return Response()

        document = described(routes)
        responses = document["paths"]["/n/{n}"]["post"]["responses"]
        assert list(responses) == ["200", "400", "404", "413"]
        name = responses["404"]["$ref"].rpartition("/")[2]
        assert list(document["components"]["responses"][name]["content"]) == [
            "text/html",
            "text/plain",
        ]

    def test_anyStatus(self) -> None:
        """Where a client can ask for any status, what a refusal looks like is not promised."""
        routes = Routes("test")
        routes.add("/x", answers={0: "Any."})(nothing)
        responses = described(routes)["paths"]["/x"]["get"]["responses"]
        assert responses["default"] == {"description": "Any."}
        assert list(responses["400"]) == ["description"]

    def test_unfitWord(self) -> None:
        """A table that answers 400 for a word that does not fit promises no 404."""
        routes = Routes("test", unfitWord=400)

        @routes.add("/n/{n}")
        def number(request: Request, n: int) -> Response:
            return Response()

        assert list(described(routes)["paths"]["/n/{n}"]["get"]["responses"]) == ["200", "400"]


def test_forms() -> None:
    """A body that is a form has names and values, not just anything."""
    routes = Routes("test")
    types = ["application/x-www-form-urlencoded", "application/json"]
    routes.add("/x", methods=["POST"], takes=Takes.WHOLE, consumes=types)(nothing)
    content = described(routes)["paths"]["/x"]["post"]["requestBody"]["content"]
    assert content["application/x-www-form-urlencoded"]["schema"]["type"] == "object"
    assert content["application/json"] == {}


def test_events() -> None:
    """Text is a string; a stream of events is text that programs take apart."""
    routes = Routes("test")
    routes.add("/x", produces=["text/plain; charset=utf-8", "text/event-stream"])(nothing)
    content = described(routes)["paths"]["/x"]["get"]["responses"]["200"]["content"]
    assert content == {"text/plain": {"schema": {"type": "string"}}, "text/event-stream": {}}


def test_mounted() -> None:
    """A table under a prefix has tags, refusals and identifiers of its own."""
    root, other = Routes("root"), Routes("other", errorType="application/json")
    root.add("/x", group="some")(nothing)
    other.add("/x", group="some")(nothing)
    root.add("/go_x")(nothing)
    document = described(root, go=other)
    assert [tag["name"] for tag in document["tags"]] == [
        "some",
        "other",
        "/go some",
        "unruly",
        "slow",
    ]
    assert set(document["components"]["responses"]) == {"BadRequest", "goBadRequest"}
    identifiers = [one["get"]["operationId"] for one in document["paths"].values()]
    assert len(set(identifiers)) == 3


def test_unruly() -> None:
    """Why a program should keep away from a route stands in the document, under a tag."""
    routes = Routes("test")
    routes.add("/x", unruly="it never ends", slow=True)(nothing)
    document = described(routes)
    operation = document["paths"]["/x"]["get"]
    assert operation["x-unruly"] == "it never ends"
    assert operation["tags"] == ["other", "unruly", "slow"]
