"""What answers are made with: files, faults, templates, real servers and chance."""

from __future__ import annotations

import stat
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final, Protocol

from loopbackd.explaining import shown
from loopbackd.http.messages import Request, Wire
from loopbackd.loglines import reasonOf
from loopbackd.stubs.rendering import Rendering
from loopbackd.stubs.targets import Target, parseTarget

if TYPE_CHECKING:
    from loopbackd.stubs.forwarding import Forwarder

_BIGGEST_FILE: Final = 64 << 20


class Breakage(Protocol):
    """One of C{/broken}'s faults."""

    def options(self, given: Mapping[str, float]) -> Any:
        """
        Its parameters.

        @raise ValueError: it does not take one of these, or not such a value.
        """

    @property
    def script(self) -> Callable[[Wire, Request, Any], Awaitable[None]]:
        """Writes it."""


class Resources:
    """
    What answers are made with.

    @param directory: what paths are relative to.
    @param breakages: the faults by name.
    @ivar reactor: set before the first answer is asked for.
    @ivar maxBody: bytes of a request's body that is taken whole.
    """

    reactor: Any = None

    def __init__(
        self,
        directory: Path,
        breakages: Mapping[str, Breakage],
        *,
        seed: int | None = None,
        allowRemote: bool = False,
        timeout: float = 30.0,
        maxBody: int = 16 << 20,
    ) -> None:
        self.directory = directory
        self.breakages = breakages
        self.chance = Random(seed)
        self.maxBody = maxBody
        self._allowRemote = allowRemote
        self._timeout = timeout
        self._rendering: Rendering | None = None
        self._isClosed = False
        self._forwarders: dict[Target, Forwarder] = {}

    def file(self, path: str, key: str) -> bytes:
        """
        What is in a file, now.

        @raise ValueError: it cannot be read, or is no file that has an end.
        """
        try:
            found = (self.directory / Path(path).expanduser()).resolve()
            about = found.stat()
            if not stat.S_ISREG(about.st_mode):
                raise ValueError(f"{key} = {shown(path)}: {found} is not a file")
            if about.st_size > _BIGGEST_FILE:
                raise ValueError(f"{key} = {shown(path)}: it has more than {_BIGGEST_FILE} bytes")
            return found.read_bytes()
        except (OSError, RuntimeError) as error:
            why = reasonOf(error)
            raise ValueError(f"{key} = {shown(path)}: {self.directory / path}: {why}") from None

    def target(self, text: str, key: str) -> Target:
        """
        A real server.

        @raise ValueError: see L{parseTarget}.
        """
        return parseTarget(text, key, self._allowRemote)

    def forwarder(self, target: Target) -> Forwarder:
        """Who asks it."""
        # Much is imported with it.
        from loopbackd.stubs.forwarding import Forwarder

        found = self._forwarders.get(target)
        if found is None:
            found = self._forwarders[target] = Forwarder(target, self.reactor, self._timeout)
        return found

    async def render(self, source: str, escape: bool, names: dict[str, Any]) -> bytes:
        """
        A template's text.

        @raise RenderError: it has come to nothing.
        """
        seed = self.chance.getrandbits(63)
        if self._isClosed:
            # For a connection that has outlived its service.
            last = Rendering(self.reactor)
            try:
                return await last.render(source, escape, names, seed)
            finally:
                last.close()
        if self._rendering is None:
            self._rendering = Rendering(self.reactor)
        return await self._rendering.render(source, escape, names, seed)

    def close(self) -> None:
        """Give back what is held."""
        self._isClosed = True
        if self._rendering is not None:
            self._rendering.close()
            self._rendering = None
