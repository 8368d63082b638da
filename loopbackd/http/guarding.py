"""
Who may see what is not for everybody: programs on this machine, and no page of the web.

A page has a browser ask anything here, and may have its own name lead here (DNS rebinding); it
cannot have the browser say another C{Host} than that name, nor hide its origin (Fetch standard,
sections 3.2 and 3.3.2).
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from typing import Final

from loopbackd.http.browsers import changesSomething, isBrowser, isOwnPage, ownOrigin
from loopbackd.http.errors import KeptOut
from loopbackd.http.hosts import splitHost
from loopbackd.http.messages import Request
from loopbackd.net.endpoint import leadsHere

SHIELD: Final = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)
"""What answers say that no page of another origin shall have: not as an image or a script, not in a
frame, and not by the window that it opened."""

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

    @raise KeptOut: 421; and why.
    """
    for said in _hosts(request):
        if said and isForeignName(splitHost(said)[0]):
            raise KeptOut(421, "this is told at an address or a name of this machine: localhost")


def refuseForeignPages(request: Request) -> None:
    """
    Make sure that it is no page of the web that asks: its origin is one of this machine.

    @raise KeptOut: 403; and why.
    """
    origin = request.fields.get("origin")
    if origin is None:
        return
    scheme, _, where = origin.partition("://")
    host = splitHost(where)[0]
    # An address can be anybody's, except where it is what we are called.
    isOurs = host == splitHost(request.host)[0] and not isForeignName(host)
    if scheme not in ("http", "https") or not (leadsHere(host) or isOurs):
        raise KeptOut(403, f"this is not for pages of {origin[:100]}")


def guard(request: Request, what: str = "the journal", names: Collection[str] = ()) -> None:
    """
    Let in who comes from this machine, calls us by a name of this machine, and is no page of
    another site.

    @param what: is asked for, for the message.
    @param names: what we are called besides, in lower case.
    @raise KeptOut: 403 or, for the name, 421 (RFC 9110 section 15.5.20); and why.
    """
    _refuseOtherMachines(request, what)
    for said in _hosts(request):
        host = splitHost(said)[0]
        if not (leadsHere(host) or host.lower().rstrip(".") in names):
            raise KeptOut(
                421, f"{what} is at localhost, 127.0.0.1 or [::1], and not at {host[:100]!r}"
            )
    origin = request.fields.get("origin")
    if origin is not None and origin != ownOrigin(request):
        raise KeptOut(403, f"{what} is not for pages of {origin[:100]}")
    site = request.fields.get("sec-fetch-site")
    if site is not None and site not in _OWN_SITES:
        raise KeptOut(403, f"{what} is not for pages of other sites")


def guardChanges(request: Request, what: str = "the journal") -> None:
    """
    Have a browser change something only where it says that a page of this origin asks.

    @raise KeptOut: 403; and why.
    """
    if changesSomething(request) and isBrowser(request) and not isOwnPage(request):
        raise KeptOut(403, f"{what} is changed by programs, and by pages of its own")


def _refuseOtherMachines(request: Request, what: str) -> None:
    try:
        isHere = ip_address(request.remoteHost).is_loopback
    except ValueError:
        isHere = False
    if not isHere:
        raise KeptOut(403, f"{what} is for programs on this machine")


def _hosts(request: Request) -> set[str]:
    """What the client calls us: in the target, which counts, and in C{Host} where that differs."""
    return {request.host, request.fields.get("host") or request.host}
