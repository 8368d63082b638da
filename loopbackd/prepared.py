"""From settings to a service that could listen; whatever can be found wrong beforehand is."""

from __future__ import annotations

import copy
import os
import pwd
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from twisted.internet.interfaces import IProtocolFactory

from loopbackd import logs
from loopbackd.exposed import networksOf, whyNot
from loopbackd.faults.profiles import expand
from loopbackd.faults.toxics import check as checkToxics
from loopbackd.net.endpoint import Endpoint, EndpointError, checkKind, parse
from loopbackd.protocols.registry import SPEAK_ONLY, ProtocolError, isFile, makeFactory
from loopbackd.relaysettings import RelaySettings
from loopbackd.settings import Route, Routes, ServiceSettings, Settings, SettingsError, read
from loopbackd.tls.contexts import Policy
from loopbackd.tls.factory import TLSFactory
from loopbackd.tls.store import AuthorityStore, readAuthorities, stateDirectory
from loopbackd.tls.terminator import Terminator

if TYPE_CHECKING:
    from loopbackd.protocols.httpbin.factory import HTTPServiceFactory


def load(path: Path) -> tuple[Settings, dict[str, Prepared]]:
    """
    The settings of a file, and its services prepared; relative paths in it are relative to it.

    @raise SettingsError: see L{read} and L{prepare}; the message names the file.
    """
    settings = read(path)
    try:
        return settings, prepare(settings, path.parent)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error


def prepare(settings: Settings, directory: Path) -> dict[str, Prepared]:
    """
    Make everything a service needs that can be made without listening.

    @param directory: what a relative path to a protocol's file is relative to.
    @return: the prepared services by name.
    @raise SettingsError: a protocol, option, user or endpoint is not to be had; names the service.
    """
    prepared = _prepare(settings, directory)
    for one in prepared.values():
        _refuseLoop(one)
    return prepared


def _prepare(settings: Settings, directory: Path) -> dict[str, Prepared]:
    if settings.log is not None:
        try:
            logs.check(settings.log.level, settings.log.levels, settings.log.format)
        except ValueError as error:
            raise SettingsError(f"log: {error}") from None
    store = AuthorityStore(directory / stateDirectory(os.environ, settings.authority.directory))
    prepared: dict[str, Prepared] = {}
    owners: dict[object, str] = {}
    for service in settings.service:
        one = prepared[service.name] = Prepared(service, directory, store)
        try:
            checkKind(one.endpoint)
        except EndpointError as error:
            raise SettingsError(f"service {service.name!r}: {error}") from error
        other = owners.setdefault(one.address, service.name) if service.enabled else service.name
        if other != service.name:
            raise SettingsError(
                f"services {other!r} and {service.name!r} have the same endpoint"
                f" {service.endpoint!r}; give each its own"
            )
    return prepared


def _refuseLoop(one: Prepared) -> None:
    """A relay whose target is itself would connect to itself until there is no room left."""
    target = one.settings.target
    if target and one.endpoint.port and _leadsTo(target, one.endpoint):
        raise SettingsError(
            f"service {one.settings.name!r}: the target {target!r} is where it listens itself; name"
            " the real server"
        )


def _leadsTo(target: str, endpoint: Endpoint) -> bool:
    from loopbackd.protocols.relay.target import parseTarget

    try:
        addresses = parseTarget(target).addresses
    except ValueError:
        return False
    return any(address[:2] == (endpoint.host, endpoint.port) for _, address in addresses)


def prepareOne(service: ServiceSettings, settings: Settings, directory: Path) -> Prepared:
    """
    The same for a service that comes to those of a running daemon.

    @param settings: the daemon's.
    @raise SettingsError: as L{prepare}.
    """
    return _prepare(msgspec.structs.replace(settings, service=(service,)), directory)[service.name]


class Prepared:
    """
    A service that could listen: settings that were found good, and the factory they ask for.

    @ivar allowed: the uids that may connect; L{None} for everybody.
    @ivar networks: the machines that may; L{None} for all.
    @ivar toxics: those of its profile, and then its own.
    """

    def __init__(self, settings: ServiceSettings, directory: Path, store: AuthorityStore) -> None:
        self.settings = settings
        self.store = store
        try:
            self.endpoint = parse(settings.endpoint)
            self.factory = _factory(settings, directory, store)
        except (EndpointError, ProtocolError) as error:
            raise SettingsError(f"service {settings.name!r}: {error}") from error
        try:
            profile = expand(settings.profile) if settings.profile else ()
            self.toxics = (*profile, *settings.toxic)
            checkToxics(self.toxics)
        except ValueError as error:
            raise SettingsError(f"service {settings.name!r}: {error}") from error
        self.allowed = _allowedUids(settings)
        self.networks = networksOf(settings)
        if self.endpoint.isRemote and (why := whyNot(settings, f"{self.endpoint.host}")):
            raise SettingsError(why)
        speaksFirst = settings.protocol in SPEAK_ONLY and settings.tls is None
        if settings.first_byte_timeout and speaksFirst:
            raise SettingsError(
                f"service {settings.name!r}: {settings.protocol} waits for no byte;"
                " remove first_byte_timeout"
            )

    @cached_property
    def place(self) -> tuple[object, str]:
        """By what a listener is found again: where it listens, and how its endpoint is written."""
        return self.address, self.settings.endpoint

    @cached_property
    def address(self) -> object:
        """What two services cannot both have."""
        endpoint = self.endpoint
        if endpoint.port == 0:
            return "a port of its own", self.settings.name
        if endpoint.port is not None:
            return endpoint.host, endpoint.port
        return endpoint.path or endpoint.text

    @property
    def http(self) -> HTTPServiceFactory | None:
        """The HTTP test service, where this is what HTTP gets here."""
        from loopbackd.protocols.auto import AutoFactory
        from loopbackd.protocols.httpbin.factory import HTTPServiceFactory

        found: object = self._inside
        if isinstance(found, AutoFactory):
            found = found.routes.get("http")
        return found if isinstance(found, HTTPServiceFactory) else None

    def switched(self, enabled: bool) -> Prepared:
        """The same service, its factory too, listening or not."""
        if self.settings.enabled == enabled:
            return self
        other = copy.copy(self)
        other.settings = msgspec.structs.replace(self.settings, enabled=enabled)
        return other

    @property
    def _inside(self) -> object:
        """The factory of what is spoken inside TLS, or without it."""
        return self.factory.wrappedFactory if isinstance(self.factory, TLSFactory) else self.factory

    def isSame(self, other: Prepared) -> bool:
        """Whether replacing one by the other would change nothing, or only whether it listens."""
        if self is other:
            return True
        return (
            self.switched(other.settings.enabled).settings == other.settings
            and self.allowed == other.allowed
            and self.store.directory == other.store.directory
            and (self.factory is other.factory or not self._hasFiles)
        )

    @property
    def _hasFiles(self) -> bool:
        """Whether there are files to be read again at a reload."""
        asked = self.settings
        return (
            bool(asked.tls and asked.tls.client_ca not in ("", "own"))
            or any(isFile(protocol) for protocol in protocolsOf(asked))
            or bool(asked.http and asked.http.hasFiles)
            or bool(getattr(getattr(self._inside, "tlsWay", None), "hasFiles", False))
        )


def protocolsOf(settings: ServiceSettings) -> Iterator[str]:
    """All protocols that are named in a service's settings."""
    yield settings.protocol
    for route in msgspec.structs.astuple(settings.routes) if settings.routes else ():
        yield route.protocol if isinstance(route, Route) else route


def _factory(settings: ServiceSettings, directory: Path, store: AuthorityStore) -> IProtocolFactory:
    factory = makeFactory(settings.protocol, settings.options, directory)
    terminator = _terminator(settings, directory, store)
    if settings.protocol == "auto":
        from loopbackd.protocols.auto import TERMINATE, UNWRAP, AutoFactory

        assert isinstance(factory, AutoFactory)
        routes = settings.routes or Routes()
        for kind in Routes.__struct_fields__:
            route = getattr(routes, kind)
            wanted = route if isinstance(route, Route) else Route(protocol=route)
            ours = {"proxy": UNWRAP, "tls": TERMINATE}
            if wanted.protocol in (
                "auto",
                "relay",
                UNWRAP,
                TERMINATE,
            ) and wanted.protocol != ours.get(kind):
                raise ProtocolError(
                    f"routes: {kind} = {wanted.protocol!r} leads nowhere; name another protocol"
                )
            if wanted.protocol == TERMINATE:
                factory.terminator = terminator
            elif wanted.protocol != UNWRAP:
                try:
                    made = makeFactory(wanted.protocol, wanted.options, directory)
                except ProtocolError as error:
                    raise ProtocolError(f"routes: {kind}: {error}") from error
                if kind == "http":
                    _configureHTTP(made, settings, directory)
                factory.routes[kind] = made
        if settings.tls is not None and factory.terminator is None:
            raise ProtocolError("tls = ... says how TLS is ended, and routes.tls leads elsewhere")
        return factory
    _configureHTTP(factory, settings, directory)
    if settings.protocol == "relay":
        _configureRelay(factory, settings, store, directory)
    if settings.tls is not None:
        return TLSFactory(terminator, factory)
    return factory


def _configureHTTP(factory: IProtocolFactory, settings: ServiceSettings, directory: Path) -> None:
    """
    Give the HTTP test service its settings, where there are any.

    @raise ProtocolError: something is wrong with them.
    """
    if settings.http is not None:
        from loopbackd.protocols.httpbin.factory import HTTPServiceFactory

        assert isinstance(factory, HTTPServiceFactory)
        try:
            factory.configure(settings.http, directory)
        except ValueError as error:
            raise ProtocolError(f"http: {error}") from error


def _configureRelay(
    factory: IProtocolFactory, settings: ServiceSettings, store: AuthorityStore, directory: Path
) -> None:
    """
    Tell a relay where it leads to.

    @raise ProtocolError: it cannot lead there.
    """
    from loopbackd.protocols.relay.factory import RelayFactory

    assert isinstance(factory, RelayFactory)
    try:
        relay = settings.relay or RelaySettings()
        factory.configure(settings.target, relay, store, directory)
    except (ValueError, SettingsError) as error:
        raise ProtocolError(str(error)) from error


def _terminator(settings: ServiceSettings, directory: Path, store: AuthorityStore) -> Terminator:
    """
    Our end of TLS as the settings have it.

    @raise SettingsError: the authority, or the clients' one, cannot be had.
    """
    asked = settings.tls
    if asked is None:
        # The authority is made when somebody speaks TLS.
        return Terminator(store)
    own = asked.client_ca == "own"
    try:
        # One that is not there yet is made when the service starts.
        if store.exists():
            store.root()
        clients = () if own or not asked.client_ca else readAuthorities(directory / asked.client_ca)
    except SettingsError as error:
        raise SettingsError(f"service {settings.name!r}: tls: {error}") from error
    policy = Policy(
        minVersion=asked.min_version,
        alpn=asked.alpn,
        clientCAs=clients,
        requiresClient=asked.client_certificate == "required",
    )
    return Terminator(store, policy, own)


def _allowedUids(settings: ServiceSettings) -> frozenset[int] | None:
    if not settings.allow_uids:
        return None
    uids = set()
    for who in settings.allow_uids:
        try:
            uids.add(who if isinstance(who, int) else pwd.getpwnam(who).pw_uid)
        except (KeyError, ValueError):
            raise SettingsError(
                f"service {settings.name!r}: allow_uids: there is no user {who!r};"
                " write a name of this machine's or a uid"
            ) from None
    return frozenset(uids)
