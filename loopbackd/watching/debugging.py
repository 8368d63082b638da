"""Programs that let themselves be debugged over a port, and browsers, by their command lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_BROWSERS: Final = frozenset(
    {
        "brave", "brave-browser", "chrome", "chromium", "chromium-browser", "epiphany",
        "firefox", "firefox-bin", "firefox-esr", "google-chrome", "headless_shell", "konqueror",
        "librewolf", "microsoft-edge", "msedge", "opera", "vivaldi", "vivaldi-bin", "waterfox",
    }
)  # fmt: skip
"""The names of their executables."""

_NODE_PORT: Final = 9229


@dataclass(frozen=True, slots=True)
class Debugger:
    """
    A port at which a program lets itself be debugged: whoever connects can run anything there.

    @ivar what: in words.
    """

    what: str
    port: int


def isBrowser(name: str) -> bool:
    """Whether an executable of that name is a web browser."""
    return name.lower() in _BROWSERS


def debuggersOf(words: Sequence[str]) -> list[Debugger]:
    """The ports that a command line asks for to be debugged at, those it names."""
    if not words:
        return []
    name = words[0].rpartition("/")[2]
    return [found for reader in _READERS for found in reader(name, words)]


def _java(name: str, words: Sequence[str]) -> Iterator[Debugger]:
    for word in words:
        match = re.match(r"-(?:agentlib:jdwp|Xrunjdwp)[=:](.*)", word)
        if match is None:
            continue
        options = dict(part.partition("=")[::2] for part in match[1].split(","))
        port = _port(options.get("address", ""))
        if port and options.get("server", "n") == "y":
            yield Debugger("a Java debugger's (jdwp)", port)


def _node(name: str, words: Sequence[str]) -> Iterator[Debugger]:
    if not re.fullmatch(r"node(js)?[0-9.]*|electron|bun|deno", name):
        return
    port = _NODE_PORT
    for word in words[1:]:
        match = re.fullmatch(r"--(?:inspect(?:-brk|-wait)?|inspect-port|debug-port)=(.+)", word)
        if match is not None:
            port = _port(match[1]) or port
    # A signal is enough to open it, so that it may be there without having been asked for.
    yield Debugger("Node's inspector", port)


def _python(name: str, words: Sequence[str]) -> Iterator[Debugger]:
    isDebugpy = any(re.search(r"(^|/)debugpy(/|$)|^ptvsd$", word) for word in words)
    if isDebugpy:
        for port in _after(words, ("--listen", "--port")):
            yield Debugger("a Python debugger's (debugpy)", port)


def _go(name: str, words: Sequence[str]) -> Iterator[Debugger]:
    if name in ("dlv", "dlv-dap"):
        for port in _after(words, ("--listen", "-l")):
            yield Debugger("a Go debugger's (dlv)", port)


def _native(name: str, words: Sequence[str]) -> Iterator[Debugger]:
    if name in ("gdbserver", "lldb-server"):
        for word in words[1:]:
            match = re.fullmatch(r"[^/]*:([0-9]{1,5})", word)
            if match is not None:
                yield Debugger(f"a debugger's ({name})", int(match[1]))


def _ruby(name: str, words: Sequence[str]) -> Iterator[Debugger]:
    if any(word.rpartition("/")[2] == "rdbg" for word in words[:2]):
        for port in _after(words, ("--port",)):
            yield Debugger("a Ruby debugger's (rdbg)", port)


def _browser(name: str, words: Sequence[str]) -> Iterator[Debugger]:
    if isBrowser(name):
        for port in _after(words, ("--remote-debugging-port",)):
            yield Debugger("a browser's debugger's", port)


_READERS: Final[tuple[Callable[[str, Sequence[str]], Iterator[Debugger]], ...]] = (
    _java, _node, _python, _go, _native, _ruby, _browser,
)  # fmt: skip


def _after(words: Sequence[str], options: Sequence[str]) -> Iterator[int]:
    """The ports that stand behind one of these options."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        option, equals, value = word.partition("=")
        port = _port(value if equals else following) if option in options else 0
        if port:
            yield port


def _port(address: str) -> int:
    """The port of an address as options have it: C{5005}, C{*:5005}, C{[::1]:5005}; 0 for none."""
    last = address.rpartition(":")[2]
    return int(last) if re.fullmatch("[0-9]{1,5}", last) and int(last) < 65536 else 0
