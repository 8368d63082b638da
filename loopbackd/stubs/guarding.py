"""Who may see the journal: programs on this machine, and no page of the web."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import Request
from loopbackd.stubs.targets import isLoopback, splitHost

_OWN_SITES: Final = frozenset(["same-origin", "none"])


def guard(request: Request) -> None:
    """
    Let in who comes from this machine, calls us by a name of this machine, and is no page of
    another site.

    A page of the web can have a browser ask anything here; it cannot have it say another C{Host}
    than the name it was found under, nor hide its origin (Fetch standard, sections 3.2 and 3.3.2).

    @raise HTTPError: 403; and why.
    """
    try:
        isHere = ip_address(request.remoteHost).is_loopback
    except ValueError:
        isHere = False
    if not isHere:
        raise HTTPError(403, "the journal is for programs on this machine")
    if not isLoopback(splitHost(request.host)[0]):
        raise HTTPError(403, "the journal is at a name of this machine: localhost or 127.0.0.1")
    origin = request.fields.get("origin")
    if origin is not None and origin != f"{request.scheme}://{request.host}":
        raise HTTPError(403, f"the journal is not for pages of {origin[:100]}")
    site = request.fields.get("sec-fetch-site")
    if site is not None and site not in _OWN_SITES:
        raise HTTPError(403, "the journal is not for pages of other sites")
