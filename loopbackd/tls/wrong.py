"""
Certificates that are wrong on purpose, each in one thing, by the name that is asked for.

C{https://expired.badssl.localhost:62893/} has a certificate that has expired, and so on: to test
that a client refuses what it must, and accepts what is only unusual. The idea is badssl.com's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from OpenSSL import crypto

from loopbackd.tls.certificates import (
    BACKDATED,
    Credential,
    makeAuthority,
    makeIntermediate,
    makeLeaf,
)
from loopbackd.tls.contexts import Policy

DOMAIN: Final = ".badssl.localhost"
"""What the names end with."""


@dataclass(frozen=True, slots=True)
class Order:
    """
    What a certificate is made from.

    @ivar root: our authority.
    @ivar host: the name that was asked for.
    @ivar now: the time.
    @ivar crlAt: where the list of revoked certificates is served, if that matters.
    """

    root: Credential
    host: str
    now: datetime
    crlAt: str = ""

    def leaf(self, **others: Any) -> Credential:
        """A certificate from our authority for that host, good but for C{others}."""
        words = {"issuer": self.root, "names": (self.host,), "start": self.now - BACKDATED}
        return makeLeaf(**{**words, "crlAt": self.crlAt, **others})


@dataclass(frozen=True, slots=True)
class Site:
    """
    One of them.

    @ivar name: before C{.badssl.localhost}.
    @ivar what: what is wrong with it, or unusual.
    @ivar error: what OpenSSL says of it, in its own words; empty where a client should accept it.
    @ivar make: makes the certificate.
    @ivar securityLevel: OpenSSL's, where the usual one would refuse to show such a certificate.
    @ivar asksClient: it wants a certificate of the client, from our authority.
    @ivar isRevoked: its certificate is in the list of revoked ones.
    """

    name: str
    what: str
    error: str
    make: Callable[[Order], Credential] = Order.leaf
    minVersion: str = ""
    maxVersion: str = ""
    securityLevel: int | None = None
    asksClient: bool = False
    isRevoked: bool = False

    @property
    def host(self) -> str:
        """The whole name."""
        return self.name + DOMAIN

    def policy(self, policy: Policy, root: Credential) -> Policy:
        """How it speaks TLS at a service with that policy."""
        if self.asksClient:
            policy = replace(policy, clientCAs=(root.certificate,), requiresClient=True)
        return replace(
            policy,
            minVersion=self.minVersion or policy.minVersion,
            maxVersion=self.maxVersion,
            securityLevel=self.securityLevel,
        )


def _expired(order: Order) -> Credential:
    return order.leaf(start=order.now - timedelta(days=31), days=30)


def _notYetValid(order: Order) -> Credential:
    return order.leaf(start=order.now + timedelta(days=30), days=30)


def _wrongHost(order: Order) -> Credential:
    return order.leaf(names=("right.host" + DOMAIN,))


def _selfSigned(order: Order) -> Credential:
    return order.leaf(issuer=None)


def _untrustedRoot(order: Order) -> Credential:
    stranger = makeAuthority(order.now)
    return replace(order.leaf(issuer=stranger), chain=(stranger.certificate,))


def _incompleteChain(order: Order) -> Credential:
    return replace(order.leaf(issuer=makeIntermediate(order.root, order.now)), chain=())


def _intermediate(order: Order) -> Credential:
    return order.leaf(issuer=makeIntermediate(order.root, order.now))


def _outOfBounds(order: Order) -> Credential:
    return order.leaf(names=(order.host, "example.com"))


def _wrongPurpose(order: Order) -> Credential:
    return order.leaf(purpose="client")


def _weakKey(order: Order) -> Credential:
    return order.leaf(key=rsa.generate_private_key(public_exponent=65537, key_size=1024))


def _sha1(order: Order) -> Credential:
    good = order.leaf()
    # cryptography signs nothing with SHA-1 any more; OpenSSL still does.
    weak = crypto.X509.from_cryptography(good.certificate)
    weak.sign(crypto.PKey.from_cryptography_key(order.root.key), "sha1")
    return replace(good, certificate=weak.to_cryptography())


def _noNames(order: Order) -> Credential:
    # OpenSSL still looks there unless it is told not to (X509_CHECK_FLAG_NEVER_CHECK_SUBJECT).
    return order.leaf(hasNames=False)


def _noCommonName(order: Order) -> Credential:
    return order.leaf(commonName="")


def _noSubject(order: Order) -> Credential:
    return order.leaf(hasSubject=False)


def _manyNames(order: Order) -> Credential:
    return order.leaf(names=(order.host, *(f"host-{n}{DOMAIN}" for n in range(999))))


def _curve384(order: Order) -> Credential:
    return order.leaf(key=ec.generate_private_key(ec.SECP384R1()))


SITES: Final = (
    Site("expired", "ended yesterday", "certificate has expired", _expired),
    Site("not-yet-valid", "begins in a month", "certificate is not yet valid", _notYetValid),
    Site("wrong.host", "is for another name", "hostname mismatch", _wrongHost),
    Site("self-signed", "is signed by itself", "self-signed certificate", _selfSigned),
    Site(
        "untrusted-root",
        "comes from an authority that nobody knows",
        "self-signed certificate in certificate chain",
        _untrustedRoot,
    ),
    Site(
        "incomplete-chain",
        "comes from an intermediate authority that is not shown",
        "unable to get local issuer certificate",
        _incompleteChain,
    ),
    Site(
        "revoked",
        "is in the authority's list of revoked certificates",
        "certificate revoked",
        isRevoked=True,
    ),
    Site(
        "out-of-bounds",
        "is for example.com too, which our authority may not sign for",
        "permitted subtree violation",
        _outOfBounds,
    ),
    Site("wrong-purpose", "is for clients alone", "certificate purpose", _wrongPurpose),
    Site(
        "weak-key",
        "has an RSA key of 1024 bits",
        "certificate key too weak",
        _weakKey,
        securityLevel=0,
    ),
    Site(
        "sha1",
        "is signed with SHA-1",
        "signature digest algorithm too weak",
        _sha1,
        securityLevel=0,
    ),
    Site(
        "no-names",
        "has its name in its subject alone, where browsers do not look",
        "hostname mismatch",
        _noNames,
    ),
    Site(
        "client",
        "is good; the client has to show one from our authority",
        "certificate required",
        asksClient=True,
    ),
    Site("no-common-name", "has no common name, and needs none", "", _noCommonName),
    Site("no-subject", "has no subject, and needs none", "", _noSubject),
    Site("1000-names", "is for a thousand names", "", _manyNames),
    Site("intermediate", "comes from an intermediate authority that is shown", "", _intermediate),
    Site("ecc384", "has a key on P-384", "", _curve384),
    Site("tls-v1-2", "is good, and TLS 1.3 is not spoken", "", maxVersion="1.2"),
    Site("tls-v1-3", "is good, and TLS 1.2 is not spoken", "", minVersion="1.3"),
)
"""All of them; those that a client should refuse come first."""

_BY_HOST = {site.host: site for site in SITES}


def siteOf(host: str) -> Site | None:
    """The site of a host name; L{None} for a name like any other."""
    return _BY_HOST.get(host)
