"""
What a request says of the browser and the page that it comes from.

None of it can be chosen by a page (Fetch standard, section 2.2.2, and Fetch Metadata): what a
browser says is true, and what is no browser may say what it likes, for it could do anything anyway.
"""

from __future__ import annotations

from typing import Final

from loopbackd.http.events import EVENT_STREAM
from loopbackd.http.messages import Request

_AGENTS: Final = "Mozilla/"
_SAFE: Final = frozenset(["GET", "HEAD", "OPTIONS"])


def isBrowser(request: Request) -> bool:
    """
    Whether that is a browser, by what only browsers say.

    C{Sec-Fetch-Mode} alone is no sign of one: it is in what Node.js's C{fetch} sends.
    """
    fields = request.fields
    agent = fields.get("user-agent")
    return (
        (agent is not None and agent.startswith(_AGENTS))
        or "origin" in fields
        or "sec-fetch-site" in fields
    )


def isOwnPage(request: Request) -> bool:
    """Whether a browser says that the page which asks is of the origin that is asked."""
    site = request.fields.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return request.fields.get("origin") == ownOrigin(request)


def ownOrigin(request: Request) -> str:
    """The origin that is asked, as a browser writes it."""
    return f"{request.scheme}://{request.host}"


def changesSomething(request: Request) -> bool:
    """
    Whether a request is one that changes something, or that opens a stream, to which a browser
    lets pages of any origin: those are told apart here or not at all.
    """
    fields = request.fields
    return (
        request.method not in _SAFE
        or "upgrade" in fields
        or EVENT_STREAM in (fields.get("accept") or "").lower()
    )
