"""What was asked of the network: the toxics of a service."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

Stream = Literal["upstream", "downstream"]


class ToxicSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    One toxic of a service.

    @ivar type: what it does: C{latency}, C{bandwidth}, ... or a kind of the user's own.
    @ivar name: what it is called there; by default C{type_stream}.
    @ivar stream: C{upstream} for what clients send, C{downstream} for what they get.
    @ivar toxicity: how probable it is that a connection has it, from 0 to 1.
    @ivar seed: the same seed gives the same faults; by default each toxic has one of its own.
    @ivar attributes: how much of it (see L{loopbackd.faults.kinds}).
    """

    type: str
    name: str = ""
    stream: Stream = "downstream"
    toxicity: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    seed: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)] | None = None
    attributes: dict[str, Any] = {}
