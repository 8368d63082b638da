"""The files of the local authority: whose they are, who can use them, and when it ends."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509

from loopbackd.tls.files import readSmall
from loopbackd.tls.store import PRIVATE, PUBLIC


@dataclass(frozen=True, slots=True)
class AuthorityFiles:
    """
    What was seen, of a directory and the key in it.

    @ivar exposed: those that others can use, and their modes.
    @ivar strangers: those that belong to another user, and whose they are.
    @ivar links: those that are symbolic links, which are not followed.
    @ivar end: of the authority; L{None} where there is none to be read.
    """

    directory: str
    exposed: Mapping[str, int] = field(default_factory=dict)
    strangers: Mapping[str, int] = field(default_factory=dict)
    links: tuple[str, ...] = ()
    end: datetime | None = None


def authorityFiles(directory: Path) -> AuthorityFiles:
    """Look at them, and make none."""
    exposed, strangers, links = {}, {}, []
    for path in (directory, directory / PRIVATE):
        try:
            status = os.stat(path, follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISLNK(status.st_mode):
            links.append(str(path))
        elif status.st_mode & 0o077:
            exposed[str(path)] = stat.S_IMODE(status.st_mode)
        if status.st_uid != os.geteuid():
            strangers[str(path)] = status.st_uid
    return AuthorityFiles(str(directory), exposed, strangers, tuple(links), _end(directory))


def _end(directory: Path) -> datetime | None:
    try:
        return x509.load_pem_x509_certificate(readSmall(directory / PUBLIC)).not_valid_after_utc
    except (OSError, ValueError):
        return None
