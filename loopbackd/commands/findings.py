"""How findings are shown: on one screen for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import click

from loopbackd.commands.output import showJSON
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.loglines import escape

_COLOURS: Final = {Severity.PROBLEM: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


class CannotLook(click.ClickException):
    """Nothing was found, and not because all is well: the system does not say."""

    exit_code = 2


def show(about: str, findings: Sequence[Finding], asJSON: bool) -> None:
    """
    Print them, in the order they have.

    @param about: what was looked at.
    """
    if asJSON:
        showJSON({"about": about, "findings": [one.asValue() for one in findings]})
        return
    click.echo(click.style(escape(about), bold=True))
    for one in findings:
        click.echo()
        kind = click.style(f"({one.kind})", dim=True)
        label = click.style(one.severity.name, fg=_COLOURS[one.severity], bold=True)
        click.echo(f"{label}  {escape(one.says)}  {kind}")
        _lines("    ", one.evidence)
        _lines("  → ", one.remedy)
    if exitCode(findings) == 0:
        click.echo("\nNothing is wrong." if findings else "Nothing is wrong.")


def exitCode(findings: Iterable[Finding]) -> int:
    """1 where something is wrong, else 0."""
    return int(any(one.severity is not Severity.NOTE for one in findings))


def _lines(before: str, lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(before + escape(line))
