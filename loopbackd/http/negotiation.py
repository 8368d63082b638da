"""Which of several representations a client would rather have (RFC 9110 section 12)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_MEMBER: Final = re.compile(
    r"\s*([!#$%&'*+\-.^_`|~0-9A-Za-z/]+)\s*((?:;[^,\"]*(?:\"(?:[^\"\\]|\\.)*\"[^,\"]*)*)?)", re.A
)
_WEIGHT: Final = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.A)
IDENTITY: Final = "identity"


def preferences(field: str) -> list[tuple[str, list[str], float]]:
    """
    The members of an C{Accept…} field: what, its parameters, and its weight.

    In lower case and in order; what cannot be read is left out.
    """
    found = []
    at = 0
    while at < len(field):
        match = _MEMBER.match(field, at)
        end = at if match is None else match.end()
        behind = field[end : end + 1]
        if match is not None and behind in ("", ","):
            one = _preference(match[1].lower(), match[2].lower())
            if one is not None:
                found.append(one)
        elif behind != ",":
            end = field.find(",", end)
            if end < 0:
                break
        at = end + 1
    return found


def _preference(what: str, rest: str) -> tuple[str, list[str], float] | None:
    parameters = []
    weight = 1.0
    for part in rest.split(";")[1:]:
        name, _, value = (word.strip() for word in part.partition("="))
        if name == "q":
            if _WEIGHT.fullmatch(value) is None:
                return None
            weight = float(value)
            # What follows the weight is no parameter of the type.
            break
        if name:
            parameters.append(f"{name}={value}")
    return what, parameters, weight


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
