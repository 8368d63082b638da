"""All tables of the test service, put together."""

from __future__ import annotations

from loopbackd.http.factory import HTTPFactory
from loopbackd.http.routes import Mounts, Routes
from loopbackd.protocols.httpbin import inspecting
from loopbackd.protocols.httpbin.dialect import failed, finish, options
from loopbackd.protocols.httpbin.index import addIndex


def makeSite() -> Mounts:
    """The test service: httpbin's dialect at the root, others under their prefixes."""
    root = Routes("the HTTP test service", failed=failed, finish=finish, options=options)
    for table in (inspecting.routes,):
        root.extend(table)
    addIndex(root)
    return Mounts(root)


class TestServiceFactory(HTTPFactory):
    """Builds the connections of the test service."""

    def __init__(self) -> None:
        super().__init__(makeSite())
