"""
Where the Unix socket of a running daemon's control API is, and whether that is a safe place.

Several daemons can run side by side, so it is called after the port of the API, which only one of
them has.  Whoever can write to the directory could put a socket of their own there; whoever
can write to one above it, another directory.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from loopbackd.tls.store import stateDirectory

LONGEST: Final = 107
"""Bytes of a Unix socket's path (unix(7))."""

_ROOT: Final = 0


def socketName(port: int) -> str:
    """What the socket is called beside the API's TCP port."""
    return f"control-{port}.sock"


def runDirectories(environ: Mapping[str, str]) -> Iterator[Path]:
    """
    Where it can be, the likeliest first.

    C{$LOOPBACKD_RUNTIME_DIR}, systemd's C{$RUNTIME_DIRECTORY}, C{$XDG_RUNTIME_DIR/loopbackd} where
    that is one's own (after C{su} it is another user's), and C{run} where the state is kept.
    """
    for own in (
        environ.get("LOOPBACKD_RUNTIME_DIR", ""),
        environ.get("RUNTIME_DIRECTORY", "").split(":")[0],
    ):
        if own:
            yield Path(own).expanduser().absolute()
    session = environ.get("XDG_RUNTIME_DIR", "")
    # The specification wants relative ones ignored.
    if os.path.isabs(session) and _isOurs(session):
        yield Path(session) / "loopbackd"
    yield stateDirectory(environ).parent.absolute() / "run"


def findSocket(environ: Mapping[str, str], port: int) -> Path | None:
    """
    The socket of a daemon of one's own or of root's, where nobody else can have put it.

    It may be one that a dead daemon left.

    @param port: where the same API is by TCP.
    """
    for directory in runDirectories(environ):
        path = directory / socketName(port)
        try:
            facts = path.lstat()
        except OSError:
            continue
        isOurs = stat.S_ISSOCK(facts.st_mode) and facts.st_uid in (_ROOT, os.geteuid())
        if isOurs and not whyUnsafe(directory) and len(os.fsencode(path)) <= LONGEST:
            return path
    return None


def whyUnsafe(directory: Path) -> str:
    """
    Why others could put something into a directory, or in its place; empty if they cannot.

    A symbolic link in its place is none; those on the way to it are followed.
    """
    try:
        facts = directory.lstat()
        if not stat.S_ISDIR(facts.st_mode):
            return f"{directory} is no directory"
        above = Path(os.path.realpath(directory.parent))
        around = [(one, one.stat()) for one in (above, *above.parents)]
    except OSError as error:
        return f"{directory}: {error.strerror}"
    if facts.st_uid not in (_ROOT, os.geteuid()):
        return f"{directory} is of user {_name(facts.st_uid)}"
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        mode = stat.S_IMODE(facts.st_mode)
        return f"others can write to {directory} (mode {mode:04o}); chmod 700 it"
    for one, facts in around:
        if facts.st_uid not in (_ROOT, os.geteuid()):
            return f"{directory} is below {one}, which is of user {_name(facts.st_uid)}"
        listed = _hasList(one)
        # In a sticky directory nobody renames what is another's.
        if _isOpen(facts, listed) and not facts.st_mode & stat.S_ISVTX:
            shown = f"{stat.S_IMODE(facts.st_mode):04o}{'+' * listed}"
            return f"{directory} is below {one}, to which others can write (mode {shown})"
    return ""


def _isOpen(facts: os.stat_result, listed: bool) -> bool:
    # With a list, the rights of the group are the most that anybody in the list has (acl(5)).
    isPrivate = not listed and _isOwnGroup(facts.st_gid)
    return bool(facts.st_mode & stat.S_IWOTH) or (
        bool(facts.st_mode & stat.S_IWGRP) and not isPrivate
    )


def _isOwnGroup(gid: int) -> bool:
    """
    Whether nobody else is in a group.

    Many systems give each user one, of the same name or number, and what users make is 0775 there;
    others have one for all of them, which is everybody's first.
    """
    if gid not in (_ROOT, os.getegid()):
        return False
    isNumbered, user = gid in (_ROOT, os.geteuid()), _name(os.geteuid())
    try:
        group = grp.getgrgid(gid)
    except KeyError:
        return isNumbered
    return (isNumbered or group.gr_name == user) and {*group.gr_mem} <= {user, "root"}


def _hasList(directory: Path) -> bool:
    """Whether an access control list says more than the mode does."""
    try:
        return bool(os.getxattr(directory, "system.posix_acl_access"))
    except OSError:
        return False


def _isOurs(directory: str) -> bool:
    try:
        facts = os.stat(directory)
    except OSError:
        return False
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid()


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
