"""Which program a process really runs, where nobody but root can have put it there (proc(5))."""

from __future__ import annotations

import os
from typing import Final

from loopbackd.doctor.facts.program import isRoots

_DELETED: Final = " (deleted)"


def rootsProgram(pid: int) -> str:
    """
    The name of the file that a process runs; empty where that file is not root's, or not at a place
    that is root's, and where that cannot be seen.

    What a process says of itself, it can choose; this it cannot, with no file of root's to take.
    """
    link = f"/proc/{pid}/exe"
    try:
        path = os.readlink(link)
        status = os.stat(link)
        if status.st_uid != 0:
            return ""
        if not status.st_nlink and path.endswith(_DELETED):
            # A newer one is in its place. No link to it is left, and only root can have removed it.
            path = path.removesuffix(_DELETED)
        elif not os.path.samestat(os.lstat(path), status):
            # In a mount namespace of its own a process can have any file anywhere.
            return ""
    except OSError:
        return ""
    return os.path.basename(path) if isRoots(os.path.dirname(path)) else ""
