"""Which of several representations a client would rather have (RFC 9110 section 12)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_WEIGHT: Final = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.A)
_WHAT: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z/]+", re.A)
IDENTITY: Final = "identity"
_PAGES: Final = frozenset(["text/html", "application/xhtml+xml"])


def preferences(field: str) -> list[tuple[str, list[str], float]]:
    """
    The members of an C{Accept…} field: what, its parameters, and its weight.

    In lower case and in order; what cannot be read is left out.
    """
    found = []
    for member in _split(field.lower(), ","):
        what, *parts = _split(member, ";")
        one = _preference(what.strip(" \t"), parts)
        if one is not None:
            found.append(one)
    return found


def _preference(what: str, parts: list[str]) -> tuple[str, list[str], float] | None:
    if _WHAT.fullmatch(what) is None:
        return None
    parameters: list[str] = []
    for part in parts:
        name, _, value = (word.strip(" \t") for word in part.partition("="))
        if name == "q":
            # What follows the weight is no parameter of the type.
            return (what, parameters, float(value)) if _WEIGHT.fullmatch(value) else None
        if name:
            parameters.append(f"{name}={value}")
    return what, parameters, 1.0


def _split(text: str, at: str) -> list[str]:
    """Split where that character stands, but not within quotes (RFC 9110 section 5.6.4)."""
    if '"' not in text:
        return text.split(at)
    found, begin, quoted, escaped = [], 0, False, False
    for number, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == '"':
            quoted = not quoted
        elif quoted:
            escaped = character == "\\"
        elif character == at:
            found.append(text[begin:number])
            begin = number + 1
    return [*found, text[begin:]]


def chooseCoding(field: str | None, offered: Sequence[str]) -> str | None:
    """
    A content coding (RFC 9110 section 12.5.3).

    @param field: C{Accept-Encoding}; L{None} if there is none, which forbids nothing.
    @param offered: codings we could use, those we would rather use first; C{identity}, for none,
        can always be had, and is what is left when the client names none of the others.
    @return: one of them, or C{identity}; L{None} if the client takes neither.
    """
    if field is None:
        return offered[0] if offered else IDENTITY
    said: dict[str, float] = {}
    for coding, _, weight in preferences(field):
        name = "gzip" if coding == "x-gzip" else coding
        said.setdefault(name, weight)
    other = said.get("*")
    best, most = None, 0.0
    for coding in (*offered, IDENTITY):
        # If nobody spoke of it, only having no coding is taken, and only where nothing else is.
        unsaid = other if other is not None else 0.0001 if coding == IDENTITY else 0.0
        weight = said.get(coding, unsaid)
        if weight > most:
            best, most = coding, weight
    return best


def chooseType(field: str | None, offered: Sequence[str]) -> str | None:
    """
    A media type (RFC 9110 section 12.5.1): of all that fit, the most specific range counts.

    @param field: C{Accept}; L{None} if there is none, which forbids nothing.
    @param offered: media types without parameters, those we would rather send first.
    @return: one of them; L{None} if the client takes none.
    """
    if field is None:
        return offered[0]
    ranges = [(what, weight) for what, more, weight in preferences(field) if not more]
    best, most = None, 0.0
    for type in offered:
        whole = type.partition("/")[0] + "/*"
        for wanted in (type, whole, "*/*"):
            weights = [weight for what, weight in ranges if what == wanted]
            if weights:
                if max(weights) > most:
                    best, most = type, max(weights)
                break
    return best


def wantsPage(field: str | None) -> bool:
    """
    Whether a client names HTML among what it accepts; programs that take anything do not.

    @param field: C{Accept}.
    """
    return any(what in _PAGES and weight for what, _, weight in preferences(field or ""))
