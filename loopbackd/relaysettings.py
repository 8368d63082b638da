"""What was asked of a relay, beside its target."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from loopbackd.targetsettings import TargetTLSSettings


class RelaySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    How a relay treats its target and its clients.

    @ivar connect_timeout: seconds in which the target must have taken the connection, name
        resolution and handshake included.
    @ivar refused: what a client sees when the target cannot be had: C{reset}, as if it had asked
        the target itself, or C{close}, an end without a word.
    @ivar tls: how the target is spoken to where it begins with C{tls:}.
    """

    connect_timeout: Annotated[float, msgspec.Meta(gt=0, le=86400)] = 10.0
    refused: Literal["reset", "close"] = "reset"
    tls: TargetTLSSettings | None = None
