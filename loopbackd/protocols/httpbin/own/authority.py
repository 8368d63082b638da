"""The local authority over HTTP: its certificate, what it took back, and where it is wrong."""

from __future__ import annotations

from typing import Any, Final

from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.dialect import JSON, Bare, jsonText
from loopbackd.settings import SettingsError
from loopbackd.tls.certificates import certificatePEM
from loopbackd.tls.store import AuthorityStore, revocationListDER
from loopbackd.tls.wrong import SITES

CRL: Final = "application/pkix-crl"
PEM: Final = "application/x-pem-file"

_ABSENT: Final = "nobody has spoken TLS here yet, so there is no authority"

routes = Routes("the authority")


def _storeOf(request: Request) -> AuthorityStore:
    """The authority of the service, which is not made because somebody asks for it here."""
    store = request.on.authority
    if store is None or not store.exists():
        raise HTTPError(404, _ABSENT)
    return store


@routes.add(
    "/ca/authority.crt",
    group="connection",
    example="/ca/authority.crt",
    produces=[PEM],
    answers={404: _ABSENT},
)
def authority(request: Request) -> Response:
    """The local authority's certificate, for those who are to trust it."""
    try:
        return Bare(200, certificatePEM(_storeOf(request).root().certificate), PEM)
    except SettingsError:
        raise HTTPError(404, "the authority's files are not to be had; the log says why") from None


@routes.add(
    "/ca/crl", group="connection", example="/ca/crl", produces=[CRL], answers={404: _ABSENT}
)
def crl(request: Request) -> Response:
    """What the authority has taken back (RFC 5280 section 5), signed just now."""
    try:
        return Bare(200, revocationListDER(_storeOf(request)), CRL)
    except SettingsError:
        raise HTTPError(404, "the authority's files are not to be had; the log says why") from None


@routes.add("/ca/wrong", group="connection", example="/ca/wrong")
def wrong(request: Request) -> Response:
    """The names at which certificates are wrong on purpose, and what a client should say."""
    listed: list[dict[str, Any]] = [
        {"host": site.host, "certificate": site.what, "error": site.error or None} for site in SITES
    ]
    return Bare(200, jsonText(listed), JSON)
