"""Tests for `loopbackd.logs`."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, Logger, LogLevel, LogPublisher, globalLogBeginner
from twisted.python.failure import Failure
from twisted.python.log import LogPublisher as LegacyLogPublisher
from zope.interface.verify import verifyObject

from loopbackd import logs
from loopbackd.logs import LogObserver, OncePerSecond, Rules

WHEN = 1795443849.25


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give back the rules, which belong to the process, and a time zone without surprises."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setattr(logs, "_rules", None)
    yield


class Sink:
    """A descriptor that takes `room` bytes at a time, then fails with `error`, if there is one."""

    def __init__(self) -> None:
        self.data = b""
        self.room: int | None = None
        self.error = errno.EAGAIN

    def write(self, data: bytes) -> int:
        """Take what there is room for."""
        if self.room is None:
            self.data += data
            return len(data)
        taken, self.room = data[: self.room], 0
        if not taken:
            raise OSError(self.error, os.strerror(self.error))
        self.data += taken
        return len(taken)

    @property
    def lines(self) -> list[str]:
        """What was written, by lines; the last one is complete."""
        text = self.data.decode()
        assert text == "" or text.endswith("\n")
        return text.split("\n")[:-1]


def written(*events: Mapping[str, Any], journal: bool = False, **rules: Any) -> list[str]:
    """The lines that come of `events`."""
    sink = Sink()
    observe = LogObserver(sink.write, lambda: Rules(**rules), journal)
    for event in events:
        observe(dict(event))
    return sink.lines


def event(format: str = "message", **values: Any) -> dict[str, Any]:
    """An event as a `Logger` makes it."""
    return {
        "log_time": WHEN,
        "log_level": LogLevel.info,
        "log_namespace": "loopbackd.service",
        "log_format": format,
        **values,
    }


def failure(error: Exception) -> Failure:
    """A failure with a traceback."""
    try:
        raise error
    except Exception:
        return Failure()


# --- escape


def isPlain(text: str) -> bool:
    """Whether a terminal shows every character of `text` in its place, on one line."""
    bidirectional = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    return not any(
        unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(c) in bidirectional
        for c in text
    )


anyText = st.text(
    st.one_of(
        st.characters(),
        st.characters(categories=["Cc", "Cs", "Zl", "Zp"]),
        st.sampled_from("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\\x"),
    )
)


@given(anyText)
def test_escapeLeavesOnePlainLine(text: str) -> None:
    """Whatever the text, what is left is one line without control characters."""
    escaped = logs.escape(text)
    assert isPlain(escaped)
    assert len(escaped.splitlines()) == (1 if text else 0)
    assert escaped.encode("utf-8").decode("utf-8") == escaped
    assert logs.escape(escaped) == escaped


def test_escapeIsVisible() -> None:
    """Escapes are the ones that Python and C programmers read."""
    text = "\n\r\t\x1b[31m\x00\x7f\x9b\u2028\u202e\u2066\udc80 é \\ 日本"
    assert logs.escape(text) == (
        "\\n\\r\\t\\x1b[31m\\x00\\x7f\\x9b\\u2028\\u202e\\u2066\\udc80 é \\ 日本"
    )


@given(anyText, st.integers(0, 3))
def test_oneLineIsBounded(text: str, times: int) -> None:
    """However long the text, a message is cut at its limit, and says so."""
    text *= 10**times
    shown = logs.oneLine(text)
    assert isPlain(shown)
    assert len(shown) <= logs.MESSAGE_LIMIT + 40
    assert (shown == logs.escape(text)) or shown.endswith(" more characters)")


def test_oneLineSaysWhatIsMissing() -> None:
    """The number of characters that were left out is told."""
    assert logs.oneLine("x" * (8192 + 12345)) == "x" * 8192 + "... (12345 more characters)"
    assert logs.oneLine("x" * 8192) == "x" * 8192


# --- text


def test_textLine() -> None:
    """A line has its time, namespace, level and message."""
    assert written(event("to {whom}", whom="you")) == [
        "2026-11-23T14:24:09+0000 [loopbackd.service#info] to you"
    ]


def test_textCannotBeForged() -> None:
    """A newline in a message or in a namespace does not begin a line."""
    forged = "x\n2026-11-23T14:24:09+0000 [loopbackd#info] all is well"
    assert len(written(event("{it}", it=forged), event(log_namespace=forged))) == 2


def test_textTracebackIsIndented() -> None:
    """A traceback follows its line, indented, even where the error's own text has newlines."""
    error = ValueError("one\n[forged#info] two\x1b\r")
    first, *rest = written(event("broken", log_level=LogLevel.critical, log_failure=failure(error)))
    assert first.endswith("[loopbackd.service#critical] broken")
    assert rest[0] == "  Traceback (most recent call last):"
    assert rest[-2:] == ["  builtins.ValueError: one", "  [forged#info] two\\x1b\\r"]
    assert all(line.startswith("  ") and isPlain(line) for line in rest)


def test_textTracebackIsBounded() -> None:
    """Of a very long traceback the beginning and the end are kept."""
    lines = written(event(log_failure=failure(ValueError("\n".join(map(str, range(5000)))))))
    assert len(lines) == 1 + logs.TRACEBACK_LIMIT + 1
    assert lines[-1] == "  4999"
    assert any(line.endswith(" more lines)") for line in lines)


def test_textForTheJournal() -> None:
    """Lines for the journal carry its priorities, each line of a traceback too, and no time."""
    events = [event(log_level=LogLevel.lookupByName(level)) for level in logs.PRIORITIES]
    assert written(*events, journal=True, default=0) == [
        f"<{priority}>[loopbackd.service#{level}] message"
        for level, priority in logs.PRIORITIES.items()
    ]
    broken = event(log_level=LogLevel.error, log_failure=failure(ValueError()))
    assert all(line.startswith("<3>  ") for line in written(broken, journal=True)[1:])


def test_emptyMessageIsNoLine() -> None:
    """An event that says nothing is not written, as with Twisted's own observers."""
    assert written(event(""), {"log_level": LogLevel.info}) == []


def test_isJournalOnlyForThatStream(tmp_path: Path) -> None:
    """JOURNAL_STREAM counts when it names the very descriptor, not when it was inherited."""
    with open(tmp_path / "stream", "wb") as stream:
        status = os.fstat(stream.fileno())
        mine = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert logs.isJournal(stream.fileno(), mine)
        assert not logs.isJournal(stream.fileno(), {"JOURNAL_STREAM": "8:1234"})
        assert not logs.isJournal(stream.fileno(), {})
    assert not logs.isJournal(-1, mine)


# --- JSON


def test_jsonLine() -> None:
    """A JSON line has the time in UTC, level, namespace, message and the event's own values."""
    values = {"n": 3, "x": 0.5, "yes": True, "none": None, "data": b"a\xff", "o": Ellipsis}
    (line,) = written(event("n is {n}", **values), format="json")
    assert json.loads(line) == {
        "time": "2026-11-23T14:24:09.250Z",
        "level": "info",
        "namespace": "loopbackd.service",
        "message": "n is 3",
        **{**values, "data": "a\\xff", "o": "Ellipsis"},
    }


def test_jsonKeepsItsOwnNames() -> None:
    """A value called like one of the five fields does not replace it."""
    (line,) = written(event("{level}", level=11, failure="none"), format="json")
    record = json.loads(line)
    assert (record["level"], record["level_"], record["failure_"]) == ("info", 11, "none")


def test_jsonFailure() -> None:
    """A failure has its type, message and traceback."""
    (line,) = written(event(log_failure=failure(ValueError("wrong\n"))), format="json")
    record = json.loads(line)["failure"]
    assert (record["type"], record["message"]) == ("builtins.ValueError", "wrong\n")
    assert record["traceback"].startswith("Traceback (most recent call last):\n")


def test_jsonNumbersAreJson() -> None:
    """Numbers that JSON does not know, or that most readers would get wrong, are text."""
    (line,) = written(event(a=float("nan"), b=float("-inf"), c=2**80, d=2**63 - 1), format="json")
    record = json.loads(line, parse_constant=pytest.fail)
    assert [record[name] for name in "abcd"] == ["nan", "-inf", str(2**80), 2**63 - 1]


def test_jsonReprIsBounded() -> None:
    """The repr of a large value is cut."""
    (line,) = written(event(value=["x" * 10_000]), format="json")
    assert len(json.loads(line)["value"]) < logs.VALUE_LIMIT + 40


# --- levels


def test_longestPrefixWins() -> None:
    """A namespace's own level goes before that of its parent, and that before the default."""
    rules = Rules(4, {"loopbackd": 3, "loopbackd.net": 0})
    found = {
        namespace: next(
            level
            for level in logs.PRIORITIES
            if rules.admit(event(log_namespace=namespace, log_level=LogLevel.lookupByName(level)))
        )
        for namespace in ("loopbackd.net.pump", "loopbackd.net", "loopbackd.network", "other", "")
    }
    assert found == {
        "loopbackd.net.pump": "debug",
        "loopbackd.net": "debug",
        "loopbackd.network": "error",
        "other": "critical",
        "": "critical",
    }


def test_failuresPass() -> None:
    """No level hides a failure, but one that was logged for debugging stays there."""
    broken = failure(ValueError())
    rules = Rules(default=4)
    assert rules.admit(event(log_level=LogLevel.error, log_failure=broken))
    assert rules.admit(event(log_level=LogLevel.warn, log_failure=broken))
    assert rules.admit(event(isError=1))
    assert not rules.admit(event(log_level=LogLevel.debug, log_failure=broken))
    assert not rules.admit(event(log_level=LogLevel.error))


def legacy(tell: Callable[[LegacyLogPublisher], object], **rules: Any) -> list[str]:
    """The lines that come of what `tell` does with a `twisted.python.log` publisher."""
    sink = Sink()
    observe = LogObserver(sink.write, lambda: Rules(**rules))
    tell(LegacyLogPublisher(LogPublisher(), LogPublisher(observe), globalLogBeginner))
    return [line.partition(" ")[2] for line in sink.lines]


def test_legacyMessagesPass() -> None:
    """What a user's protocol says by log.msg is written, unlike Twisted's talk of its ports."""
    assert legacy(lambda log: log.msg("a guest from", "afar")) == [
        "[log_legacy#info] a guest from afar"
    ]
    assert legacy(lambda log: log.msg("Site starting on 62893")) == []
    assert legacy(lambda log: log.msg("(TCP Port 62893 Closed)")) == []
    assert len(legacy(lambda log: log.msg("Site starting on 62893"), levels={"log_legacy": 0})) == 1
    assert len(legacy(lambda log: log.msg("Site starting on 62893", isError=True), default=4)) == 1


def test_legacyErrorHasOneTraceback() -> None:
    """log.err is one line with its reason, and the traceback once."""
    broken = failure(ValueError("wrong"))
    lines = legacy(lambda log: log.msg(failure=broken, why="while testing", isError=1))
    assert lines[0] == "[log_legacy#critical] while testing"
    assert [line for line in lines if "Traceback" in line] == [
        " Traceback (most recent call last):"
    ]
    lines = legacy(lambda log: log.msg(failure=broken, why=None, isError=1))
    assert lines[0] == "[log_legacy#critical] Unhandled Error"


def test_legacyJsonHasNoPlumbing() -> None:
    """In JSON an old event has the fields of a new one."""
    sink = Sink()
    observe = LogObserver(sink.write, lambda: Rules(format="json"))
    log = LegacyLogPublisher(LogPublisher(), LogPublisher(observe), globalLogBeginner)
    log.msg("hello", port=7)
    record = json.loads(sink.lines[0])
    assert set(record) == {"time", "level", "namespace", "message", "port"}


# --- configure


def test_configureTakesEffectAtOnce() -> None:
    """A live observer follows what was configured last."""
    sink = Sink()
    observe = LogObserver(sink.write, logs._currentRules)
    log = Logger(namespace="loopbackd.net", observer=observe)
    log.debug("one")
    logs.configure("warn", {"loopbackd": "debug"}, "json")
    log.debug("two")
    logs.configure("info", {}, "text")
    log.info("three")
    two, three = sink.lines
    assert json.loads(two)["message"] == "two"
    assert three.endswith("[loopbackd.net#info] three")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("inof", {}, "text"),
            'log level "inof" is not one of debug, info, warn, error, critical',
        ),
        (
            ("info", {"loopbackd.net": "DEBUG\n"}, "text"),
            'log level "DEBUG\\n" for "loopbackd.net" is not one of '
            "debug, info, warn, error, critical",
        ),
        (("info", {}, "xml"), 'log format "xml" is not one of text, json'),
    ],
)
def test_configureNamesTheWrongWord(arguments: tuple[Any, Any, Any], message: str) -> None:
    """A wrong word is named with the right ones, and nothing is changed."""
    logs.configure("error", {}, "json")
    with pytest.raises(ValueError) as caught:
        logs.configure(*arguments)
    assert str(caught.value) == message
    assert logs._rules == Rules(3, {}, "json")


def test_environment() -> None:
    """LOOPBACKD_LOG has the default and the namespaces' levels, in any order."""
    logs.configureFromEnvironment(
        {"LOOPBACKD_LOG": "loopbackd.net=debug, warn,", "LOOPBACKD_LOG_FORMAT": "json"}
    )
    assert logs._rules == Rules(2, {"loopbackd.net": 0}, "json")
    logs.configureFromEnvironment({})
    assert logs._rules == Rules(1, {}, "text")


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("LOOPBACKD_LOG", "loud", 'LOOPBACKD_LOG: log level "loud" is not one of debug, '),
        ("LOOPBACKD_LOG", "a=b", 'LOOPBACKD_LOG: log level "b" for "a" is not one of debug, '),
        ("LOOPBACKD_LOG_FORMAT", "x", 'LOOPBACKD_LOG_FORMAT: log format "x" is not one of text'),
    ],
)
def test_environmentNamesTheWrongWord(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    """A wrong word in the environment ends the start with one line."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as caught:
        logs.observer()
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_configurationGoesBeforeTheEnvironment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the daemon configured before twistd makes the observer stays."""
    monkeypatch.setenv("LOOPBACKD_LOG", "error")
    logs.configure("debug", {}, "json")
    logs.observer()
    assert logs._rules == Rules(0, {}, "json")


# --- never raises


class Hostile:
    """An object that raises whatever is asked of it."""

    def __init__(self, error: type[BaseException]) -> None:
        self._error = error

    def __repr__(self) -> str:
        raise self._error("no")

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        raise self._error("no")

    def __bool__(self) -> bool:
        raise self._error("no")


junk = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        anyText,
        st.binary(),
        st.builds(lambda: 10**5000),
        st.builds(Hostile, st.sampled_from([ValueError, RecursionError, OSError])),
        st.builds(failure, st.builds(ValueError, anyText)),
        st.sampled_from(list(LogLevel.iterconstants())),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
junkKeys = st.one_of(
    st.sampled_from(
        [
            "log_time",
            "log_level",
            "log_namespace",
            "log_format",
            "log_text",
            "log_failure",
            "log_flattened",
            "log_system",
            "time",
            "level",
            "namespace",
            "message",
            "failure",
            "isError",
            "why",
            "format",
            "system",
            "x",
        ]
    ),
    anyText,
    st.integers(),
)


@given(st.dictionaries(junkKeys, junk, max_size=8), st.sampled_from(logs.FORMATS), st.booleans())
def test_anyEventIsWrittenOrNot(junk: dict[Any, Any], format: str, journal: bool) -> None:
    """No event, whatever is in it, raises, or makes more than one line at the margin."""
    lines = written(junk, format=format, journal=journal)
    assert all(isPlain(line) for line in lines)
    if format == "json":
        assert len(lines) <= 1
        assert all(isinstance(json.loads(line), dict) for line in lines)
    else:
        assert all(
            line.removeprefix(line[:3] if journal else "").startswith("  ") for line in lines[1:]
        )


def test_hostileValuesAreSurvived() -> None:
    """A value that raises when it is printed costs its own line only, even by SystemExit."""
    hostile = Hostile(SystemExit)
    for format in logs.FORMATS:
        lines = written(event("{it}", it=hostile), event("next"), format=format)
        assert len(lines) == 2
        assert "next" in lines[1]


# --- output


def test_lostLinesAreCounted() -> None:
    """Lines that could not be written are counted, and told of when writing works again."""
    sink = Sink()
    observe = LogObserver(sink.write, Rules)
    for error in (errno.ENOSPC, errno.EPIPE, errno.EAGAIN, errno.EBADF):
        sink.room, sink.error = 0, error
        observe(event("lost"))
    sink.room = None
    observe(event("found"))
    observe(event("again"))
    assert [line.partition(" ")[2] for line in sink.lines] == [
        "[loopbackd.logs#warn] 4 log lines were lost",
        "[loopbackd.service#info] found",
        "[loopbackd.service#info] again",
    ]


def test_halfLineIsFinished() -> None:
    """A line that was written in part is finished before the next, and nothing is lost by it."""
    sink = Sink()
    observe = LogObserver(sink.write, Rules)
    sink.room = 30
    observe(event("first"))
    assert len(sink.data) == 30
    sink.room = 3
    observe(event("lost"))
    sink.room = None
    observe(event("last"))
    assert [line.partition("] ")[2] for line in sink.lines] == [
        "first",
        "1 log lines were lost",
        "last",
    ]


def test_lossIsToldInTheSameForm() -> None:
    """The line about lost lines is JSON among JSON lines."""
    sink = Sink()
    observe = LogObserver(sink.write, lambda: Rules(format="json"))
    sink.room = 0
    observe(event("lost"))
    sink.room = None
    observe(event("found"))
    loss = json.loads(sink.lines[0])
    assert (loss["level"], loss["count"]) == ("warn", 1)


def test_loggingWhileLogging() -> None:
    """An event that a signal handler logs in the midst of a write waits for its end."""
    lines: list[bytes] = []

    def write(data: bytes) -> int:
        if not lines:
            lines.append(b"")
            observe(event("from a signal"))
        lines.append(data[:10])
        return len(lines[-1])

    observe = LogObserver(write, Rules)
    observe(event("first"))
    text = b"".join(lines).decode()
    assert [line.partition("] ")[2] for line in text.splitlines()] == ["first", "from a signal"]


def test_aFullPipe() -> None:
    """A pipe nobody reads, not blocking, loses lines and not the daemon; a closed one, too."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    observe = LogObserver(lambda data: os.write(writer, data), Rules)
    for number in range(3000):
        observe(event("{n} " + "x" * 100, n=number))
    os.set_blocking(reader, False)
    read = os.read(reader, 1 << 20)
    observe(event("after"))
    read += os.read(reader, 1 << 20)
    lines = read.decode().splitlines()
    kept = len(lines) - 2
    assert lines[-2].endswith(f"[loopbackd.logs#warn] {3000 - kept} log lines were lost")
    assert lines[-1].endswith("after")
    assert [line.split()[2] for line in lines[:kept]] == [str(n) for n in range(kept)]
    os.close(reader)
    observe(event("into the void"))
    os.close(writer)
    observe(event("into nothing at all"))


# --- with twistd

TAC = """
from twisted.application import internet, service
from twisted.internet import protocol, reactor
from twisted.logger import Logger
application = service.Application("test")
class Talker(protocol.DatagramProtocol): pass
internet.TCPServer(0, protocol.Factory(), interface="127.0.0.1").setServiceParent(application)
internet.UNIXServer("here.sock", protocol.Factory()).setServiceParent(application)
internet.UDPServer(0, Talker(), interface="127.0.0.1").setServiceParent(application)
def run():
    Logger(namespace="mine").info("running\\nand {x}", x="\x1b[31mred")
    print("printed")
    reactor.stop()
reactor.callWhenRunning(run)
"""


def twistd(directory: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run twistd with the observer and a few listeners that stop at once."""
    (directory / "test.tac").write_text(TAC)
    command = "-n --pidfile= --logger=loopbackd.logs.observer -y test.tac"
    return subprocess.run(
        [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", *command.split()],
        cwd=directory,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_twistd(tmp_path: Path) -> None:
    """twistd takes the observer; talk of ports and factories is not among its lines."""
    result = twistd(tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert "[mine#info] running\\nand \\x1b[31mred\n" in result.stdout
    assert "[stdout#info] printed\n" in result.stdout
    for word in ("starting on", "Starting", "Stopping", "Closed"):
        assert word not in result.stdout


def test_twistdDebug(tmp_path: Path) -> None:
    """At debug the same lines are there, so that the patterns are those of this Twisted."""
    result = twistd(tmp_path, LOOPBACKD_LOG="debug", LOOPBACKD_LOG_FORMAT="json")
    messages = "\n".join(json.loads(line)["message"] for line in result.stdout.splitlines())
    for word in ("Factory starting on", "Starting factory", "Stopping factory", "Closed)"):
        assert word in messages


def test_twistdWrongWord(tmp_path: Path) -> None:
    """A wrong word in the environment is one line and exit code 1."""
    result = twistd(tmp_path, LOOPBACKD_LOG="loud")
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        'LOOPBACKD_LOG: log level "loud" is not one of debug, info, warn, error, critical'
    ]


def test_observerIsOne() -> None:
    """What observer makes is an ILogObserver, which twistd asks for."""
    assert verifyObject(ILogObserver, logs.observer())


def test_observerWithoutStandardOutput(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where standard output was closed at the start, nothing is written to what became of it."""
    monkeypatch.setattr(sys, "__stdout__", None)
    logs.observer()(event())


# --- OncePerSecond


def test_oncePerSecond() -> None:
    """One line a second for each key, with the number of those in between."""
    clock = Clock()
    limiter = OncePerSecond(clock)
    assert limiter.take("a") == 0
    assert [limiter.take("a") for _ in range(3)] == [None] * 3
    assert limiter.take("b") == 0
    clock.advance(0.999)
    assert limiter.take("a") is None
    clock.advance(0.001)
    assert limiter.take("a") == 4
    clock.advance(5)
    assert limiter.take("a") == 0


def test_oncePerSecondWhenTheClockIsSetBack() -> None:
    """A wall clock that is set back an hour does not silence the log for an hour."""
    clock = Clock()
    clock.advance(3600)
    limiter = OncePerSecond(clock)
    limiter.take("a")
    clock.rightNow = 0.0
    assert limiter.take("a") == 0
