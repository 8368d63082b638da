"""Our own routes for the open connections of services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from loopbackd.connection import Connection
from loopbackd.control import shapes
from loopbackd.control.services import GROUP, NOT_FOUND, findService
from loopbackd.control.toxiproxy import reply
from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.live import LiveService
from loopbackd.peer.process import Process, findProcesses, processOf
from loopbackd.service import Loopback


def connectionRoutes(loopback: Loopback) -> Routes:
    """The routes for the connections of services."""
    routes = Routes("connections")

    def of(service: str) -> list[Connection]:
        live = findService(loopback, service)
        return [one for one in loopback.connections if one.service == live.name]

    @routes.add(
        "/services/{service}/connections",
        group=GROUP,
        returns=shapes.Connections,
        answers=NOT_FOUND,
    )
    async def listed(request: Request, service: str) -> Response:
        """The open connections of a service, the oldest first."""
        live = findService(loopback, service)
        peers = [one.peer for one in of(service)]
        wanted = [peer.inode for peer in peers if peer is not None and peer.pid is None]
        processes = await request.on.inThread(findProcesses, wanted) if wanted else {}
        found = [_asConnection(live, one, processes) for one in of(service)]
        return reply(shapes.Connections(connections=found))

    @routes.add(
        "/services/{service}/connections",
        methods=["DELETE"],
        group=GROUP,
        usual=204,
        answers=NOT_FOUND,
    )
    def closed(request: Request, service: str, *, reset: bool = False) -> Response:
        """Close, or reset, all connections of a service."""
        for connection in of(service):
            _close(connection, reset)
        return Response(204)

    @routes.add(
        "/services/{service}/connections/{id}",
        methods=["DELETE"],
        group=GROUP,
        usual=204,
        answers=NOT_FOUND,
    )
    def oneClosed(
        request: Request,
        service: str,
        id: Annotated[int, msgspec.Meta(ge=0, le=1 << 53)],
        *,
        reset: bool = False,
    ) -> Response:
        """Close, or reset, one connection."""
        for connection in of(service):
            if connection.id == id:
                _close(connection, reset)
                return Response(204)
        raise HTTPError(404, f"service {service[:200]!r} has no connection {id} now")

    return routes


def _close(connection: Connection, reset: bool) -> None:
    if reset:
        connection.abort()
    else:
        connection.cut()


def _asConnection(
    live: LiveService, connection: Connection, processes: Mapping[int, Process]
) -> shapes.Connection:
    peer = connection.peer
    process = None
    if peer is not None:
        process = processes.get(peer.inode) if peer.pid is None else processOf(peer.pid)
    return shapes.Connection(
        id=connection.id,
        remote=connection.shownRemote,
        opened=connection.opened,
        state=connection.state,
        protocol=connection.protocol,
        uid=None if peer is None else peer.uid,
        pid=None if process is None else process.pid,
        command=None if process is None else process.command,
        bytes_received=connection.bytesReceived,
        bytes_sent=connection.bytesSent,
        toxics=[toxic.name for toxic in live.toxics if toxic.hits(connection)],
    )
