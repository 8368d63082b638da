"""Is a silent peer still there?"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Keepalive:
    """
    Asks a peer that has been silent for a while, and gives it up when it stays silent.

    @param clock: an L{IReactorTime}.
    @param seconds: of silence before it is asked, and again before it is given up.
    @param ask: called to make it say something.
    @param giveUp: called when it did not.
    @ivar heard: to be set whenever it says something, or cannot be heard; nothing is counted then.
    """

    def __init__(
        self,
        clock: IReactorTime,
        seconds: float,
        ask: Callable[[], object],
        giveUp: Callable[[], object],
    ) -> None:
        self.heard = False
        self._clock = clock
        self._seconds = seconds
        self._ask = ask
        self._giveUp = giveUp
        self._asked = False
        self._call: IDelayedCall | None = clock.callLater(seconds, self._look)

    def stop(self) -> None:
        """Ask no more."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _look(self) -> None:
        self._call = None
        if not self.heard and self._asked:
            self._giveUp()
            return
        self._call = self._clock.callLater(self._seconds, self._look)
        self._asked = not self.heard
        self.heard = False
        if self._asked:
            self._ask()
