"""
Templates, from the daemon's side: checked when the configuration is read, rendered elsewhere.

Jinja2 is needed where there is a template, and nowhere else: C{pip install 'loopbackd[stubs]'}.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections import deque
from typing import Any, Final

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

_log = Logger()

_MOST_WAITING: Final = 1000
_MOST_BYTES: Final = 64 << 20
"""Of what waits, most of which is bodies of requests."""

_PATIENCE: Final = 15.0
"""Seconds until a process that says nothing is given up; its own limit is a second's work."""

_LONGEST: Final = 1 << 20
"""Characters of a template."""


class RenderError(Exception):
    """A template has come to nothing; one line that says why."""


def checkTemplate(source: str, key: str) -> None:
    """
    Whether that is a template.

    @raise ValueError: it is none, or Jinja2 is not installed.
    """
    try:
        import jinja2

        from loopbackd.stubs.renderer import environment
    except ImportError:
        raise ValueError(f"{key}: templates need Jinja2; pip install 'loopbackd[stubs]'") from None
    if len(source) > _LONGEST:
        raise ValueError(
            f"{key}: a template may have {_LONGEST} characters, this has {len(source)}"
        )
    try:
        environment(False).from_string(source)
    except jinja2.TemplateSyntaxError as error:
        raise ValueError(f"{key}: line {error.lineno}: {error.message}") from None
    except (RecursionError, SyntaxError, MemoryError) as error:
        raise ValueError(f"{key}: it is nested too deeply ({type(error).__name__})") from None


class _Process(Protocol):
    """The stream to the process that renders."""

    def __init__(self, owner: Rendering, process: subprocess.Popen[bytes]) -> None:
        self._owner = owner
        self._heard = b""
        self.process = process

    def dataReceived(self, data: bytes) -> None:
        from loopbackd.stubs.renderer import LENGTH

        self._heard += data
        if len(self._heard) < LENGTH.size:
            return
        (size,) = LENGTH.unpack_from(self._heard)
        if len(self._heard) >= LENGTH.size + size:
            heard, self._heard = self._heard[LENGTH.size :], b""
            self._owner.came(heard)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.process.kill()
        self._owner.lost(self, self.process.wait())


class _Job:
    """A rendering that is waited for."""

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.isSecond = False
        self.result: Deferred[bytes] = Deferred(self._forget)
        self.isWanted = True

    def _forget(self, result: Deferred[bytes]) -> None:
        self.isWanted = False


class Rendering:
    """
    Renders templates, one after the other, in a process that is started when it is needed.

    @param reactor: provides C{IReactorTime} and C{IReactorSocket}.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._waiting: deque[_Job] = deque()
        self._current: _Job | None = None
        self._process: _Process | None = None
        self._deadline: Any = None
        self._isLate = False

    def render(
        self, source: str, escape: bool, names: dict[str, Any], seed: int
    ) -> Deferred[bytes]:
        """
        Render a template.

        @param names: what it can speak of: values as JSON has them.
        @return: fires with the text in UTF-8, or fails with L{RenderError}.
        """
        from loopbackd.stubs.renderer import LENGTH, Task

        waits = sum(len(one.message) for one in self._waiting if one.isWanted)
        if len(self._waiting) >= _MOST_WAITING or waits >= _MOST_BYTES:
            raise RenderError("too many are waiting for their turn")
        try:
            message = msgspec.msgpack.encode(Task(source, escape, names, seed))
        except (OverflowError, RecursionError) as error:
            raise RenderError(f"what was sent cannot be given to it: {error}") from None
        job = _Job(LENGTH.pack(len(message)) + message)
        self._waiting.append(job)
        self._next()
        return job.result

    def _next(self) -> None:
        while self._current is None and self._waiting:
            job = self._waiting.popleft()
            if not job.isWanted:
                continue
            self._current = job
            try:
                transport: Any = (self._process or self._start()).transport
            except OSError as error:
                self._end(RenderError(f"its process cannot be started: {error.strerror}"))
                continue
            self._deadline = self._reactor.callLater(_PATIENCE, self._late, transport)
            transport.write(job.message)

    def _late(self, transport: Any) -> None:
        """The process has been silent for too long."""
        self._deadline = None
        self._isLate = True
        transport.abortConnection()

    def _start(self) -> _Process:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            words = [sys.executable, "-P", "-m", "loopbackd.stubs.renderer"]
            process = subprocess.Popen(
                words,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                # What the terminal says to us is not meant for it.
                start_new_session=True,
            )
            made = self._process = _Process(self, process)
            factory = Factory.forProtocol(lambda: made)
            factory.noisy = False
            self._reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, factory)
        return made

    def came(self, message: bytes) -> None:
        """The process has answered."""
        from loopbackd.stubs.renderer import Done

        done = msgspec.msgpack.decode(message, type=Done)
        self._end(done.text.encode() if done.isGood else RenderError(done.text))
        self._next()

    def lost(self, process: _Process, code: int) -> None:
        """
        The process has ended: by its limit, or by somebody else, and then it is tried once more.

        @param code: what C{Popen.wait} returns.
        """
        if process is not self._process:
            return
        self._process = None
        job, isLate, self._isLate = self._current, self._isLate, False
        if isLate:
            self._end(RenderError(f"its process was silent for {_PATIENCE:g} s, and was ended"))
        elif code == -signal.SIGPROF:
            self._end(RenderError("it takes more than a second, and was stopped"))
        elif job is not None and job.isWanted and not job.isSecond:
            # It may have been dead before it was asked.
            job.isSecond = True
            self._rest()
            self._waiting.appendleft(job)
        else:
            self._end(RenderError(f"its process has ended ({code})"))
        self._next()

    def _rest(self) -> None:
        """Nothing is rendered."""
        self._current = None
        deadline, self._deadline = self._deadline, None
        if deadline is not None:
            deadline.cancel()

    def _end(self, result: bytes | RenderError) -> None:
        job = self._current
        self._rest()
        if job is None or not job.isWanted:
            return
        job.isWanted = False
        if isinstance(result, RenderError):
            job.result.errback(result)
        else:
            job.result.callback(result)

    def close(self) -> None:
        """End the process; whoever waits still is told."""
        waiting, self._waiting = self._waiting, deque()
        for job in waiting:
            if job.isWanted:
                job.result.errback(RenderError("the service has ended"))
        process, self._process = self._process, None
        self._end(RenderError("the service has ended"))
        if process is not None:
            transport: Any = process.transport
            transport.abortConnection()
