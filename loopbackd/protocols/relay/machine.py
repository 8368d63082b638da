"""
What follows from what, between a client and its target: no I/O, only decisions.

Each direction ends by itself, an end stays an end and a reset a reset::

    dialling --connected--> open --clientFinished--> clientDone --targetFinished--> draining
                                 --targetFinished--> targetDone --clientFinished--> draining

From anywhere the loss of one end leads to the closing of the other, and then it is over. The client
is not closed before the target has what the client said: so its connection is there, in the table
and for the limits, for as long as there is anything to do for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from automat import TypeMachineBuilder


class Events(Protocol):
    """
    What can happen to a relay.

    An end is told of once, says nothing before it is there and nothing after it is lost; a deadline
    is only told of while it runs.
    """

    def connected(self) -> None:
        """The target has taken the connection."""

    def failed(self) -> None:
        """The target cannot be had."""

    def overdue(self) -> None:
        """A deadline has passed: of the dial, or of the last words to the target."""

    def clientFinished(self) -> None:
        """The client has finished sending."""

    def targetFinished(self) -> None:
        """The target has finished sending."""

    def clientLost(self) -> None:
        """The client's connection is closed, without harm."""

    def clientReset(self) -> None:
        """The client's connection broke."""

    def targetLost(self) -> None:
        """The target's connection is closed, without harm."""

    def targetReset(self) -> None:
        """The target's connection broke."""


class Ends(Protocol):
    """What can be done to the two ends; nothing of it is an event before it has returned."""

    def cancelDial(self) -> None:
        """The target is not wanted any more."""

    def refuse(self) -> None:
        """Turn the client away."""

    def join(self) -> None:
        """Let each hear the other, what the client has said already first."""

    def finishTarget(self) -> None:
        """Tell the target that the client has finished sending."""

    def finishClient(self) -> None:
        """Tell the client that the target has finished sending."""

    def closeTarget(self) -> None:
        """Close the target once it has what the client said, by a deadline."""

    def closeClient(self) -> None:
        """Close the client once it has what the target said."""

    def closeBoth(self) -> None:
        """Both have said all: close the target as above; the client hears of its end at once."""

    def resetTarget(self) -> None:
        """Reset the target's connection."""

    def resetClient(self) -> None:
        """Reset the client's connection."""


def _machine() -> Callable[[Ends], Events]:
    builder = TypeMachineBuilder(Events, Ends)  # type: ignore[type-abstract]
    dialling = builder.state("dialling")
    diallingDone = builder.state("diallingDone")
    open_ = builder.state("open")
    clientDone = builder.state("clientDone")
    targetDone = builder.state("targetDone")
    draining = builder.state("draining")
    clientGone = builder.state("clientGone")
    over = builder.state("over")

    @dialling.upon(Events.connected).to(open_)
    def join(events: Events, ends: Ends) -> None:
        ends.join()

    @diallingDone.upon(Events.connected).to(clientDone)
    def joinAndFinish(events: Events, ends: Ends) -> None:
        ends.join()
        ends.finishTarget()

    dialling.upon(Events.clientFinished).to(diallingDone).returns(None)

    def cancel(events: Events, ends: Ends) -> None:
        ends.cancelDial()

    def refuse(events: Events, ends: Ends) -> None:
        ends.refuse()

    def refuseAfterAll(events: Events, ends: Ends) -> None:
        ends.cancelDial()
        ends.refuse()

    for state in (dialling, diallingDone):
        state.upon(Events.failed).to(over)(refuse)
        state.upon(Events.overdue).to(over)(refuseAfterAll)
        state.upon(Events.clientLost).to(over)(cancel)
        state.upon(Events.clientReset).to(over)(cancel)

    def finishTarget(events: Events, ends: Ends) -> None:
        ends.finishTarget()

    def finishClient(events: Events, ends: Ends) -> None:
        ends.finishClient()

    def closeBoth(events: Events, ends: Ends) -> None:
        ends.closeBoth()

    open_.upon(Events.clientFinished).to(clientDone)(finishTarget)
    open_.upon(Events.targetFinished).to(targetDone)(finishClient)
    clientDone.upon(Events.targetFinished).to(draining)(closeBoth)
    targetDone.upon(Events.clientFinished).to(draining)(closeBoth)

    def closeTarget(events: Events, ends: Ends) -> None:
        ends.closeTarget()

    def closeClient(events: Events, ends: Ends) -> None:
        ends.closeClient()

    def resetTarget(events: Events, ends: Ends) -> None:
        ends.resetTarget()

    def resetClient(events: Events, ends: Ends) -> None:
        ends.resetClient()

    for state in (open_, clientDone, targetDone, draining):
        state.upon(Events.clientLost).to(clientGone)(closeTarget)
        state.upon(Events.targetLost).to(over)(closeClient)
        state.upon(Events.clientReset).to(over)(resetTarget)
        state.upon(Events.targetReset).to(over)(resetClient)

    clientGone.upon(Events.overdue).to(over)(resetTarget)
    clientGone.upon(Events.targetFinished).loop().returns(None)
    for event in (Events.targetLost, Events.targetReset):
        clientGone.upon(event).to(over).returns(None)
    # What cannot happen has no transition: an input costs as much as there are transitions.
    over.upon(Events.connected).loop()(resetTarget)
    for event in (
        Events.failed,
        Events.overdue,
        Events.clientFinished,
        Events.clientLost,
        Events.clientReset,
        Events.targetFinished,
        Events.targetLost,
        Events.targetReset,
    ):
        over.upon(event).loop().returns(None)
    return builder.build()


machine = _machine()
"""Makes the machine of one relay, which is dialling; its argument is what it acts on."""
