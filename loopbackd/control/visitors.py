"""
Who may use the control API: the daemon's own user, root, and who was named; no page of the web.

Who it is, the kernel says of the connection (L{loopbackd.peer.identity}); asked once, when it was
accepted, which is the surest moment.  It says the daemon's own user where a service of the daemon
leads here: then it is whoever came to that.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from typing import Final

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IAddress

from loopbackd.connection import Connection
from loopbackd.http.browsers import changesSomething, isBrowser, isOwnPage
from loopbackd.http.endpoints import Endpoint
from loopbackd.http.errors import KeptOut
from loopbackd.http.events import EVENT_STREAM
from loopbackd.http.guarding import guard
from loopbackd.http.messages import Request
from loopbackd.http.pagetoken import FIELD, SUBPROTOCOL, PageToken
from loopbackd.peer.identity import PeerIdentity

_ROOT: Final = 0
_WHAT: Final = "the control API"
_FORWARDED: Final = "loopbackd-"
"""In C{Via}, where a stub has passed a request on."""


def admit(request: Request, uids: frozenset[int], names: Collection[str], token: PageToken) -> None:
    """
    Let in who may come: programs of those users, and pages of our own.

    @param uids: those that were named.
    @param names: see L{guard}.
    @param token: what a page must show that changes something or opens a stream.
    @raise KeptOut: 403 or 421; and why.
    """
    guard(request, _WHAT, names)
    _refuseStrangers(request, uids)
    if _FORWARDED in (request.fields.get("via") or ""):
        raise KeptOut(403, f"{_WHAT} is not for what a stub passes on")
    if isBrowser(request):
        if not isOwnPage(request):
            # In Toxiproxy's words.
            raise KeptOut(403, "User agent not allowed")
        if changesSomething(request):
            demandToken(request, token)


def admitTo(request: Request, endpoint: Endpoint, token: PageToken) -> None:
    """
    Let a browser have a stream only with the token, whatever it says that it would like to have.

    @raise KeptOut: 403.
    """
    if (EVENT_STREAM in endpoint.produces or endpoint.usual == 101) and isBrowser(request):
        demandToken(request, token)


def demandToken(request: Request, token: PageToken) -> None:
    """
    Have a browser show that it was a page of ours which asked.

    @raise KeptOut: 403.
    """
    if not token.isShownBy(request):
        raise KeptOut(
            403,
            f"a browser must show the token of this run: GET /token, and send it as {FIELD};"
            f" a WebSocket offers the subprotocols {SUBPROTOCOL} and what /token says."
            " Programs need none, if they send neither Origin nor a browser's User-Agent",
        )


def mayCome(uid: int | None, uids: frozenset[int]) -> bool:
    """Whether that user may come."""
    return uid is not None and (uid in (_ROOT, os.geteuid()) or uid in uids)


def behind(
    who: PeerIdentity, remote: IAddress, others: Iterable[Connection], uids: frozenset[int]
) -> PeerIdentity:
    """
    Who really asks, where relays of the daemon lead here: whoever came to the first of them.

    @param who: the creator of the socket that asks.
    @param remote: the address of that socket.
    @param others: the connections of services.
    @return: somebody who may not come, where one of them may not.
    """
    relayed = [one for one in others if one.target is not None]
    fronts = [(who, remote)]
    while fronts and mayCome(who.uid, uids):
        front = fronts.pop()
        for one in relayed:
            if _leadsTo(one, *front):
                who = one.peer or PeerIdentity(None, 0, None, "", "it left a relay of ours")
                if not mayCome(who.uid, uids):
                    return who
                fronts.append((who, one.remote))
        relayed = [one for one in relayed if (one.peer, one.remote) not in fronts]
    return who


def _leadsTo(relayed: Connection, who: PeerIdentity, remote: IAddress) -> bool:
    """Whether what comes on a connection goes out here, or may: unix sockets have no number."""
    target = relayed.target
    assert target is not None
    if isinstance(target.address, UNIXAddress):
        return who.pid == os.getpid()
    return target.own == remote


def _refuseStrangers(request: Request, uids: frozenset[int]) -> None:
    connection = request.on.connection
    peer = None if connection is None else connection.peer
    uid = None if peer is None else peer.uid
    if mayCome(uid, uids):
        return
    if uid is None:
        why = "the connection is gone" if peer is None else peer.reason
        raise KeptOut(403, f"who asks is unknown ({why}); {_WHAT} is for known users")
    raise KeptOut(
        403,
        f"{_WHAT} is for root and for uid {os.geteuid()}, not for uid {uid};"
        f" uids = [{uid}] in [control] lets them in",
    )
