"""
Bodies as Toxiproxy reads them: one JSON value, whatever follows.

Names of members match in any case, the last of several counts, C{null} says nothing, and unknown
ones are ignored; here they are at least told of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from loopbackd.http.errors import HTTPError
from loopbackd.loglines import escape

_LONE: Final = re.compile("[\ud800-\udfff]")
_KINDS: Final = {
    str: "string",
    bool: "bool",
    int: "number",
    float: "number",
    dict: "object",
    list: "array",
    type(None): "null",
}


def bad(why: str) -> HTTPError:
    """The body cannot be used."""
    return HTTPError(400, f"bad request body: {why}")


def firstValue(body: bytes) -> Any:
    """
    The JSON value that a body begins with.

    @raise HTTPError: 400; there is none.
    """
    try:
        text = body.decode("utf-8-sig").lstrip(" \t\r\n")
    except UnicodeDecodeError as error:
        raise bad(f"not UTF-8 at byte {error.start}") from None
    if not text:
        raise bad("EOF")
    try:
        return _whole(_DECODER.raw_decode(text)[0])
    except json.JSONDecodeError as error:
        isCut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
        if isCut:
            raise bad("unexpected EOF") from None
        raise bad(f"invalid character {text[error.pos]!r}: {error.msg.lower()}") from None
    except RecursionError:
        raise bad("it is nested too deeply") from None
    except ValueError as error:
        raise bad(str(error)) from None


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_constant)


def _whole(value: Any) -> Any:
    """The same with U+FFFD for each half of a surrogate pair, which is no text."""
    if isinstance(value, str):
        return _LONE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole(one) for one in value]
    if isinstance(value, dict):
        return {_whole(key): _whole(one) for key, one in value.items()}
    return value


class Members:
    """
    The members of an object.

    @param value: what should be one; C{null} is an empty one.
    @param known: the names of members that mean something, in lower case.
    @ivar unknown: the names of the others.
    @raise HTTPError: 400; it is none.
    """

    def __init__(self, value: Any, known: frozenset[str], what: str = "the body") -> None:
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise bad(f"{what} is no object but {_KINDS[type(value)]}")
        self._found: dict[str, Any] = {}
        self.unknown: list[str] = []
        for name, one in value.items():
            plain = name.lower()
            if plain not in known:
                self.unknown.append(name)
            elif one is not None:
                self._found[plain] = one

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def _take(self, name: str, kind: type | tuple[type, ...], wanted: str, default: Any) -> Any:
        value = self._found.get(name, default)
        isRight = isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool)
        if name in self._found and not isRight:
            raise bad(f"{name} is no {wanted} but {_KINDS[type(value)]}")
        return value

    def any(self, name: str) -> Any:
        """Whatever it is; L{None} without one."""
        return self._found.get(name)

    def text(self, name: str, default: str) -> str:
        """A string."""
        found: str = self._take(name, str, "string", default)
        return found

    def truth(self, name: str, default: bool) -> bool:
        """True or false."""
        found: bool = self._take(name, bool, "bool", default)
        return found

    def number(self, name: str) -> float | None:
        """A number; L{None} without one."""
        found: float | None = self._take(name, (int, float), "number", None)
        return found

    def object(self, name: str) -> Mapping[str, Any]:
        """Another object."""
        found: Mapping[str, Any] = self._take(name, dict, "object", {})
        return found

    def array(self, name: str) -> list[Any]:
        """A list."""
        found: list[Any] = self._take(name, list, "array", [])
        return found


_LONGEST_NAME: Final = 200


def checkName(name: str) -> str:
    """
    The same name, if it can stand in a line of the log.

    @raise HTTPError: 400; the message says what is wrong with it.
    """
    if len(name) > _LONGEST_NAME:
        raise HTTPError(400, f"name: it has {len(name)} characters; {_LONGEST_NAME} are the most")
    if escape(name) != name:
        raise HTTPError(400, f"name = {name!r}: it has characters that cannot be seen")
    return name
