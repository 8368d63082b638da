"""Paths with variables, as stubs have them."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from loopbackd.explaining import shown
from loopbackd.stubs.asked import Asked
from loopbackd.stubs.wanted import compiled

Words = dict[str, str]
"""What stands in a path for each variable."""

Locate = Callable[[Asked], Words | None]
"""The words of a path, or L{None} where it is another one."""

_VARIABLE = re.compile(r"\{(\w+)(\.\.\.)?\}")


def byTemplate(template: str) -> Locate:
    """
    A path, in which C{{name}} stands for (a part of) one segment and C{{name...}} for all that
    follow.

    It is compared segment by segment, each with its percent-escapes decoded: C{%2F} in a segment
    is no border.

    @raise ValueError: it is no such path.
    """
    if template == "*":
        return lambda asked: {} if asked.rawPath == b"*" else None
    if not template.startswith("/"):
        raise ValueError(f"path = {shown(template)}: a path begins with /")
    if "?" in template or "#" in template:
        raise ValueError(
            f"path = {shown(template)}: a path has no ? and no #; what is behind goes into query"
        )
    if "{" not in template and "}" not in template:
        plain = template.encode()
        return lambda asked: (
            {}
            if asked.rawPath == plain or _segments(asked.rawPath) == template.split("/")
            else None
        )
    patterns, hasRest = _patterns(template)

    def locate(asked: Asked) -> Words | None:
        segments = _segments(asked.rawPath)
        if hasRest:
            count = len(patterns) - 1
            if len(segments) <= count:
                return None
            segments[count:] = ["/".join(segments[count:])]
        elif len(segments) != len(patterns):
            return None
        words: Words = {}
        for pattern, segment in zip(patterns, segments, strict=True):
            found = pattern.fullmatch(segment)
            if found is None:
                return None
            words.update(found.groupdict())
        return words

    return locate


def byRegex(pattern: str) -> Locate:
    """
    A path that a regular expression matches as a whole, decoded; its named groups are the words.

    @raise ValueError: it is no regular expression.
    """
    wanted = compiled(pattern, "path_regex")

    def locate(asked: Asked) -> Words | None:
        found = wanted.fullmatch(asked.path)
        return None if found is None else {k: v or "" for k, v in found.groupdict().items()}

    return locate


def _segments(path: bytes) -> list[str]:
    if b"%" not in path:
        return path.decode("ascii", "replace").split("/")
    return [unquote_to_bytes(one).decode("utf-8", "replace") for one in path.split(b"/")]


def _patterns(template: str) -> tuple[list[re.Pattern[str]], bool]:
    """A pattern for each segment, and whether the last stands for all that follow."""
    patterns = []
    names: set[str] = set()
    segments = template.split("/")
    for number, segment in enumerate(segments):
        wanted, literal, at = "", "", 0
        for variable in _VARIABLE.finditer(segment):
            name, rest = variable.groups()
            if name in names or name[0].isdigit():
                raise ValueError(f"path = {shown(template)}: give each variable a name of its own")
            if rest and (number != len(segments) - 1 or variable.group() != segment):
                raise ValueError(f"path = {shown(template)}: {{{name}...}} is the last segment")
            names.add(name)
            literal += segment[at : variable.start()]
            wanted += re.escape(segment[at : variable.start()])
            wanted += f"(?P<{name}>.{'*' if rest else '+'})"
            at = variable.end()
        wanted += re.escape(segment[at:])
        literal += segment[at:]
        if "{" in literal or "}" in literal:
            raise ValueError(
                f"path = {shown(template)}: a variable is {{name}}; braces as such need path_regex"
            )
        patterns.append(re.compile(wanted, re.S))
    return patterns, template.endswith("...}")
