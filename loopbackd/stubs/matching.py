"""Whether a request is as a stub, or somebody who counts, wants it; and where it is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from loopbackd.explaining import shown
from loopbackd.http.fields import TOKEN
from loopbackd.httpsettings import BodyWanted, Conditions, Text, Wanted
from loopbackd.stubs.asked import NOT_JSON, Asked, Pairs
from loopbackd.stubs.jsonvalues import checkJSON, isEqual, isSubset
from loopbackd.stubs.paths import Locate, Words, byRegex, byTemplate
from loopbackd.stubs.wanted import compiled, valuesCheck

_PATH_WEIGHT: Final = 4
"""Another path makes a request less alike than another header field."""


@dataclass(frozen=True, slots=True)
class Condition:
    """
    One thing a request must be like.

    @ivar what: of what, in words.
    @ivar wanted: how, in words.
    @ivar holds: whether it is.
    @ivar saw: how it is, in words.
    @ivar weight: how much it says that it is not.
    """

    what: str
    wanted: str
    holds: Callable[[Asked], bool]
    saw: Callable[[Asked], str]
    weight: int = 1

    def difference(self, asked: Asked) -> str:
        """What is not as wanted, in words."""
        return f"{self.what} is {self.saw(asked)}, wanted is {self.wanted}"


class Matcher:
    """
    All that is wanted of a request.

    @raise ValueError: of what is wanted something is wrong; the message begins with its key.
    @ivar head: the conditions that can be looked at before the body is there.
    @ivar body: the others.
    """

    __slots__ = ("_locate", "body", "head")

    def __init__(self, wanted: Conditions) -> None:
        self.head: list[Condition] = []
        self._locate: Locate | None = None
        methods = (wanted.method,) if isinstance(wanted.method, str) else wanted.method
        if methods:
            self.head.append(_method(methods))
        if wanted.path is not None and wanted.path_regex is not None:
            raise ValueError("path and path_regex are both given; leave one of them out")
        if wanted.path is not None:
            self._addPath(byTemplate(wanted.path), wanted.path)
        elif wanted.path_regex is not None:
            self._addPath(byRegex(wanted.path_regex), wanted.path_regex)
        self.head += _named("query", wanted.query, lambda asked: asked.query)
        for name in wanted.headers:
            if not name.isascii() or TOKEN.fullmatch(name.encode()) is None:
                raise ValueError(f"headers: {shown(name)} is no name of a header field")
        self.head += [_field(name, value) for name, value in wanted.headers.items()]
        self.head += _named("cookies", wanted.cookies, lambda asked: asked.cookies)
        self.body = [] if wanted.body is None else _body(wanted.body)

    def _addPath(self, locate: Locate, wanted: str) -> None:
        self._locate = locate
        self.head.append(
            Condition(
                "the path",
                shown(wanted),
                lambda asked: locate(asked) is not None,
                lambda asked: shown(asked.path),
                _PATH_WEIGHT,
            )
        )

    def matchesHead(self, asked: Asked) -> bool:
        """Whether all but the body is as wanted."""
        # Of many stubs all but one end here: a generator would cost more than the condition.
        for condition in self.head:  # noqa: SIM110
            if not condition.holds(asked):
                return False
        return True

    def matchesBody(self, asked: Asked) -> bool:
        """Whether the body is as wanted."""
        return all(condition.holds(asked) for condition in self.body)

    def matches(self, asked: Asked) -> bool:
        """Whether all is as wanted."""
        return self.matchesHead(asked) and self.matchesBody(asked)

    def words(self, asked: Asked) -> Words:
        """What the path, which is as wanted, has for its variables."""
        return (self._locate(asked) or {}) if self._locate is not None else {}

    def differences(self, asked: Asked) -> list[Condition]:
        """What is not as wanted."""
        return [one for one in (*self.head, *self.body) if not one.holds(asked)]


def hasPatterns(wanted: Conditions) -> bool:
    """Whether there is a regular expression among them."""
    named = [wanted.query, wanted.headers, wanted.cookies]
    if wanted.body is not None:
        named.append(wanted.body.form)
    texts = [one for values in named for one in values.values() if isinstance(one, Text)]
    return (
        wanted.path_regex is not None
        or (wanted.body is not None and wanted.body.regex is not None)
        or any(one.regex is not None or one.not_regex is not None for one in texts)
    )


def distance(differences: list[Condition]) -> int:
    """How much a request lacks."""
    return sum(condition.weight for condition in differences)


def _method(methods: tuple[str, ...]) -> Condition:
    for method in methods:
        if not method.isascii() or TOKEN.fullmatch(method.encode()) is None:
            raise ValueError(f"method = {shown(method)}: not a method; write GET, POST or so")
        if method != method.upper() and method.upper() in _KNOWN:
            raise ValueError(f"method = {shown(method)}: write {method.upper()}, case matters")
    accepted = frozenset(methods) | ({"HEAD"} if "GET" in methods else set())
    return Condition(
        "the method",
        " or ".join(methods),
        lambda asked: asked.method in accepted,
        lambda asked: shown(asked.method)[1:-1],
        2,
    )


_KNOWN: Final = frozenset(
    ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"]
)


def _values(pairs: Pairs, name: str) -> list[str]:
    return [value for key, value in pairs if key == name]


def _inWords(values: list[str]) -> str:
    if not values:
        return "not there"
    return shown(values[0]) if len(values) == 1 else shown(values)


def _named(
    key: str, wanted: Mapping[str, Wanted], pairs: Callable[[Asked], Pairs]
) -> list[Condition]:
    return [_one(key, name, value, pairs) for name, value in wanted.items()]


def _one(key: str, name: str, wanted: Wanted, pairs: Callable[[Asked], Pairs]) -> Condition:
    check, inWords = valuesCheck(wanted, f"{key}: {name}")
    return Condition(
        f"{key} {shown(name)}",
        inWords,
        lambda asked: check(_values(pairs(asked), name)),
        lambda asked: _inWords(_values(pairs(asked), name)),
    )


def _field(name: str, wanted: Wanted) -> Condition:
    check, inWords = valuesCheck(wanted, f"headers: {name}")
    key = name.lower().encode()
    return Condition(
        f"the field {name}",
        inWords,
        # Most requests lack most fields: that is found out without taking them apart.
        lambda asked: check(asked.fields.getAll(name) if key in asked.fields.combined else []),
        lambda asked: _inWords(asked.fields.getAll(name)),
    )


def _body(wanted: BodyWanted) -> list[Condition]:
    found: list[Condition] = []

    def add(inWords: str, holds: Callable[[Asked], bool]) -> None:
        found.append(Condition("the body", inWords, holds, lambda asked: shown(asked.text)))

    if wanted.text is not None:
        exact = wanted.text.encode()
        add(shown(wanted.text), lambda asked: asked.body == exact)
    if wanted.contains is not None:
        part = wanted.contains.encode()
        add(f"something with {shown(wanted.contains)}", lambda asked: part in asked.body)
    if wanted.regex is not None:
        pattern = compiled(wanted.regex, "body: regex")
        add(
            f"a match of {shown(wanted.regex)}",
            lambda asked: pattern.fullmatch(asked.text) is not None,
        )
    if wanted.json is not msgspec.UNSET:
        checkJSON(wanted.json, "body: json")
        add(
            f"the JSON {shown(wanted.json)}",
            lambda asked: asked.json is not NOT_JSON and isEqual(wanted.json, asked.json),
        )
    if wanted.json_subset is not msgspec.UNSET:
        checkJSON(wanted.json_subset, "body: json_subset")
        add(
            f"JSON with {shown(wanted.json_subset)}",
            lambda asked: asked.json is not NOT_JSON and isSubset(wanted.json_subset, asked.json),
        )
    found += _named("form", wanted.form, lambda asked: asked.form)
    return found
