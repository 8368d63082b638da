"""A port where a program can be debugged, and the addresses that options have."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

LOOPBACK: Final = "127.0.0.1"
EVERYWHERE: Final = "*"

TITLES: Final = {
    "chrome": "a browser's remote debugging",
    "debugpy": "a Python debugger (debugpy)",
    "delve": "a Go debugger (dlv)",
    "gdbserver": "gdbserver",
    "java": "a Java debugger (jdwp)",
    "lldb": "lldb-server",
    "node": "Node's inspector",
    "ptvsd": "a Python debugger (ptvsd)",
    "pydevd": "a Python debugger (pydevd)",
    "rdbg": "a Ruby debugger (rdbg)",
}
"""What the kinds are, in words."""

_ADDRESS: Final = re.compile(r"(?:(?P<host>\[[^\]]*\]|[^\[\]]*):)?(?P<port>[0-9]{1,5})\Z")


@dataclass(frozen=True, slots=True)
class Debugger:
    """
    Where a program waits for its debugger, or has gone to it, by what it was told.

    @ivar kind: one of L{TITLES}.
    @ivar host: as it was written, or what stands for nothing; empty and C{*} are every address.
    @ivar port: L{None} for one that the system chooses.
    @ivar option: what says so; empty where nothing does: a signal is enough.
    @ivar isListening: False where the program connects to its debugger.
    @ivar takesOne: whoever connects is taken for the debugger: no other gets in meanwhile, the
        program may begin, and some end with the connection.
    """

    kind: str
    host: str
    port: int | None
    option: str
    isListening: bool = True
    takesOne: bool = True

    @property
    def title(self) -> str:
        """What it is, in words."""
        return TITLES[self.kind]


def debuggerAt(
    kind: str, address: str, option: str, empty: str = LOOPBACK, isListening: bool = True
) -> Iterator[Debugger]:
    """
    The debugger of an address; none where that is no address of TCP.

    @param empty: the host where none is written.
    """
    found = splitAddress(address)
    if found is not None:
        yield Debugger(kind, found[0] or empty, found[1] or None, option, isListening)


def splitAddress(text: str) -> tuple[str, int] | None:
    """A host, perhaps none, and a port, of C{HOST:PORT}, C{[::1]:PORT}, C{:PORT} or C{PORT}."""
    match = _ADDRESS.match(text)
    if match is None or int(match["port"]) > 65535:
        return None
    return (match["host"] or "").strip("[]"), int(match["port"])


def splitOptions(
    words: Sequence[str], valued: Collection[str]
) -> tuple[list[tuple[str, str]], Sequence[str]]:
    """
    Take a command's words apart at the first that is no option; C{--} is left out.

    @param valued: the options that take the next word where they have no C{=}.
    @return: the options, each with its value, empty for none; and the rest.
    """
    found: list[tuple[str, str]] = []
    rest = iter(range(len(words)))
    for index in rest:
        word = words[index]
        if word == "--":
            return found, words[index + 1 :]
        if not word.startswith("-") or word == "-":
            return found, words[index:]
        name, equals, value = word.partition("=")
        if not equals and name in valued:
            following = next(rest, None)
            value = "" if following is None else words[following]
        found.append((name, value))
    return found, ()
