"""
Who may see what is not for everybody: programs on this machine, and no page of the web.

A page has a browser ask anything here, and may have its own name lead here (DNS rebinding); it
cannot have the browser say another C{Host} than that name, nor hide its origin (Fetch standard,
sections 3.2 and 3.3.2).
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from loopbackd.http.errors import HTTPError
from loopbackd.http.hosts import splitHost
from loopbackd.http.messages import Request
from loopbackd.net.endpoint import leadsHere

_OWN_SITES: Final = frozenset(["same-origin", "none"])


def isForeignName(host: str) -> bool:
    """
    Whether a page could have had its own name, or none of its, lead here.

    @param host: a host, with no port: an address is nobody's name, and C{test} nobody's on the
        internet (RFC 6761 section 6.2).
    """
    if leadsHere(host) or host.lower().rstrip(".").endswith(".test"):
        return False
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return True
    return False


def refuseForeignNames(request: Request) -> None:
    """
    Make sure that we were not found under the name of a page.

    @raise HTTPError: 403; and why.
    """
    if request.host and isForeignName(splitHost(request.host)[0]):
        raise HTTPError(403, "this is told at an address or a name of this machine: localhost")


def refuseForeignPages(request: Request) -> None:
    """
    Make sure that it is no page of the web that asks: its origin is one of this machine.

    @raise HTTPError: 403; and why.
    """
    origin = request.fields.get("origin")
    if origin is None:
        return
    scheme, _, where = origin.partition("://")
    host = splitHost(where)[0]
    # An address can be anybody's, except where it is what we are called.
    isOurs = host == splitHost(request.host)[0] and not isForeignName(host)
    if scheme not in ("http", "https") or not (leadsHere(host) or isOurs):
        raise HTTPError(403, f"this is not for pages of {origin[:100]}")


def guard(request: Request, what: str = "the journal") -> None:
    """
    Let in who comes from this machine, calls us by a name of this machine, and is no page of
    another site.

    @param what: is asked for, for the message.
    @raise HTTPError: 403; and why.
    """
    try:
        isHere = ip_address(request.remoteHost).is_loopback
    except ValueError:
        isHere = False
    if not isHere:
        raise HTTPError(403, f"{what} is for programs on this machine")
    if not leadsHere(splitHost(request.host)[0]):
        raise HTTPError(403, f"{what} is at a name of this machine: localhost or 127.0.0.1")
    origin = request.fields.get("origin")
    if origin is not None and origin != f"{request.scheme}://{request.host}":
        raise HTTPError(403, f"{what} is not for pages of {origin[:100]}")
    site = request.fields.get("sec-fetch-site")
    if site is not None and site not in _OWN_SITES:
        raise HTTPError(403, f"{what} is not for pages of other sites")
