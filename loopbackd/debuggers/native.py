"""
Debuggers of compiled programs over a port: dlv, gdbserver, lldb-server and debugserver.

Measured with dlv 1.20, gdbserver 13 and lldb-server 14.  Apple's debugserver is as C{lldb-server
gdbserver}, by its documentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from loopbackd.debuggers.debugger import EVERYWHERE, Debugger, debuggerAt, splitOptions

_DELVE_VALUED: Final = frozenset(
    {
        "--api-version", "--backend", "--build-flags", "--client-addr", "--init", "--listen",
        "--log-dest", "--log-output", "--output", "--redirect", "--wd", "-l", "-o", "-r",
    }
)  # fmt: skip
_LLDB_SERVER: Final = re.compile(r"lldb-server(-[0-9.]+)?\Z")
_LLDB_VALUED: Final = frozenset(
    {
        "--attach", "--fd", "--gdbserver-port", "--listen", "--log-channels", "--log-file",
        "--max-gdbserver-port", "--min-gdbserver-port", "--named-pipe", "--pipe", "--port-file",
        "--socket-file", "-L", "-a", "-c", "-f", "-l",
    }
)  # fmt: skip


def isDelve(name: str) -> bool:
    """Whether an executable of that name is Go's debugger."""
    return name in ("dlv", "dlv-dap")


def delve(name: str, words: Sequence[str], environ: Mapping[str, str]) -> Iterator[Debugger]:
    """Where dlv listens: with C{--headless}, and C{dlv dap}; else it is on a terminal."""
    own = words[: words.index("--")] if "--" in words else words
    options: dict[str, str] = {}
    commands: list[str] = []
    while own:  # options may stand before and behind the command
        found, own = splitOptions(own, _DELVE_VALUED)
        options.update(found)
        commands += own[:1]
        own = own[1:]
    isDAP = name == "dlv-dap" or commands[:1] == ["dap"]
    takesOne = options.get("--accept-multiclient", "false") not in ("", "true")
    if isDAP and "--client-addr" in options:
        address = options["--client-addr"]
        option = f"--client-addr={address}"
        yield from debuggerAt("delve", address, option, isListening=False)
    elif isDAP or options.get("--headless", "false") in ("", "true"):
        short = next((key[2:] for key in options if key.startswith("-l") and key != "-l"), "")
        address = options.get("--listen") or options.get("-l") or short
        option = f"--listen={address}" if address else (commands or [name])[0]
        # An empty host is Go's word for every address.
        for one in debuggerAt("delve", address or "127.0.0.1:0", option, EVERYWHERE):
            yield replace(one, takesOne=takesOne)


def isGDBServer(name: str) -> bool:
    """Whether an executable of that name is gdbserver."""
    return name == "gdbserver" or name.endswith("-gdbserver")


def gdbServer(name: str, words: Sequence[str], environ: Mapping[str, str]) -> Iterator[Debugger]:
    """Where gdbserver listens: whatever host is written, on every address."""
    rest = iter(words)
    for word in rest:
        if word == "--wrapper":
            next((word for word in rest if word == "--"), None)
        elif not word.startswith("-"):
            if ":" in word:
                for found in debuggerAt("gdbserver", word, word):
                    yield replace(found, host=EVERYWHERE)
            return


def isLLDBServer(name: str) -> bool:
    """Whether an executable of that name is LLDB's server."""
    return name == "debugserver" or _LLDB_SERVER.match(name) is not None


def lldbServer(name: str, words: Sequence[str], environ: Mapping[str, str]) -> Iterator[Debugger]:
    """Where its C{platform} listens, which starts others, or its C{gdbserver}."""
    command, rest = ("g", words) if name == "debugserver" else ("".join(words[:1]), words[1:])
    told, rest = splitOptions(rest, _LLDB_VALUED)
    options = dict(told)
    if command in ("p", "platform"):
        address = options.get("--listen") or options.get("-L", "")
        for one in debuggerAt("lldb", address, f"--listen {address}"):
            yield replace(one, takesOne="--server" not in options)
    elif command in ("g", "gdbserver") and rest and ":" in rest[0]:
        isListening = not {"--reverse-connect", "-R"} & options.keys()
        yield from debuggerAt("lldb", rest[0], rest[0], isListening=isListening)
