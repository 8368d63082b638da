"""``loopbackd completion``: what a shell needs to complete our commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_PROGRAM = "loopbackd"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """
    Print what makes a SHELL complete these commands.

    For bash: eval "$(loopbackd completion bash)"
    """
    found = get_completion_class(shell)
    assert found is not None
    variable = f"_{_PROGRAM.upper()}_COMPLETE"
    click.echo(found(context.find_root().command, {}, _PROGRAM, variable).source())
