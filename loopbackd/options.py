"""What can be written behind ``twistd loopbackd``."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from twisted.python import usage

from loopbackd.control.listening import check
from loopbackd.controlsettings import DEFAULT_CONTROL
from loopbackd.net.endpoint import EndpointError, checkKind, endpointFrom, parse
from loopbackd.prepared import Prepared, load, prepare
from loopbackd.protocols.relay.target import parseTarget
from loopbackd.settings import DEFAULT_ENDPOINT, Settings, SettingsError, convert, freeName
from loopbackd.watching.rules import Rules

_LISTEN = re.compile(r"--listen '?(?P<endpoint>[^\s;,']+)'?")


class Options(usage.Options):
    """
    The options of the plugin.

    @ivar settings: what was asked, once the options are parsed.
    @ivar prepared: its services, found good.
    """

    synopsis = "[options]"
    longdesc = (
        "The other end of every local connection. Without options one address answers every"
        f" protocol: {DEFAULT_ENDPOINT}."
    )
    optParameters = [  # noqa: RUF012
        ["config", "c", None, "Read services from this TOML file; SIGHUP reads it again."],
        ["listen", "l", None, f"Endpoint of the service. [default: {DEFAULT_ENDPOINT}]"],
        [
            "protocol",
            "p",
            None,
            "Protocol of the service, as loopbackd protocols lists them;"
            " yours as package.module:Name or path/file.py:Name. [default: auto]",
        ],
        [
            "control",
            None,
            None,
            "Port or endpoint of the control API, or off; can stand beside --config."
            f" [default: {DEFAULT_CONTROL}]",
        ],
        ["drain", None, None, "Seconds connections get to finish at SIGTERM. [default: 5]"],
    ]
    optFlags = [  # noqa: RUF012
        ["no-twin", None, "Leave the same port on [::1] alone."],
        [
            "allow-remote",
            None,
            "Permit endpoints that other machines can reach, for those of --allow-address.",
        ],
    ]
    compData = usage.Completions(optActions={"config": usage.CompleteFiles("*.toml")})

    settings: Settings
    prepared: dict[str, Prepared]

    def __init__(self) -> None:
        super().__init__()
        self._serve: list[tuple[str, str]] = []
        self._relay: list[tuple[str, str, str]] = []
        self._addresses: list[str] = []
        # twistd --rundir goes elsewhere before the next reload.
        self._directory = Path.cwd()

    def opt_serve(self, service: str) -> None:
        """
        Another service, as PROTOCOL@ENDPOINT; can be given more than once.
        """
        protocol, at, endpoint = service.partition("@")
        if not at or not protocol or not endpoint:
            raise usage.UsageError(
                f"--serve {service!r}: write PROTOCOL@ENDPOINT,"
                " for example echo@tcp:7007:interface=127.0.0.1"
            )
        self._serve.append((protocol, endpoint))

    opt_s = opt_serve

    def opt_relay(self, relay: str) -> None:
        """
        A relay, as NAME@PORT=HOST:PORT or ENDPOINT=TARGET; can be given more than once.
        """
        name, at, rest = relay.partition("@")
        if not at or not re.fullmatch(r"[A-Za-z0-9._-]+", name):
            name, rest = "", relay
        self._relay.append((name, *splitRelay(rest)))

    opt_r = opt_relay

    def opt_allow_address(self, network: str) -> None:
        """
        Machines that may connect besides this one, as 192.0.2.0/24; can be given more than once.
        """
        self._addresses.append(network)

    def opt_version(self) -> None:
        """
        Print loopbackd's version and exit.
        """
        sys.stdout.write(f"loopbackd {version('loopbackd')}\n")
        raise SystemExit(0)

    def parseArgs(self, *words: str) -> None:
        """There are no arguments, only options."""
        if words:
            raise usage.UsageError(f"{words[0]!r} is no option; there are only options here")

    def postOptions(self) -> None:
        """
        Find out beforehand whether what was asked can be had.

        @raise SystemExit: it cannot; one line says why.
        """
        try:
            self.settings, self.prepared = self.read()
        except SettingsError as error:
            raise SystemExit(f"loopbackd: {error}") from None

    def read(self) -> tuple[Settings, dict[str, Prepared]]:
        """
        Read the configuration and the user's own protocols, as they are now.

        @raise SettingsError: something is wrong with them.
        """
        if self["config"] is not None:
            settings, prepared = load(self._configuration())
        else:
            settings = self._asked()
            prepared = prepare(settings, self._directory)
        if self["control"] is not None:
            where = endpointFrom(self["control"])
            control = msgspec.structs.replace(settings.control, endpoint=where)
            settings = msgspec.structs.replace(settings, control=control)
        check(settings.control)
        Rules(settings.watch)
        return settings, prepared

    def inOurWords(self, why: str) -> str:
        """Why a service cannot be, with what stands here for C{--listen}."""
        found = _LISTEN.search(why)
        if found is None:
            return why
        if self["config"] is not None:
            return why.replace(found[0], f"endpoint = '{found['endpoint']}'")
        for service in self.settings.service:
            if why.startswith(f"service {service.name!r} cannot listen on "):
                endpoint = service.endpoint
                if service.target:
                    where = "unix:PATH" if endpoint.startswith("unix:") else "PORT"
                    return why.replace(found[0], f"--relay {service.name}@{where}={service.target}")
                if (service.protocol, endpoint) in self._serve:
                    return why.replace("--listen ", f"--serve {service.protocol}@")
        return why

    @property
    def directory(self) -> Path:
        """What relative paths are relative to: where the configuration is, or where we began."""
        config = self["config"]
        return self._directory if config is None else (self._directory / str(config)).parent

    def _configuration(self) -> Path:
        instead = [f"--{name}" for name in ("listen", "protocol") if self[name] is not None]
        instead += ["--serve"] if self._serve else []
        instead += ["--relay"] if self._relay else []
        instead += [f"--{name}" for name in ("no-twin", "allow-remote") if self[name]]
        instead += ["--allow-address"] if self._addresses else []
        instead += ["--drain"] if self["drain"] is not None else []
        if instead:
            raise SettingsError(f"{instead[0]} and --config: write it into {self['config']}")
        return self._directory / str(self["config"])

    def _asked(self) -> Settings:
        """The settings that the options ask for; checked as if they stood in a file."""
        wanted = list(self._serve)
        protocol, endpoint = self["protocol"], self["listen"]
        if not (wanted or self._relay) or protocol is not None or endpoint is not None:
            protocol = "auto" if protocol is None else protocol
            wanted.insert(0, (protocol, DEFAULT_ENDPOINT if endpoint is None else endpoint))
        services: list[dict[str, Any]] = []
        everything = [("", protocol, endpoint, "") for protocol, endpoint in wanted]
        everything += [(name, "relay", endpoint, target) for name, endpoint, target in self._relay]
        taken = {name for name, _, _ in self._relay}
        for name, protocol, endpoint, target in everything:
            isPath = endpoint.startswith("unix:")
            services.append(
                {
                    "name": name
                    or freeName(protocol, taken | {service["name"] for service in services}),
                    "protocol": protocol,
                    "endpoint": endpoint,
                    "target": target,
                    "twin": not self["no-twin"],
                    "allow_remote": bool(self["allow-remote"]),
                    "allow_addresses": [] if isPath else self._addresses,
                }
            )
        asked: dict[str, Any] = {"service": services}
        if self["drain"] is not None:
            try:
                asked["drain"] = float(self["drain"])
            except ValueError:
                raise SettingsError(
                    f"--drain {self['drain']!r}: write seconds, for example --drain 5"
                ) from None
        return convert(asked, "options")


def splitRelay(text: str) -> tuple[str, str]:
    """
    The endpoint and the target of C{--relay}; the endpoint can be a port, or C{host:port}.

    @raise UsageError: it cannot be taken apart, or not in one way alone: both may have a C{=}.
    """
    found: list[tuple[str, str]] = []
    reasons: list[str] = []
    words = text.split("=")
    for number in range(1, len(words)):
        endpoint, target = "=".join(words[:number]), "=".join(words[number:])
        endpoint = endpointFrom(endpoint)
        try:
            checkKind(parse(endpoint))
            parseTarget(target)
        except (EndpointError, ValueError) as error:
            reasons.append(str(error))
        else:
            found.append((endpoint, target))
    if len(found) == 1:
        return found[0]
    why = "it can be read in more than one way; write it into a file for --config"
    if not found:
        example = "write PORT=HOST:PORT, for example 26379=127.0.0.1:6379"
        why = reasons[0] if len(reasons) == 1 else example
    raise usage.UsageError(f"--relay {text!r}: {why}")
