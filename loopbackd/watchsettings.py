"""What can be asked of the watch: C{[watch]}."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Annotated, Final, Literal

import msgspec

Kind = Literal[
    "listener-new",
    "listener-back",
    "listener-gone",
    "all-addresses",
    "other-address",
    "new-uid",
    "deleted-program",
    "temporary-program",
    "port-taken-over",
    "port-scan",
    "refused-attempts",
    "browser-at-debugger",
]
"""What the watch tells of; C{docs/watch.md} says more of each."""

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]

_PORTS: Final = re.compile("([0-9]{1,5})(?:-([0-9]{1,5}))?")
_NOTHING: Final = "it is for everything; say what it is for: kind, port, address, user or command"


class WatchRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What a rule is for; all that is given must hold.

    @ivar kind: only this kind of event, or these.
    @ivar port: only this port, or a range of them: C{"8000-8099"}.
    @ivar address: only this address, or a network: C{"10.0.0.0/8"}.
    @ivar user: only who has this uid or name.
    @ivar command: only programs whose name or command line is like this; C{*} stands for anything,
        C{?} for one letter, C{[ab]} for one of these.
    """

    kind: Kind | tuple[Kind, ...] | None = None
    port: Port | str | None = None
    address: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    user: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFE)] | str | None = None
    command: Annotated[str, msgspec.Meta(min_length=1)] | None = None


class WatchSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    The watch over this machine's listeners and loopback connections.

    @ivar enabled: the daemon watches; C{loopbackd watch} does in any case.
    @ivar interval: seconds between two looks at the listeners.
    @ivar connections: look at connections as well, so often as a two-hundredth of a core allows.
    @ivar scan_ports: so many ports touched by one process are a port scan,
    @ivar scan_seconds: if it is within this time.
    @ivar refused: so many attempts to connect that are refused in that time are told of.
    @ivar events: how many events are kept for C{/watch}.
    @ivar allow: what is all right: told in passing, and never as suspicious.
    @ivar ignore: what is not even told.
    """

    enabled: bool = False
    interval: Annotated[float, msgspec.Meta(ge=0.1, le=3600)] = 1.0
    connections: bool = True
    scan_ports: Annotated[int, msgspec.Meta(ge=2, le=65535)] = 20
    scan_seconds: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 10.0
    refused: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 100
    events: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 500
    allow: tuple[WatchRule, ...] = ()
    ignore: tuple[WatchRule, ...] = ()


def portsOf(asked: int | str) -> tuple[int, int]:
    """
    The first and the last port that a rule is for.

    @raise ValueError: there are no such ports; the message says what to write.
    """
    if isinstance(asked, int):
        return asked, asked
    match = _PORTS.fullmatch(asked)
    found = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= found[0] <= found[1] <= 65535:
        raise ValueError(
            f'port = {asked[:50]!r}: write a port or a range within 1-65535, such as "8000-8099"'
        )
    return found


def wrongWith(settings: WatchSettings) -> Iterator[str]:
    """What a schema cannot say of the rules, in the operator's words; nothing if they are good."""
    for table, rules in (("allow", settings.allow), ("ignore", settings.ignore)):
        for number, rule in enumerate(rules, 1):
            where = f"watch: {table} {number}"
            if rule == WatchRule():
                yield f"{where}: {_NOTHING}"
            if rule.port is not None:
                try:
                    portsOf(rule.port)
                except ValueError as error:
                    yield f"{where}: {error}"
            if rule.address is not None:
                try:
                    ip_network(rule.address, strict=False)
                except ValueError:
                    yield (
                        f"{where}: address = {rule.address!r}: write an IP address or a network,"
                        ' such as "127.0.0.1" or "10.0.0.0/8"'
                    )
            if isinstance(rule.user, str) and not re.fullmatch(r"[^\s:]+", rule.user):
                yield f"{where}: user = {rule.user!r}: write a uid or the name of a user"
