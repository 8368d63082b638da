"""The daemon itself: what is installed, what runs, and what it left behind."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

from loopbackd.controlclient import Address, ControlClient, ControlError
from loopbackd.tls.store import PRIVATE, stateDirectory

UNITS: Final = ("loopbackd.service", "loopbackd.socket")
_PLUGIN: Final = "loopbackd_plugin"
_TIMEOUT: Final = 2.0


@dataclass(frozen=True, slots=True)
class Cache:
    """
    What C{twistd} remembers of the plugins of a directory.

    @ivar isStale: it does not know ours, or is older.
    @ivar isFixed: we may not write it, so that C{twistd} cannot mend it either.
    """

    path: str
    isStale: bool
    isFixed: bool


@dataclass(frozen=True, slots=True)
class Daemon:
    """
    What there is of the daemon.

    @ivar installed: the version that this command is of.
    @ivar control: where its control API was asked.
    @ivar version: what that said; empty where it did not.
    @ivar silence: why it did not.
    @ivar units: those of systemd that are not as they should be: their names, and their states.
    @ivar caches: of C{twistd}'s plugins, where ours is.
    @ivar deadPid: the pid in C{twistd.pid} of this directory, of nobody who lives; 0 for none.
    @ivar exposed: files of the local authority that others may read, and their modes.
    """

    installed: str
    control: str
    version: str = ""
    silence: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    caches: tuple[Cache, ...] = ()
    deadPid: int = 0
    exposed: Mapping[str, int] = field(default_factory=dict)


def daemon(control: Address, environ: Mapping[str, str], directory: Path) -> Daemon:
    """Look for it, where it runs and where it keeps its things; takes two seconds at most."""
    said, silence = "", ""
    try:
        # /version is Toxiproxy's, for its clients.
        described = ControlClient(control, _TIMEOUT).ask("GET", "/openapi.json")
        said = str(described["info"]["version"])
    except ControlError as error:
        silence = str(error)
    except (KeyError, TypeError):
        silence = f"{control} does not answer as loopbackd does"
    return Daemon(
        version("loopbackd"),
        str(control),
        said,
        silence,
        _units(),
        tuple(caches(_pluginDirectories())),
        deadPidIn(directory / "twistd.pid"),
        exposedIn(stateDirectory(environ)),
    )


def caches(directories: list[str]) -> list[Cache]:
    """What is remembered of our plugin, in the directories where it is."""
    found = []
    for directory in directories:
        plugin, path = f"{directory}/{_PLUGIN}.py", f"{directory}/dropin.cache"
        try:
            made = os.stat(plugin).st_mtime
        except OSError:
            continue
        try:
            known = _PLUGIN.encode() in Path(path).read_bytes()
            isStale = not known or os.stat(path).st_mtime < made
        except OSError:
            # None is made at first need, or cannot be made and is not needed.
            continue
        found.append(Cache(path, isStale, not os.access(directory, os.W_OK)))
    return found


def deadPidIn(path: Path) -> int:
    """The pid in a file, if there is no such process; else 0."""
    try:
        pid = int(path.read_text(encoding="utf-8")[:20])
        os.kill(pid, 0)
    except ProcessLookupError:
        return pid
    except (OSError, ValueError, OverflowError):
        return 0
    return 0


def exposedIn(directory: Path) -> dict[str, int]:
    """The files of the authority that are open to others, and the modes that make them so."""
    found = {}
    for path in (directory, directory / PRIVATE):
        try:
            mode = stat.S_IMODE(os.stat(path, follow_symlinks=False).st_mode)
        except OSError:
            continue
        if mode & 0o077:
            found[str(path)] = mode
    return found


def _pluginDirectories() -> list[str]:
    import twisted.plugins

    return list(dict.fromkeys(twisted.plugins.__path__))


def _units() -> dict[str, str]:
    """Those that have failed; nothing where there is no systemd."""
    found = {}
    for option in ((), ("--user",)):
        command = ["systemctl", *option, "show", *UNITS]
        command += ["--property=Id,LoadState,ActiveState,SubState,Result"]
        try:
            ran = subprocess.run(
                command, capture_output=True, timeout=_TIMEOUT / 2, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.SubprocessError):
            continue
        found.update(failedIn(ran.stdout.decode("utf-8", "replace"), " ".join(option)))
    return found


def failedIn(shown: str, option: str = "") -> dict[str, str]:
    """The units that have failed, in what C{systemctl show} says of several."""
    found = {}
    for block in shown.split("\n\n"):
        facts = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if facts.get("ActiveState") == "failed":
            name = f"{option} {facts.get('Id', 'loopbackd.service')}".strip()
            found[name] = f"{facts.get('SubState', '')} ({facts.get('Result', '')})"
    return found
