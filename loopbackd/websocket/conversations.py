"""What there is to talk with over a WebSocket, one client at a time."""

from __future__ import annotations

import json
from typing import Final

from twisted.logger import Logger

from loopbackd.websocket.badframes import BadFrames, Ending
from loopbackd.websocket.sockets import WebSocket

_log = Logger()

REACTION: Final = 5.0
"""Seconds a client has to react to what is wrong."""


async def echo(socket: WebSocket) -> None:
    """Every message comes back, text as text and binary as binary."""
    async for message in socket.inPieces():
        await socket.send(message)


async def closeWith(socket: WebSocket, code: int, reason: str, after: float) -> None:
    """
    Close in a way that was chosen.

    @param code: 1005 for a close frame without a code, 1006 for none at all.
    @raise ValueError: a close frame cannot say that.
    """
    socket.ignoreMessages()
    await socket.sleep(after)
    if code == 1006:
        socket.hangUp()
    elif code == 1005:
        socket.close(None)
    else:
        socket.close(code, reason)


async def ping(socket: WebSocket, count: int, interval: float) -> None:
    """
    Ping so often; tell of each how long its pong took, as JSON.

    A client that answers no ping is told nothing, and left after a while.
    """
    socket.ignoreMessages()
    for number in range(1, count + 1):
        began = socket.seconds()
        await socket.ping(b"%d" % number)
        took = socket.seconds() - began
        await socket.send(json.dumps({"ping": number, "seconds": round(took, 6)}))
        if number < count:
            await socket.sleep(interval)


async def misbehave(socket: WebSocket, bad: BadFrames) -> None:
    """Send what is wrong, and see what the client does."""
    socket.ignoreMessages()
    if bad.compressed and not socket.compresses:
        socket.close(1010, "permessage-deflate")
        return
    socket.raw(bad.written(), closes=bad.closes)
    if bad.ending is Ending.RESET:
        socket.reset()
    elif bad.ending is Ending.END:
        socket.hangUp()
    else:
        try:
            await socket.sleep(REACTION)
        finally:
            more = socket.lines.more("bad")
            if more is not None:
                _log.info(
                    "{connection}: {name} was answered by {ended}.{more}",
                    connection=socket.shown,
                    name=bad.name,
                    ended="nothing" if socket.ended is None else f"{socket.ended.code}",
                    more=more,
                )
