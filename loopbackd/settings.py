"""What was asked of the daemon: one schema for the command line, TOML files and reloads."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from loopbackd.controlsettings import ControlSettings
from loopbackd.explaining import explain
from loopbackd.faultsettings import MatchSettings, ToxicSettings
from loopbackd.httpsettings import (
    AnswerSettings,
    BodyWanted,
    BrokenSettings,
    DelaySettings,
    DribbleSettings,
    GoSettings,
    HTTPSettings,
    StubSettings,
    Text,
)
from loopbackd.relaysettings import RelaySettings
from loopbackd.targetsettings import TargetTLSSettings
from loopbackd.watchsettings import WatchRule, WatchSettings, wrongWith

DEFAULT_PORT = 62893
DEFAULT_ENDPOINT = f"tcp:{DEFAULT_PORT}:interface=127.0.0.1"

_A_YEAR = 366 * 86400

Seconds = Annotated[float, msgspec.Meta(ge=0, le=_A_YEAR)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Uid = Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]


class SettingsError(Exception):
    """
    What was asked cannot be done.

    The message is one line for the operator: where, which key, which value, and what to do.
    """


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A protocol and its options, where a name alone is not enough."""

    protocol: str
    options: dict[str, Any] = {}


class Routes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What C{auto} hands a connection to, by what the client's first bytes are.

    Each is a protocol as in C{service.protocol}, or a table with C{protocol} and C{options}.
    """

    tls: str | Route = "terminate"
    http: str | Route = "http"
    http2: str | Route = "http2"
    proxy: str | Route = "unwrap"
    other: str | Route = "echo"
    silent: str | Route = "talk"


class TLSSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    How a service speaks TLS.

    @ivar min_version: the oldest version: C{1.2} or C{1.3}.
    @ivar alpn: the application protocols it says it speaks, its favourite first; empty for saying
        nothing about it. A relay whose target has TLS too asks that instead, unless it is empty.
    @ivar client_ca: who signs the certificates that clients show: a PEM file, or C{own} for the
        local authority; empty for not asking clients for any.
    @ivar client_certificate: C{required}, or C{optional} to let clients in that show none.
    """

    min_version: Literal["1.2", "1.3"] = "1.2"
    alpn: tuple[Annotated[str, msgspec.Meta(pattern=r"^[!-~]{1,255}$")], ...] = (
        "http/1.1",
        "http/1.0",
    )
    client_ca: str = ""
    client_certificate: Literal["required", "optional"] = "required"


class ServiceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    One service.

    @ivar name: what it is called in logs and tables; unique.
    @ivar enabled: listen; one that does not keeps its place and its toxics.
    @ivar endpoint: a Twisted server endpoint string.
    @ivar protocol: the name of a protocol, C{package.module:Name} or C{path/file.py:Name}.
    @ivar options: keyword arguments for the protocol.
    @ivar routes: for C{auto} alone.
    @ivar tls: speak TLS from the first byte, with certificates from the local authority; for
        C{auto} how it is spoken where a client begins with it.
    @ivar http: for C{http}, or C{auto} where that has HTTP, alone.
    @ivar target: for C{relay} alone: where it leads to, C{host:port} or a Twisted client endpoint
        string.
    @ivar relay: for C{relay} alone.
    @ivar profile: a network whose faults its connections begin with (see
        L{loopbackd.faults.profiles}); empty for none.
    @ivar toxic: the faults they begin with besides.
    @ivar twin: also claim the same port on C{[::1]} where the endpoint is on C{127.0.0.1}.
    @ivar allow_remote: permit an endpoint that other machines can reach, where C{allow_addresses}
        says who may come, or the protocol speaks TLS from the first byte.
    @ivar allow_addresses: the machines that may connect, as addresses and networks, and always
        this one; empty for all.
    @ivar allow_uids: the uids or user names that may connect; empty for everybody.
    @ivar max_connections: how many may be open at once; 0 for as many as there is room for.
    @ivar max_connections_per_uid: how many of them may be one user's; 0 for half of
        C{max_connections}, if that is not 0.
    @ivar first_byte_timeout: seconds until the first byte must have come, where the protocol waits
        for one; 0 for no such deadline.
    @ivar idle_timeout: seconds without a byte in either direction after which a connection is
        reset, found out within a quarter of that time; 0 for never.
    """

    name: Name = "main"
    enabled: bool = True
    endpoint: Annotated[str, msgspec.Meta(min_length=1)] = DEFAULT_ENDPOINT
    protocol: Annotated[str, msgspec.Meta(min_length=1)] = "auto"
    options: dict[str, Any] = {}
    routes: Routes | None = None
    tls: TLSSettings | None = None
    http: HTTPSettings | None = None
    target: str = ""
    relay: RelaySettings | None = None
    profile: str = ""
    toxic: tuple[ToxicSettings, ...] = ()
    twin: bool = True
    allow_remote: bool = False
    allow_addresses: tuple[Annotated[str, msgspec.Meta(min_length=1)], ...] = ()
    allow_uids: tuple[Uid | str, ...] = ()
    max_connections: Count = 0
    max_connections_per_uid: Count = 0
    first_byte_timeout: Seconds = 0.0
    idle_timeout: Seconds = 0.0


class LogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What C{--logger=loopbackd.logs.observer} writes.

    @ivar level: C{debug}, C{info}, C{warn}, C{error} or C{critical}; this and worse is written.
    @ivar levels: other levels for some namespaces: C{"loopbackd.net" = "debug"}.
    @ivar format: C{text} or C{json}.
    """

    level: str = "info"
    levels: dict[str, str] = {}
    format: str = "text"


class AuthoritySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    The local authority, which signs the certificates of services.

    @ivar directory: where its files are; empty for C{$LOOPBACKD_STATE_DIR/authority} and what comes
        after that (see L{loopbackd.tls.store.stateDirectory}).
    """

    directory: str = ""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Everything.

    @ivar drain: seconds that open connections get to finish after SIGTERM.
    @ivar max_connections: how many may be open at once over all services; 0 for half of the file
        descriptors the system allows us.
    @ivar max_connections_per_uid: how many of them may be one user's; 0 for half of them.
    @ivar control: the API that changes all this while the daemon runs.
    @ivar watch: over what listens and connects on this machine.
    """

    service: tuple[ServiceSettings, ...] = (ServiceSettings(),)
    drain: Seconds = 5.0
    max_connections: Count = 0
    max_connections_per_uid: Count = 0
    log: LogSettings | None = None
    authority: AuthoritySettings = AuthoritySettings()
    control: ControlSettings = ControlSettings()
    watch: WatchSettings = WatchSettings()


def read(path: Path) -> Settings:
    """
    The settings of a TOML file.

    @raise SettingsError: it cannot be read, is not TOML, or asks for what there is not; the message
        names the file, the key, the value and the remedy.
    """
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}; give a file you can read") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    return parse(text, str(path))


def parse(text: str, source: str) -> Settings:
    """The settings in a TOML text; see L{read}."""
    try:
        asked = tomllib.loads(text)
    except ValueError as error:  # also what int() says of a number with thousands of digits
        raise SettingsError(f"{source}: not TOML: {error}") from None
    except RecursionError:
        raise SettingsError(f"{source}: not TOML for us: it is nested too deeply") from None
    _nameServices(asked)
    return convert(asked, source)


def convert(asked: dict[str, Any], source: str) -> Settings:
    """
    The settings in plain values, as TOML or JSON has them.

    @param source: where they come from, for the message.
    @raise SettingsError: something is wrong with them; see L{read}.
    """
    try:
        settings = msgspec.convert(asked, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(explain(str(error), asked, source, Settings, _kindAt)) from None
    return _check(settings, source)


def _check(settings: Settings, source: str) -> Settings:
    """Check what a schema cannot say: names are not shared, keys in their place."""
    if not settings.service:
        raise SettingsError(f"{source}: there is no service; write at least one [[service]]")
    for wrong in wrongWith(settings.watch):
        raise SettingsError(f"{source}: {wrong}")
    names: set[str] = set()
    for service in settings.service:
        if service.name in names:
            raise SettingsError(
                f"{source}: two services are named {service.name!r}; give each its own name"
            )
        names.add(service.name)
        if service.routes is not None and service.protocol != "auto":
            raise SettingsError(
                f"{source}: service {service.name!r}: routes belong to protocol 'auto',"
                f" not to {service.protocol!r}; remove [service.routes]"
            )
        if service.http is not None and not servesHTTP(service):
            raise SettingsError(
                f"{source}: service {service.name!r}: http is for protocol 'http', or 'auto' with"
                f" the route http = 'http', not for {service.protocol!r} as it is here;"
                " remove [service.http]"
            )
        if service.tls is not None and service.protocol in _BELOW_TLS:
            raise SettingsError(
                f"{source}: service {service.name!r}: {service.protocol!r} hears clients that begin"
                " with TLS without speaking it, before any handshake; remove [service.tls]"
            )
        _checkRelay(service, source)
    return settings


_BELOW_TLS = ("tripwire", "sinkhole")


def _checkRelay(service: ServiceSettings, source: str) -> None:
    where = f"{source}: service {service.name!r}"
    if service.protocol == "relay":
        if not service.target:
            raise SettingsError(
                f'{where}: a relay leads to a target; write target = "127.0.0.1:6379"'
            )
        if service.relay and service.relay.tls and not service.target.startswith("tls:"):
            raise SettingsError(
                f"{where}: relay.tls is for a target that is spoken to with TLS, not for"
                f' {service.target!r}; write target = "tls:host:port", or remove'
                " [service.relay.tls]"
            )
    elif service.target or service.relay is not None:
        key, table = ("target", "target") if service.target else ("relay", "[service.relay]")
        raise SettingsError(
            f"{where}: {key} is for protocol 'relay', not for {service.protocol!r};"
            f' write protocol = "relay", or remove {table}'
        )


def servesHTTP(service: ServiceSettings) -> bool:
    """Whether the HTTP test service is what HTTP gets there."""
    if service.protocol != "auto":
        return service.protocol == "http"
    route = (service.routes or Routes()).http
    return (route.protocol if isinstance(route, Route) else route) == "http"


def _nameServices(asked: dict[str, Any]) -> None:
    """A service that was given no name is called after its protocol."""
    services = asked.get("service")
    if not isinstance(services, list):
        return
    taken = {str(s["name"]) for s in services if isinstance(s, dict) and "name" in s}
    for service in services:
        if isinstance(service, dict) and "name" not in service:
            service["name"] = freeName(str(service.get("protocol", "auto")), taken)
            taken.add(service["name"])


def freeName(protocol: str, taken: set[Any]) -> str:
    """A name for a service of this protocol that is not taken."""
    stem = (
        re.sub(r"[^A-Za-z0-9._-]+", "-", protocol.rpartition(":")[2]).strip("-")[:50] or "service"
    )
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    return name


_TABLES = {
    "service": ServiceSettings,
    "routes": Routes,
    "tls": TLSSettings,
    "log": LogSettings,
    "authority": AuthoritySettings,
    "control": ControlSettings,
    "http": HTTPSettings,
    "relay": RelaySettings,
    "toxic": ToxicSettings,
    "match": MatchSettings,
    "stub": StubSettings,
    "answer": AnswerSettings,
    "body": BodyWanted,
    "delay": DelaySettings,
    "dribble": DribbleSettings,
    "go": GoSettings,
    "query": Text,
    "headers": Text,
    "cookies": Text,
    "form": Text,
    "broken": BrokenSettings,
    "watch": WatchSettings,
    "allow": WatchRule,
    "ignore": WatchRule,
}
"""What each table of a configuration is made into, by its key."""


def _kindAt(kind: Any, key: str) -> Any:
    if kind is RelaySettings and key == "tls":
        return TargetTLSSettings
    return Route if kind is Routes else _TABLES.get(key, kind)
