"""docs/security.md names a test for each line, and those tests are there."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).parent
TEXT = (HERE.parent / "docs" / "security.md").read_text()


def test_each_test_is_there() -> None:
    """By the name of its file and its own."""
    named = set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", TEXT))
    assert len(named) > 20
    files: defaultdict[str, str] = defaultdict(str)
    for path in HERE.rglob("test_*.py"):
        files[path.name] += path.read_text()
    for file, name in sorted(named):
        assert re.search(rf"\bdef {name}\(", files[file]), f"{file} has no {name}"


def test_each_row_has_one() -> None:
    """A line without a test is a hope."""
    rows = [line for line in TEXT.splitlines() if line.startswith("| ")]
    wanting = [row for row in rows if "::test_" not in row and "shown by" not in row]
    assert wanting == []
