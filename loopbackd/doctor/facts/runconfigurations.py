"""
What the run configurations of IntelliJ IDEA and its like say of debuggers.

The files are read by expat, and refused as soon as they declare a document type: nothing then can
define an entity, and so none can be expanded (no "billion laughs", nothing fetched).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from loopbackd.debuggers.jdwp import jdwpsIn
from loopbackd.doctor.facts.configured import Configured, Told, portOf, toldIn

LIMIT: Final = 4 * 1024 * 1024
"""Bytes of such a file; C{workspace.xml} has much besides."""

_REMOTE_JAVA: Final = "Remote"
_BY_ATTRIBUTE: Final = {
    "ChromiumRemoteDebugType": ("node", "9229"),
    "GoRemoteDebugConfigurationType": ("delve", "2345"),
}
_PYTHON_SERVER: Final = "PyRemoteDebugConfigurationType"


@dataclass
class _Entry:
    """A C{configuration} element as far as it was read."""

    attributes: dict[str, str]
    line: int
    options: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)


def runConfigurationsIn(content: bytes, file: str) -> tuple[list[Configured], list[Told]]:
    """
    The debuggers that a file of an IDE configures, and what it tells the JVMs it starts.

    Templates, which the IDE makes new configurations from, do not count.

    @raise ValueError: it is no XML, or has a document type.
    """
    found = [entry for entry in _entries(content) if entry.attributes.get("default") != "true"]
    configured = [one for entry in found for one in _configured(entry, file)]
    return configured, [one for entry in found for one in _told(entry, file)]


def _entries(content: bytes) -> list[_Entry]:
    parser = expat.ParserCreate()
    entries: list[_Entry] = []
    within: list[_Entry | None] = []

    def refuse(*_: object) -> None:
        raise ValueError("it has a document type, which no such file has")

    def begin(name: str, attributes: dict[str, str]) -> None:
        entry = within[-1] if within else None
        if name == "configuration":
            entry = _Entry(attributes, parser.CurrentLineNumber)
            entries.append(entry)
        elif name == "option" and entry is not None and "name" in attributes:
            option = attributes["name"]
            # A configuration's own options come first; tasks before it have some, too.
            if option not in entry.options:
                entry.options[option] = attributes.get("value", "")
                entry.lines[option] = parser.CurrentLineNumber
        within.append(entry)

    def end(name: str) -> None:
        within.pop()

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError) as error:
        # The latter for an encoding that nobody knows.
        raise ValueError(f"it is no XML: {error}") from None
    return entries


def _configured(entry: _Entry, file: str) -> list[Configured]:
    kind = entry.attributes.get("type", "")
    name = entry.attributes.get("name", "")
    options = entry.options
    line = entry.lines.get("PORT", entry.line)
    if kind == _REMOTE_JAVA:
        if options.get("USE_SOCKET_TRANSPORT") == "false":
            return []
        isListening = options.get("SERVER_MODE") == "true"
        host = options.get("HOST") or "localhost"
        return [_one("java", name, host, options.get("PORT", ""), isListening, file, line)]
    if kind == _PYTHON_SERVER:
        host = options.get("HOST") or "localhost"
        return [_one("debugpy", name, host, options.get("PORT", ""), True, file, line)]
    if kind in _BY_ATTRIBUTE:
        what, default = _BY_ATTRIBUTE[kind]
        host = entry.attributes.get("host") or "localhost"
        port = entry.attributes.get("port") or default
        return [_one(what, name, host, port, False, file, entry.line)]
    return []


def _one(
    kind: str, name: str, host: str, text: str, isListening: bool, file: str, line: int
) -> Configured:
    port = portOf(text)
    unknown = "" if port is not None else f"{text[:40]!r} is no port" if text else "it has no port"
    return Configured(kind, name, host, port, isListening, file, line, unknown)


def _told(entry: _Entry, file: str) -> list[Told]:
    name = entry.attributes.get("name", "")
    found: list[Told] = []
    for option in ("VM_PARAMETERS", "vmOptions"):
        jdwps = jdwpsIn(entry.options.get(option, ""), option)
        line = entry.lines.get(option, entry.line)
        found += toldIn(jdwps, f"the run configuration {name!r}", file, line, True)
    return found
