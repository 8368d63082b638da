"""The sockets that systemd keeps for services (systemd.socket(5)), as it lists them itself."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from loopbackd.doctor.facts.cgroups import isUnitName
from loopbackd.doctor.facts.program import said
from loopbackd.hostport import joined
from loopbackd.peer.netlink import plainAddress
from loopbackd.peer.sockdiag import Address

PATIENCE: Final = 1.0
"""Seconds that a systemd gets to answer."""

_LIST: Final = ("list-sockets", "--all", "--output=json", "--no-pager")


@dataclass(frozen=True, slots=True)
class SocketUnit:
    """
    One address of a socket unit.

    @ivar name: of the unit.
    @ivar listens: the address, as L{joined} writes it; empty where systemd was not asked.
    @ivar activates: the service that gets the socket; empty for none, or where that is not known.
    @ivar isUsers: it is one of a user's own systemd.
    """

    name: str
    listens: str = ""
    activates: str = ""
    isUsers: bool = False

    def __str__(self) -> str:
        """In words: itself, and what it starts."""
        users = "user " if self.isUsers else ""
        return f"{users}{self.name}" + (f", for {self.activates}" if self.activates else "")


def parseSocketUnits(text: str, isUsers: bool = False) -> tuple[SocketUnit, ...]:
    """What C{systemctl list-sockets --output=json} says; nothing where that makes no sense."""
    try:
        listed = json.loads(text)
    except ValueError:
        return ()
    found = []
    for one in listed if isinstance(listed, list) else ():
        if not isinstance(one, dict):
            continue
        name, listens, activates = (one.get(key) for key in ("unit", "listen", "activates"))
        if isinstance(name, str) and isinstance(listens, str) and isUnitName(name):
            services = activates if isinstance(activates, list) else str(activates).split()
            service = " ".join(filter(isUnitName, map(str, services)))
            found.append(SocketUnit(name, listens, service, isUsers))
    return tuple(found)


def unitAt(units: Iterable[SocketUnit], address: Address) -> SocketUnit | None:
    """The unit that has that address."""
    where = joined(*plainAddress(address))
    return next((one for one in units if one.listens == where), None)


def socketUnits(isUsers: bool, patience: float = PATIENCE) -> tuple[SocketUnit, ...]:
    """Ask the system's systemd, or that of whoever asks; nothing where there is none."""
    listed = said(["systemctl", *(("--user",) if isUsers else ()), *_LIST], patience)
    return parseSocketUnits(listed.text, isUsers)
