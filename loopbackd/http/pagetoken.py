"""
The token that a page of ours shows: a browser that has it got it from us, for a page of our origin.

It goes in a field of its own, which no page can have a browser send to another origin without being
asked first (a preflight, Fetch standard, section 4.8), and in the list of subprotocols of a
WebSocket, which is the only field of that a page can write.  It is in no cookie: those are sent to
every port of a host, other users' servers too, and C{SameSite} knows nothing of ports.  It is in no
address either, for those are kept in histories and logs.
"""

from __future__ import annotations

from hmac import compare_digest
from secrets import token_urlsafe
from typing import Final

from loopbackd.http.messages import Request

FIELD: Final = "Loopbackd-Token"
"""The field."""

SUBPROTOCOL: Final = "loopbackd"
"""What a WebSocket of ours speaks; the server says this one, and never the one with the token."""

_PREFIX: Final = "loopbackd.token."
_BYTES: Final = 32


class PageToken:
    """
    A token, as long as the daemon runs.

    @ivar value: as a page sends it.
    """

    def __init__(self) -> None:
        self.value = token_urlsafe(_BYTES)

    @property
    def subprotocol(self) -> str:
        """What a page offers beside L{SUBPROTOCOL}."""
        return _PREFIX + self.value

    def isShownBy(self, request: Request) -> bool:
        """Whether a request shows it; how long that takes to see tells nothing of it."""
        shown = request.fields.get(FIELD)
        if shown is not None:
            return self._is(shown)
        offered = request.fields.members("sec-websocket-protocol")
        tokens = [one.removeprefix(_PREFIX) for one in offered if one.startswith(_PREFIX)]
        return len(tokens) == 1 and self._is(tokens[0])

    def _is(self, shown: str) -> bool:
        return compare_digest(shown.encode("latin-1"), self.value.encode("ascii"))
