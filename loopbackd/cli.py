"""The ``loopbackd`` command: a running daemon's services and toxics, and what needs none."""

from __future__ import annotations

import errno
import sys
from importlib import import_module
from importlib.metadata import version as versionOf
from typing import Any, Final

import click

_COMMANDS: Final = {
    "ca": "authority:ca",
    "check-config": "local:checkConfig",
    "completion": "completion:completion",
    "doctor": "doctor:doctor",
    "hosts": "hosts:hosts",
    "new": "local:new",
    "port": "port:port",
    "profiles": "catalogue:profiles",
    "protocols": "local:protocols",
    "reset": "services:reset",
    "service": "services:service",
    "toxic": "toxics:toxic",
    "toxics": "catalogue:toxics",
    "version": "local:version",
    "watch": "watch:watch",
}
"""Where each is, below L{loopbackd.commands}; what is not run is not imported."""


class _Commands(click.Group):
    """Imports the one that is asked for."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run it; where its words have no place (a full disk) a line about that is all."""
        try:
            return super().main(*args, **extra)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EIO):
                raise
            click.echo(f"Error: cannot print it: {error.strerror}", err=True)
            sys.exit(2)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All of them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One of them."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        found: click.Command = getattr(import_module(f"loopbackd.commands.{module}"), name)
        return found


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(versionOf("loopbackd"), prog_name="loopbackd", message="%(prog)s %(version)s")
def main() -> None:
    """
    The other end of every local connection.

    The daemon itself is run by Twisted: twistd -n loopbackd
    """
