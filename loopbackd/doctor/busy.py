"""
Why an address could not be bound: one line for the operator, with the remedy in it.

The answers follow "cannot listen on ...: address already in use:".  They read C{/proc} and may
take milliseconds: ask in a thread, or where nothing waits.  The cases are those of bind(2)'s
C{EADDRINUSE}, also with C{SO_REUSEADDR} set.
"""

from __future__ import annotations

import errno
import os
import shlex
import socket
import stat
from typing import Final

from loopbackd.doctor.checks.holding import Looker, heldBy
from loopbackd.doctor.checks.taken import refused, taken
from loopbackd.doctor.facts.cgroups import belongingOf, groupOf
from loopbackd.doctor.facts.ephemeral import ephemeral
from loopbackd.doctor.facts.holder import holderOf, holdersOf
from loopbackd.doctor.facts.keepers import asSystemdSays
from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.unixtable import UnixRow, parseUnixTable

_ANOTHER_PATH: Final = "choose another path: --listen unix:PATH"


def whyNotListen(diag: SocketDiag | None, host: str, port: int, number: int) -> str:
    """
    Say why a TCP address cannot be listened on, and what to do about it; never raises.

    @param host: what was to be bound: an address, C{localhost}, or empty for every address.
    @param number: the C{errno} of bind(2) or listen(2).
    """
    if number == errno.EADDRINUSE:
        return whoHolds(diag, host, port)
    return str(refused(number, host, port, ephemeral().unprivileged, _another(host)))


def whoHolds(diag: SocketDiag | None, host: str, port: int) -> str:
    """
    Say who holds a TCP port that could not be bound, and what to do about it.

    Never raises; without diagnostics it says that it cannot see.

    @param host: what was to be bound: an address, C{localhost}, or empty for every address.
    """
    another = _another(host)
    try:
        if diag is None:
            raise OSError(errno.ENOTSUP, "socket diagnostics are not in use")
        rows = diag.rows(port)
    except (OSError, ValueError) as error:
        why = (isinstance(error, OSError) and error.strerror) or error
        return (
            f"cannot see who holds it (no socket diagnostics: {why}):"
            f" try `lsof -nP -iTCP:{port}` as root, or {another}"
        )
    holders = asSystemdSays(holdersOf(rows), rows)
    return str(taken(rows, host, holders, looker(), another))


def looker() -> Looker:
    """Who we are, and what we may see."""
    pid = os.getpid()
    # Everybody sees process 1 where others' processes are shown at all (proc(5), hidepid).
    return Looker(os.geteuid(), pid, belongingOf(groupOf(pid)), not os.path.exists("/proc/1"))


def whoHoldsPath(path: str) -> str:
    """
    Say who holds the path a Unix socket could not be bound to, and what to do about it.

    Never raises.  Where the kernel's table does not show the listener, one connection is tried:
    only a refused one proves that the file is a leftover.
    """
    try:
        facts = os.stat(path)
    except OSError as error:
        if os.path.islink(path):
            remedy = f"remove it (rm {shlex.quote(path)}), or {_ANOTHER_PATH}"
            return f"a symbolic link to nowhere: {remedy}"
        if error.errno == errno.ENOENT:
            return f"nothing is there now: try again, or {_ANOTHER_PATH}"
        return f"cannot be looked at ({error.strerror}): {_ANOTHER_PATH}"
    if not stat.S_ISSOCK(facts.st_mode):
        return f"not a socket but another kind of file: move it away, or {_ANOTHER_PATH}"
    rows = _boundTo(path)
    for row in rows:
        if row.listening:
            return _held(row.inode, facts.st_uid)
    for row in rows:
        if not row.connected:
            return f"bound but not listening: {_held(row.inode, facts.st_uid)}"
    refusal = _connectError(path)
    if refusal == errno.ECONNREFUSED:
        return f"a leftover, nobody listens: remove it (rm {shlex.quote(path)}), or {_ANOTHER_PATH}"
    if refusal in (0, errno.EAGAIN, errno.EPROTOTYPE):
        return (
            "held by a process that cannot be seen from here (in another container, or bound under"
            f" a relative name): {_ANOTHER_PATH}"
        )
    return f"cannot see who holds it ({os.strerror(refusal)}): run as root, or {_ANOTHER_PATH}"


def _held(inode: int, uid: int) -> str:
    who, remedy = heldBy(holderOf(inode, uid), looker(), _ANOTHER_PATH)
    return f"held by {who}; {', or '.join(remedy)}"


def _another(host: str) -> str:
    return f"choose another port: --listen {_endpoint(host)}"


def _endpoint(host: str) -> str:
    if host in ("", "0.0.0.0"):
        return "tcp:PORT"
    return shlex.quote("tcp:PORT:interface=" + host.replace(":", r"\:"))


def _boundTo(path: str) -> list[UnixRow]:
    try:
        with open("/proc/net/unix", "rb") as table:
            rows = parseUnixTable(table.read())
    except OSError:
        return []
    names = {os.fsencode(os.path.abspath(path)), os.fsencode(os.path.realpath(path))}
    return [row for row in rows if row.path in names]


def _connectError(path: str) -> int:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            return probe.connect_ex(path)
    except (OSError, ValueError) as error:
        return getattr(error, "errno", None) or errno.EINVAL
