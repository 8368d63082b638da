"""What the commands that ask a daemon have in common: where it is, and words for its objects."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pwd import getpwnam
from typing import Any, TypeVar

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from loopbackd.control import shapes
from loopbackd.controlclient import (
    DEFAULT,
    UID_VARIABLE,
    UNCHECKED_VARIABLE,
    VARIABLE,
    Address,
    ControlClient,
    ControlError,
    Trust,
    addressOf,
    path,
)
from loopbackd.rundirectory import findSocket

F = TypeVar("F", bound=Callable[..., Any])

_COMPLETION_TIMEOUT = 1.0
_USERS = "loopbackd.control-uid"


def controlOption(command: F) -> F:
    """Adds C{--control} and C{--control-uid}, and gives the command a client."""
    address = click.option(
        "--control",
        "client",
        envvar=VARIABLE,
        default=DEFAULT,
        show_default=f"its unix socket, or {DEFAULT}",
        show_envvar=True,
        metavar="ADDRESS",
        callback=_client,
        help="The daemon's control API: http://host:port or unix:/path.",
    )
    users = click.option(
        "--control-uid",
        "_users",
        envvar=UID_VARIABLE,
        show_envvar=True,
        multiple=True,
        is_eager=True,
        expose_value=False,
        metavar="USER",
        callback=_users,
        help="Whose the daemon may be, besides yours and root's.",
    )
    return address(users(command))


class _Unreachable(click.ClickException):
    """Nobody answers; told from a refusal by its exit code."""

    exit_code = 3


class CommandClient(ControlClient):
    """Asks for a command, which ends with what is wrong in one line."""

    def ask(self, method: str, path: str, body: Any = None, answered: Any = None) -> Any:
        """See L{ControlClient.ask}; errors are L{click.ClickException}."""
        try:
            return super().ask(method, path, body, answered)
        except ControlError as error:
            kind = click.ClickException if error.status else _Unreachable
            raise kind(str(error)) from None


def _users(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> None:
    """Keeps the users that were named for L{_client}, which comes after it."""
    uids = set()
    for name in value:
        try:
            uids.add(int(name) if name.isascii() and name.isdigit() else getpwnam(name).pw_uid)
        except KeyError:
            raise click.BadParameter(f"there is no user {name!r}; write a name or a uid") from None
    context.meta[_USERS] = frozenset(uids)


def _client(context: click.Context, parameter: click.Parameter, value: str) -> CommandClient:
    trust = Trust(
        context.meta.get(_USERS, frozenset()), os.environ.get(UNCHECKED_VARIABLE, "") == "1"
    )
    try:
        address = addressOf(value)
    except ControlError as error:
        raise click.BadParameter(str(error)) from None
    otherwise = None
    if context.get_parameter_source("client") is ParameterSource.DEFAULT:
        found = findSocket(os.environ, address.port)
        if found is not None:
            address, otherwise = Address("localhost", 0, os.fspath(found)), address
    return CommandClient(address, trust=trust, otherwise=otherwise)


def attributesFrom(words: Iterable[str], example: str = "latency=100") -> dict[str, Any]:
    """
    The attributes in words as C{name=value}; a value is JSON where it can be, and text otherwise.

    @raise click.BadParameter: one has no C{=}, or comes twice.
    """
    found: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{word!r}: write name=value, for example {example}")
        if name in found:
            raise click.BadParameter(f"{name} is there twice")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


def shownAttributes(attributes: dict[str, Any]) -> str:
    """Attributes as they are written on the command line."""
    return " ".join(attributeWords(attributes))


def attributeWords(attributes: dict[str, Any]) -> list[str]:
    """Each attribute as it is written on the command line."""
    return [f"{name}={_word(value)}" for name, value in sorted(attributes.items())]


def shownToxic(toxic: dict[str, Any]) -> str:
    """A toxic in one line: what it does to whom, without its name."""
    said = f"{toxic['type']} {toxic['stream']} {shownAttributes(toxic['attributes'])}".rstrip()
    match = toxic.get("match")
    only = f", only {shownAttributes(match)}" if match else ""
    return f"{said} (toxicity {toxic['toxicity']:g}, seed {toxic['seed']}{only})"


def _word(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.15g}"
    return value if isinstance(value, str) else json.dumps(value)


def _completing(find: Callable[[ControlClient, click.Context], Iterable[str]]) -> Any:
    """A completion that asks the daemon, and is silent where there is none."""

    def complete(
        context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        asked = context.params.get("client")
        try:
            client = asked if isinstance(asked, ControlClient) else ControlClient(_address())
            names = list(find(client.within(_COMPLETION_TIMEOUT), context))
        except (ControlError, KeyError):
            return []
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]

    return complete


def _address() -> Address:
    return addressOf(os.environ.get(VARIABLE, DEFAULT))


def _services(client: ControlClient, context: click.Context) -> Iterable[str]:
    return [
        one["name"] for one in client.ask("GET", "/services", answered=shapes.Services)["services"]
    ]


def _toxics(client: ControlClient, context: click.Context) -> Iterable[str]:
    where = path("services", context.params["service"], "toxics")
    found = client.ask("GET", where, answered=shapes.Toxics)
    return [one["name"] for one in found["toxics"]]


def _kinds(client: ControlClient, context: click.Context) -> Iterable[str]:
    return [
        one["type"] for one in client.ask("GET", "/toxics", answered=shapes.ToxicKinds)["toxics"]
    ]


def _profiles(client: ControlClient, context: click.Context) -> Iterable[str]:
    found = client.ask("GET", "/profiles", answered=shapes.ProfileKinds)
    return [one["name"] for one in found["profiles"]]


serviceArgument = click.argument("service", shell_complete=_completing(_services))
toxicArgument = click.argument("toxic", shell_complete=_completing(_toxics))
typeArgument = click.argument("type", shell_complete=_completing(_kinds))
profileArgument = click.argument("profile", required=False, shell_complete=_completing(_profiles))
