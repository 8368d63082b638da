"""Whom the C library asks for a name, in which order (nsswitch.conf(5)), and what each one says."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from loopbackd.doctor.facts.names import Resolved
from loopbackd.doctor.facts.program import said, whereIs

SWITCH: Final = "/etc/nsswitch.conf"
_NSCD: Final = "/run/nscd/socket"
_PATIENCE: Final = 6.0
_MOST: Final = 1 << 20
_MOST_SAID: Final = 1 << 18
_MOST_ADDRESSES: Final = 1000
_WORD: Final = re.compile(r"\[([^\]]*)\]|([^\s\[\]]+)")
_RETURN: Final = "return"


@dataclass(frozen=True, slots=True)
class Source:
    """
    One that can be asked.

    @ivar name: C{files} for the hosts file, C{dns}, C{resolve}, C{myhostname}, ...
    @ivar reactions: what follows from its answer where that is not usual, as it is written.
    """

    name: str
    reactions: str = ""

    @property
    def endsHere(self) -> bool:
        """Whether nobody is asked after it even if it does not know the name."""
        found = [one.lower().partition("=") for one in self.reactions.split()]
        return any(status == "notfound" and action == _RETURN for status, _, action in found)

    def __str__(self) -> str:
        return f"{self.name} [{self.reactions}]" if self.reactions else self.name


@dataclass(frozen=True, slots=True)
class Switch:
    """
    Who is asked for the addresses of a name.

    @ivar line: the number of the line that says so; 0 where there is none, and the C library's own
        order holds.
    @ivar keeps: a cache is in between (nscd), which may know what the sources no longer say.
    """

    sources: tuple[Source, ...] = (Source("files"), Source("dns"))
    line: int = 0
    keeps: bool = False

    def __str__(self) -> str:
        return " ".join(map(str, self.sources))

    @property
    def names(self) -> list[str]:
        """Of the sources, in their order."""
        return [source.name for source in self.sources]


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What one source says.

    @ivar resolved: L{None} where it was not asked.
    @ivar why: why it was not, or could not be.
    """

    source: Source
    resolved: Resolved | None = None
    why: str = ""


def parseSwitch(text: str) -> Switch:
    """The line for hosts; the last one counts."""
    found = Switch()
    for number, line in enumerate(text.splitlines(), 1):
        database, colon, rest = line.partition("#")[0].partition(":")
        if not colon or database.strip() != "hosts":
            continue
        sources: list[Source] = []
        for reactions, name in _WORD.findall(rest):
            if name:
                sources.append(Source(name))
            elif sources:
                sources[-1] = Source(sources[-1].name, " ".join(reactions.split()))
        found = Switch(tuple(sources), number)
    return found


def readSwitch(path: str = SWITCH) -> Switch:
    """Read it; without a file the C library's own order holds."""
    try:
        with open(path, "rb") as file:
            found = parseSwitch(file.read(_MOST).decode("utf-8", "replace"))
    except OSError:
        found = Switch()
    keeps = Path(_NSCD).is_socket()
    return Switch(found.sources, found.line, keeps)


def askSources(
    name: str, switch: Switch, ask: Callable[[str, str], Resolved] | None = None
) -> list[Answer]:
    """
    Ask one source after the other, as the C library does, until one knows the name.

    Nobody else hears of the name. May take seconds.

    @param ask: asks a source for a name; by default by getent(1).
    """
    if ask is None:
        if not whereIs("getent"):
            return [Answer(one, why="getent is not installed") for one in switch.sources]
        ask = askOne
    answers: list[Answer] = []
    ended = ""
    for source in switch.sources:
        if ended:
            answers.append(Answer(source, why=ended))
            continue
        resolved = ask(source.name, name)
        answers.append(Answer(source, resolved))
        if resolved.addresses:
            ended = f"not asked: {source.name} has answered"
        elif source.endsHere:
            ended = f"not asked: {source.name} had the last word"
    return answers


def askOne(source: str, name: str) -> Resolved:
    """Ask one source alone; one that is not installed knows nothing, as for the C library."""
    answer = said(["getent", "-s", source, "ahosts", "--", name], _PATIENCE, _MOST_SAID)
    lines = [line.split() for line in answer.text.splitlines(keepends=True) if line.endswith("\n")]
    found = dict.fromkeys(
        words[0].partition("%")[0] for words in lines if words and _isAddress(words[0])
    )
    if not found:
        # It ends with a status where nobody knows the name, too.
        error = answer.failed if answer.status is None else "does not know it"
        return Resolved(name, error=error)
    return Resolved(name, tuple(islice(found, _MOST_ADDRESSES)))


def _isAddress(word: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in word else socket.AF_INET, word.partition("%")[0])
    except (OSError, ValueError):
        return False
    return True
