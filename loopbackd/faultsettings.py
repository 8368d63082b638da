"""What was asked of the network: the toxics of a service."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

Stream = Literal["upstream", "downstream"]


_Positive = Annotated[int, msgspec.Meta(ge=1)]


class MatchSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Which connections a toxic may hit; all that is given must hold. It is decided once for each.

    @ivar uid: those of this user, by number or name.
    @ivar pid: those of this process.
    @ivar command: those of programs whose name or command line is like this; C{*} stands for
        anything, C{?} for one letter, C{[ab]} for one of these.
    @ivar nth: the how many-th connection of those that match otherwise, since the toxic is there.
    @ivar every: also each so many-th after it; without C{nth} each so many-th.
    """

    uid: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFE)] | str | None = None
    pid: _Positive | None = None
    command: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    nth: _Positive | None = None
    every: _Positive | None = None


class ToxicSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    One toxic of a service.

    @ivar type: what it does: C{latency}, C{bandwidth}, ... or a kind of the user's own.
    @ivar name: what it is called there; by default C{type_stream}.
    @ivar stream: C{upstream} for what clients send, C{downstream} for what they get.
    @ivar toxicity: how probable it is that a connection has it, from 0 to 1.
    @ivar seed: the same seed gives the same faults; by default each toxic has one of its own.
    @ivar attributes: how much of it (see L{loopbackd.faults.kinds}).
    @ivar match: which connections it may hit; L{None} for all.
    """

    type: str
    name: str = ""
    stream: Stream = "downstream"
    toxicity: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    seed: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)] | None = None
    attributes: dict[str, Any] = {}
    match: MatchSettings | None = None
