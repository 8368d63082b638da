"""Noop: there is nothing of it on a connection."""

from __future__ import annotations

from random import Random

import pytest
import pytest_twisted
from suffering import serving, toxic

from loopbackd.faults.kind import Context
from loopbackd.faults.kinds import makeKind


def test_nothing() -> None:
    """It has no attributes, and no effect."""
    assert makeKind("noop", {}).effect(Context(Random(1))) is None
    with pytest.raises(ValueError, match="latency"):
        makeKind("noop", {"latency": 1})


@pytest_twisted.ensureDeferred
async def test_listed() -> None:
    """The service has it, and can lose it."""
    async with serving(toxic("noop")) as loopback:
        toxics = loopback.live("main").toxics
        assert [one.name for one in toxics] == ["noop_downstream"]
        toxics.change("noop_downstream", {}, 0.5)
        toxics.remove("noop_downstream")
        assert toxics.isEmpty
