"""A handler in its place: what it takes from a request, by its signature, and what it promises."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import reduce
from operator import or_
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from loopbackd.explaining import misfit
from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import Answer, Request

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
            value = msgspec.convert(text, self.type, strict=False)
        except msgspec.ValidationError as error:
            # All that a client writes there is text, so that its type says nothing.
            why = misfit(str(error).partition(", got ")[0], text, self.type)
            raise HTTPError(400, f"{self.name} = {text[:60]!r}: {why}") from None
        if isinstance(value, float) and value - value != 0:
            # No bound keeps "nan" out, for it is neither above nor below.
            raise HTTPError(400, f"{self.name} = {text[:60]!r} is no number to reckon with")
        return value


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
    @ivar accepts: the type of the JSON in the request's body, where that is worth saying.
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
    accepts: Any = None

    @property
    def summary(self) -> str:
        """What it is for, in one sentence."""
        said = (inspect.getdoc(self.handler) or "").partition("\n\n")[0].replace("\n", " ")
        return withoutMarks(said)

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


def _argumentInAnyCase(request: Request, name: str) -> str | None:
    for key, value in request.query:
        if key.lower() == name.lower():
            return value
    return None


def withoutMarks(text: str) -> str:
    """Text without the marks of our docstrings, C{C{}} and C{L{}}."""
    return re.sub(r"\b[CL]\{([^{}]*)\}", r"\1", text)


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


def parametersOf(
    handler: Handler, names: list[str]
) -> tuple[tuple[Parameter, ...], tuple[Parameter, ...]]:
    """
    What a handler takes from the path, and from the query.

    @param names: the variables of the path, in order.
    """
    hints = get_type_hints(handler, include_extras=True)
    variables, options = [], []
    for parameter in list(inspect.signature(handler).parameters.values())[1:]:
        hint = _withoutNone(hints.get(parameter.name, str))
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


def _withoutNone(hint: Any) -> Any:
    """What a client can write: L{None} only says that it may leave the name out."""
    if get_origin(hint) in (Union, UnionType):
        return reduce(or_, (one for one in get_args(hint) if one is not NoneType))
    return hint
