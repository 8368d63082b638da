"""``loopbackd toxic``: faults put on, changed and taken away."""

from __future__ import annotations

from typing import Any

import click

from loopbackd.commands.asking import (
    attributesFrom,
    attributeWords,
    controlOption,
    serviceArgument,
    shownToxic,
    toxicArgument,
    typeArgument,
)
from loopbackd.commands.output import jsonOption, note, say, showJSON, showTable, wantsJSON
from loopbackd.control import shapes
from loopbackd.controlclient import ControlClient, path


@click.group()
def toxic() -> None:
    """Faults of a running daemon's services."""


@toxic.command("list")
@serviceArgument
@controlOption
@jsonOption
def listToxics(service: str, client: ControlClient, asJSON: bool) -> None:
    """List the toxics of a SERVICE, in the order they work."""
    where = path("services", service, "toxics")
    found = client.ask("GET", where, answered=shapes.Toxics)["toxics"]
    if wantsJSON(asJSON):
        showJSON(found)
        return
    showTable(
        ("name", "type", "stream", "toxicity", "seed", "attributes", "match"),
        [
            (
                one["name"],
                one["type"],
                one["stream"],
                f"{one['toxicity']:g}",
                one["seed"],
                attributeWords(one["attributes"]),
                attributeWords(one.get("match") or {}),
            )
            for one in found
        ],
        f"{service} has no toxics",
    )


@toxic.command("add")
@serviceArgument
@typeArgument
@click.argument("attributes", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--name", "-n", help="What to call it. [default: TYPE_STREAM]")
@click.option(
    "--upstream/--downstream",
    "-u/-d",
    default=False,
    help="On what clients send, or on what they get. [default: downstream]",
)
@click.option("--toxicity", type=float, help="Which part of the connections has it, 0 to 1.")
@click.option("--seed", type=int, help="The same seed gives the same faults.")
@click.option(
    "--match",
    multiple=True,
    metavar="NAME=VALUE",
    help="Only these connections: uid=, pid=, command=, nth=, every=. Can be given more than once.",
)
@controlOption
@jsonOption
def addToxic(
    service: str,
    type: str,
    attributes: tuple[str, ...],
    name: str | None,
    upstream: bool,
    toxicity: float | None,
    seed: int | None,
    match: tuple[str, ...],
    client: ControlClient,
    asJSON: bool,
) -> None:
    """
    Put a toxic of this TYPE on a SERVICE.

    Its attributes are written as latency=100; loopbackd toxics lists what there is.
    """
    asked: dict[str, Any] = {
        "type": type,
        "stream": "upstream" if upstream else "downstream",
        "attributes": attributesFrom(attributes),
        "name": name,
        "toxicity": toxicity,
        "seed": seed,
        "match": attributesFrom(match, "command=psql*") or None,
    }
    asked = {key: value for key, value in asked.items() if value is not None}
    made = client.ask("POST", path("services", service, "toxics"), asked, shapes.Toxic)
    _say(made, f"Toxic {made['name']} is on {service}", asJSON)


@toxic.command("update")
@serviceArgument
@toxicArgument
@click.argument("attributes", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--toxicity", type=float, help="Which part of the connections has it, 0 to 1.")
@controlOption
@jsonOption
def updateToxic(
    service: str,
    toxic: str,
    attributes: tuple[str, ...],
    toxicity: float | None,
    client: ControlClient,
    asJSON: bool,
) -> None:
    """Change a TOXIC of a SERVICE; what is not named stays as it is."""
    asked: dict[str, Any] = {}
    if attributes:
        asked["attributes"] = attributesFrom(attributes)
    if toxicity is not None:
        asked["toxicity"] = toxicity
    if not asked:
        raise click.UsageError("say what to change: NAME=VALUE, or --toxicity")
    where = path("services", service, "toxics", toxic)
    made = client.ask("PATCH", where, asked, shapes.Toxic)
    _say(made, f"Toxic {toxic} of {service} is changed", asJSON)


@toxic.command("rm")
@serviceArgument
@toxicArgument
@controlOption
def removeToxic(service: str, toxic: str, client: ControlClient) -> None:
    """Take a TOXIC off a SERVICE; what it holds goes on at once."""
    client.ask("DELETE", path("services", service, "toxics", toxic))
    note(f"Toxic {toxic} is off {service}")


def _say(made: dict[str, Any], what: str, asJSON: bool) -> None:
    if wantsJSON(asJSON):
        showJSON(made)
    else:
        say(f"{what}: {shownToxic(made)}")
