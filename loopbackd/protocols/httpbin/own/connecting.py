"""The connection a request came on: who is there, what TCP and TLS know of it; and its end."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from loopbackd.connection import Connection
from loopbackd.http.guarding import SHIELD, refuseForeignNames
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.peer.identity import PeerIdentity
from loopbackd.peer.process import findProcess, processOf, userName
from loopbackd.peer.tcpinfo import tcpInfoOf
from loopbackd.protocols.hello import shownAddress
from loopbackd.protocols.httpbin.dialect import JSON, TEXT, Bare, jsonText
from loopbackd.tls.facts import factsOf

routes = Routes("connections")


_ELSEWHERE = {421: "Host is not a name of this machine, but could be that of a page of the web"}


@routes.add("/connection", group="connection", example="/connection", answers=_ELSEWHERE)
async def connection(request: Request) -> Response:
    """The connection: its number, requests so far, the process at the other end, facts of TCP."""
    refuseForeignNames(request)
    on = request.on
    shown: dict[str, Any] = {
        "local": shownAddress(on.transport.getHost()),
        "remote": shownAddress(on.transport.getPeer()),
        "requests": on.requests,
        "tls": on.isTLS,
        "id": None,
        "service": None,
        "peer": None,
        "tcp": None,
    }
    known = on.connection
    if known is not None:
        shown |= _known(known, on.seconds())
        who = known.peer
        if who is not None:
            process = await on.inThread(_process, who)
            shown["peer"] = _shownPeer(who) | process
    return _told(shown)


def _told(value: Any) -> Response:
    """Not for pages of other origins: it would tell them about the user whose browser has them."""
    return Bare(200, jsonText(value), JSON, [*SHIELD])


def _known(known: Connection, now: float) -> dict[str, Any]:
    sock = known.bareSocket
    tcp = None if sock is None else tcpInfoOf(sock)
    return {
        "id": known.id,
        "service": known.service,
        "seconds": round(max(0.0, now - known.opened), 6),
        "bytes_received": known.bytesReceived,
        "bytes_sent": known.bytesSent,
        "claimed": None if known.claimed is None else list(known.claimed),
        "tcp": None if tcp is None else _snake(asdict(tcp)),
    }


def _shownPeer(who: PeerIdentity) -> dict[str, Any]:
    return {
        "uid": who.uid,
        "user": None if who.uid is None else userName(who.uid),
        "state": who.state or None,
        "unknown_because": who.reason or None,
    }


def _process(who: PeerIdentity) -> dict[str, Any]:
    """What reads C{/proc}, so it runs in a thread."""
    if who.uid is None:
        found = None
    elif who.pid is not None:
        found = processOf(who.pid)
    else:
        found = findProcess(who.inode, who.uid)
    if found is None:
        return {"pid": who.pid, "command": None}
    return {"pid": found.pid, "command": found.command}


@routes.add("/tls", group="connection", example="/tls", answers=_ELSEWHERE)
def tls(request: Request) -> Response:
    """The connection's TLS: version, cipher, names, and the client's certificate if it has one."""
    refuseForeignNames(request)
    facts = factsOf(request.on.transport)
    if facts is None:
        hint = "this connection is not encrypted; where the service is auto, ask https on this port"
        return _told({"tls": None, "hint": hint})
    return _told({"tls": _snake(asdict(facts))})


def _snake(value: Any) -> Any:
    """Names as users write them, and times as text."""
    if isinstance(value, dict):
        return {_snakeName(name): _snake(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_snake(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def _snakeName(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


@routes.add(
    "/close", methods=["GET", "POST"], group="connection", example="/close", produces=[TEXT]
)
def close(request: Request) -> Response:
    """A right answer, after which the server closes the connection, as it says."""
    return Response(200, b"Goodbye.\n", TEXT, closes=True)
