"""Reading what a project's directory, and the environment, say of debuggers."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from loopbackd.debuggers.jdwp import VARIABLES, jdwpsIn
from loopbackd.doctor.facts.configured import Configured, Project, Told, toldIn
from loopbackd.doctor.facts.files import namesIn, regularFile
from loopbackd.doctor.facts.launches import LIMIT as JSON_LIMIT
from loopbackd.doctor.facts.launches import Variables, launchesIn, parseJSONC
from loopbackd.doctor.facts.runconfigurations import LIMIT as XML_LIMIT
from loopbackd.doctor.facts.runconfigurations import runConfigurationsIn

_Found = tuple[list[Configured], list[Told]]

_MOST_FILES: Final = 100
_MOST_FOLDERS: Final = 20
_OPTIONS_LIMIT: Final = 65536
_ENVIRONMENT: Final = {
    **dict.fromkeys(VARIABLES, "every JVM that is started from here"),
    "MAVEN_OPTS": "Maven",
    "GRADLE_OPTS": "the Gradle client",
}
_GRADLE: Final = re.compile(
    r"^[ \t]*org\.gradle\.jvmargs[ \t]*[=: \t][ \t]*((?:[^\\\r\n]|\\(?:\r\n|.))*)",
    re.MULTILINE | re.DOTALL,
)


def readProject(directory: str, environ: Mapping[str, str]) -> Project:
    """
    Read the files that IDEs and build tools have in a directory; never raises.

    @param environ: the environment, for C{${env:NAME}} and for what it tells JVMs.
    """
    reader = _Reader(directory)
    for variable, by in _ENVIRONMENT.items():
        options = jdwpsIn(environ.get(variable, ""), variable)
        reader.told += toldIn(options, by, f"{variable} in the environment", 0, False)
    reader.readVSCode(directory, environ, {})
    for path in namesIn(directory, (".code-workspace",), _MOST_FOLDERS):
        reader.readWorkspace(path, environ)
    for path in _runConfigurations(directory):
        reader.read(path, XML_LIMIT, runConfigurationsIn)
    reader.read(os.path.join(directory, "gradle.properties"), _OPTIONS_LIMIT, _gradle)
    reader.read(os.path.join(directory, ".mvn", "jvm.config"), _OPTIONS_LIMIT, _maven)
    return Project(
        directory,
        tuple(dict.fromkeys(reader.configured)),
        tuple(dict.fromkeys(reader.told)),
        tuple(reader.missing),
    )


class _Reader:
    """What was found so far, and what could not be read."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self.configured: list[Configured] = []
        self.told: list[Told] = []
        self.missing: list[str] = []

    def read(self, path: str, limit: int, parse: Callable[[bytes, str], _Found]) -> None:
        """Read a file, if there is one, and have it parsed."""
        content = regularFile(path, limit)
        if content is None:
            return
        file = os.path.relpath(path, self._directory)
        try:
            if len(content) > limit:
                raise ValueError(f"it is larger than {limit} bytes")
            configured, told = parse(content, file)
        except ValueError as error:
            self.missing.append(f"{file}: {error}")
            return
        self.configured += configured
        self.told += told

    def readVSCode(
        self, folder: str, environ: Mapping[str, str], settings: Mapping[str, Any]
    ) -> None:
        """Read one folder's C{launch.json}, with the settings that it can mention."""
        own = self._settings(os.path.join(folder, ".vscode", "settings.json"))
        variables = Variables(environ, {**settings, **own})
        path = os.path.join(folder, ".vscode", "launch.json")
        self.read(path, JSON_LIMIT, lambda content, file: _launches(content, file, variables))

    def readWorkspace(self, path: str, environ: Mapping[str, str]) -> None:
        """Read a workspace: its own configurations, and those of its folders."""
        whole = self._settings(path)
        given = whole.get("settings")
        settings = given if isinstance(given, dict) else {}
        if "launch" in whole:
            variables = Variables(environ, settings)
            self.read(path, JSON_LIMIT, lambda content, file: _launches(content, file, variables))
        folders = whole.get("folders")
        for entry in folders[:_MOST_FOLDERS] if isinstance(folders, list) else ():
            name = entry.get("path") if isinstance(entry, dict) else None
            if isinstance(name, str):
                self.readVSCode(os.path.join(os.path.dirname(path), name), environ, settings)

    def _settings(self, path: str) -> dict[str, Any]:
        content = regularFile(path, JSON_LIMIT)
        if content is None:
            return {}
        try:
            if len(content) > JSON_LIMIT:
                raise ValueError(f"it is larger than {JSON_LIMIT} bytes")
            found = parseJSONC(content.decode("utf-8"))
        except ValueError as error:
            self.missing.append(f"{os.path.relpath(path, self._directory)}: {error}")
            return {}
        return found if isinstance(found, dict) else {}


def _runConfigurations(directory: str) -> Iterator[str]:
    yield from namesIn(
        os.path.join(directory, ".idea", "runConfigurations"), (".xml",), _MOST_FILES
    )
    yield os.path.join(directory, ".idea", "workspace.xml")
    yield from namesIn(os.path.join(directory, ".run"), (".run.xml",), _MOST_FILES)


def _launches(content: bytes, file: str, variables: Variables) -> _Found:
    return launchesIn(content.decode("utf-8"), file, variables)


def _gradle(content: bytes, file: str) -> _Found:
    """C{org.gradle.jvmargs} (java.util.Properties: the last one counts)."""
    text = content.decode("utf-8", "replace")
    found = list(_GRADLE.finditer(text))
    if not found:
        return [], []
    last = found[-1]
    value = re.sub(r"\\(?:\r\n|[\r\n])[ \t]*", "", last[1])
    options = jdwpsIn(re.sub(r"\\(.)", r"\1", value), "org.gradle.jvmargs")
    line = text.count("\n", 0, last.start()) + 1
    return [], toldIn(options, "the Gradle daemon", file, line, False)


def _maven(content: bytes, file: str) -> _Found:
    options = jdwpsIn(content.decode("utf-8", "replace"), file)
    return [], toldIn(options, "Maven", file, 0, False)
