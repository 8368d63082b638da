"""Whether the files of the local authority are safe, and good for a while."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import datetime

from loopbackd.doctor.facts.authority import AuthorityFiles
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.peer.process import userName
from loopbackd.tls.store import RENEWED_BEFORE


def checkAuthority(files: AuthorityFiles, now: datetime) -> Iterator[Finding]:
    """
    Whether the daemon can use its authority, and nobody else can.

    @param now: the time, with its zone.
    """
    for path, mode in files.exposed.items():
        yield Finding(
            "authority-exposed",
            Severity.PROBLEM,
            f"Others can get at the local authority: {path} has mode {mode:04o}.",
            ("its key signs certificates for this machine",),
            (
                f"chmod go= {shlex.quote(path)}",
                "if somebody may have had it: loopbackd ca create --replace, and trust that one",
            ),
            60,
        )
    for path, uid in files.strangers.items():
        yield Finding(
            "authority-not-ours",
            Severity.PROBLEM,
            f"The local authority is another user's: {path} belongs to {userName(uid)}.",
            ("the daemon uses none that others could have made",),
            (
                "run it as that user, or give the files to who runs it: chown",
                "or have another directory: LOOPBACKD_STATE_DIR",
            ),
            60,
        )
    for path in files.links:
        yield Finding(
            "authority-is-link",
            Severity.PROBLEM,
            f"The local authority cannot be used: {path} is a symbolic link.",
            ("the daemon follows no link to a key",),
            ("put the file or directory itself there, or name it: LOOPBACKD_STATE_DIR",),
            60,
        )
    if files.end is not None and files.end - now < RENEWED_BEFORE:
        ended = files.end < now
        yield Finding(
            "authority-ends",
            Severity.WARNING,
            f"The local authority {'has ended' if ended else 'ends'} on {files.end:%Y-%m-%d}: who"
            " trusts it has to trust another certificate soon.",
            (f"{files.directory}: until {files.end:%F %T} UTC",),
            ("loopbackd ca show (makes it anew), and then: loopbackd ca trust",),
        )
