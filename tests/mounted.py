"""Other files in the place of the system's own, for one process and nobody else (root only)."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from asuser import inChild

T = TypeVar("T")

_CLONE_NEWNS = 0x00020000
_CLONE_NEWNET = 0x40000000
_MS_BIND = 0x1000
_MS_PRIVATE_ALL = 0x44000


def mounted(
    directory: Path,
    files: Mapping[str, bytes],
    call: Callable[[], T],
    *,
    mode: int = 0o644,
    owner: int = 0,
    ownNetwork: bool = False,
) -> T:
    """
    What that returns where these files lie over the system's, in a mount namespace of its own.

    @param directory: to write the files to.
    @param ownNetwork: also with a network of its own, of which there is loopback alone.
    """

    def prepare() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        _check(libc.unshare(_CLONE_NEWNS | (_CLONE_NEWNET if ownNetwork else 0)))
        # Nothing that is mounted from here on is seen anywhere else.
        _check(libc.mount(b"none", b"/", None, _MS_PRIVATE_ALL, None))
        for number, (path, data) in enumerate(files.items()):
            ours = directory / f"mounted-{number}"
            ours.write_bytes(data)
            ours.chmod(mode)
            os.chown(ours, owner, 0)
            _check(libc.mount(bytes(ours), path.encode(), None, _MS_BIND, None))
        if ownNetwork:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)

    return inChild(prepare, call)


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
