"""C{loopbackd watch}: who listens and connects on this machine, and what of that is new."""

from __future__ import annotations

import os
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import click
import msgspec

from loopbackd.commands.findings import CannotLook
from loopbackd.commands.output import note, say, showJSON, showJSONLine, showTable
from loopbackd.commands.watchview import (
    CONNECTIONS,
    LISTENERS,
    Names,
    Screen,
    connectionsOf,
    eventLine,
    listenerRows,
)
from loopbackd.doctor.facts.ephemeral import handedOut
from loopbackd.loglines import reasonOf
from loopbackd.settings import SettingsError, read
from loopbackd.watching.events import asFinding
from loopbackd.watching.looks import Looks, Seen
from loopbackd.watching.memory import Memory, memoryPath
from loopbackd.watching.rules import Rules
from loopbackd.watchsettings import WatchSettings


@click.command()
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 3600),
    metavar="S",
    help="Seconds between two looks. [default: 1, or as the configuration says]",
)
@click.option("--once", is_flag=True, help="Look once; end with 1 if something is suspicious.")
@click.option(
    "--connections/--listeners",
    "connections",
    default=None,
    help="Look at connections too, or at listeners alone. [default: as the configuration says]",
)
@click.option("--json", "asJSON", is_flag=True, help="Print JSON: a line for each event.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Take [watch], with its rules, from this configuration of the daemon's.",
)
@click.option("--learn", is_flag=True, help="Whatever is seen is all right from now on.")
@click.option("--forget", is_flag=True, help="Forget what is usual, and end.")
def watch(
    interval: float | None,
    once: bool,
    connections: bool | None,
    asJSON: bool,
    config: Path | None,
    learn: bool,
    forget: bool,
) -> None:
    """
    Watch who listens and connects on this machine.

    What is usual is learned, and what is new is told until Ctrl-C: on a terminal in a view of
    all there is, elsewhere in lines.
    """
    if forget:
        if once or learn:
            raise click.UsageError("--forget stands alone")
        _forget()
        return
    settings = _settings(config, interval, connections)
    try:
        rules = Rules(settings)
    except SettingsError as error:
        raise _wrong(error, config) from None
    looks = Looks(settings, rules, os.environ, learn)
    # As Ctrl-C does, so that what was learned is kept.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if once:
            _once(looks, settings.connections, asJSON, learn)
        elif asJSON or sys.stdout is None or not sys.stdout.isatty():
            _lines(looks, settings.interval, asJSON)
        else:
            _live(looks, settings.interval, settings.connections)
    except KeyboardInterrupt:
        pass
    finally:
        looks.close()


def _settings(
    config: Path | None, interval: float | None, connections: bool | None
) -> WatchSettings:
    try:
        settings = WatchSettings() if config is None else read(config).watch
    except SettingsError as error:
        raise _wrong(error, None) from None
    changed: dict[str, Any] = {"interval": interval, "connections": connections}
    changed = {name: value for name, value in changed.items() if value is not None}
    return msgspec.structs.replace(settings, **changed)


def _wrong(error: SettingsError, config: Path | None) -> click.UsageError:
    return click.UsageError(str(error) if config is None else f"{config}: {error}")


def _forget() -> None:
    memory = Memory(memoryPath(os.environ), handedOut(), lambda complaint: None)
    try:
        was = memory.forget()
    except OSError as error:
        raise click.ClickException(f"{memory.path}: {error.strerror}") from None
    note("what was usual is forgotten" if was else "nothing was learned before")


def _look(looks: Looks) -> tuple[Seen, float]:
    now = datetime.now(UTC).timestamp()
    try:
        seen = looks.look(now)
    except (OSError, ValueError) as error:
        _cannot(error)
    for complaint in seen.complaints:
        click.echo(complaint, err=True)
    return seen, now


def _cannot(error: Exception) -> NoReturn:
    why = reasonOf(error)
    raise CannotLook(f"nothing can be seen: the kernel cannot be asked about sockets ({why})")


def _once(looks: Looks, withConnections: bool, asJSON: bool, learn: bool) -> None:
    seen, now = _look(looks)
    names = Names()
    rows = connectionsOf(looks.watch, looks.ephemeral)
    names.find(rows, now)
    listeners, connections = listenerRows(seen, now), names.rows(rows)
    findings = [asFinding(event) for event in seen.events if event.isWarning]
    if asJSON:
        shown: dict[str, Any] = {
            "listeners": [dict(zip(LISTENERS, row, strict=True)) for row in listeners],
            "findings": [one.asValue() for one in findings],
        }
        if withConnections:
            shown["connections"] = [dict(zip(CONNECTIONS, row, strict=True)) for row in connections]
        showJSON(shown)
    else:
        showTable(LISTENERS, listeners, "nobody listens")
        if withConnections:
            say("")
            held = sum(1 for row in rows if row.inode)
            showTable(CONNECTIONS, connections[:held], "nobody is connected")
            if held < len(rows):
                say(f"and {len(rows) - held} that are closed and nobody's any more (TIME_WAIT)")
        for event in seen.events:
            say(f"{event.severity}: {event.says} ({event.kind})")
    if learn:
        note(f"{len(seen.watched)} listeners are usual from now on")
    if findings:
        looks.close()
        sys.exit(1)


def _lines(looks: Looks, interval: float, asJSON: bool) -> None:
    waiting = threading.Event()
    while True:
        seen, _ = _look(looks)
        for event in seen.events:
            if asJSON:
                showJSONLine(msgspec.to_builtins(event))
            else:
                say(eventLine(event))
        waiting.wait(interval)


def _live(looks: Looks, interval: float, withConnections: bool) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    screen, names, waiting = Screen(), Names(), threading.Event()
    with Live(console=console, auto_refresh=False, screen=not console.is_dumb_terminal) as live:
        while True:
            seen, now = _look(looks)
            screen.events.extend(seen.events)
            connections = None
            if withConnections:
                rows = connectionsOf(looks.watch, looks.ephemeral)
                shown = rows[: console.height]
                names.find(shown, now)
                connections = names.rows(shown)
            live.update(
                screen.show(listenerRows(seen, now), connections, console.height), refresh=True
            )
            waiting.wait(interval)
