"""
Python's debuggers over a port: debugpy, ptvsd that was before it, and pydevd (PyDev, PyCharm).

Measured with debugpy 1.8, ptvsd 4.3 and pydevd 3.5.  What a program does itself
(C{debugpy.listen(...)}) is seen by debugpy's adapter, a process of its own that has the port.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from loopbackd.debuggers.debugger import EVERYWHERE, LOOPBACK, Debugger, debuggerAt, splitOptions

_PYTHON: Final = re.compile(r"python[0-9.]*\Z|pypy[0-9.]*\Z")
_TAKES: Final = "mcXW"
_MODULE_FILES: Final = ("/__main__.py", "/__init__.py")
_DEBUGPY: Final = frozenset(
    {"--listen", "--connect", "--log-to", "--parent-session-pid", "--adapter-access-token"}
)
_CONFIGURE: Final = "--configure-"
_ADAPTER: Final = frozenset(
    {"--for-server", "--port", "--host", "--access-token", "--server-access-token", "--log-dir"}
)
_PTVSD: Final = frozenset({"--host", "--port", "--log-dir"})
_PYDEVD: Final = frozenset(
    {
        "--port", "--ppid", "--vm_type", "--client", "--access-token", "--client-access-token",
        "--debug-mode", "--preimport", "--log-file", "--log-level",
    }
)  # fmt: skip


def isPython(name: str) -> bool:
    """Whether an executable of that name is a Python."""
    return _PYTHON.match(name) is not None


def python(name: str, words: Sequence[str], environ: Mapping[str, str]) -> Iterator[Debugger]:
    """What Python runs, where that is a debugger."""
    program, rest = _program(words)
    if program in ("debugpy.adapter", "debugpy-adapter"):
        yield from _adapter(rest)
    elif program == "debugpy":
        yield from _debugpy(rest)
    elif program == "ptvsd":
        yield from _ptvsd(dict(splitOptions(rest, _PTVSD)[0]))
    elif program in ("pydevd", "pydevd.pydevd"):
        yield from _pydevd(rest)


def _program(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The module that is run, by its name or by where it is, and what is said to it."""
    rest = iter(range(len(words)))
    for index in rest:
        word = words[index]
        if not word.startswith("-") or word == "-":
            return _moduleAt(word), words[index + 1 :]
        if word.startswith("--"):
            if word == "--check-hash-based-pycs":
                next(rest, None)
            continue
        letter = next((letter for letter in word[1:] if letter in _TAKES), "")
        value = word.partition(letter)[2] if letter else ""
        if letter and not value:
            index = next(rest, index)
            value = words[index]
        if letter == "m":
            return value, words[index + 1 :]
        if letter == "c":
            break
    return "", ()


def _moduleAt(path: str) -> str:
    """Of C{/x/debugpy/adapter/__main__.py}, C{/x/debugpy}, C{/x/pydevd.py} and the like."""
    path = path.rstrip("/")
    for ending in _MODULE_FILES:
        path = path.removesuffix(ending)
    before, _, name = path.rpartition("/")
    if name == "adapter" and before.endswith("debugpy"):
        return "debugpy.adapter"
    return name.removesuffix(".py")


def _debugpy(words: Sequence[str]) -> Iterator[Debugger]:
    # Its other options take no word; these have any name.
    valued = {*_DEBUGPY, *(word for word in words if word.startswith(_CONFIGURE))}
    for name, value in splitOptions(words, valued)[0]:
        if name in ("--listen", "--connect"):
            option = f"{name} {value}"
            yield from debuggerAt("debugpy", value, option, isListening=name == "--listen")
            return


def _adapter(words: Sequence[str]) -> Iterator[Debugger]:
    options = dict(splitOptions(words, _ADAPTER)[0])
    port = options.get("--port", "")
    host = options.get("--host", LOOPBACK)
    yield from debuggerAt("debugpy", f"{host}:{port}", f"--port {port}")


def _ptvsd(options: Mapping[str, str]) -> Iterator[Debugger]:
    port = options.get("--port", "")
    address = f"{options.get('--host', LOOPBACK)}:{port}"
    yield from debuggerAt("ptvsd", address, f"--port {port}", isListening="--client" not in options)


def _pydevd(words: Sequence[str]) -> Iterator[Debugger]:
    # --file is the last of its own, and takes the rest.
    own = words[: words.index("--file")] if "--file" in words else words
    options = dict(splitOptions(own, _PYDEVD)[0])
    port, isServer = options.get("--port", ""), "--server" in options
    # As a server it listens on every address, whatever it is told.
    host = EVERYWHERE if isServer else options.get("--client", LOOPBACK)
    yield from debuggerAt("pydevd", f"{host}:{port}", f"--port {port}", isListening=isServer)
