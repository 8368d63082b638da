"""
Typed handlers by method and path.

A handler is a plain function or a coroutine function; its signature says what it takes from the
request, and so does the OpenAPI document that is made of it::

    routes = Routes("tests")

    @routes.add("/bytes/{n}", group="data", example="/bytes/16")
    def someBytes(request: Request, n: Size, *, seed: int | None = None) -> Response:
        '''So many random bytes; the same seed gives the same.'''

Behind the request come the variables of the path, and then, by keyword, names of the query. What
does not convert to the annotated type (see L{msgspec.convert}; bounds are
C{Annotated[int, Meta(ge=0)]}) is the client's mistake and never reaches the handler.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from loopbackd.http.endpoints import Endpoint, Handler, Takes, parametersOf, patternOf
from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import Answer, Request, Response, reasonFor


@dataclass(slots=True)
class Found:
    """What is to be called for a request, and the words its path has for the variables."""

    endpoint: Endpoint
    words: tuple[str, ...]


class Site(Protocol):
    """Whatever answers requests (see L{loopbackd.http.serving})."""

    def find(self, request: Request) -> Found:
        """
        Who answers; asked when the head is there.

        @raise HTTPError: 404 or 405, most often.
        """

    def failed(self, request: Request, error: HTTPError) -> Answer:
        """How an error is told."""

    def finish(self, request: Request, answer: Response) -> None:
        """Add what every answer has."""


@dataclass
class _Place:
    """The endpoints of one path, by method."""

    pattern: re.Pattern[str] | None
    byMethod: dict[str, Endpoint] = field(default_factory=dict)

    @property
    def allowed(self) -> str:
        return ", ".join(self.byMethod)


def plainly(request: Request, error: HTTPError) -> Response:
    """An error as one line of text."""
    text = f"{error.status} {reasonFor(error.status)}: {error.detail}".rstrip(": ") + "\n"
    return Response(
        error.status, text.encode(), "text/plain; charset=utf-8", fields=[*error.fields]
    )


class Routes:
    """
    A table of handlers.

    @param title: what these are, for the documents made of the table.
    @ivar failed: makes the answer for an error; one line of text by default.
    @ivar finish: adds to every answer what all have.
    @ivar unfitWord: the status where a word of the path is no whole number, and should be; one that
        does not convert for another reason is always 400.
    @ivar errorType: the media type of those answers.
    """

    def __init__(
        self,
        title: str,
        *,
        failed: Callable[[Request, HTTPError], Answer] = plainly,
        finish: Callable[[Request, Response], None] = lambda request, answer: None,
        options: Callable[[Request, str], Response] | None = None,
        unfitWord: int = 404,
        errorType: str = "text/plain; charset=utf-8",
    ) -> None:
        self.title = title
        self.failed = failed
        self.finish = finish
        self.unfitWord = unfitWord
        self.errorType = errorType
        self._options = options or _plainOptions
        self._plain: dict[bytes, _Place] = {}
        self._bySegment: dict[str, list[_Place]] = {}
        self._templates: dict[str, _Place] = {}
        self.endpoints: list[Endpoint] = []

    def add(
        self,
        template: str,
        *,
        methods: Iterable[str] = ("GET",),
        takes: Takes = Takes.NOTHING,
        group: str = "",
        example: str | None = None,
        answers: Mapping[int, str] | None = None,
        produces: Iterable[str] = ("application/json",),
        usual: int = 200,
        consumes: Iterable[str] = ("*/*",),
        reads: Mapping[str, str] | None = None,
        returns: Any = None,
        unruly: str = "",
        anyCase: bool = False,
        slow: bool = False,
        accepts: Any = None,
    ) -> Callable[[Handler], Handler]:
        """Have the decorated function answer for a path; see L{Endpoint} for the parameters."""

        def added(handler: Handler) -> Handler:
            names = re.findall(r"\{(\w+)", template)
            variables, options = parametersOf(handler, names)
            endpoint = Endpoint(
                template,
                tuple(methods),
                handler,
                takes,
                variables,
                options,
                group,
                example,
                answers or {},
                tuple(produces),
                usual,
                tuple(consumes),
                reads or {},
                returns,
                unruly,
                anyCase,
                slow,
                accepts,
            )
            self._enter(endpoint)
            return handler

        return added

    def _enter(self, endpoint: Endpoint) -> None:
        template = endpoint.template
        place = self._templates.get(template)
        if place is None:
            pattern = patternOf(template) if "{" in template else None
            place = self._templates[template] = _Place(pattern)
            if pattern is None:
                self._plain[template.encode()] = place
            else:
                self._bySegment.setdefault(_first(template), []).append(place)
        for method in endpoint.methods:
            if method in place.byMethod:
                raise ValueError(f"{method} {template} is there twice")
            place.byMethod[method] = endpoint
        if "GET" in place.byMethod:
            place.byMethod.setdefault("HEAD", place.byMethod["GET"])
        self.endpoints.append(endpoint)

    def extend(self, other: Routes) -> None:
        """Take over the endpoints of another table; how errors look is this one's."""
        for endpoint in other.endpoints:
            self._enter(endpoint)

    def find(self, request: Request) -> Found:
        """See L{Site.find}."""
        return self.findPath(request, request.rawPath)

    def findPath(self, request: Request, path: bytes) -> Found:
        """
        Who answers for that path.

        @raise HTTPError: 404, 405, or L{unfitWord}.
        """
        place = self._plain.get(path)
        words: tuple[str, ...] = ()
        if place is None:
            place, words = self._search(path)
        endpoint = place.byMethod.get(request.method) or place.byMethod.get("*")
        if endpoint is None:
            if request.method == "OPTIONS":
                return Found(self._optionsEndpoint(place), ())
            raise HTTPError(
                405,
                f"{request.method[:20]} is not for this path; it takes {place.allowed}",
                [("Allow", f"{place.allowed}, OPTIONS")],
            )
        if words and self.unfitWord != 400:
            _check(endpoint, words, self.unfitWord)
        return Found(endpoint, words)

    def _search(self, path: bytes) -> tuple[_Place, tuple[str, ...]]:
        if path == b"*":
            return _Place(None), ()
        text = path.decode("ascii", "replace")
        segment = text[1:].partition("/")[0]
        for places in (self._bySegment.get(segment), self._bySegment.get("")):
            for place in places or ():
                assert place.pattern is not None
                match = place.pattern.fullmatch(text)
                if match is not None:
                    return place, tuple(_unquoted(word) for word in match.groups())
        if b"%" in path:
            plain = self._plain.get(unquote_to_bytes(path))
            if plain is not None:
                return plain, ()
        if path.startswith(b"//"):
            # Whoever puts an address and a path together has two, now and then.
            path = b"/" + path.lstrip(b"/")
            plain = self._plain.get(path)
            return self._search(path) if plain is None else (plain, ())
        raise HTTPError(404, f"there is nothing at {text[:200]}")

    def _optionsEndpoint(self, place: _Place) -> Endpoint:
        allowed = ", ".join([*place.byMethod, "OPTIONS"])

        def options(request: Request) -> Response:
            return self._options(request, allowed)

        return Endpoint("*", ("OPTIONS",), options, Takes.NOTHING, (), (), "", None, {}, ())


def _plainOptions(request: Request, allowed: str) -> Response:
    return Response(204, fields=[("Allow", allowed)])


def _check(endpoint: Endpoint, words: tuple[str, ...], status: int) -> None:
    """Refuse what is no whole number where one belongs; whether it fits is seen later."""
    for parameter, word in zip(endpoint.variables, words, strict=True):
        if parameter.isWhole and not (word.isascii() and word.isdigit()):
            raise HTTPError(status, f"{parameter.name} = {word[:60]!r} is no whole number")


def _first(template: str) -> str:
    """The first segment, by which a template is looked up; empty if that is a variable."""
    segment = template[1:].partition("/")[0]
    return "" if "{" in segment else segment


def _unquoted(word: str) -> str:
    return unquote_to_bytes(word).decode("utf-8", "replace") if "%" in word else word
