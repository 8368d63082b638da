"""A fixed body from twisted.web, whatever is asked: ``twisted_web.py PORT http``."""

import sys
from typing import cast

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorCore
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

BODY = b"x" * 160
"""About as long as the JSON that the others make."""


class Fixed(Resource):
    """Says the same to everybody."""

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        request.setHeader(b"Content-Type", b"application/json")
        return BODY


class Quiet(Site):
    """Without an access log."""

    def log(self, request: Request) -> None:
        pass


def main() -> None:
    """Serve on the port given on the command line."""
    endpoint = serverFromString(  # type: ignore[no-untyped-call]
        reactor, f"tcp:{sys.argv[1]}:interface=127.0.0.1"
    )
    endpoint.listen(Quiet(Fixed()))
    cast(IReactorCore, reactor).run()


if __name__ == "__main__":
    main()
