"""Room for the control API's Unix socket: a directory of our own, with nobody listening there."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from twisted.internet.endpoints import quoteStringArgument

from loopbackd.controlsettings import AUTO, OFF, ControlSettings
from loopbackd.rundirectory import LONGEST, runDirectories, socketName, whyUnsafe
from loopbackd.settings import SettingsError

_PRIVATE: Final = 0o700


def checkSocket(settings: ControlSettings) -> None:
    """
    Find out what can be found out without looking.

    @raise SettingsError: there can be no such socket.
    """
    asked = settings.socket
    if asked in (AUTO, OFF):
        return
    path = Path(asked).expanduser()
    if not path.is_absolute():
        raise SettingsError(
            f"control: socket = {asked!r}: write a path from / on, {AUTO!r} or {OFF!r}"
        )
    if len(os.fsencode(path)) > LONGEST:
        raise SettingsError(
            f"control: socket = {asked!r}: a unix socket's path has at most {LONGEST} bytes"
            " (unix(7)); write a shorter one"
        )


def socketPath(
    settings: ControlSettings, address: Any, environ: Mapping[str, str] | None
) -> Path | None:
    """
    Where the socket is to be; L{None} for nowhere.

    @param address: where the API listens; what is no TCP port has no socket unless it is named.
    @param environ: what says which directories there are; L{None} for not looking.
    """
    if not settings.isOn or settings.socket == OFF:
        return None
    if settings.socket != AUTO:
        return Path(settings.socket).expanduser()
    port = getattr(address, "port", None)
    if environ is None or port is None:
        return None
    return next(runDirectories(environ)) / socketName(port)


def endpointAt(path: Path) -> str:
    """The endpoint string of a socket that is its owner's alone."""
    # No lock file: it goes by process ids, which come again.
    return f"unix:address={quoteStringArgument(os.fspath(path))}:mode=600:lockfile=0"


@contextmanager
def room(path: Path) -> Iterator[None]:
    """
    Make sure that a socket can be bound there safely, and, once it is, that it is there.

    The directory is made for its owner alone if there is none. A socket that nobody listens on any
    more is removed; only a refused connection proves that.

    @raise SettingsError: somebody listens there, or others could put something there.
    """
    if len(os.fsencode(path)) > LONGEST:
        raise SettingsError(f"{path} has more than the {LONGEST} bytes of a unix socket's path")
    try:
        path.parent.parent.mkdir(_PRIVATE, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            path.parent.mkdir(_PRIVATE)
        unsafe = whyUnsafe(path.parent)
        if unsafe:
            raise SettingsError(unsafe)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            # Of two daemons that start at once one would take the other's for a leftover.
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _removeLeftover(path, directory)
            yield
            facts = os.stat(path.name, dir_fd=directory, follow_symlinks=False)
            if not stat.S_ISSOCK(facts.st_mode) or facts.st_uid != os.geteuid():
                raise SettingsError(f"{path} is not what was put there")
        finally:
            os.close(directory)
    except OSError as error:
        if error.errno == errno.EWOULDBLOCK:
            raise SettingsError(f"another daemon is making one in {path.parent}") from None
        raise SettingsError(f"{error.filename or path}: {error.strerror}") from None


def _removeLeftover(path: Path, directory: int) -> None:
    try:
        facts = os.stat(path.name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(facts.st_mode):
        raise SettingsError(f"{path} is there and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        refusal = probe.connect_ex(os.fspath(path))
    if refusal != errno.ECONNREFUSED:
        raise SettingsError(f"somebody listens on {path}")
    os.unlink(path.name, dir_fd=directory)
