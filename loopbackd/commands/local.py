"""The commands that need no running daemon, and look at nothing of this machine."""

from __future__ import annotations

from importlib.metadata import version as versionOf
from pathlib import Path

import click

from loopbackd.control.listening import check
from loopbackd.newpackage import NameTaken, write
from loopbackd.prepared import load
from loopbackd.protocols.registry import known
from loopbackd.settings import SettingsError
from loopbackd.watching.rules import Rules


@click.command()
def protocols() -> None:
    """List the protocols a service can speak."""
    listed = list(known())
    width = max(len(protocol.name) for protocol in listed)
    for protocol in listed:
        origin = "" if protocol.origin == "loopbackd" else f"  [{protocol.origin}]"
        click.echo(f"{protocol.name:<{width}}  {protocol.what}{origin}")


@click.command("check-config")
@click.argument("file", type=click.Path(path_type=Path))
def checkConfig(file: Path) -> None:
    """Say whether the daemon could run with this configuration FILE."""
    try:
        settings, _ = load(file)
        check(settings.control)
        Rules(settings.watch)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    for one in settings.service:
        click.echo(f"{one.name}: {one.protocol} on {one.endpoint}")


@click.command()
@click.argument("name")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where to put it. [default: here]",
)
def new(name: str, directory: Path) -> None:
    """Write a small package with a protocol of your own, tests included."""
    try:
        written = write(name, directory)
    except (ValueError, NameTaken) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    for path in written:
        click.echo(path)
    click.echo(f"\nNext:  cd {directory / name} && pip install -e '.[test]' && pytest")


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(f"loopbackd {versionOf('loopbackd')}")
