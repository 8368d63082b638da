"""From a request to a WebSocket."""

from __future__ import annotations

from collections.abc import Sequence

from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import Request, SwitchProtocols
from loopbackd.websocket.handshake import Refused, negotiate
from loopbackd.websocket.inbound import SocketLimits
from loopbackd.websocket.sockets import Application, WebSocket


def openSocket(
    request: Request,
    application: Application,
    *,
    limits: SocketLimits | None = None,
    subprotocols: Sequence[str] | None = (),
    compress: bool = True,
) -> SwitchProtocols:
    """
    The answer to a request that is to become a WebSocket.

    @param application: talks on it.
    @param subprotocols: those it speaks; L{None} for any.
    @param compress: whether permessage-deflate is accepted.
    @raise HTTPError: the request cannot become one: 400, 405 or 426.
    """
    found = negotiate(
        request.method.encode("latin-1"),
        (1, request.head.minor),
        request.fields.pairs,
        subprotocols=subprotocols,
        compress=compress,
    )
    if isinstance(found, Refused):
        raise HTTPError(found.status, found.reason, [*found.headers])
    on = request.on
    socket = WebSocket(
        application, on.clock, limits, found.subprotocol, found.deflating, on.turns, on.lines
    )
    return SwitchProtocols(socket, [*found.headers])
