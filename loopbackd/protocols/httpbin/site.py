"""All tables of the test service, put together."""

from __future__ import annotations

from loopbackd.http.factory import HTTPFactory
from loopbackd.http.mounts import Mounts
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.dialect import HTML, failed, finish, options
from loopbackd.protocols.httpbin.index import addIndex
from loopbackd.protocols.httpbin.own import addOwn
from loopbackd.protocols.httpbin.root import addDialect


def makeSite() -> Mounts:
    """The test service: httpbin's dialect at the root, others under their prefixes."""
    root = Routes(
        "the HTTP test service", failed=failed, finish=finish, options=options, errorType=HTML
    )
    addDialect(root)
    addOwn(root)
    site = Mounts(root)
    addIndex(site)
    return site


class TestServiceFactory(HTTPFactory):
    """Builds the connections of the test service."""

    def __init__(self) -> None:
        super().__init__(makeSite())
