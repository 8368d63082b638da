"""Tables of handlers under prefixes of their own."""

from __future__ import annotations

from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import Answer, Request, Response
from loopbackd.http.routes import Found, Routes


class Mounts:
    """
    Tables under prefixes: the longest that a path begins with has it.

    @param root: has whatever no prefix fits.
    """

    def __init__(self, root: Routes) -> None:
        self.root = root
        self.mounted: dict[str, Routes] = {}
        self._byPrefix: list[tuple[bytes, Routes]] = []

    def mount(self, prefix: str, routes: Routes) -> None:
        """Have a table answer for C{/prefix} and below it; its own paths lack the prefix."""
        self.mounted[prefix] = routes
        self._byPrefix.append((prefix.encode(), routes))
        self._byPrefix.sort(key=lambda one: -len(one[0]))

    def _owner(self, path: bytes) -> tuple[Routes, bytes]:
        for prefix, routes in self._byPrefix:
            if path.startswith(prefix):
                rest = path[len(prefix) :]
                if not rest or rest[0] == 0x2F:
                    return routes, rest or b"/"
        return self.root, path

    def find(self, request: Request) -> Found:
        """See L{Site.find}."""
        routes, path = self._owner(request.rawPath)
        return routes.findPath(request, path)

    def failed(self, request: Request, error: HTTPError) -> Answer:
        """See L{Site.failed}."""
        return self._owner(request.rawPath)[0].failed(request, error)

    def finish(self, request: Request, answer: Response) -> None:
        """See L{Site.finish}."""
        self._owner(request.rawPath)[0].finish(request, answer)
