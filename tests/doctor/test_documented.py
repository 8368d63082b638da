"""docs/doctor.md against the code and the tests it speaks of."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from loopbackd.doctor.checks.firewall import DOES

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (?P<situation>[^|]+) \| `(?P<kind>[a-z0-9-]+)`[^|]* \| `(?P<test>\w+)` \|$")
MADE_BY = ("Finding", "Taken", "_held")


def rows() -> list[re.Match[str]]:
    """The rows of its table."""
    found = (ROW.match(line) for line in (ROOT / "docs" / "doctor.md").read_text().splitlines())
    return [one for one in found if one]


def kinds() -> set[str]:
    """The names of all findings that the code makes."""
    return set(DOES) | {
        str(node.args[0].value)
        for path in (ROOT / "loopbackd" / "doctor").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") in MADE_BY
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }


def test_every_finding_has_a_situation() -> None:
    """What can be said has been seen, and what is in the table can be said."""
    assert {row["kind"] for row in rows()} == kinds()


def test_every_situation_is_tested() -> None:
    """By a test of that name."""
    tests = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        tests |= set(re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.M))
    assert sorted({row["test"] for row in rows()} - tests) == []


def test_there_are_many() -> None:
    """As many as the troubles that people have with an address of their own."""
    assert len({row["situation"] for row in rows() if "(made facts)" not in row["situation"]}) >= 30
