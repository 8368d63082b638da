"""``loopbackd hosts``: is the hosts file right, and where does a name lead?"""

from __future__ import annotations

import re
import socket
import sys
from typing import Any, Final

import click

from loopbackd.commands.findings import exitCode, show
from loopbackd.commands.output import showJSON
from loopbackd.doctor.checks.hostsfile import checkHosts
from loopbackd.doctor.checks.naming import checkNaming, isAddress
from loopbackd.doctor.facts.hostsfile import HOSTS, readHosts
from loopbackd.doctor.facts.names import resolve
from loopbackd.doctor.facts.nameservice import askSources, readSwitch
from loopbackd.doctor.finding import inOrder
from loopbackd.net.endpoint import hasIPv6

_NAME: Final = re.compile(r"[^\x00-\x20/@\x7f]{1,253}")


@click.group()
def hosts() -> None:
    """Look at the hosts file, and at where names lead."""


@hosts.command()
@click.option("--file", "path", default=HOSTS, help=f"Another hosts file.  [default: {HOSTS}]")
@click.option("--json", "asJSON", is_flag=True, help="Print JSON.")
def check(path: str, asJSON: bool) -> None:
    """
    Say what is wrong with the hosts file.

    The system's own is held against what the resolver says; of another FILE only the text is looked
    at. Ends with 0 where nothing is wrong, with 1 where something is, and with 2 where it could not
    look.
    """
    file = readHosts(path)
    isSystems = path == HOSTS
    if file.missing and not isSystems:
        raise click.BadParameter(f"{path}: {file.missing}", param_hint="--file")
    switch, localhost = (readSwitch(), resolve("localhost")) if isSystems else (None, None)
    found = inOrder(checkHosts(file, switch, localhost, hasIPv6(), socket.gethostname()))
    show(path, found, asJSON)
    sys.exit(exitCode(found))


@hosts.command()
@click.argument("name")
@click.option("--json", "asJSON", is_flag=True, help="Print JSON.")
def explain(name: str, asJSON: bool) -> None:
    """
    Say where NAME leads, and why.

    Asks as every program does, and then those who could have answered one by one, up to the one who
    did. Ends with 0 where it leads somewhere, with 1 where it does not or something is odd about
    it.
    """
    if not _NAME.fullmatch(name):
        raise click.BadParameter(
            f"{name!r} is no name of a host; write app.test", param_hint="NAME"
        )
    resolved, file, switch = resolve(name), readHosts(), readSwitch()
    answers = [] if isAddress(name) else askSources(name, switch)
    found = inOrder(checkNaming(resolved, file, switch, answers))
    if asJSON:
        value: dict[str, Any] = {
            "about": name,
            "addresses": list(resolved.addresses),
            "error": resolved.error,
            "lines": [
                {"line": one.line, "address": one.address, "names": list(one.names)}
                for one in file.entriesOf(name)
            ],
            "sources": [
                {
                    "name": one.source.name,
                    "asked": one.resolved is not None,
                    "addresses": list(one.resolved.addresses) if one.resolved else [],
                    "says": one.resolved.error if one.resolved else one.why,
                }
                for one in answers
            ],
            "findings": [one.asValue() for one in found],
        }
        showJSON(value)
    else:
        show(name, found, False)
    sys.exit(exitCode(found))
