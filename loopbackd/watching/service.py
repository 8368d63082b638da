"""The watch of a daemon: it looks in a thread, and tells in the log and to the control API."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from loopbackd.loglines import escape, reasonOf
from loopbackd.watching.events import Event
from loopbackd.watching.looks import Looks, Seen
from loopbackd.watching.rules import Rules
from loopbackd.watchsettings import WatchSettings

_log = Logger()

T = TypeVar("T")

LINES: Final = 20
"""How many events of one look are written to the log, each in a line."""


class _Turn:
    """
    Watching with the same settings, from its beginning to its end.

    @ivar sleeping: until the next look.
    @ivar ended: comes when it is over.
    """

    def __init__(self) -> None:
        self.isOver = False
        self.sleeping: Deferred[None] | None = None
        self.ended: Deferred[None] = Deferred()

    def end(self) -> None:
        """Look no more."""
        self.isOver = True
        if self.sleeping is not None:
            self.sleeping.cancel()


class Watching(Service):
    """
    Watches while the daemon runs, if it is asked to.

    @param settings: what is asked, at first.
    @param reactor: has the clock and the threads.
    @param environ: says where what is usual is remembered.
    @ivar events: the last of them, the oldest first.
    @ivar seen: by the last look.
    @ivar missing: why nothing can be seen; empty if it can.
    """

    def __init__(self, settings: WatchSettings, reactor: Any, environ: Mapping[str, str]) -> None:
        self.settings = settings
        self._reactor = reactor
        self._environ = environ
        self._turn: _Turn | None = None
        self.events: deque[Event] = deque(maxlen=settings.events)
        self.seen = Seen((), (), {}, ())
        self.missing = ""

    def startService(self) -> None:
        """Begin, if that is asked."""
        super().startService()
        self._begin(Rules(self.settings))

    def become(self, settings: WatchSettings) -> None:
        """
        Watch like that from now on; the same settings change nothing.

        @raise SettingsError: a rule names a user that there is not; all goes on as it was.
        """
        rules = Rules(settings)
        if settings == self.settings:
            return
        self.settings = settings
        self.events = deque(self.events, maxlen=settings.events)
        if self.running:
            self._begin(rules)

    def stopService(self) -> Deferred[None] | None:
        """Watch no more, once the look that is under way is over."""
        super().stopService()
        turn, self._turn = self._turn, None
        if turn is None:
            return None
        turn.end()
        return turn.ended

    def _begin(self, rules: Rules) -> None:
        before, turn = self._turn, _Turn()
        if before is not None:
            before.end()
        self._turn = turn
        watching = Deferred.fromCoroutine(self._watch(turn, before, self.settings, rules))
        watching.addErrback(self._failed)
        watching.addCallback(lambda _: turn.ended.callback(None))

    def _failed(self, failure: Failure) -> None:
        _log.failure("The watch has ended.", failure)
        self.missing = "the watch has failed; the log says why"

    async def _watch(
        self, turn: _Turn, before: _Turn | None, settings: WatchSettings, rules: Rules
    ) -> None:
        if before is not None:
            # Two at once would write one file.
            await _when(before.ended)
        self.seen, self.missing = Seen((), (), {}, ()), ""
        if turn.isOver or not settings.enabled:
            return
        _log.info("watch: every {interval} s.", interval=settings.interval)
        looks = await self._inThread(Looks, settings, rules, self._environ)
        try:
            while not turn.isOver:
                await self._look(looks)
                await self._sleep(turn, settings.interval)
        finally:
            await self._inThread(looks.close)

    async def _look(self, looks: Looks) -> None:
        try:
            seen = await self._inThread(looks.look, self._reactor.seconds())
        except (OSError, ValueError) as error:
            missing = reasonOf(error)
            if missing != self.missing:
                _log.warn("watch: nothing can be seen ({why}).", why=missing)
            self.missing = missing
            return
        self.seen, self.missing = seen, ""
        self.events.extend(seen.events)
        for complaint in seen.complaints:
            _log.warn("watch: {complaint}.", complaint=escape(complaint))
        self._tell(seen.events)

    def _tell(self, events: Sequence[Event]) -> None:
        for event in events[:LINES]:
            tell = _log.warn if event.isWarning else _log.info
            tell(
                "watch: {says} ({kind}).",
                says=escape(event.says),
                kind=event.kind,
                port=event.port,
                uid=event.uid,
                pid=event.pid,
            )
        if len(events) > LINES:
            _log.warn("watch: and {more} events more.", more=len(events) - LINES)

    async def _sleep(self, turn: _Turn, seconds: float) -> None:
        if turn.isOver:
            return
        turn.sleeping = deferLater(self._reactor, seconds, lambda: None)
        try:
            await turn.sleeping
        except CancelledError:
            pass
        finally:
            turn.sleeping = None

    def _inThread(self, call: Callable[..., T], *args: Any) -> Awaitable[T]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), call, *args)


def _when(ended: Deferred[None]) -> Deferred[None]:
    """The same end, for one more who waits for it."""
    mine: Deferred[None] = Deferred()
    ended.addCallback(lambda _: mine.callback(None))
    return mine
