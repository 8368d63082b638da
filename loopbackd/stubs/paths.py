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
            if not pattern.fits(segment, words):
                return None
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


class _Pattern:
    """
    A segment with variables.

    Not a regular expression: one with several variables can be kept busy for hours by a client.

    @ivar texts: what stands before, between and behind the variables.
    @ivar isRest: whether the only variable may stand for nothing.
    """

    __slots__ = ("isRest", "names", "texts")

    def __init__(self, texts: list[str], names: list[str], isRest: bool) -> None:
        self.texts = texts
        self.names = names
        self.isRest = isRest

    def fits(self, segment: str, words: Words) -> bool:
        """Whether a segment is like that; then its words are added: the first as long as can be."""
        first, *others = self.texts
        if not self.names:
            return segment == first
        if not segment.startswith(first):
            return False
        start, end = len(first), len(segment)
        least = 0 if self.isRest else 1
        # From the end, each text as far behind as it can be.
        for number in range(len(others), 0, -1):
            isLast = number == len(others)
            text = others[number - 1]
            if isLast:
                at = end - len(text) if segment.endswith(text) else -1
            else:
                # Behind it there is something for the variable that follows.
                at = segment.rfind(text, start, end - 1)
            if at < start + least:
                return False
            if not isLast:
                words[self.names[number]] = segment[at + len(text) : end]
            end = at
        words[self.names[0]] = segment[start:end]
        return True


def _patterns(template: str) -> tuple[list[_Pattern], bool]:
    """A pattern for each segment, and whether the last stands for all that follow."""
    patterns = []
    known: set[str] = set()
    segments = template.split("/")
    for number, segment in enumerate(segments):
        texts, names, at = [], [], 0
        rest = None
        for variable in _VARIABLE.finditer(segment):
            name, rest = variable.groups()
            if name in known or name[0].isdigit():
                raise ValueError(f"path = {shown(template)}: give each variable a name of its own")
            if rest and (number != len(segments) - 1 or variable.group() != segment):
                raise ValueError(f"path = {shown(template)}: {{{name}...}} is the last segment")
            known.add(name)
            names.append(name)
            texts.append(segment[at : variable.start()])
            at = variable.end()
        texts.append(segment[at:])
        if any(brace in text for brace in "{}" for text in texts):
            raise ValueError(
                f"path = {shown(template)}: a variable is {{name}}; braces as such need path_regex"
            )
        patterns.append(_Pattern(texts, names, bool(rest)))
    return patterns, template.endswith("...}")
