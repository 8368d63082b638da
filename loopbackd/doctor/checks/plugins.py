"""Whether C{twistd} would know loopbackd."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence

from loopbackd.doctor.facts.plugins import NAME, Cache, Twistd
from loopbackd.doctor.finding import Finding, Severity

_UNKNOWN = "Unknown command: loopbackd"


def checkPlugins(caches: Sequence[Cache], found: Twistd) -> Iterator[Finding]:
    """Whether the C{twistd} that a shell finds knows loopbackd, and what it remembers."""
    yield from _environment(found)
    for cache in caches:
        yield from _cache(cache)


def _cache(cache: Cache) -> Iterator[Finding]:
    directory = shlex.quote(os.path.dirname(cache.path))
    if cache.isBelieved and not cache.knows:
        again = "; as the owner of that directory" if cache.isFixed else ""
        yield Finding(
            "plugin-cache-stale",
            Severity.PROBLEM,
            f"twistd remembers an older plugin, and does not know loopbackd: it says {_UNKNOWN!r}.",
            (
                f"{cache.path} is younger than the plugin, so it is believed",
                f"and it has no plugin {NAME!r}",
            ),
            (f"rm {shlex.quote(cache.path)} (twistd makes another){again}",),
            88,
        )
    elif not cache.isBelieved and cache.isFixed:
        was = "is older than the plugin, or does not know it" if cache.exists else "is not there"
        yield Finding(
            "plugin-cache-unwritable",
            Severity.NOTE,
            "twistd imports every plugin at each start: it cannot keep what it found.",
            (f"{cache.path} {was}", f"{directory} is not yours to write"),
            ("once, as the owner of that directory: twistd --help > /dev/null",),
        )


def _environment(found: Twistd) -> Iterator[Finding]:
    ours = f"use {shlex.quote(found.ours)} -n loopbackd" if found.ours else ""
    activate = "or have its directory first in PATH (activate the environment)"
    if not found.path:
        yield Finding(
            "twistd-not-in-path",
            Severity.NOTE,
            "A shell here finds no twistd.",
            ("no directory of PATH has it",),
            (ours, activate) if ours else ("install Twisted where loopbackd is",),
        )
    elif found.python and not found.isAble:
        yield Finding(
            "twistd-of-another-environment",
            Severity.WARNING,
            "The twistd that a shell finds is of an environment without loopbackd: it says"
            f" {_UNKNOWN!r}.",
            (f"{found.path} is run by {found.python}", "loopbackd is not installed there"),
            (ours, activate) if ours else ("install loopbackd there, or Twisted here",),
            70,
        )
