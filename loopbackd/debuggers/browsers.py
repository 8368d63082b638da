"""
Browsers, and their remote debugging: measured with Chromium 156; Firefox's by its documentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from loopbackd.debuggers.debugger import LOOPBACK, Debugger, debuggerAt

_BROWSERS: Final = frozenset(
    {
        "brave", "brave-browser", "chrome", "chromium", "chromium-browser", "epiphany",
        "firefox", "firefox-bin", "firefox-esr", "google-chrome", "headless_shell", "konqueror",
        "librewolf", "microsoft-edge", "msedge", "opera", "vivaldi", "vivaldi-bin", "waterfox",
    }
)  # fmt: skip
"""The names of their executables."""

_CHROMIUMS: Final = re.compile(
    r"(google-)?chrom(e|ium)|(microsoft-edge|msedge|brave|headless_shell|electron|opera|vivaldi)"
)
_FIREFOXES: Final = re.compile(r"firefox(-bin|-esr)?\Z|librewolf\Z|waterfox\Z")
_SWITCH: Final = re.compile(r"--?(?P<name>remote-debugging-(?:port|address)|type)=(?P<value>.*)")
_AGENT: Final = re.compile(r"--?(?P<name>remote-debugging-port|start-debugger-server)(?P<at>=.*)?")
_DEFAULTS: Final = {"remote-debugging-port": 9222, "start-debugger-server": 6000}


def isBrowser(name: str) -> bool:
    """Whether an executable of that name is a web browser."""
    return name.lower() in _BROWSERS


def isChromium(name: str) -> bool:
    """Whether an executable of that name is made of Chromium, as Electron is."""
    return _CHROMIUMS.match(name) is not None


def chromium(name: str, words: Sequence[str], environ: Mapping[str, str]) -> Iterator[Debugger]:
    """Where the DevTools of a browser itself are; its renderers have its options, too."""
    told: dict[str, str] = {}
    for word in words:
        if word == "--":
            break
        match = _SWITCH.fullmatch(word)
        if match is not None:
            told[match["name"]] = match["value"]
    port = told.get("remote-debugging-port", "")
    if port and "type" not in told:
        address = f"{told.get('remote-debugging-address', LOOPBACK)}:{port}"
        for one in debuggerAt("chrome", address, f"--remote-debugging-port={port}"):
            yield replace(one, takesOne=False)


def isFirefox(name: str) -> bool:
    """Whether an executable of that name is made of Firefox."""
    return _FIREFOXES.match(name) is not None


def firefox(name: str, words: Sequence[str], environ: Mapping[str, str]) -> Iterator[Debugger]:
    """Where its agent is, and its DevTools' server; the port may be the next word, or left out."""
    for word, following in pairwise([*words, ""]):
        match = _AGENT.fullmatch(word)
        if match is None:
            continue
        port = match["at"][1:] if match["at"] else following
        if not match["at"] and not re.fullmatch("(.*:)?[0-9]{1,5}", port):
            port = str(_DEFAULTS[match["name"]])
        for one in debuggerAt("chrome", port, f"--{match['name']} {port}"):
            yield replace(one, takesOne=False)
