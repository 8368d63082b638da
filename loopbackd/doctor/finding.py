"""What the doctor found: what is wrong, how that is known, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Severity(IntEnum):
    """How bad it is; the worst is the smallest."""

    PROBLEM = 0
    """It does not work, or not for long."""
    WARNING = 1
    """It works, and is wrong all the same: for other clients, other users, or tomorrow."""
    NOTE = 2
    """Nothing is wrong; good to know."""


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that was found.

    @ivar kind: the stable name of what was found, in the words of C{docs/doctor.md}.
    @ivar says: what is the case, in one sentence.
    @ivar evidence: how that is known: what was looked at, and what it said; a line each.
    @ivar remedy: what to do about it: a sentence or a command, a line each, the best first.
    @ivar likelihood: how likely it is what somebody is looking for, of findings as bad as this;
        0 to 100.
    """

    kind: str
    severity: Severity
    says: str
    evidence: tuple[str, ...] = ()
    remedy: tuple[str, ...] = ()
    likelihood: int = 50

    def asValue(self) -> dict[str, Any]:
        """The same for JSON, in the commands and in the control API."""
        return {
            "kind": self.kind,
            "severity": self.severity.name.lower(),
            "says": self.says,
            "evidence": list(self.evidence),
            "remedy": list(self.remedy),
        }


def inOrder(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first, and the likeliest of those first; otherwise in the order they came."""
    return sorted(findings, key=lambda one: (one.severity, -one.likelihood))
