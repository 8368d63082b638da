"""Recognising whatever can be debugged by its command line: the one list of all there are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from loopbackd.debuggers import browsers, javascript, jdwp, native, python, ruby
from loopbackd.debuggers.debugger import LOOPBACK, Debugger

VARIABLES: Final = (*jdwp.VARIABLES, javascript.NODE_OPTIONS, ruby.HOST, ruby.PORT)
"""The variables that say something of debuggers."""

_JAVA: Final = re.compile(r"(java|javaw|jsvc)[0-9.]*\Z")


def isJava(name: str) -> bool:
    """Whether an executable of that name is a JVM; others have one in them, too."""
    return _JAVA.match(name) is not None


def debuggersOf(words: Sequence[str], environ: Mapping[str, str], path: str = "") -> list[Debugger]:
    """
    Where a program waits for its debugger, or goes to it, by what it was told.

    Whether that came true only its sockets show: an option may have been overruled, and whoever has
    a JVM's options among its words, but is called otherwise, need not be one.

    @param words: the command line.
    @param environ: L{VARIABLES} as it was started with them, those that can be seen.
    @param path: the executable, where that is seen: processes can call themselves anything.
    """
    if not words:
        return []
    names = words[0].rpartition("/")[2], path.rpartition("/")[2]
    found = list(_java(names, words, environ))
    for isOne, reader in _READERS:
        name = next(filter(isOne, names), None)
        if name is not None:
            found += reader(name, words[1:], environ)
    return found


def _java(
    names: Sequence[str], words: Sequence[str], environ: Mapping[str, str]
) -> Iterator[Debugger]:
    # Every child of a shell has its variables.
    told = jdwp.jdwpsOf(words, environ if any(map(isJava, names)) else {})
    one = told[-1] if told else None
    if one is not None and not one.error and one.transport == "dt_socket":
        yield Debugger("java", one.host or LOOPBACK, one.port, one.option, one.server)


_Reader = Callable[[str, Sequence[str], Mapping[str, str]], Iterator[Debugger]]

_READERS: Final[tuple[tuple[Callable[[str], bool], _Reader], ...]] = (
    (javascript.isJavaScript, javascript.javaScript),
    (python.isPython, python.python),
    (ruby.isRuby, ruby.ruby),
    (native.isDelve, native.delve),
    (native.isGDBServer, native.gdbServer),
    (native.isLLDBServer, native.lldbServer),
    (browsers.isChromium, browsers.chromium),
    (browsers.isFirefox, browsers.firefox),
)
