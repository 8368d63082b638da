"""``loopbackd toxics`` and ``loopbackd profiles``: what can be done to a network."""

from __future__ import annotations

import json

import click
import msgspec

from loopbackd.faults.describing import describe
from loopbackd.faults.kinds import kindClass, known
from loopbackd.faults.profiles import PROFILES, Profile
from loopbackd.loglines import oneLine


@click.command()
def toxics() -> None:
    """List the types of toxics, with their attributes."""
    for name, origin in known():
        try:
            what, attributes = describe(kindClass(name))
        except ValueError as error:
            what, attributes = f"cannot be used: {oneLine(str(error))}", ()
        click.echo(f"{name}  {what}" + ("" if origin == "loopbackd" else f"  [{origin}]"))
        for one in attributes:
            isNeeded = one.default is msgspec.UNSET
            given = "..." if isNeeded else json.dumps(one.default, default=str)
            needed = ", must be given" if isNeeded else ""
            click.echo(f"    {one.name} = {given}  ({one.allowed}{needed})")


@click.command()
def profiles() -> None:
    """List the networks that a service can have by name, with their figures."""
    width = max(map(len, PROFILES))
    for name, profile in PROFILES.items():
        click.echo(f"{name:<{width}}  {profile.what}: {_figures(profile)}")
        click.echo(f"{'':<{width}}  {profile.source}")


def _figures(profile: Profile) -> str:
    said = [f"{profile.round_trip:g} ms there and back"]
    if profile.jitter:
        said.append(f"each way {profile.jitter:g} ms more or less")
    said.append(f"{_rate(profile.down)} down, {_rate(profile.up)} up")
    if profile.loss:
        said.append(f"{profile.loss:.0%} lost")
    return ", ".join(said)


def _rate(kilobits: float) -> str:
    return f"{kilobits / 1000:g} Mbit/s" if kilobits >= 1000 else f"{kilobits:g} kbit/s"
