"""What an endpoint string says, and listening on it."""

from __future__ import annotations

import difflib
import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.endpoints import quoteStringArgument, serverFromString
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpointStringParser
from twisted.plugin import getPlugins

from loopbackd.hostport import joined

_SHORT = re.compile(
    r"(?:(?P<host>\[[0-9A-Fa-f:.]*\]|[0-9.]*|localhost):)?(?P<port>[0-9]+)", re.ASCII
)
_BACKLOG = 512
_LONGEST_PATH = 107
_ARGUMENTS = {
    "tcp": ("port", "interface", "backlog"),
    "tcp6": ("port", "interface", "backlog"),
    "unix": ("address", "mode", "backlog", "lockfile"),
    "systemd": ("domain", "index", "name"),
}
# How many arguments may come without a name before ``backlog`` would be one of them.
_BEFORE_BACKLOG = {"tcp": 3, "tcp6": 2, "unix": 3, "ssl": 10}


class EndpointError(Exception):
    """The endpoint string cannot be used; one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    An endpoint string taken apart.

    @ivar text: the string.
    @ivar kind: what is before the first colon: C{tcp}, C{unix}, C{systemd}...
    @ivar host: the interface of an internet endpoint, or L{None}.
    @ivar port: the port of an internet endpoint, or L{None}.
    @ivar path: the path of a unix endpoint, or L{None}.
    """

    text: str
    kind: str
    host: str | None = None
    port: int | None = None
    path: str | None = None

    @property
    def isRemote(self) -> bool:
        """Whether other machines can reach it, as far as the string alone says."""
        return self.host is not None and not isLoopback(self.host)


def isLoopback(host: str) -> bool:
    """Whether an interface is one that only this machine can reach."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def leadsHere(host: str) -> bool:
    """Whether a host that is named, with no port, is this machine and nothing else."""
    name = host.lower().rstrip(".")
    return name.endswith(".localhost") or isLoopback(name.strip("[]"))


def endpointFrom(listen: str) -> str:
    """
    The endpoint string for what was written: a port, C{host:port}, or an endpoint string already.

    Without a host it is 127.0.0.1.
    """
    found = _SHORT.fullmatch(listen)
    if found is None:
        return listen
    host = (found["host"] or "127.0.0.1").strip("[]")
    if host == "localhost":
        host = "127.0.0.1"
    kind = "tcp6" if ":" in host else "tcp"
    return f"{kind}:{found['port']}:interface={quoteStringArgument(host)}"


def parse(text: str) -> Endpoint:
    """
    Take a server endpoint string apart.

    @raise EndpointError: a part that every kind of endpoint needs is missing or wrong.
    """
    parts = split(text)
    kind = parts[0][1]
    if (len(parts) < 2 and kind != "stdio") or not kind:
        raise EndpointError(
            f"endpoint {text!r} is not complete; write for example tcp:7007:interface=127.0.0.1"
        )
    named = {name: value for name, value in parts[1:] if name}
    for name in named:
        known = _ARGUMENTS.get(kind, named.keys())
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise EndpointError(f"endpoint {text!r}: {kind} has no argument {name!r}; {hint}")
    first = next((value for name, value in parts[1:2] if not name), None)
    if kind in ("tcp", "tcp6", "ssl"):
        default = "::" if kind == "tcp6" else ""
        positional = [value for name, value in parts[1:] if not name]
        host = named.get(
            "interface", positional[1] if kind != "ssl" and len(positional) > 1 else ""
        )
        port = _portNumber(named.get("port", first), text)
        return Endpoint(text, kind, host or default or "0.0.0.0", port)
    if kind == "unix":
        path = named.get("address", first)
        if not path:
            raise EndpointError(f"endpoint {text!r} has no path; write unix:/path/to.sock")
        if len(path.encode("utf-8", "surrogateescape")) > _LONGEST_PATH:
            raise EndpointError(
                f"endpoint {text!r}: a unix socket's path has at most {_LONGEST_PATH} bytes"
                " (unix(7)); write a shorter one"
            )
        if "\0" in path and (path.rfind("\0") > 0 or named.get("lockfile") != "0"):
            raise EndpointError(
                f"endpoint {text!r}: an abstract name begins with its only NUL, and has no lock"
                " file; add lockfile=0"
            )
        return Endpoint(text, kind, path=path)
    return Endpoint(text, kind)


def checkKind(endpoint: Endpoint) -> None:
    """
    Find out before listening whether there are such endpoints, Twisted's own or a plugin's.

    @raise EndpointError: there are none.
    """
    kinds = [*_ARGUMENTS, "ssl"]
    if endpoint.kind in kinds:
        return
    kinds += [plugin.prefix for plugin in getPlugins(IStreamServerEndpointStringParser)]
    if endpoint.kind not in kinds:
        near = difflib.get_close_matches(endpoint.kind, kinds, 1)
        hint = (
            f"did you mean {near[0]!r}?"
            if near
            else "write for example tcp:7007:interface=127.0.0.1"
        )
        raise EndpointError(
            f"endpoint {endpoint.text!r} cannot be used: there is no kind {endpoint.kind!r}; {hint}"
        )


def _portNumber(value: str | None, text: str) -> int:
    if value is None or not re.fullmatch(r"0*[0-9]{1,5}", value) or int(value) > 65535:
        raise EndpointError(
            f"endpoint {text!r}: port {value!r} is not a number from 0 to 65535;"
            " write for example tcp:7007:interface=127.0.0.1"
        )
    return int(value)


def split(text: str) -> list[tuple[str, str]]:
    """
    The parts of an endpoint string between its colons, as (name, value).

    A part without a name has an empty one; a backslash takes the next character as it is.
    """
    parts: list[tuple[str, str]] = []
    name, value = "", ""
    characters = iter(text)
    for character in characters:
        if character == "\\":
            value += next(characters, "")
        elif character == ":":
            parts.append((name, value))
            name, value = "", ""
        elif character == "=" and not name and parts:
            name, value = value, ""
        else:
            value += character
    parts.append((name, value))
    return parts


def withPort(endpoint: Endpoint, port: int) -> Endpoint:
    """The same internet endpoint on another port."""
    parts = split(endpoint.text)
    at = next((n for n, (name, _) in enumerate(parts) if name == "port"), 1)
    parts[at] = parts[at][0], str(port)
    written = [
        f"{name}={quoteStringArgument(value)}" if name else quoteStringArgument(value)
        for name, value in parts
    ]
    return parse(":".join(written))


def twinOf(endpoint: Endpoint, port: int) -> Endpoint | None:
    """
    The endpoint of the same port on the other loopback address.

    @param port: the port that was really opened.
    @return: L{None} where the endpoint has no twin.
    """
    if endpoint.kind != "tcp" or endpoint.host not in ("127.0.0.1", "localhost"):
        return None
    return parse(f"tcp6:{port}:interface={quoteStringArgument('::1')}")


def hasIPv6() -> bool:
    """Whether C{::1} can be bound here."""
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


async def listen(reactor: Any, endpoint: Endpoint, factory: Any) -> IListeningPort:
    """
    Listen; on loopback this has happened when the coroutine first gives way, which it does not do.

    @param reactor: what the endpoint is built on.
    @raise EndpointError: Twisted does not know the endpoint.
    @raise CannotListenError: it cannot be bound.
    """
    text = endpoint.text
    parts = split(text)
    unnamed = sum(1 for name, _ in parts if not name)
    most = _BEFORE_BACKLOG.get(endpoint.kind, 0)
    if unnamed <= most and all(name != "backlog" for name, _ in parts):
        # Twisted's default of 50 makes a burst of connects wait a second for its second try.
        text += f":backlog={_BACKLOG}"
    try:
        stream = serverFromString(reactor, text)
    except Exception as error:
        what = str(error) or type(error).__name__
        raise EndpointError(
            f"endpoint {endpoint.text!r} cannot be used: {what};"
            " write for example tcp:7007:interface=127.0.0.1"
        ) from error
    return await stream.listen(factory)  # type: ignore[no-any-return]


def shown(host: Any) -> str:
    """An address that is listened on, as people write it."""
    if isinstance(host, (IPv4Address, IPv6Address)):
        return joined(host.host, host.port)
    if isinstance(host, UNIXAddress):
        return host.name.decode("utf-8", "backslashreplace") if host.name else "an unnamed socket"
    return str(host)


def reachableByOthers(host: Any) -> bool:
    """Whether an address that is listened on can be reached from other machines, or may be."""
    if isinstance(host, (IPv4Address, IPv6Address)):
        return not isLoopback(host.host)
    return not isinstance(host, UNIXAddress)
