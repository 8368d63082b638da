"""C{loopbackd doctor}: why a connection would or would not work."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from loopbackd.commands.asking import controlOption
from loopbackd.commands.findings import exitCode, show
from loopbackd.controlclient import ControlClient
from loopbackd.doctor.asked import asked
from loopbackd.doctor.examination import examine, examineDaemon
from loopbackd.settings import DEFAULT_PORT

_OWN = f"127.0.0.1:{DEFAULT_PORT}"


@click.command()
@click.argument("address", required=False)
@controlOption
@click.option("--json", "asJSON", is_flag=True, help="Print JSON.")
def doctor(address: str | None, client: ControlClient, asJSON: bool) -> None:
    """
    Say why a connection to ADDRESS would or would not work.

    ADDRESS is HOST:PORT, a port of this machine, or a URL; without one it is about the daemon
    itself. Ends with 0 where nothing is wrong, with
    1 where something is, and with 2 where it could not look.
    """
    try:
        wanted = asked(address or _OWN)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="ADDRESS") from None
    if address is None:
        findings = examineDaemon(wanted, client.address, Path.cwd(), client.otherwise)
    else:
        findings = examine(wanted)
    show(str(wanted), findings, asJSON)
    sys.exit(exitCode(findings))
