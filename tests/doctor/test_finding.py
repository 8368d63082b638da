"""What a finding is for programs, and which comes first."""

from __future__ import annotations

import msgspec

from loopbackd.control import shapes
from loopbackd.doctor.finding import Finding, Severity, inOrder


def test_for_programs() -> None:
    """The commands and the control API have the same members."""
    found = Finding("port-taken", Severity.PROBLEM, "It is.", ("seen",), ("end it",), 90)
    assert msgspec.to_builtins(shapes.Finding(**found.asValue())) == found.asValue()
    assert msgspec.json.decode(msgspec.json.encode(found.asValue())) == {
        "kind": "port-taken",
        "severity": "problem",
        "says": "It is.",
        "evidence": ["seen"],
        "remedy": ["end it"],
    }


def test_order() -> None:
    """The worst first, and of those the likeliest."""
    note, likely, unlikely = (
        Finding("a", Severity.NOTE, "", likelihood=99),
        Finding("b", Severity.WARNING, "", likelihood=60),
        Finding("c", Severity.WARNING, "", likelihood=40),
    )
    assert inOrder([note, unlikely, likely]) == [likely, unlikely, note]
