"""From the settings of a service to its stubs, checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from loopbackd.explaining import shown
from loopbackd.http.routes import Site
from loopbackd.httpsettings import HTTPSettings
from loopbackd.stubs.journal import Journal
from loopbackd.stubs.reporting import reportRoutes
from loopbackd.stubs.resources import Breakage, Resources
from loopbackd.stubs.site import StubSite
from loopbackd.stubs.table import Stubs
from loopbackd.stubs.targets import Target

_JOURNAL: Final = 1000
"""How many requests are kept where there are stubs and nothing else is said."""


def wantsStubs(asked: HTTPSettings) -> bool:
    """Whether requests must go through stubs or a journal at all."""
    return bool(asked.stub or asked.journal or asked.fallback != "builtin")


def stubSite(
    inner: Site, asked: HTTPSettings, directory: Path, breakages: Mapping[str, Breakage]
) -> StubSite:
    """
    A site with the stubs in front of it, and the journal.

    @param directory: what paths are relative to.
    @raise ValueError: something is wrong with one; the message names the stub and the key.
    """
    resources = Resources(
        directory,
        breakages,
        seed=asked.seed,
        allowRemote=asked.allow_remote_target,
        timeout=asked.target_timeout,
        maxBody=asked.max_body,
    )
    stubs = Stubs(resources)
    for number, one in enumerate(asked.stub, 1):
        try:
            stubs.add(one)
        except ValueError as error:
            name = f"{number}" if one.name is None else shown(one.name)
            raise ValueError(f"stub {name}: {error}") from None
    stubs.check()
    most = _JOURNAL if asked.journal is None else asked.journal
    journal = Journal(most, asked.journal_bytes, asked.journal_body)
    return StubSite(
        inner, reportRoutes(stubs, journal), stubs, journal, _fallback(asked, resources)
    )


def _fallback(asked: HTTPSettings, resources: Resources) -> Target | str:
    if asked.fallback in ("builtin", "not_found"):
        return asked.fallback
    if "://" not in asked.fallback:
        raise ValueError(
            f"fallback = {shown(asked.fallback)}: write builtin, not_found or http://host:port"
        )
    return resources.target(asked.fallback, "fallback")
