"""Tests for `loopbackd.logs`."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_loglines import anyText, event, failure, isPlain
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, Logger, LogLevel, LogPublisher, globalLogBeginner
from twisted.python.log import LogPublisher as LegacyLogPublisher
from zope.interface.verify import verifyObject

from loopbackd import logs
from loopbackd.loglines import PRIORITIES
from loopbackd.logs import LogObserver, OncePerSecond, Rules


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
    for each in events:
        observe(dict(each))
    return sink.lines


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


def test_longestPrefixWins() -> None:
    """A namespace's own level goes before that of its parent, and that before the default."""
    rules = Rules(4, {"loopbackd": 3, "loopbackd.net": 0})
    found = {
        namespace: next(
            level
            for level in PRIORITIES
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


def test_oncePerSecondInWords() -> None:
    """What stands at the end of a line, the first one needs nothing."""
    clock = Clock()
    limiter = OncePerSecond(clock)
    assert [limiter.more(), limiter.more(), limiter.more()] == ["", None, None]
    clock.advance(1)
    assert limiter.more() == " (2 more like it since the last such line)"


def test_oncePerSecondWhenTheClockIsSetBack() -> None:
    """A wall clock that is set back an hour does not silence the log for an hour."""
    clock = Clock()
    clock.advance(3600)
    limiter = OncePerSecond(clock)
    limiter.take("a")
    clock.rightNow = 0.0
    assert limiter.take("a") == 0
