"""C{loopbackd port}: who has a port, and ending whoever listens there."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any, NoReturn

import click

from loopbackd.commands.findings import CannotLook, exitCode, show
from loopbackd.commands.output import say, showJSON
from loopbackd.doctor.busy import looker
from loopbackd.doctor.checks.holding import Looker
from loopbackd.doctor.checks.taken import checkHolders, isInTheWay
from loopbackd.doctor.facts.binding import bindError
from loopbackd.doctor.facts.ephemeral import ephemeral
from loopbackd.doctor.facts.holder import Holder, holdersOf
from loopbackd.doctor.facts.keepers import asSystemdSays
from loopbackd.doctor.facts.sockets import Sockets, freeNear, sockets
from loopbackd.doctor.finding import Finding, inOrder
from loopbackd.doctor.freeing import NotEnded, ancestorsOf, comeBack, endFamily, whoToEnd
from loopbackd.hostport import joined
from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.sockdiag import SocketRow

_EVERYWHERE = ("0.0.0.0", "::")


def _address(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    if value is None:
        return ""
    try:
        return str(ip_address({"localhost": "127.0.0.1"}.get(value, value)))
    except ValueError:
        raise click.BadParameter(f"{value!r} is no IP address; write 127.0.0.1") from None


@click.command()
@click.argument("port", type=click.IntRange(1, 65535))
@click.option(
    "--host",
    metavar="ADDRESS",
    callback=_address,
    help="Only who is in the way of listening there.",
)
@click.option("--free", is_flag=True, help="End whoever listens there.")
@click.option("--yes", is_flag=True, help="Do not ask before.")
@click.option(
    "--kill-after",
    type=click.FloatRange(0, 3600),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Kill what still listens by then.",
)
@click.option("--json", "asJSON", is_flag=True, help="Print JSON.")
def port(port: int, host: str, free: bool, yes: bool, kill_after: float, asJSON: bool) -> None:
    """
    Show who has PORT, and with --free end whoever listens there.

    Clients that are connected to it are never ended, nor is what would be started again: for that
    it says what to stop. Ends with 0 where the port is free, or has become so, with 1 where
    somebody has it, and with 2 where it could not look.
    """
    shown = _Shown(port, host, asJSON)
    listening = [row for row in shown.there.listeners if isInTheWay(row, host)]
    if not free:
        shown.show()
        sys.exit(exitCode(shown.findings))
    if not listening:
        shown.show()
        shown.fail("nobody listens there, so nobody is ended")
    _free(shown, listening, yes, kill_after)
    _settle(shown, listening)


class _Shown:
    """What is to be seen of a port, and how that is told."""

    def __init__(self, port: int, host: str, asJSON: bool) -> None:
        self.diag = SocketDiag()
        self.port = port
        self.asJSON = asJSON
        self.done: dict[str, Any] = {}
        there = sockets(self.diag, port)
        if there.missing:
            raise CannotLook(f"the kernel does not tell who has port {port}: {there.missing}")
        self.there, self.holders = there, _holders(there)
        self.free = freeNear(self.diag, port, host or "127.0.0.1")
        self.looker = looker()
        self.findings = inOrder(self._findings(there, host))

    def show(self) -> None:
        """Print all of it."""
        if not self.asJSON:
            show(f"port {self.port}", self.findings, False)
            if not self.findings:
                say(f"Nobody has port {self.port}.")
            return
        showJSON(
            {
                "about": f"port {self.port}",
                "findings": [one.asValue() for one in self.findings],
                "sockets": [
                    _asValue(row, self.holders[row.inode])
                    for row in (*self.there.listeners, *self.there.bound)
                    if row.inode in self.holders
                ],
                "next_free": self.free,
                **self.done,
            }
        )

    def say(self, line: str) -> None:
        """Tell people how far it is; programs are told at the end."""
        if not self.asJSON:
            say(line)

    def fail(self, why: str) -> NoReturn:
        """End with why it was not done."""
        raise click.ClickException(why)

    def _findings(self, there: Sockets, host: str) -> list[Finding]:
        errors = {one: bindError(one, there.port) for one in ((host,) if host else _EVERYWHERE)}
        another = f"use another port: {self.free} is free" if self.free else "use another port"
        known = self.holders
        first = ephemeral().unprivileged
        return list(checkHolders(there, host, known, self.looker, errors, first, another))


def _holders(there: Sockets) -> dict[int, Holder]:
    return asSystemdSays(holdersOf(there.rows), there.rows)


def _free(shown: _Shown, rows: Sequence[SocketRow], yes: bool, patience: float) -> None:
    me = shown.looker
    where = " and ".join(joined(*row.local) for row in rows)
    holders = list(dict.fromkeys(shown.holders[row.inode] for row in rows if row.inode))
    names = " and ".join(map(str, holders))
    try:
        sockets = _toEnd(shown, rows, me)
        if not yes:
            if not sys.stdin.isatty():
                raise click.UsageError("--free asks before it ends somebody; write --yes as well")
            click.confirm(f"{where} is {names}. End it?", abort=True, err=True)
        ended = endFamily(sockets, patience)
    except NotEnded as error:
        shown.fail(f"{where} is {names}; {error}")
    killed, living = (", ".join(map(str, pids)) for pids in (ended.killed, ended.living))
    how = f"; killed: {killed}" if killed else ""
    rest = f"; still finishing what it does: {living}" if living else ""
    shown.say(f"{where}: ended {names}{how}{rest}")
    shown.done = {
        "ended": sorted(set(sockets) - set(ended.living)),
        "killed": list(ended.killed),
        "finishing": list(ended.living),
    }


def _toEnd(shown: _Shown, rows: Sequence[SocketRow], me: Looker) -> dict[int, set[int]]:
    """The sockets to be given up, by pid; nobody is ended where one of them may not be."""
    found: dict[int, set[int]] = {}
    for row in rows:
        if row.inode not in shown.holders:
            raise NotEnded("it is the kernel's own: look at what it does (NFS)")
        for pid in whoToEnd(shown.holders[row.inode], me, ancestorsOf(me.pid)):
            found.setdefault(pid, set()).add(row.inode)
    return found


def _settle(shown: _Shown, rows: Sequence[SocketRow]) -> None:
    """Say whether the port is free now, and stays so."""
    again = comeBack(shown.diag, rows)
    if again is not None:
        holder = holdersOf((again,)).get(again.inode)
        starter = None if holder is None else holder.parent
        who = "somebody" if holder is None else str(holder)
        what = f"pid {starter.pid} ({starter.command})" if starter else "what starts it"
        shown.fail(f"{joined(*again.local)} is not free: {who} has it now; stop {what}")
    for row in rows:
        number = bindError(*row.local, v6only=row.v6only)
        if number:
            there = sockets(shown.diag, shown.port)
            errors = {row.local[0]: number}
            findings = checkHolders(
                there, row.local[0], _holders(there), shown.looker, errors, 0, "use another port"
            )
            shown.fail(next((one.says for one in findings), f"{joined(*row.local)} is not free"))
    shown.done["free"] = [joined(*row.local) for row in rows]
    if shown.asJSON:
        shown.show()
    for row in rows:
        shown.say(f"{joined(*row.local)} is free")


def _asValue(row: SocketRow, holder: Holder) -> dict[str, Any]:
    process, unit = holder.process, holder.socketUnit
    return {
        "address": joined(*row.local),
        "state": row.state.name.lower(),
        "uid": row.uid,
        "user": holder.user,
        "pids": list(holder.pids),
        "command": None if process is None else process.command,
        "unit": holder.belonging.unit or None,
        "socket_unit": None if unit is None else unit.name,
        "container": holder.belonging.container or None,
        "directory": holder.directory or None,
        "seconds": None if holder.seconds is None else round(holder.seconds, 2),
        "process_state": holder.state or None,
    }
