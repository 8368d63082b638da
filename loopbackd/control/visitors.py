"""
Who may use the control API: the daemon's own user, root, and who was named; no page of the web.

Who it is, the kernel says of the connection (L{loopbackd.peer.identity}); asked once, when it was
accepted, which is the surest moment.
"""

from __future__ import annotations

import os
from typing import Final

from loopbackd.http.errors import HTTPError
from loopbackd.http.guarding import guard
from loopbackd.http.messages import Request

_ROOT: Final = 0
_BROWSERS: Final = "Mozilla/"


def admit(request: Request, uids: frozenset[int]) -> None:
    """
    Let in who may come.

    @param uids: those that were named.
    @raise HTTPError: 403; and why.
    """
    guard(request, "the control API")
    _refuseStrangers(request, uids)
    _refuseBrowsers(request)


def mayCome(uid: int | None, uids: frozenset[int]) -> bool:
    """Whether that user may come."""
    return uid is not None and (uid in (_ROOT, os.geteuid()) or uid in uids)


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
