"""What VS Code's C{launch.json} and C{*.code-workspace} say of debuggers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from loopbackd.debuggers.debugger import LOOPBACK, splitAddress
from loopbackd.debuggers.jdwp import VARIABLES, jdwpsIn
from loopbackd.doctor.facts.configured import Configured, Told, portOf

LIMIT: Final = 128 * 1024
"""Bytes of such a file; reading comments takes about a second for so many."""

_VARIABLE: Final = re.compile(r"\$\{([^}]*)\}")
_LOCALHOST: Final = "localhost"


@dataclass(frozen=True, slots=True)
class Variables:
    """
    What C{${env:NAME}} and C{${config:NAME}} stand for.

    @ivar settings: of the workspace, by their full names.
    """

    environ: Mapping[str, str]
    settings: Mapping[str, Any]

    def put(self, text: str) -> tuple[str, str]:
        """The text with its variables put in, and the first that is unknown, or nothing."""
        unknown: list[str] = []

        def value(match: re.Match[str]) -> str:
            kind, _, name = match[1].partition(":")
            known: Mapping[str, Any] = {}
            if kind in ("env", "config"):
                known = self.environ if kind == "env" else self.settings
            found = known.get(name)
            if isinstance(found, str | int) and not isinstance(found, bool):
                return str(found)
            unknown.append(match[0])
            return match[0]

        return _VARIABLE.sub(value, text), unknown[0] if unknown else ""


def parseJSONC(text: str) -> Any:
    """
    JSON with comments and trailing commas, as VS Code reads it.

    @raise ValueError: it is none.
    """
    text = text.removeprefix("\ufeff")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    import json5  # slow, and only for what has comments

    try:
        return json5.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(str(error).replace("<string>:", "line ", 1)) from None


def launchesIn(text: str, file: str, variables: Variables) -> tuple[list[Configured], list[Told]]:
    """
    The debuggers that a C{launch.json} configures, or the C{launch} of a C{*.code-workspace}.

    Compounds and C{serverReadyAction} have no addresses of their own and are not looked at.

    @raise ValueError: it is no such file.
    """
    launch = parseJSONC(text)
    if isinstance(launch, dict) and "launch" in launch:
        launch = launch["launch"]
    entries = launch.get("configurations", []) if isinstance(launch, dict) else None
    if not isinstance(entries, list):
        raise ValueError("it has no list of configurations")
    configured: list[Configured] = []
    told: list[Told] = []
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        entry = _onLinux(entry)
        name = _joined(str(entry.get("name", "")))
        line = _lineOf(text, name)
        configured += [
            _resolved(replace(one, name=name, file=file, line=line), variables, raw)
            for one, raw in _debuggers(entry)
        ]
        told += _told(entry, name, file, line, variables)
    return configured, told


def _onLinux(entry: dict[str, Any]) -> dict[str, Any]:
    own = entry.get("linux")
    return {**entry, **own} if isinstance(own, dict) else entry


def _joined(text: str) -> str:
    """With its surrogates put together, which json5 leaves apart, and none alone."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _lineOf(text: str, name: str) -> int:
    """Of the name itself, since nothing keeps the places of what was read."""
    match = re.search(rf'"name"\s*:\s*{re.escape(json.dumps(name, ensure_ascii=False))}', text)
    return text.count("\n", 0, match.start()) + 1 if match is not None else 0


def _debuggers(entry: Mapping[str, Any]) -> Iterator[tuple[Configured, object]]:
    """Each with its port as it was written."""
    kind = str(entry.get("type", "")).removeprefix("pwa-")
    isAttaching = entry.get("request") == "attach"
    found: tuple[str, object, object] | None = None
    listen, connect = entry.get("listen"), entry.get("connect")
    if kind == "java" and isAttaching:
        found = "java", entry.get("hostName", _LOCALHOST), entry.get("port")
    elif kind in ("python", "debugpy") and isAttaching:
        if isinstance(listen, dict):
            host = str(listen.get("host", LOOPBACK))
            yield Configured("debugpy", "", host, None, True), listen.get("port")
        elif isinstance(connect, dict):
            found = "debugpy", connect.get("host", LOOPBACK), connect.get("port")
        elif "port" in entry:
            found = "debugpy", entry.get("host", LOOPBACK), entry["port"]
    elif kind in ("node", "extensionHost", "node-terminal"):
        if "attachSimplePort" in entry:
            found = "node", _LOCALHOST, entry["attachSimplePort"]
        elif isAttaching and "processId" not in entry:
            found = "node", entry.get("address", _LOCALHOST), entry.get("port", 9229)
    elif kind == "go" and (entry.get("mode") == "remote" if isAttaching else "port" in entry):
        found = "delve", entry.get("host", LOOPBACK), entry.get("port", 2345)
    elif kind in ("chrome", "msedge") and isAttaching:
        found = "chrome", entry.get("address", _LOCALHOST), entry.get("port", 9222)
    elif kind == "cppdbg" and isinstance(entry.get("miDebuggerServerAddress"), str):
        address = splitAddress(entry["miDebuggerServerAddress"])
        if address is not None:
            found = "gdbserver", address[0] or _LOCALHOST, address[1]
    if found is not None:
        yield Configured(found[0], "", str(found[1]), None), found[2]


def _resolved(one: Configured, variables: Variables, raw: object) -> Configured:
    host, unknown = variables.put(_joined(one.host))
    if isinstance(raw, str):
        raw, missing = variables.put(raw)
        unknown = unknown or missing
    port = portOf(raw)
    if port is None and not unknown:
        unknown = "no port is given" if raw is None else f"{str(raw)[:40]!r} is no port"
    return replace(one, host=host, port=port, unknown=unknown)


def _told(
    entry: Mapping[str, Any], name: str, file: str, line: int, variables: Variables
) -> Iterator[Told]:
    if entry.get("type") != "java" or entry.get("request") != "launch":
        return
    by = f"VS Code's configuration {name!r}"
    given = entry.get("vmArgs", "")
    texts = {"vmArgs": " ".join(map(str, given)) if isinstance(given, list) else str(given)}
    environ = entry.get("env")
    if isinstance(environ, dict):
        texts |= {variable: str(environ.get(variable, "")) for variable in VARIABLES}
    for source, text in texts.items():
        for jdwp in jdwpsIn(variables.put(text)[0], source):
            yield Told(jdwp, by, file, line, True)
