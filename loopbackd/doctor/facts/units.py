"""What systemd says of units, the system's and the user's (systemctl(1))."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from loopbackd.doctor.facts.program import said

UNITS: Final = ("loopbackd.service", "loopbackd.socket")
_PROPERTIES: Final = (
    "Id,LoadState,ActiveState,SubState,Result,ExecMainStatus,NRestarts,NeedDaemonReload,Restart"
)
_TIMEOUT: Final = 1.0


@dataclass(frozen=True, slots=True)
class Unit:
    """
    A unit that systemd has a file of.

    @ivar isUsers: of the user's systemd, not of the system's.
    @ivar load: C{loaded}, or C{bad-setting}, C{error}, C{masked}.
    @ivar active: C{active}, C{inactive}, C{failed}, C{activating}, ...
    @ivar sub: more of the same, as C{running}, C{listening}, C{auto-restart}.
    @ivar result: why it is not active, as C{exit-code}, C{core-dump}, C{timeout}.
    @ivar status: with which its program ended last.
    @ivar restarts: how often systemd has started it again by itself.
    @ivar isChanged: its file is another one than systemd has read.
    @ivar restart: when systemd starts it again by itself, as C{always}, C{on-failure}, C{no}; empty
        for a unit that is no service.
    """

    name: str
    isUsers: bool = False
    load: str = "loaded"
    active: str = ""
    sub: str = ""
    result: str = ""
    status: int = 0
    restarts: int = 0
    isChanged: bool = False
    restart: str = ""

    @property
    def option(self) -> str:
        """What C{systemctl} and C{journalctl} want besides, with a blank behind it."""
        return "--user " if self.isUsers else ""


def units() -> tuple[Unit, ...]:
    """
    Those of loopbackd's that there are; none where there is no systemd, or it does not answer
    within a second.
    """
    return (*unitsCalled(UNITS, False), *unitsCalled(UNITS, True))


def unitsCalled(
    names: Collection[str], isUsers: bool, patience: float = _TIMEOUT
) -> tuple[Unit, ...]:
    """Those of these that the system's systemd has, or that of whoever asks."""
    command = ["systemctl", *(["--user"] if isUsers else []), "show", *names]
    shown = said([*command, f"--property={_PROPERTIES}"], patience)
    return tuple(unitsIn(shown.text, isUsers))


def unitsIn(shown: str, isUsers: bool = False) -> Iterator[Unit]:
    """The units in what C{systemctl show} says of several; without those that are not there."""
    for block in shown.split("\n\n"):
        said = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        load = said.get("LoadState", "not-found")
        if load != "not-found" and said.get("Id"):
            yield Unit(
                said["Id"],
                isUsers,
                load,
                said.get("ActiveState", ""),
                said.get("SubState", ""),
                said.get("Result", ""),
                _number(said.get("ExecMainStatus", "")),
                _number(said.get("NRestarts", "")),
                said.get("NeedDaemonReload") == "yes",
                said.get("Restart", ""),
            )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
