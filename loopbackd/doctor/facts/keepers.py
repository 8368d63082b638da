"""What systemd itself says of those who have sockets: of which unit they are, and of what kind."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from loopbackd.doctor.facts.holder import Holder, withUnits
from loopbackd.doctor.facts.socketunits import SocketUnit, socketUnits, unitAt
from loopbackd.doctor.facts.units import Unit, unitsCalled
from loopbackd.hostport import joined
from loopbackd.peer.sockdiag import SocketRow

PATIENCE: Final = 1.0
"""Seconds that systemd gets for all of it."""

Name = tuple[str, bool]
"""Of a unit, and whether it is one of the user's own systemd."""


def asSystemdSays(
    holders: Mapping[int, Holder], rows: Collection[SocketRow], patience: float = PATIENCE
) -> dict[int, Holder]:
    """
    The same holders with what systemd knows of them; it is asked only where there is something to
    ask, and where it does not answer they stay as they are.
    """
    until = time.monotonic() + patience
    found = dict(holders)
    for isUsers in (False, True):
        if any(one.isSystemds and not _isListed(one) for one in found.values()):
            left = until - time.monotonic()
            found = withUnits(found, rows, socketUnits(isUsers, left) if left > 0 else ())
    services = {inode: name for inode, one in found.items() if (name := _service(one))}
    said = _said(set(services.values()), until)
    return {
        inode: replace(one, service=said[services[inode]])
        if inode in services and services[inode] in said
        else one
        for inode, one in found.items()
    }


@dataclass(frozen=True, slots=True)
class Resting:
    """
    A socket unit that does not listen.

    @ivar where: the address where nobody listens.
    @ivar unit: what systemd says of it.
    @ivar service: the same of the service that it would start, where that is known.
    """

    where: str
    socketUnit: SocketUnit
    unit: Unit
    service: Unit | None = None


def restingAt(hosts: Sequence[str], port: int, patience: float = PATIENCE) -> Resting | None:
    """The socket unit of one of these addresses, where nobody listens; L{None} if there is none."""
    until = time.monotonic() + patience
    for isUsers in (False, True):
        if (left := until - time.monotonic()) <= 0:
            break
        listed = socketUnits(isUsers, left)
        for host, address in _places(hosts):
            unit = unitAt(listed, (address, port))
            if unit is not None and (left := until - time.monotonic()) > 0:
                names = [unit.name, *unit.activates.split()[:1]]
                said = {one.name: one for one in unitsCalled(names, isUsers, left)}
                if unit.name in said:
                    own, service = said.pop(unit.name), next(iter(said.values()), None)
                    return Resting(joined(host, port), unit, own, service)
    return None


def _places(hosts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each address, with the addresses to listen on that have it in them."""
    for host in hosts:
        for address in (host, *(("::",) if ":" in host else ("0.0.0.0", "::"))):
            yield host, address


def _isListed(holder: Holder) -> bool:
    return holder.socketUnit is not None and bool(holder.socketUnit.listens)


def _service(holder: Holder) -> Name | None:
    belonging, unit = holder.belonging, holder.socketUnit
    name: Name | None = None
    if belonging.unit.endswith(".service"):
        name = belonging.unit, belonging.isUsers
    elif unit is not None and unit.activates:
        name = unit.activates.split()[0], unit.isUsers
    # Nobody can ask the systemd of another user.
    return None if name is None or (name[1] and holder.uid != os.geteuid()) else name


def _said(names: Collection[Name], until: float) -> dict[Name, Unit]:
    found: dict[Name, Unit] = {}
    for isUsers in (False, True):
        wanted = sorted(name for name, ofUser in names if ofUser is isUsers)
        left = until - time.monotonic()
        if wanted and left > 0:
            found.update(((one.name, isUsers), one) for one in unitsCalled(wanted, isUsers, left))
    return found
