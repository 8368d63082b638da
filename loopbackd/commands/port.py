"""C{loopbackd port}: who has a port, and ending whoever listens there."""

from __future__ import annotations

import sys
from ipaddress import ip_address

import click

from loopbackd.commands.findings import exitCode, show
from loopbackd.commands.output import say
from loopbackd.doctor.asked import joined
from loopbackd.doctor.busy import looker
from loopbackd.doctor.checks.taken import checkHolders
from loopbackd.doctor.facts.holder import Holder, holdersOf
from loopbackd.doctor.facts.sockets import freeNear, sockets
from loopbackd.doctor.freeing import NotEnded, ancestorsOf, becomesFree, end, whoToEnd
from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.sockdiag import SocketRow


def _address(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    if value is None:
        return ""
    try:
        return str(ip_address({"localhost": "127.0.0.1"}.get(value, value)))
    except ValueError:
        raise click.BadParameter(f"{value!r} is no IP address; write 127.0.0.1") from None


@click.command()
@click.argument("port", type=click.IntRange(1, 65535))
@click.option("--host", callback=_address, help="Only who has this address, and not all of them.")
@click.option("--free", is_flag=True, help="End whoever listens there.")
@click.option("--yes", is_flag=True, help="Do not ask before.")
@click.option(
    "--kill-after",
    type=click.FloatRange(0, 3600),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Kill what has not ended by then.",
)
@click.option("--json", "asJSON", is_flag=True, help="Print JSON.")
def port(port: int, host: str, free: bool, yes: bool, kill_after: float, asJSON: bool) -> None:
    """
    Show who has PORT, and with --free end whoever listens there.

    Clients that are connected to it are never ended, nor is what would be started again: for that
    it says what to stop. Ends with 0 where the port is free, or has become so, and with 1 where
    somebody has it.
    """
    there = sockets(SocketDiag(), port)
    if there.missing:
        raise _CannotLook(f"the kernel does not tell who has port {port}: {there.missing}")
    holders = holdersOf(there.rows)
    findings = list(checkHolders(there, host, holders, looker(), freeNear(SocketDiag(), port)))
    if not free:
        show(f"port {port}", findings, asJSON)
        if not findings and not asJSON:
            say(f"Nobody has port {port}.")
        sys.exit(exitCode(findings))
    listening = [row for row in there.listeners if host in ("", row.local[0])]
    if not listening:
        show(f"port {port}", findings, asJSON)
        raise click.ClickException("nobody listens there, so nobody is ended")
    for row in listening:
        _free(row, holders[row.inode], yes, kill_after)
    _sayFree(port, listening)


class _CannotLook(click.ClickException):
    exit_code = 2


def _free(row: SocketRow, holder: Holder, yes: bool, patience: float) -> None:
    where = joined(*row.local)
    me = looker()
    try:
        pids = whoToEnd(holder, me, ancestorsOf(me.pid))
        if not yes:
            if not sys.stdin.isatty():
                raise click.UsageError("--free asks before it ends somebody; write --yes as well")
            click.confirm(f"{where} is {holder}. End it?", abort=True)
        killed = end(pids, row.inode, patience)
    except NotEnded as error:
        raise click.ClickException(f"{where} is {holder}; {error}") from None
    how = f"; killed: {', '.join(map(str, killed))}" if killed else ""
    say(f"{where}: ended {holder}{how}")


def _sayFree(port: int, rows: list[SocketRow]) -> None:
    for row in rows:
        where = joined(*row.local)
        if not becomesFree(row.local[0], port):
            there = sockets(SocketDiag(), port)
            holders = holdersOf(there.rows)
            who = next((f"{holders[one.inode]}" for one in there.listeners), "nobody to be seen")
            raise click.ClickException(
                f"{where} is not free: {who} has it now; stop what starts it"
            )
        say(f"{where} is free")
