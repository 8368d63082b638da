"""
Who may use the control API: the daemon's own user, root, and who was named; no page of the web.

Who it is, the kernel says of the connection (L{loopbackd.peer.identity}); asked once, when it was
accepted, which is the surest moment.  It says the daemon's own user where a service of the daemon
leads here: then it is whoever came to that.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IAddress

from loopbackd.connection import Connection
from loopbackd.http.errors import HTTPError
from loopbackd.http.guarding import guard
from loopbackd.http.messages import Request
from loopbackd.peer.identity import PeerIdentity

_ROOT: Final = 0
_BROWSERS: Final = "Mozilla/"
_FORWARDED: Final = "loopbackd-"
"""In C{Via}, where a stub has passed a request on."""


def admit(request: Request, uids: frozenset[int]) -> None:
    """
    Let in who may come.

    @param uids: those that were named.
    @raise HTTPError: 403; and why.
    """
    guard(request, "the control API")
    _refuseStrangers(request, uids)
    if _FORWARDED in (request.fields.get("via") or ""):
        raise HTTPError(403, "the control API is not for what a stub passes on")
    _refuseBrowsers(request)


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
        raise HTTPError(403, f"who asks is unknown ({why}); the control API is for known users")
    raise HTTPError(
        403,
        f"the control API is for root and for uid {os.geteuid()}, not for uid {uid};"
        f" uids = [{uid}] in [control] lets them in",
    )


def _refuseBrowsers(request: Request) -> None:
    """What a browser asks for must come from a page of our own."""
    agent = request.fields.get("user-agent")
    if agent is None or not agent.startswith(_BROWSERS):
        return
    if request.fields.get("sec-fetch-site") == "same-origin":
        return
    if request.fields.get("origin") is not None:
        # The guard has found that it is ours.
        return
    raise HTTPError(403, "User agent not allowed")
