"""Who answers where the daemon's control API should be, and what they say that they serve."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from loopbackd.controlclient import Address
from loopbackd.doctor.facts.answer import Answer, exchange, requestBytes
from loopbackd.doctor.facts.talk import PATIENCE, talkTo, talkToPath
from loopbackd.hostport import joined
from loopbackd.loglines import reasonOf

VERSION_FIELD: Final = "loopbackd-version"
"""By which the daemon says of every answer that it is its own."""

_MOST: Final = 1 << 22
_PATH: Final = "/services"


@dataclass(frozen=True, slots=True)
class ServiceSeen:
    """A service, as the daemon tells of it."""

    name: str
    protocol: str
    listening: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ControlSeen:
    """
    What was seen there.

    @ivar where: the address that was asked.
    @ivar error: why there was no connection; empty if there was one.
    @ivar isRefused: it is not ours to connect to (a unix socket of another user's).
    @ivar answer: what was answered to C{GET /services}.
    @ivar version: of the loopbackd that answered; empty where none did.
    """

    where: str
    error: str = ""
    isRefused: bool = False
    answer: Answer | None = None
    version: str = ""
    services: tuple[ServiceSeen, ...] = ()

    def serves(self, port: int) -> bool:
        """Whether it has a service on that port."""
        return any(
            place.rpartition(":")[2] == str(port)
            for service in self.services
            for place in service.listening
        )


def control(
    address: Address, otherwise: Address | None = None, seconds: float = PATIENCE
) -> ControlSeen:
    """
    Ask it for its services; never raises for what goes wrong.

    @param otherwise: where it is asked if nobody listens at the first address.
    """
    where = str(address)
    host = joined(address.host, address.port) if not address.path else "localhost"
    try:
        with (
            talkToPath(address.path, seconds)
            if address.path
            else talkTo(address.host, address.port, seconds)
        ) as talk:
            request = requestBytes("GET", _PATH, host, {"Connection": "close"})
            found = exchange(talk, "GET", request, _MOST)
    except PermissionError as error:
        return ControlSeen(where, reasonOf(error), isRefused=True)
    except OSError as error:
        if otherwise is not None:
            return control(otherwise, seconds=seconds)
        return ControlSeen(where, reasonOf(error))
    version = found.fields.get(VERSION_FIELD, "")
    services = servicesIn(found.body) if version and found.status == 200 else ()
    return ControlSeen(where, answer=found, version=version, services=services)


def servicesIn(body: bytes) -> tuple[ServiceSeen, ...]:
    """The services in an answer of C{GET /services}; none where it is another."""
    try:
        said: Any = json.loads(body)
        return tuple(
            ServiceSeen(str(one["name"]), str(one["protocol"]), tuple(map(str, one["listening"])))
            for one in said["services"]
        )
    except (ValueError, RecursionError, KeyError, TypeError):
        return ()
