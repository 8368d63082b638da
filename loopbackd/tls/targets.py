"""
Targets that TLS is spoken to: C{tls:host:port}, and what the settings say of them.

For whoever connects to targets::

    way = parseTLSTarget("tls:db.test:5432", settings, store, directory)  # or SettingsError
    reach = way.on(reactor)
    await reach(sni, alpn).connect(factory)                               # or TargetTLSError
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from OpenSSL import SSL
from twisted.internet.interfaces import IStreamClientEndpoint

from loopbackd.explaining import shown
from loopbackd.settings import SettingsError
from loopbackd.targetsettings import TargetTLSSettings
from loopbackd.tls.certificates import addressIn
from loopbackd.tls.credentials import readCredential, readTrusted
from loopbackd.tls.end import End
from loopbackd.tls.store import AuthorityStore
from loopbackd.tls.targetendpoint import TargetEndpoint
from loopbackd.tls.targetpolicy import TargetPolicy, parsePin, targetContext
from loopbackd.tls.targetstrings import HOST_NAME, TLSTarget, takeApart

REACHED_SECONDS: Final = 10.0
"""How long it may take to connect and shake hands, where nobody says anything else."""

Reach = Callable[[str, tuple[bytes, ...]], IStreamClientEndpoint]
"""
The endpoint for one connection, given what the client asked for (SNI; empty for nothing) and the
application protocols to offer where the settings pass on the client's (L{TLSWay.passesOn}).
"""


def parseTLSTarget(
    target: str, settings: TargetTLSSettings, store: AuthorityStore, directory: Path
) -> TLSWay:
    """
    The way to a target, checked as far as it can be without connecting.

    @param target: a Twisted client endpoint string that begins with C{tls:}.
    @param store: has the authority that C{trust = "own"} means.
    @param directory: that of the configuration.
    @raise SettingsError: something is wrong with it; one line.
    """
    apart = takeApart(target)
    try:
        return TLSWay(apart, settings, store, directory)
    except (SettingsError, ValueError) as error:
        raise SettingsError(f"target {shown(target)}: {error}") from None


class TLSWay:
    """
    The way to a target; see L{parseTLSTarget}.

    @ivar target: the target.
    """

    def __init__(
        self, target: TLSTarget, settings: TargetTLSSettings, store: AuthorityStore, directory: Path
    ) -> None:
        self.target = target
        self._settings = settings
        self._store = store
        self._isOurs = settings.trust == "own"
        name = settings.server_name
        self._followsClient = name == "client"
        name = target.host if name in ("", "client") else name.strip("[]")
        if addressIn(name) is None and not HOST_NAME.fullmatch(name):
            raise ValueError(
                f"server_name = {shown(name)} is no host name; write one, in ASCII, or 'client'"
            )
        alpn = () if settings.alpn == "client" else settings.alpn
        self._policy = TargetPolicy(
            serverName=name.removesuffix("."),
            alpn=tuple(one.encode("ascii") for one in alpn),
            authorities=_trusted(target, settings, directory),
            pin=parsePin(settings.pin) if settings.pin else b"",
            minVersion=settings.min_version,
            credential=_shown(target, settings, directory),
        )
        if self._isOurs and store.exists():
            # One that is not there yet is made when it is needed.
            store.root()
        self._context: SSL.Context | None = None if self._isOurs else targetContext(self._policy)

    @property
    def hasFiles(self) -> bool:
        """Whether there are files to be read again at a reload."""
        target = self.target
        named = target.certificate or target.privateKey or target.trustRoots
        return self._settings.hasFiles or bool(named)

    @property
    def passesOn(self) -> bool:
        """Whether the application protocols to offer are the client's."""
        return self._settings.alpn == "client"

    def on(self, reactor: Any, seconds: float = REACHED_SECONDS) -> Reach:
        """
        Have it reached on this reactor; where that is one of L{loopbackd.net}, eagerly.

        @param seconds: how long connecting and the handshake may take together, where the target
            does not say C{timeout=}.
        """
        seconds = self.target.seconds or seconds
        end = End(reactor, seconds)

        def reach(sni: str, alpn: tuple[bytes, ...]) -> IStreamClientEndpoint:
            policy = self._policyFor(sni, alpn)
            plain = self.target.plain(reactor, seconds + 1)
            return TargetEndpoint(plain, end, self._contextNow, policy, self.target.text)

        return reach

    def _policyFor(self, sni: str, alpn: tuple[bytes, ...]) -> TargetPolicy:
        policy = self._policy
        if sni and self._followsClient:
            policy = replace(policy, serverName=sni)
        if self._settings.alpn == "client":
            policy = replace(policy, alpn=tuple(one for one in alpn if 0 < len(one) < 256))
        return policy

    def _contextNow(self) -> SSL.Context:
        """The context; another one where our own authority is not the one it was."""
        if self._isOurs:
            authorities = (self._store.root().certificate,)
            if self._context is None or authorities != self._policy.authorities:
                self._policy = replace(self._policy, authorities=authorities)
                self._context = targetContext(self._policy)
        assert self._context is not None
        return self._context


def _trusted(target: TLSTarget, settings: TargetTLSSettings, directory: Path) -> Any:
    if target.trustRoots and settings.trust != "system":
        raise ValueError(f"trustRoots and trust = {shown(settings.trust)}; give one of them")
    if target.trustRoots:
        return readTrusted(directory / target.trustRoots, "trustRoots")
    if settings.trust in ("system", "own"):
        return None
    return readTrusted(directory / settings.trust, "trust")


def _shown(target: TLSTarget, settings: TargetTLSSettings, directory: Path) -> Any:
    if target.certificate and settings.certificate:
        raise ValueError(
            f"certificate={target.certificate} and certificate = {shown(settings.certificate)};"
            " give one of them"
        )
    certificate = target.certificate or settings.certificate
    key = target.privateKey or settings.private_key
    if key and not certificate:
        raise ValueError(f"a private key without a certificate: {shown(key)}; give both")
    if not certificate:
        return None
    where = directory / certificate
    return readCredential(where, directory / key if key else where, "certificate")
