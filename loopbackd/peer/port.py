"""
Why an address could not be bound: one line for the operator, with the remedy in it.

The answers follow "cannot listen on ...: address already in use:".  They read C{/proc} and may
take milliseconds: ask in a thread, or where nothing waits.  The cases are those of bind(2)'s
C{EADDRINUSE}, also with C{SO_REUSEADDR} set.
"""

from __future__ import annotations

import errno
import ipaddress
import math
import os
import shlex
import socket
import stat
from typing import Final

from loopbackd.peer.holder import describeHolder, nameOwner
from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.sockdiag import SocketRow, TCPState
from loopbackd.peer.unixtable import UnixRow, parseUnixTable

_IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAMES: Final = {"": "0.0.0.0", "localhost": "127.0.0.1"}
_ANOTHER_PATH: Final = "choose another path: --listen unix:PATH"


def whoHolds(diag: SocketDiag | None, host: str, port: int) -> str:
    """
    Say who holds a TCP port that could not be bound, and what to do about it.

    Never raises; without diagnostics it says that it cannot see.

    @param host: what was to be bound: an address, C{localhost}, or empty for every address.
    """
    another = f"choose another port: --listen {_endpoint(host)}"
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
    wanted = _address(host)
    rows = [row for row in rows if _conflicts(row, wanted)]
    rows.sort(key=lambda row: row.local[0] != str(wanted))
    return _describe(rows, another)


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
            return f"held by {describeHolder(row.inode, facts.st_uid, _ANOTHER_PATH)}"
    for row in rows:
        if not row.connected:
            who = describeHolder(row.inode, facts.st_uid, _ANOTHER_PATH)
            return f"bound but not listening: held by {who}"
    refusal = _connectError(path)
    if refusal == errno.ECONNREFUSED:
        return f"a leftover, nobody listens: remove it (rm {shlex.quote(path)}), or {_ANOTHER_PATH}"
    if refusal in (0, errno.EAGAIN, errno.EPROTOTYPE):
        return (
            "held by a process that cannot be seen from here (in another container, or bound under"
            f" a relative name): {_ANOTHER_PATH}"
        )
    return f"cannot see who holds it ({os.strerror(refusal)}): run as root, or {_ANOTHER_PATH}"


def _describe(rows: list[SocketRow], another: str) -> str:
    for row in rows:
        if row.state is TCPState.LISTEN:
            return f"held {_holder(row, another)}"
    for row in rows:
        if row.state is TCPState.CLOSE:
            return f"bound but not listening: held {_holder(row, another)}"
    for row in rows:
        if row.inode:
            who, where = nameOwner(row.inode, row.uid), _join(*row.remote)
            return (
                f"in use by an outgoing connection of {who} to {where}:"
                f" wait until it ends, or {another}"
            )
    if rows:
        return f"closing ({_closing(rows)}): wait, or {another}"
    return (
        "held by nobody that can be seen from here: it may be free by now, so try again; a socket"
        " that is only bound (before Linux 6.8) or outside this system (Windows around WSL) does"
        f" not show, so else {another}"
    )


def _holder(row: SocketRow, another: str) -> str:
    who = describeHolder(row.inode, row.uid, another)
    everywhere = row.local[0] in ("0.0.0.0", "::")
    return f"on every address ({_join(*row.local)}) by {who}" if everywhere else f"by {who}"


def _closing(rows: list[SocketRow]) -> str:
    waiting = [row.expires for row in rows if row.state is TCPState.TIME_WAIT]
    if waiting:
        return f"TIME_WAIT, free in {math.ceil(max(waiting))} s"
    return ", ".join(sorted({row.state.name for row in rows}))


def _conflicts(row: SocketRow, wanted: _IPAddress | None) -> bool:
    held = ipaddress.ip_address(row.local[0])
    if wanted is None or held == wanted:
        return True
    if held.version == wanted.version:
        return held.is_unspecified or wanted.is_unspecified
    if held.version == 6:
        return held.is_unspecified and not row.v6only
    return wanted.is_unspecified  # "::" asks for IPv4 as well


def _address(host: str) -> _IPAddress | None:
    try:
        found = ipaddress.ip_address(_NAMES.get(host, host))
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _endpoint(host: str) -> str:
    if host in ("", "0.0.0.0"):
        return "tcp:PORT"
    return shlex.quote("tcp:PORT:interface=" + host.replace(":", r"\:"))


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


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
