"""C{loopbackd port}: who has a port, and ending whoever listens there."""

from __future__ import annotations

import sys
from ipaddress import ip_address

import click

from loopbackd.commands.findings import CannotLook, exitCode
from loopbackd.commands.output import say
from loopbackd.commands.portview import endedInWords, endedValue, showPort
from loopbackd.doctor.busy import looker
from loopbackd.doctor.checks.holding import Looker
from loopbackd.doctor.checks.taken import checkHolders
from loopbackd.doctor.endable import Ending, NotEnded, ending
from loopbackd.doctor.ending import Ended
from loopbackd.doctor.facts.occupancy import Occupancy, occupancy
from loopbackd.doctor.finding import inOrder
from loopbackd.doctor.freeing import ancestorsOf, endFamily, whyNotFree
from loopbackd.hostport import joined
from loopbackd.loglines import escape
from loopbackd.peer.netlink import SocketDiag


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
    diag, me = SocketDiag(), looker()
    seen = occupancy(diag, port, host)
    if seen.there.missing:
        raise CannotLook(f"the kernel does not tell who has port {port}: {seen.there.missing}")
    findings = inOrder(checkHolders(seen, me))
    if not free or not seen.listening:
        showPort(seen, findings, asJSON, {})
        if free and exitCode(findings):
            raise click.ClickException("nobody listens there, so nobody is ended")
        sys.exit(exitCode(findings))
    whom, ended = _end(seen, me, yes, kill_after)
    if not asJSON:
        say(endedInWords(whom, ended))
    if why := whyNotFree(diag, seen.listening, me):
        raise click.ClickException(why)
    if asJSON:
        showPort(seen, findings, True, endedValue(whom, ended, seen.listening))
    else:
        for row in seen.listening:
            say(f"{joined(*row.local)} is free")


def _end(seen: Occupancy, me: Looker, yes: bool, patience: float) -> tuple[Ending, Ended]:
    """End whoever listens, if that may be done and somebody says so."""
    try:
        whom = ending(seen.listening, seen.holders, me, ancestorsOf(me.pid))
    except NotEnded as error:
        raise click.ClickException(str(error)) from None
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("--free asks before it ends somebody; write --yes as well")
        click.confirm(escape(f"{whom}. End it?"), abort=True, err=True)
    try:
        return whom, endFamily(whom.sockets, patience)
    except NotEnded as error:
        raise click.ClickException(f"{whom}; {error}") from None
