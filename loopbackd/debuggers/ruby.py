"""
Ruby's debugger over a port (the gem C{debug}), measured with 1.4.

C{rdbg --open --port N -c -- COMMAND} becomes that command, and leaves what it was told in the
environment.  Without C{-c} it gives its process the name of the script, and nothing is left to
see.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from loopbackd.debuggers.debugger import LOOPBACK, Debugger, debuggerAt, splitOptions

PORT: Final = "RUBY_DEBUG_PORT"
HOST: Final = "RUBY_DEBUG_HOST"

_RUBY: Final = re.compile(r"ruby[0-9.]*\Z|rdbg[0-9.]*\Z")
_RDBG: Final = re.compile(r"(.*/)?rdbg[0-9.]*\Z")
_VALUED: Final = frozenset(
    {
        "--cookie", "--host", "--init-script", "--port", "--session-name", "--sock-path", "-I",
        "-e", "-r", "-x",
    }
)  # fmt: skip


def isRuby(name: str) -> bool:
    """Whether an executable of that name is a Ruby."""
    return _RUBY.match(name) is not None


def ruby(name: str, words: Sequence[str], environ: Mapping[str, str]) -> Iterator[Debugger]:
    """Where the debugger listens; a socket of this machine alone has no port."""
    host, port, option = environ.get(HOST, LOOPBACK), environ.get(PORT, ""), ""
    if port:
        option = f"{PORT}={port}"
    if not name.startswith("rdbg"):  # Ruby's own options come first
        _, words = splitOptions(words, _VALUED)
        words = words[1:] if words and _RDBG.match(words[0]) else ()
    told = dict(splitOptions(words, _VALUED)[0])
    if {"--open", "-O"} & told.keys() and "--port" in told:
        host, port = told.get("--host", host), told["--port"]
        option = f"--port {port}"
    yield from debuggerAt("rdbg", f"{host}:{port}", option)
