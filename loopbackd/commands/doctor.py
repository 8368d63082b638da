"""C{loopbackd doctor}: why a connection would or would not work."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from loopbackd.commands.asking import controlOption
from loopbackd.commands.findings import exitCode, show
from loopbackd.controlclient import ControlClient
from loopbackd.doctor.asked import asked
from loopbackd.doctor.debugged import examineDebuggers, examineProject
from loopbackd.doctor.examination import examine, examineDaemon
from loopbackd.settings import DEFAULT_PORT

_OWN = f"127.0.0.1:{DEFAULT_PORT}"


@click.command()
@click.argument("address", required=False)
@controlOption
@click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False),
    metavar="DIR",
    help="Look at the debuggers that the files of a project configure, instead.",
)
@click.option(
    "--debugger",
    is_flag=True,
    help="Explain 'Disconnected from the target VM' with this ADDRESS, and look at all debuggers.",
)
@click.option("--json", "asJSON", is_flag=True, help="Print JSON.")
def doctor(
    address: str | None, client: ControlClient, project: str | None, debugger: bool, asJSON: bool
) -> None:
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
    if project is not None:
        if address is not None or debugger:
            raise click.UsageError("--project takes no ADDRESS, and not --debugger")
        findings = examineProject(project)
    elif debugger:
        findings = examineDebuggers(wanted)
    elif address is None:
        findings = examineDaemon(wanted, client.address, Path.cwd(), client.otherwise)
    else:
        findings = examine(wanted)
    show(project or str(wanted), findings, asJSON)
    sys.exit(exitCode(findings))
