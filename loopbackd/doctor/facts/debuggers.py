"""Programs of other languages that can be debugged over a port: which, and where."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from loopbackd.doctor.facts.running import Running, running
from loopbackd.peer.proc import socketsOf
from loopbackd.peer.process import Process, processOf
from loopbackd.peer.sockdiag import SocketRow, TCPState

NODE_OPTIONS: Final = "NODE_OPTIONS"
LOOPBACK: Final = "127.0.0.1"

TITLES: Final = {
    "chrome": "a browser's remote debugging",
    "debugpy": "a Python debugger (debugpy)",
    "delve": "a Go debugger (dlv)",
    "gdbserver": "gdbserver",
    "node": "Node's inspector",
}
"""What the kinds are, in words."""

_NODE: Final = re.compile(r"(node|nodejs|deno)[0-9.]*\Z")
_INSPECT: Final = re.compile(
    r"--(?P<name>inspect(?:[-_](?:brk|wait|port))?|debug-port)(?:=(?P<address>.*))?\Z"
)
# Those that take the next word.
_NODE_VALUES: Final = frozenset(
    {"-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions",
     "--title", "--env-file", "--inspect-publish-uid"}
)  # fmt: skip
_CHROME: Final = re.compile(r"(google-)?chrom(e|ium)|msedge|brave|headless_shell|electron|opera")
_ADDRESS: Final = re.compile(r"(?:(?P<host>\[[^\]]*\]|[^\[\]]*):)?(?P<port>[0-9]{1,5})\Z")


@dataclass(frozen=True, slots=True)
class Debugger:
    """
    Where a program waits for its debugger, or has gone to it.

    @ivar kind: one of L{TITLES}.
    @ivar host: as it was written, or what stands for nothing; empty and C{*} are every address.
    @ivar port: L{None} for one that the system chooses.
    @ivar option: what says so.
    @ivar isListening: False where the program connects to its debugger.
    @ivar sockets: the inodes of those its process has open; L{None} where that cannot be seen.
    """

    kind: str
    host: str
    port: int | None
    option: str
    isListening: bool = True
    process: Process | None = None
    uid: int = -1
    sockets: frozenset[int] | None = None

    @property
    def title(self) -> str:
        """What it is, in words."""
        return TITLES[self.kind]

    def listeners(self, rows: Iterable[SocketRow]) -> list[SocketRow]:
        """Those of the machine's sockets at which it waits; none where the port is not known."""
        return [
            row
            for row in rows
            if self.isListening
            and row.state is TCPState.LISTEN
            and row.local[1] == self.port
            and (row.uid == self.uid if self.sockets is None else row.inode in self.sockets)
        ]


def findDebuggers(programs: Iterable[Running] | None = None) -> tuple[Debugger, ...]:
    """
    Look for them among all processes; never raises.

    @param programs: those that run, where somebody has looked already, at L{NODE_OPTIONS} too.
    """
    programs = running((NODE_OPTIONS,)) if programs is None else programs
    found = []
    for one in programs:
        told = debuggersOf(one.words, one.environ, one.path)
        process = processOf(one.pid) if told else None
        if process is not None:
            sockets = socketsOf(one.pid)
            found += [
                replace(debugger, process=process, uid=one.uid, sockets=sockets)
                for debugger in told
            ]
    return tuple(found)


def debuggersOf(words: Sequence[str], environ: Mapping[str, str], path: str = "") -> list[Debugger]:
    """What a command line, and what stands in the environment, say of debuggers."""
    if not words:
        return []
    name = words[0].rpartition("/")[2]
    names = {name, path.rpartition("/")[2]}
    return [
        found
        for isOne, reader in _READERS
        if any(map(isOne, names))
        for found in reader(words[1:], environ)
    ]


def _node(words: Sequence[str], environ: Mapping[str, str]) -> Iterator[Debugger]:
    """The last one counts; C{NODE_OPTIONS} comes first (nodejs.org/api/cli.html)."""
    host, port, option = LOOPBACK, 9229, ""
    for word in [*nodeOptions(environ.get(NODE_OPTIONS, "")), *_ownNodeOptions(words)]:
        match = _INSPECT.match(word)
        if match is None:
            continue
        if match["address"]:
            found = splitAddress(match["address"])
            host, port = (match["address"], port) if found is None else found
            host = host.strip("[]") or LOOPBACK
        if match["name"] not in ("inspect-port", "inspect_port", "debug-port"):
            option = word
    if option:
        yield Debugger("node", host, port or None, option)


def _ownNodeOptions(words: Sequence[str]) -> Iterator[str]:
    """What is for node itself: before the script's name, or after C{deno run}."""
    rest = iter(words)
    for index, word in enumerate(rest):
        if not word.startswith("-"):
            if index == 0 and word in ("run", "test", "serve"):
                continue
            return
        yield word
        if word in _NODE_VALUES:
            next(rest, None)


def nodeOptions(text: str) -> list[str]:
    """The words of C{NODE_OPTIONS}: blanks divide them, double quotes keep blanks."""
    words = re.findall(r'(?:[^ "]|"(?:\\.|[^"\\])*(?:"|\\?\Z))+', text, re.DOTALL)
    quoted = re.compile(r'"((?:\\(?:.|\Z)|[^"\\])*)(?:"|\Z)', re.DOTALL)
    return [
        quoted.sub(lambda match: re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL), word)
        for word in words
    ]


def _python(words: Sequence[str], environ: Mapping[str, str]) -> Iterator[Debugger]:
    """debugpy's own process, and the adapter, a process of its own which has the port."""
    for index, word in enumerate(words):
        end = word.rstrip("/")
        isAdapter = end.endswith("/debugpy/adapter")
        isModule = word == "debugpy" and index > 0 and words[index - 1] == "-m"
        if isAdapter or isModule or end.endswith(("/debugpy", "/debugpy/__main__.py")):
            yield from _debugpy(words[index + 1 :], isAdapter)
            return
        if not word.startswith("-") and not (index and words[index - 1] in ("-X", "-W", "-m")):
            return


def _debugpy(words: Sequence[str], isAdapter: bool) -> Iterator[Debugger]:
    values = dict(pairwise(words))
    if isAdapter:
        if "--port" in values:
            address = f"{values.get('--host', LOOPBACK)}:{values['--port']}"
            yield from _at("debugpy", address, f"--port {values['--port']}")
    elif "--listen" in values:
        yield from _at("debugpy", values["--listen"], f"--listen {values['--listen']}")
    elif "--connect" in values:
        option = f"--connect {values['--connect']}"
        for found in _at("debugpy", values["--connect"], option):
            yield replace(found, isListening=False)


def _go(words: Sequence[str], environ: Mapping[str, str]) -> Iterator[Debugger]:
    for word, following in pairwise([*words, ""]):
        if word == "--":
            return
        option, equals, value = word.partition("=")
        if option in ("--listen", "-l"):
            value = value if equals else following
            # An empty host is Go's word for every address.
            yield from _at("delve", value, f"{option}={value}", everywhere=True)
            return


def _native(words: Sequence[str], environ: Mapping[str, str]) -> Iterator[Debugger]:
    """Whatever host is written, gdbserver listens on every address."""
    for word in words:
        if not word.startswith("-"):
            for found in _at("gdbserver", word, word):
                if ":" in word:
                    yield replace(found, host="*")
            return


def _chrome(words: Sequence[str], environ: Mapping[str, str]) -> Iterator[Debugger]:
    options = dict(word.partition("=")[::2] for word in words if word.startswith("--"))
    port = options.get("--remote-debugging-port", "")
    if port and "--type" not in options:  # a renderer has its browser's options
        address = options.get("--remote-debugging-address", LOOPBACK)
        yield from _at("chrome", f"{address}:{port}", f"--remote-debugging-port={port}")


def _at(kind: str, address: str, option: str, everywhere: bool = False) -> Iterator[Debugger]:
    found = splitAddress(address)
    if found is not None:
        host, port = found
        yield Debugger(kind, host or ("*" if everywhere else LOOPBACK), port or None, option)


def splitAddress(text: str) -> tuple[str, int] | None:
    """A host, perhaps none, and a port, of C{HOST:PORT}, C{[::1]:PORT}, C{:PORT} or C{PORT}."""
    match = _ADDRESS.match(text)
    if match is None or int(match["port"]) > 65535:
        return None
    return (match["host"] or "").strip("[]"), int(match["port"])


_READERS: Final[
    tuple[
        tuple[
            Callable[[str], object],
            Callable[[Sequence[str], Mapping[str, str]], Iterator[Debugger]],
        ],
        ...,
    ]
] = (
    (_NODE.match, _node),
    (re.compile(r"python[0-9.]*\Z|pypy").match, _python),
    (re.compile(r"dlv(-dap)?\Z").match, _go),
    (re.compile(r"gdbserver\Z").match, _native),
    (_CHROME.match, _chrome),
)


def describe(debugger: Debugger) -> str:
    """Name it and its process, on one line."""
    process = debugger.process
    who = "" if process is None else f", pid {process.pid} ({process.command})"
    return f"{debugger.title} ({shlex.quote(debugger.option)}){who}"
