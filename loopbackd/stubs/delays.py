"""How long an answer is put off: fixed, or by chance."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from random import Random
from typing import Final

from loopbackd.httpsettings import DelaySettings

Delay = Callable[[Random], float]
"""Seconds, by that chance."""

LONGEST: Final = 86400.0
"""What the tail of a distribution is cut at."""


def delayOf(wanted: float | DelaySettings) -> Delay | None:
    """
    The delay that is wanted; L{None} for none.

    @raise ValueError: it is said in no way, or in several.
    """
    if not isinstance(wanted, DelaySettings):
        return (lambda chance: wanted) if wanted else None
    given = [name for name in wanted.__struct_fields__ if getattr(wanted, name) is not None]
    if len(given) != 1:
        raise ValueError(
            f"delay has {' and '.join(given) or 'nothing'};"
            " write one of uniform, normal and lognormal"
        )
    if wanted.uniform is not None:
        least, most = wanted.uniform
        if least > most:
            raise ValueError(f"delay: uniform = [{least:g}, {most:g}]: write the smaller one first")
        return lambda chance: chance.uniform(least, most)
    if wanted.normal is not None:
        mean, deviation = wanted.normal
        return lambda chance: min(max(0.0, chance.gauss(mean, deviation)), LONGEST)
    assert wanted.lognormal is not None
    median, sigma = wanted.lognormal
    if sigma > 10:
        raise ValueError(f"delay: lognormal: sigma = {sigma:g}: write less than 10; 1 is much")
    return lambda chance: min(chance.lognormvariate(log(median), sigma), LONGEST)
