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

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol, get_type_hints
from urllib.parse import unquote_to_bytes

import msgspec

from loopbackd.http.messages import Answer, HTTPError, Request, Response, reasonFor

Handler = Callable[..., Answer | Awaitable[Answer]]


class Takes(Enum):
    """What a route does with the body of a request."""

    NOTHING = "it is read and thrown away"
    WHOLE = "the handler is called when all of it is there"
    EXACT = "as WHOLE, and what frames it is kept as well"
    PIECES = "the handler is called at once and reads it as it comes"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A name that a handler takes from the path or from the query."""

    name: str
    type: Any
    required: bool
    default: Any = None

    @property
    def isWhole(self) -> bool:
        """Whether it is a whole number."""
        return self.type is int or getattr(self.type, "__origin__", None) is int

    def convert(self, text: str) -> Any:
        """
        The value a client wrote.

        @raise HTTPError: 400; it is none of that type, or out of its bounds.
        """
        try:
            return msgspec.convert(text, self.type, strict=False)
        except msgspec.ValidationError as error:
            why = str(error).replace("`", "")
            raise HTTPError(400, f"{self.name} = {text[:60]!r}: {why}") from None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    A handler in its place.

    @ivar template: the path; C{{name}} stands for one segment, C{{name...}} for all that follow.
    @ivar methods: those it answers; HEAD and OPTIONS come by themselves.
    @ivar group: the heading it stands under in the index.
    @ivar example: a path with a query that shows something.
    @ivar answers: the statuses it means to send, besides the usual one, and what each says.
    @ivar produces: the media types of its usual answer.
    @ivar usual: the status where nothing goes wrong; 0 where the client chooses it.
    @ivar consumes: the media types of bodies it understands.
    @ivar reads: header fields of the request that change the answer, and how.
    @ivar returns: the type of the JSON in its usual answer, where that is worth saying.
    @ivar unruly: why a program that checks answers should keep away: they are broken on purpose,
        or without end. Empty where it need not.
    @ivar anyCase: names of the query are understood in upper case, too.
    @ivar slow: it takes the time that the client asks for.
    """

    template: str
    methods: tuple[str, ...]
    handler: Handler
    takes: Takes
    variables: tuple[Parameter, ...]
    options: tuple[Parameter, ...]
    group: str
    example: str | None
    answers: Mapping[int, str]
    produces: tuple[str, ...]
    usual: int = 200
    consumes: tuple[str, ...] = ("*/*",)
    reads: Mapping[str, str] = field(default_factory=dict)
    returns: Any = None
    unruly: str = ""
    anyCase: bool = False
    slow: bool = False

    @property
    def summary(self) -> str:
        """What it is for, in one sentence."""
        said = (inspect.getdoc(self.handler) or "").partition("\n\n")[0].replace("\n", " ")
        return re.sub(r"\b[CL]\{([^{}]*)\}", r"\1", said)

    def call(self, request: Request, words: tuple[str, ...]) -> Answer | Awaitable[Answer]:
        """
        Have the handler answer.

        @param words: what stands in the request for each variable of the path.
        @raise HTTPError: the client's mistake.
        """
        if not self.variables and not self.options:
            return self.handler(request)
        values = [one.convert(word) for one, word in zip(self.variables, words, strict=True)]
        named = {}
        for one in self.options:
            text = request.argument(one.name)
            if text is None and self.anyCase:
                text = _argumentInAnyCase(request, one.name)
            if text is not None:
                named[one.name] = one.convert(text)
            elif one.required:
                raise HTTPError(400, f"the query lacks {one.name}")
        return self.handler(request, *values, **named)


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
    ) -> Callable[[Handler], Handler]:
        """Have the decorated function answer for a path; see L{Endpoint} for the parameters."""

        def added(handler: Handler) -> Handler:
            names = re.findall(r"\{(\w+)", template)
            variables, options = _parameters(handler, names)
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
        if self.unfitWord != 400:
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


def _argumentInAnyCase(request: Request, name: str) -> str | None:
    for key, value in request.query:
        if key.lower() == name.lower():
            return value
    return None


def _check(endpoint: Endpoint, words: tuple[str, ...], status: int) -> None:
    """Refuse what is no whole number where one belongs; whether it fits is seen later."""
    for parameter, word in zip(endpoint.variables, words, strict=True):
        if parameter.isWhole and not (word.isascii() and word.isdigit()):
            raise HTTPError(status, f"{parameter.name} = {word[:60]!r} is no whole number")


def _first(template: str) -> str:
    """The first segment, by which a template is looked up; empty if that is a variable."""
    segment = template[1:].partition("/")[0]
    return "" if "{" in segment else segment


def patternOf(template: str) -> re.Pattern[str]:
    """What paths a template stands for; a group for each variable."""
    parts = re.split(r"(\{\w+(?:\.\.\.)?\})", template)
    wanted = ""
    for part in parts:
        if not part.startswith("{"):
            wanted += re.escape(part)
        else:
            wanted += "(.*)" if part.endswith("...}") else "([^/]+)"
    return re.compile(wanted, re.S)


def _unquoted(word: str) -> str:
    return unquote_to_bytes(word).decode("utf-8", "replace") if "%" in word else word


def _parameters(
    handler: Handler, names: list[str]
) -> tuple[tuple[Parameter, ...], tuple[Parameter, ...]]:
    hints = get_type_hints(handler, include_extras=True)
    variables, options = [], []
    for parameter in list(inspect.signature(handler).parameters.values())[1:]:
        hint = hints.get(parameter.name, str)
        isRequired = parameter.default is parameter.empty
        default = None if isRequired else parameter.default
        one = Parameter(parameter.name, hint, isRequired, default)
        if parameter.kind is parameter.KEYWORD_ONLY:
            options.append(one)
        else:
            variables.append(one)
    if [one.name for one in variables] != names:
        raise ValueError(f"{handler.__name__} takes {variables}, its path has {names}")
    return tuple(variables), tuple(options)
