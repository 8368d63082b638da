"""What is to be told of a listener that is there, that opened, or that is gone."""

from __future__ import annotations

from collections.abc import Iterator

from loopbackd.debuggers.recognising import debuggersOf
from loopbackd.peer.process import userName
from loopbackd.watching.events import Event, eventOf, named
from loopbackd.watching.listeners import Listener
from loopbackd.watching.programs import Program
from loopbackd.watching.usual import Known, Usual


def opened(
    listener: Listener, program: Program | None, usual: Usual, now: float, isFirst: bool
) -> Iterator[Event]:
    """
    What there is to tell of a listener that was not there before.

    Nothing of one that is trusted, but that it is back.

    @param isFirst: this is the first look, so that it may have been there for long.
    """
    place = listener.place
    known = usual.find(place, program)
    who = named(place.uid, program)
    if known is None and not usual.isFresh:
        yield eventOf(
            "listener-new",
            f"{who} listens on {place.address}, and never did before",
            now,
            place=place,
            program=program,
        )
        yield from _stranger(listener, program, usual, now)
    elif known is not None and not isFirst and usual.isFixed(place):
        yield eventOf(
            "listener-back",
            f"{who} listens on {place.address}, as before",
            now,
            place=place,
            program=program,
        )
    if known is None or not known.trusted:
        yield from suspicions(listener, program, now)


def closed(listener: Listener, program: Program | None, known: Known | None, now: float) -> Event:
    """What there is to tell of a listener that is gone."""
    isTrusted = known is not None and known.trusted
    who = named(listener.place.uid, program)
    says = f"nobody listens on {listener.place.address} any more: {who} did"
    more = ", which is usual here" if isTrusted else ""
    return eventOf("listener-gone", says + more, now, place=listener.place, program=program)


def suspicions(listener: Listener, program: Program | None, now: float) -> Iterator[Event]:
    """What is wrong with a listener whoever knows it."""
    place = listener.place
    who = named(place.uid, program)
    debugger = debuggerAt(place.port, program)
    at = f"{place.address}, the port of {debugger}" if debugger else place.address
    if place.isEverywhere:
        says = f"{who} listens on all addresses ({at}), which other machines can reach"
        yield eventOf("all-addresses", says, now, place=place, program=program)
    elif not place.isLoopback:
        says = f"{who} listens on {at}, which other machines can reach"
        yield eventOf("other-address", says, now, place=place, program=program)
    if program is not None and program.isDeleted:
        says = f"{who} listens on {at}, and its executable {program.path} was deleted"
        yield eventOf("deleted-program", says, now, place=place, program=program)
    if program is not None and program.isTemporary:
        says = (
            f"{who} listens on {at}, and its executable is {program.path}, where anybody can write"
        )
        yield eventOf("temporary-program", says, now, place=place, program=program)


def debuggerAt(port: int, program: Program | None) -> str:
    """Which debugger has a port that a program listens on; empty where none has."""
    if program is None:
        return ""
    told = debuggersOf(program.words, program.variables, program.path)
    return next((one.title for one in told if one.port == port and one.isListening), "")


def _stranger(
    listener: Listener, program: Program | None, usual: Usual, now: float
) -> Iterator[Event]:
    place = listener.place
    who = named(place.uid, program)
    if not usual.knowsUser(place.uid):
        says = f"{who} listens on {place.address}: no process of that user ever did"
        yield eventOf("new-uid", says, now, place=place, program=program)
    before = usual.knownAt(place)
    if before and not any(_isSame(one, place.uid, program) for one in before):
        others = ", ".join(sorted({_shown(one) for one in before})[:3])
        says = f"{who} listens on {place.address}, which used to be the port of {others}"
        yield eventOf("port-taken-over", says, now, place=place, program=program)


def _isSame(known: Known, uid: int, program: Program | None) -> bool:
    path = "" if program is None else program.path
    if known.uid != uid:
        return False
    # Another script of the same interpreter is what people do all day.
    return not path or not known.program or f"{known.program} ".startswith(f"{path} ")


def _shown(known: Known) -> str:
    user = userName(known.uid)
    return f"{known.program} ({user})" if known.program else f"user {user}"
