"""C{loopbackd doctor}: why a connection would or would not work."""

from __future__ import annotations

import sys

import click

from loopbackd.commands.findings import exitCode, show
from loopbackd.doctor.asked import asked
from loopbackd.doctor.examination import examine


@click.command()
@click.argument("address", default="127.0.0.1:62893")
@click.option("--json", "asJSON", is_flag=True, help="Print JSON.")
def doctor(address: str, asJSON: bool) -> None:
    """
    Say why a connection to ADDRESS would or would not work.

    ADDRESS is HOST:PORT, a port of this machine, or a URL. Ends with 0 where nothing is wrong, with
    1 where something is, and with 2 where it could not look.
    """
    try:
        wanted = asked(address)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="ADDRESS") from None
    findings = examine(wanted)
    show(str(wanted), findings, asJSON)
    sys.exit(exitCode(findings))
