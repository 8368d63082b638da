"""How answers are shown: tables on a terminal, JSON anywhere else."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

import click

from loopbackd.loglines import escape

_UNSEEN: Final = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON may have as it is, and a terminal may not; the rest is below U+0020."""

F = TypeVar("F", bound=Callable[..., Any])


def wantsJSON(asked: bool) -> bool:
    """Whether a program reads the answer: it was asked for, or nobody looks."""
    return asked or sys.stdout is None or not sys.stdout.isatty()


def showJSON(value: Any) -> None:
    """Print a value for a program; a terminal may show it, and no text moves its cursor."""
    written = json.dumps(value, indent=2, ensure_ascii=False)
    click.echo(_UNSEEN.sub(lambda found: f"\\u{ord(found.group()):04x}", written))


def showJSONLine(value: Any) -> None:
    """Print a value for a program that reads line by line, at once."""
    written = json.dumps(value, ensure_ascii=False)
    click.echo(_UNSEEN.sub(lambda found: f"\\u{ord(found.group()):04x}", written))


def showTable(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """
    Print a table for people.

    @param rows: their cells; one that is a list has a line for each of its words.
    @param empty: what to say where there are no rows.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        # What somebody named a service is no markup, and moves no cursor.
        table.add_row(*(Text("\n".join(map(escape, _lines(cell)))) for cell in row))
    if table.row_count:
        Console(highlight=False).print(table)
    else:
        click.echo(empty)


def _lines(cell: object) -> list[str]:
    return [str(one) for one in cell] if isinstance(cell, list) else [str(cell)]


def note(line: str) -> None:
    """Say to people that something was done; to programs their exit code says it."""
    if not wantsJSON(False):
        say(line)


def say(line: str) -> None:
    """Print a line for people."""
    click.echo(escape(line))


def jsonOption(command: F) -> F:
    """Adds C{--json}."""
    return click.option(
        "--json", "asJSON", is_flag=True, help="Print JSON, as it is off a terminal."
    )(command)
