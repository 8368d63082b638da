"""Which certificate a client gets, and whether it gets one: from a ClientHello to OpenSSL."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from twisted.internet.interfaces import IAddress

from loopbackd.settings import SettingsError
from loopbackd.tls.certificates import (
    BACKDATED,
    Credential,
    Revocation,
    addressIn,
    isPermitted,
    makeLeaf,
)
from loopbackd.tls.contexts import CURVES, GROUPS, Policy, serverContext
from loopbackd.tls.hello import ClientHello
from loopbackd.tls.store import AuthorityStore
from loopbackd.tls.wrong import DOMAIN, Order, Site, siteOf

MOST_CONTEXTS: Final = 256
"""So many names have their contexts kept; who comes last is forgotten first."""

CONTEXT_AGE: Final = timedelta(days=1)
"""
After this a name gets a new certificate and new keys for its session tickets.

So a certificate is renewed when most of its time is still left, and a ticket's key is forgotten.
"""

HANDSHAKE_FAILURE: Final = 40
INTERNAL_ERROR: Final = 80
UNRECOGNIZED_NAME: Final = 112


class Refusal(Exception):
    """
    A client is turned away before there is a handshake.

    @ivar alert: the number of the fatal alert that tells it so (RFC 8446 section 6.2).
    @ivar isOurs: it is no fault of the client's.
    """

    def __init__(self, alert: int, why: str, isOurs: bool = False) -> None:
        super().__init__(why)
        self.alert = alert
        self.isOurs = isOurs


class _Kept(NamedTuple):
    """A context, and what it was made from."""

    context: SSL.Context
    root: Credential
    revocations: tuple[Revocation, ...]
    made: datetime


class Terminator:
    """
    Our end of TLS for one service.

    @param store: the authority that signs.
    @param policy: what the service asks for.
    @param ownClients: the clients' authority is ours, which knows what it has taken back.
    """

    def __init__(
        self, store: AuthorityStore, policy: Policy | None = None, ownClients: bool = False
    ) -> None:
        self.store = store
        self.policy = policy or Policy()
        self._ownClients = ownClients
        self._contexts: OrderedDict[object, _Kept] = OrderedDict()

    def connect(self, hello: ClientHello, host: IAddress) -> SSL.Connection:
        """
        Our end of a connection that began with this.

        @param host: the address that the client reached.
        @raise Refusal: there is no certificate for what it asks.
        """
        curve = _curveFor(hello.groups)
        try:
            context = self._context(hello.serverName, host, curve)
        except SettingsError as error:
            raise Refusal(INTERNAL_ERROR, str(error), isOurs=True) from error
        connection = SSL.Connection(context, None)
        connection.set_accept_state()
        return connection

    def _context(self, name: str, host: IAddress, curve: ec.EllipticCurve | None) -> SSL.Context:
        """The context for a name, or for an address if there is none, new or used before."""
        root = self.store.root()
        site = siteOf(name) if name.endswith(DOMAIN) else None
        asksOurs = self._ownClients or (site is not None and site.asksClient)
        revocations = self.store.revocations() if asksOurs else ()
        now = self.store.now()
        port = getattr(host, "port", 0) if site is not None else 0
        # Who names a host gets the same wherever it connects.
        reached = "" if name and name != "localhost" else getattr(host, "host", "")
        key = (name, reached, port, curve and curve.name)
        kept = self._contexts.get(key)
        if (
            kept is not None
            and kept.root is root
            and kept.revocations is revocations
            and abs(now - kept.made) < CONTEXT_AGE
        ):
            self._contexts.move_to_end(key)
            return kept.context
        if name and not isPermitted(name):
            raise Refusal(
                UNRECOGNIZED_NAME,
                f"it wants {name!a}, and there are certificates for loopback names alone:"
                " localhost, *.localhost, *.test, 127.0.0.0/8 and ::1",
            )
        names = (name,) if name and name != "localhost" else _namesOf(host)
        context = self._make(root, names, site, port, curve, asksOurs)
        self._contexts[key] = _Kept(context, root, revocations, now)
        self._contexts.move_to_end(key)
        while len(self._contexts) > MOST_CONTEXTS:
            self._contexts.popitem(last=False)
        return context

    def _make(
        self,
        root: Credential,
        names: tuple[str, ...],
        site: Site | None,
        port: int,
        curve: ec.EllipticCurve | None,
        asksOurs: bool,
    ) -> SSL.Context:
        now = self.store.now()
        policy = self.policy
        if self._ownClients:
            policy = replace(policy, clientCAs=(root.certificate,))
        if site is None:
            credential = makeLeaf(root, names, now - BACKDATED)
        else:
            crlAt = f"http://localhost:{port}/ca/crl" if site.isRevoked else ""
            credential = site.make(Order(root, names[0], now, crlAt))
            policy = site.policy(policy, root)
            if site.isRevoked:
                self.store.revokeForNow(credential.certificate.serial_number)
        revoked = [self.store.revocationList()] if asksOurs else []
        return serverContext(credential, policy, revoked=revoked, curve=curve)


def _namesOf(host: IAddress) -> tuple[str, ...]:
    """What a client can mean that named no host: this one, by its name and addresses."""
    names = ["localhost", "127.0.0.1", "::1"]
    address = addressIn(getattr(host, "host", ""))
    if address is not None and isPermitted(str(address)) and str(address) not in names:
        names.append(str(address))
    return tuple(names)


def _curveFor(groups: tuple[int, ...]) -> ec.EllipticCurve | None:
    """
    What a context has to be bound to, so that the group that is chosen is one of the profile.

    OpenSSL has more groups than the profile, and pyOpenSSL no way to name a list of them.

    @raise Refusal: the client has none of the profile's.
    """
    if not groups or groups[0] in GROUPS:
        return None
    if GROUPS.isdisjoint(groups):
        raise Refusal(HANDSHAKE_FAILURE, "it offers no key exchange group that is spoken here")
    # P-256 first: with TLS 1.2 it must be allowed, too, for the certificate's key to be.
    return next((curve for group, curve in CURVES.items() if group in groups), None)
