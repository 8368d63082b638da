"""What ``twistd`` and ``twist`` run: the services, the signals, and word to systemd."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from loopbackd import logs, systemd
from loopbackd.control.listening import Control
from loopbackd.options import Options
from loopbackd.service import Loopback
from loopbackd.settings import SettingsError
from loopbackd.table import describe
from loopbackd.watching.service import Watching

__all__ = ["Options", "makeService"]

_log = Logger()


class CannotStart(SystemExit, Exception):
    """
    The daemon cannot do what it was asked for.

    Both of its classes are needed: twistd cleans up after an L{Exception}, and Python prints a
    L{SystemExit} as one line without a traceback, and exits with 1.
    """


def _leadsNowhere(stream: Any) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), os.stat(os.devnull))
    except (AttributeError, OSError, ValueError):
        return True


class Daemon(MultiService):
    """
    Everything that runs.

    @param options: what was asked; read again at SIGHUP.
    @param reactor: the real reactor.
    @param environ: where systemd says how to reach it.
    """

    def __init__(self, options: Options, reactor: Any, environ: dict[str, str]) -> None:
        super().__init__()
        self._options = options
        self._reactor = reactor
        self._logsAsked = False
        plain = bool(environ.get("LOOPBACKD_PLAIN_REACTOR"))
        self.loopback = Loopback(
            options.settings, options.prepared, reactor, plain, options.directory
        )
        self.loopback.setServiceParent(self)
        self.watching = Watching(options.settings.watch, reactor, environ)
        self.watching.setServiceParent(self)
        self.control = Control(self.loopback, self.watching, environ)
        self._notifier = systemd.Notifier.fromEnvironment(environ)
        try:
            interval = systemd.watchdogInterval(environ, os.getpid())
        except ValueError as error:
            raise CannotStart(f"loopbackd: {error}") from None
        if self._notifier is not None and interval is not None:
            systemd.Watchdog(self._notifier, interval, reactor).setServiceParent(self)

    def privilegedStartService(self) -> None:
        """Take signals, and listen; who cannot says why in one line."""
        # Before anybody can see us listen: SIGHUP would end a process that does not take it.
        self._onSignal(signal.SIGHUP, self.reload)
        self._onSignal(signal.SIGUSR1, self.printTable)
        self._configureLogs()
        try:
            super().privilegedStartService()
            asked = self.loopback.settings.control
            self.control.become(self.control.prepare(asked, isPrivileged=True))
        except SettingsError as error:
            raise self._refusal(error) from None

    def startService(self) -> None:
        """Listen if that is still to do, and tell systemd."""
        try:
            super().startService()
            self.control.become(self.control.prepare(self.loopback.settings.control))
        except SettingsError as error:
            raise self._refusal(error) from None
        self._reactor.callWhenRunning(self._ready)

    def _refusal(self, error: SettingsError) -> CannotStart:
        # twistd sends sys.stderr to the log; the operator looks at the real one.  In the
        # background that leads nowhere, and the log is all there is.
        if _leadsNowhere(sys.__stderr__):
            _log.critical("{error}", error=error)
        else:
            sys.stderr = sys.__stderr__
        return CannotStart(f"loopbackd: {self._options.inOurWords(str(error))}")

    def _configureLogs(self) -> None:
        asked = self.loopback.settings.log
        if asked is not None:
            logs.configure(asked.level, asked.levels, asked.format)
        elif self._logsAsked:
            try:
                logs.configureFromEnvironment(os.environ)
            except ValueError as error:
                _log.error("The log is written as before: {error}", error=error)
        self._logsAsked = asked is not None

    def _onSignal(
        self, number: signal.Signals, call: Callable[[], object], afterwards: bool = True
    ) -> None:
        """
        Call from the reactor when the signal comes.

        @param afterwards: after whoever wanted it before us, who is not told otherwise.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        before = signal.getsignal(number)

        def came(number: int, frame: Any) -> None:
            if afterwards and callable(before):
                before(number, frame)
            self._reactor.callFromThread(call)

        signal.signal(number, came)

    def _ready(self) -> None:
        if self._notifier is not None:
            count = len(self.loopback.settings.service)
            self._notifier.ready(f"{count} service{'s' if count != 1 else ''}")

    def reload(self) -> None:
        """
        Serve what the configuration says now.

        What is wrong with it is logged, and nothing changes.
        """
        if not self.running:
            return
        if self._notifier is not None:
            self._notifier.reloading()
        try:
            settings, prepared = self._options.read()
            ready = self.control.prepare(settings.control)
            try:
                self.loopback.change(settings, prepared)
            except Exception:
                ready.forgo()
                raise
            self.control.become(ready)
            self.watching.become(settings.watch)
        except SettingsError as error:
            why = self._options.inOurWords(str(error))
            _log.error("Nothing was changed: {error}", error=why)
        except Exception:
            _log.failure("Nothing was changed.")
        else:
            self._configureLogs()
            _log.info("The configuration was read again.")
        self._ready()

    def printTable(self) -> None:
        """Write the live table to the log."""
        for row in describe(self.loopback.connections, self._reactor.seconds()):
            _log.info("{row}", row=row)

    def stopService(self) -> Any:
        """Stop listening and drain; another SIGTERM or SIGINT ends the waiting."""
        if self._notifier is not None:
            self._notifier.stopping()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._onSignal(number, self.loopback.hurry, afterwards=False)
        # The API goes first: the reactor that it is built on ends with the services.
        closing = Deferred.fromCoroutine(self.control.close())
        return closing.addCallback(lambda _: super(Daemon, self).stopService())


def makeService(options: Options) -> Daemon:
    """The service for C{twistd loopbackd} (see L{twisted.application.service.IServiceMaker})."""
    from twisted.internet import reactor

    return Daemon(options, reactor, dict(os.environ))
