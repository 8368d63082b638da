"""
What the daemon writes about itself: one event, one line, whatever a peer put into it.

C{twistd -n --logger=loopbackd.logs.observer} writes to standard output, as text or as JSON lines.
C{LOOPBACKD_LOG="info,loopbackd.net=debug"} and C{LOOPBACKD_LOG_FORMAT=json} say what is wanted
until L{configure} does, also while the daemon runs.

Text is C{2026-11-23T14:05:09+0000 [loopbackd.service#info] message}; to systemd's journal, which
keeps the time itself, C{<6>[loopbackd.service#info] message} (sd-daemon(3)). A traceback follows
its line, indented: a line at the margin is always the beginning of an event.
"""

from __future__ import annotations

import math
import os
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from twisted.internet.interfaces import IReactorTime
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.reflect import safe_repr, safe_str
from zope.interface import implementer

from loopbackd.loglines import PRIORITIES, escape, jsonLine, levelOf, textLines

FORMATS = ("text", "json")
"""The forms an event can be written in."""

_RANKS = {name: rank for rank, name in enumerate(PRIORITIES)}

# Twisted tells of every listener it starts and stops. Factories do so in the namespace of their own
# class; ports by the old log.msg ("log_legacy"), which protocols of users may need. So there is no
# namespace to turn down, only these very lines.
_CHATTER_FORMATS = {"Starting factory {factory!r}", "Stopping factory {factory!r}"}
_CHATTER = re.compile(
    r"\S+ (\(TLS\) )?starting on \S+|\((\S+ )?Port \S+ Closed\)|(Starting|Stopping) protocol <.*>"
)


@dataclass(frozen=True)
class Rules:
    """Which events are written, and in which form; levels are counted from 0, debug."""

    default: int = _RANKS["info"]
    levels: Mapping[str, int] = field(default_factory=dict)
    format: str = "text"

    def admit(self, event: LogEvent) -> bool:
        """
        Tell whether C{event} is to be written: the longest prefix of its namespace decides.

        What Twisted says about each listener counts as debug. An error always passes; so does a
        failure, unless it was itself logged as debug or info.
        """
        rank = _RANKS[levelOf(event)]
        if event.get("isError") or ("log_failure" in event and rank >= _RANKS["warn"]):
            return True
        if rank == _RANKS["info"] and _isChatter(event):
            rank = _RANKS["debug"]
        namespace = safe_str(event.get("log_namespace", ""))
        while namespace and namespace not in self.levels:
            namespace = namespace.rpartition(".")[0]
        return rank >= self.levels.get(namespace, self.default)


def _isChatter(event: LogEvent) -> bool:
    if event.get("log_namespace") != "log_legacy":
        return event.get("log_format") in _CHATTER_FORMATS
    return _CHATTER.fullmatch(safe_str(event.get("log_text"))) is not None


# What was asked for last; None until then.
_rules: Rules | None = None


def configure(level: str, levels: Mapping[str, str], format: str) -> None:
    """
    Say what the observer writes from now on.

    @param level: the least urgent level that is written: debug, info, warn, error, critical.
    @param levels: the same for namespaces and all below them: C{{"loopbackd.net": "debug"}}.
    @param format: one of L{FORMATS}.
    @raise ValueError: naming the wrong word and the right ones; nothing is changed then.
    """
    global _rules
    _rules = check(level, levels, format)


def check(level: str, levels: Mapping[str, str], format: str) -> Rules:
    """What L{configure} would do; raises what it would raise, and changes nothing."""
    ranks = {name: _rank(word, f' for "{escape(name)}"') for name, word in levels.items()}
    return Rules(_rank(level), ranks, _knownFormat(format))


def configureFromEnvironment(environ: Mapping[str, str]) -> None:
    """
    Do what C{LOOPBACKD_LOG} and C{LOOPBACKD_LOG_FORMAT} say; without them, text from info on.

    @raise ValueError: naming the variable, the wrong word and the right ones.
    """
    global _rules
    default, ranks, variable = _RANKS["info"], {}, "LOOPBACKD_LOG"
    try:
        for item in environ.get(variable, "").split(","):
            namespace, equals, word = (part.strip() for part in item.partition("="))
            if equals:
                ranks[namespace] = _rank(word, f' for "{escape(namespace)}"')
            elif namespace:
                default = _rank(namespace)
        variable = "LOOPBACKD_LOG_FORMAT"
        _rules = Rules(default, ranks, _knownFormat(environ.get(variable) or "text"))
    except ValueError as error:
        raise ValueError(f"{variable}: {error}") from None


def _rank(level: str, whose: str = "") -> int:
    if level not in _RANKS:
        raise ValueError(f'log level "{escape(level)}"{whose} is not one of {", ".join(_RANKS)}')
    return _RANKS[level]


def _knownFormat(format: str) -> str:
    if format not in FORMATS:
        raise ValueError(f'log format "{escape(format)}" is not one of {", ".join(FORMATS)}')
    return format


def observer() -> ILogObserver:
    """
    Make the observer for C{twistd --logger=}; a daemon without C{-n} has no standard output.

    The environment is read unless there were orders before: twistd builds the service first.

    @raise SystemExit: with one line about a variable that cannot be understood.
    """
    if _rules is None:
        try:
            configureFromEnvironment(os.environ)
        except ValueError as error:
            raise SystemExit(str(error)) from None
    # sys.stdout becomes a way into the log when logging begins. And where there was no standard
    # output at the start, descriptor 1 is going to be somebody's socket.
    if sys.__stdout__ is None:
        return LogObserver(_nowhere, _currentRules)
    descriptor = sys.__stdout__.fileno()
    journal = isJournal(descriptor, os.environ)
    return LogObserver(partial(os.write, descriptor), _currentRules, journal)


def _nowhere(data: bytes) -> int:
    raise OSError("there was no standard output at the start")


def _currentRules() -> Rules:
    return _rules or Rules()


def isJournal(descriptor: int, environ: Mapping[str, str]) -> bool:
    """
    Tell whether C{descriptor} leads to systemd's journal: C{JOURNAL_STREAM} means this very stream
    (systemd.exec(5)). Whatever a service starts, a terminal say, inherits the variable, too.
    """
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


@implementer(ILogObserver)
class LogObserver:
    """
    Writes each event that the rules admit; never raises, whatever event and output are like.

    @param write: takes bytes and returns how many of them it took, as L{os.write} does.
    @param rules: asked at each event.
    @param journal: whether text lines go to systemd's journal.
    """

    def __init__(
        self, write: Callable[[bytes], int], rules: Callable[[], Rules], journal: bool = False
    ) -> None:
        self._rules = rules
        self._journal = journal
        self._output = Output(write, self._lossLine)
        self._when: object = None

    def __call__(self, event: LogEvent) -> None:
        """Write C{event} if it is to be written."""
        try:
            self._when = event.get("log_time")
            lines = self._render(event) if self._rules().admit(event) else b""
        except Exception:
            lines = self._own(LogLevel.error, "cannot be written: {event}", event=safe_repr(event))
        if lines:
            self._output.write(lines)

    def _lossLine(self, count: int) -> bytes:
        return self._own(LogLevel.warn, "{count} log lines were lost", count=count)

    def _own(self, level: object, format: str, **values: object) -> bytes:
        event = {"log_time": self._when, "log_level": level, "log_namespace": __name__}
        return self._render({**event, "log_format": format, **values})

    def _render(self, event: LogEvent) -> bytes:
        failure = event.get("log_failure") or (event.get("isError") and event.get("failure"))
        # An old log.err has the traceback in its text, too.
        isOld = failure and "log_failure" not in event
        message = safe_str(event.get("why") or "Unhandled Error") if isOld else formatEvent(event)
        if not message and not failure:
            return b""
        if self._rules().format == "json":
            lines = [jsonLine(event, message, failure)]
        else:
            lines = textLines(event, message, failure, self._journal)
        return "".join(f"{line}\n" for line in lines).encode("utf-8")


class Output:
    """
    Writes whole events to a descriptor that may be full, broken or not ready, and never raises.

    What cannot be written is counted, and told of as soon as something can be written again. An
    event that got halfway is finished before the next begins: no line is torn.

    @param write: takes bytes and returns how many of them it took, as L{os.write} does.
    @param lossLine: makes the line that says how many lines were lost.
    """

    def __init__(self, write: Callable[[bytes], int], lossLine: Callable[[int], bytes]) -> None:
        self._write = write
        self._lossLine = lossLine
        # Reentrant, and with a queue: Twisted logs from within its signal handlers.
        self._lock = threading.RLock()
        self._waiting: deque[bytes] = deque()
        self._busy = False
        self._rest = b""
        self._lost = 0

    def write(self, lines: bytes) -> None:
        """Write C{lines}, which end with a newline, or count them as lost."""
        with self._lock:
            self._waiting.append(lines)
            if self._busy:
                return
            self._busy = True
            try:
                while self._waiting:
                    self._begin(self._waiting.popleft())
            finally:
                self._busy = False

    def _begin(self, lines: bytes) -> None:
        if self._push():
            whole = self._rest = (self._lossLine(self._lost) if self._lost else b"") + lines
            if self._push() or len(self._rest) < len(whole):
                self._lost = 0
                return
            self._rest = b""
        self._lost += lines.count(b"\n")

    def _push(self) -> bool:
        try:
            while self._rest:
                self._rest = self._rest[self._write(self._rest) :]
        except OSError:
            return False
        return True


class OncePerSecond:
    """
    Lets one line a second through for each key, for what strangers can cause as often as they like.

    Keys are few and our own, the names of services say: they are remembered.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._lines: dict[str, tuple[float, int]] = {}

    def take(self, key: str) -> int | None:
        """
        Ask for a line: None when it must not be written, else how many were suppressed since the
        last one that was.
        """
        now = self._clock.seconds()
        written, suppressed = self._lines.get(key, (-math.inf, 0))
        # A reactor's clock is the wall clock, which can be set back.
        if 0 <= now - written < 1:
            self._lines[key] = (written, suppressed + 1)
            return None
        self._lines[key] = (now, 0)
        return suppressed

    def more(self, key: str = "") -> str | None:
        """
        The same in words: None when a line must not be written, else what stands at its end.
        """
        untold = self.take(key)
        if untold is None:
            return None
        return f" ({untold} more like it since the last such line)" if untold else ""
