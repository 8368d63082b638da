"""``loopbackd service`` and ``loopbackd reset``: the services of a running daemon."""

from __future__ import annotations

from typing import Any

import click

from loopbackd.commands.asking import (
    controlOption,
    profileArgument,
    serviceArgument,
    shownToxic,
)
from loopbackd.commands.output import jsonOption, note, say, showJSON, showTable, wantsJSON
from loopbackd.control import shapes
from loopbackd.controlclient import ControlClient, path
from loopbackd.net.endpoint import endpointFrom


@click.group()
def service() -> None:
    """Services of a running daemon."""


@service.command("list")
@controlOption
@jsonOption
def listServices(client: ControlClient, asJSON: bool) -> None:
    """List the services, where they listen, and who is connected."""
    found = client.ask("GET", "/services", answered=shapes.Services)["services"]
    if wantsJSON(asJSON):
        showJSON(found)
        return
    showTable(
        ("name", "protocol", "listens on", "target", "open", "in", "out", "toxics"),
        [
            (
                one["name"],
                one["protocol"],
                one["listening"] or f"({one['endpoint']}: off)",
                one["target"],
                one["connections"]["open"],
                one["connections"]["bytes_received"],
                one["connections"]["bytes_sent"],
                [toxic["name"] for toxic in one["toxics"]],
            )
            for one in found
        ],
        "there are no services",
    )


@service.command("show")
@serviceArgument
@controlOption
@jsonOption
def showService(service: str, client: ControlClient, asJSON: bool) -> None:
    """Show a SERVICE and its open connections."""
    where = path("services", service)
    found = client.ask("GET", where, answered=shapes.Service)
    connections = client.ask("GET", f"{where}/connections", answered=shapes.Connections)
    found["open_connections"] = connections["connections"]
    if wantsJSON(asJSON):
        showJSON(found)
        return
    where = ", ".join(found["listening"]) or f"off; {found['endpoint']}"
    say(f"{found['name']}: {found['protocol']}, {where}")
    if found["target"]:
        say(f"target {found['target']}")
    for toxic in found["toxics"]:
        say(f"toxic {toxic['name']}: {shownToxic(toxic)}")
    showTable(
        ("id", "from", "uid", "pid", "command", "state", "in", "out", "toxics"),
        [
            (
                one["id"],
                one["remote"],
                _known(one["uid"]),
                _known(one["pid"]),
                _known(one["command"]),
                one["state"],
                one["bytes_received"],
                one["bytes_sent"],
                one["toxics"],
            )
            for one in found["open_connections"]
        ],
        "nobody is connected",
    )


def _known(value: object) -> object:
    return "?" if value is None else value


@service.command("add")
@click.argument("name")
@click.option(
    "--listen",
    "-l",
    default="0",
    metavar="ADDRESS",
    help="Where: a port, host:port, or an endpoint string. [default: a free port of 127.0.0.1]",
)
@click.option("--target", "-t", help="Relay to this: host:port, or a client endpoint string.")
@click.option("--protocol", "-p", help="What it speaks. [default: relay with a target, else auto]")
@click.option("--profile", help="Begin with the toxics of this profile.")
@controlOption
@jsonOption
def addService(
    name: str,
    listen: str,
    target: str | None,
    protocol: str | None,
    profile: str | None,
    client: ControlClient,
    asJSON: bool,
) -> None:
    """Add a service called NAME; it is there until it is removed or the daemon ends."""
    asked: dict[str, Any] = {
        "name": name,
        "endpoint": endpointFrom(listen),
        "protocol": protocol or ("relay" if target else "auto"),
        "twin": False,
    }
    if target is not None:
        asked["target"] = target
    if profile is not None:
        asked["profile"] = profile
    made = client.ask("POST", "/services", asked, shapes.Service)
    if wantsJSON(asJSON):
        showJSON(made)
    else:
        leads = f", to {made['target']}" if made["target"] else ""
        say(f"{made['name']}: {made['protocol']} on {', '.join(made['listening'])}{leads}")


@service.command("toggle")
@serviceArgument
@controlOption
@jsonOption
def toggleService(service: str, client: ControlClient, asJSON: bool) -> None:
    """Switch a SERVICE off, which closes its connections, or on again."""
    made = client.ask("POST", path("services", service, "toggle"), answered=shapes.Service)
    if wantsJSON(asJSON):
        showJSON(made)
    else:
        say(f"{service} is {'on' if made['enabled'] else 'off'}")


@service.command("profile")
@serviceArgument
@profileArgument
@click.option("--none", "isNone", is_flag=True, help="Take the toxics of its profile away.")
@controlOption
@jsonOption
def profileOfService(
    service: str, profile: str | None, isNone: bool, client: ControlClient, asJSON: bool
) -> None:
    """Give a SERVICE the toxics of a PROFILE, such as 3g; without one, say which it has."""
    if isNone and profile is not None:
        raise click.UsageError("--none and a profile: write one of the two")
    where = path("services", service, "profile")
    if profile is not None or isNone:
        client.ask("PUT", where, {"profile": profile})
    found = client.ask("GET", where, answered=shapes.ProfileChoice)
    if wantsJSON(asJSON):
        showJSON(found)
    else:
        say(f"{service}: {found['profile'] or 'no profile'}")


@service.command("rm")
@serviceArgument
@controlOption
def removeService(service: str, client: ControlClient) -> None:
    """Be without a SERVICE; its connections are closed."""
    client.ask("DELETE", path("services", service))
    note(f"{service} is removed")


@click.command()
@controlOption
def reset(client: ControlClient) -> None:
    """Take every toxic away, and switch every relay on."""
    client.ask("POST", "/reset")
    note("all toxics are away, and all relays on")
