"""The daemon itself: what is installed, what runs, and what it left behind."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

from loopbackd.controlclient import Address
from loopbackd.doctor.facts.authority import AuthorityFiles, authorityFiles
from loopbackd.doctor.facts.control import ControlSeen, control
from loopbackd.doctor.facts.plugins import Cache, Twistd, caches, twistd
from loopbackd.doctor.facts.units import Unit, units
from loopbackd.peer.proc import pids, wordsOf
from loopbackd.peer.process import Process, processOf
from loopbackd.tls.files import readSmall
from loopbackd.tls.store import stateDirectory

PID_FILE: Final = "twistd.pid"
_RUNNERS: Final = frozenset({"twistd", "twist"})
_INSTALLED: Final = version("loopbackd")


@dataclass(frozen=True, slots=True)
class PidFile:
    """
    C{twistd}'s pid file.

    @ivar pid: what is in it; 0 where that is no number.
    @ivar isAlive: there is a process of that number.
    @ivar process: it, where it can be seen.
    """

    path: str
    pid: int = 0
    isAlive: bool = False
    process: Process | None = None


@dataclass(frozen=True, slots=True)
class Daemon:
    """
    What there is of the daemon.

    @ivar installed: the version that this command is of.
    @ivar running: the processes that are daemons of loopbackd.
    @ivar pidFile: that of this directory; L{None} for none.
    @ivar authority: the local one's files.
    """

    installed: str
    control: ControlSeen
    units: tuple[Unit, ...] = ()
    caches: tuple[Cache, ...] = ()
    twistd: Twistd = field(default_factory=Twistd)
    running: tuple[Process, ...] = ()
    pidFile: PidFile | None = None
    authority: AuthorityFiles = field(default_factory=lambda: AuthorityFiles(""))


def daemon(
    address: Address,
    environ: Mapping[str, str],
    directory: Path,
    otherwise: Address | None = None,
) -> Daemon:
    """
    Look for it, where it runs and where it keeps its things; takes two seconds at most.

    @param address: of its control API.
    @param directory: where C{twistd} would be run.
    @param otherwise: where its control API is asked if nobody listens at the first address.
    """
    with ThreadPoolExecutor(1) as pool:
        known = pool.submit(units)
        return Daemon(
            _INSTALLED,
            control(address, otherwise),
            caches=caches(),
            twistd=twistd(environ),
            running=daemons(),
            pidFile=pidFileIn(directory / PID_FILE),
            authority=authorityFiles(stateDirectory(environ)),
            units=known.result(),
        )


def daemons() -> tuple[Process, ...]:
    """The processes whose command is C{twistd ... loopbackd ...}, of whatever user."""
    found = [processOf(pid) for pid in reversed(pids()) if _isDaemon(pid)]
    return tuple(one for one in found if one is not None)


def _isDaemon(pid: int) -> bool:
    words = wordsOf(pid)
    names = {os.path.basename(word) for word in words[:3]}
    return bool(_RUNNERS & names) and "loopbackd" in words


def pidFileIn(path: Path) -> PidFile | None:
    """What is in a pid file, and who that is."""
    try:
        # Of a directory that may be anybody's, /tmp say.
        text = readSmall(path)[:64].decode("ascii", "replace")
    except (OSError, ValueError):
        return None
    try:
        pid = int(text)
        os.kill(pid, 0)
    except ProcessLookupError:
        return PidFile(str(path), pid)
    except (ValueError, OverflowError):
        return PidFile(str(path))
    except OSError:
        # Another user's.
        pass
    return PidFile(str(path), pid, True, processOf(pid))
