"""A clock that turns as a reactor does."""

from __future__ import annotations

from twisted.internet.task import Clock


class Iterated(Clock):
    """A clock that calls as a reactor does: what is asked for meanwhile comes the next time."""

    def iterate(self) -> None:
        """Call what is due now."""
        for call in list(self.calls):
            self.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)
