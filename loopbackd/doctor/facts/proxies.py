"""
Which proxy a client takes for a URL, by the environment's variables, and they do not agree.

- curl (L{byCurl}; its man page, ENVIRONMENT): C{http_proxy} in lower case alone; C{all_proxy} for
  whatever has none; no host is special.
- Python's urllib (L{byUrllib}): both cases, and an empty one in lower case turns the other off; no
  C{all_proxy}.
- requests (L{byRequests}): the same with C{all_proxy}, and networks in C{no_proxy}.
- Go's net/http (L{byGo}): upper case first; no C{all_proxy}; never C{localhost} nor a loopback
  address.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

from loopbackd.hostport import joined

_NAMED: Final = re.compile(r"[A-Za-z0-9]+_proxy", re.I)
_BETWEEN: Final = re.compile(r"[ \t]*,[ \t]*")
_FALLBACKS: Final = {"ws": ("http_proxy",), "wss": ("https_proxy", "HTTPS_PROXY")}


@dataclass(frozen=True, slots=True)
class ProxyVariables:
    """
    The variables about proxies.

    @ivar values: by name, C{no_proxy} too; empty ones as well, which mean something.
    @ivar isCGI: this looks like a program that a web server runs; such programs do not trust
        C{HTTP_PROXY}.
    """

    values: Mapping[str, str]
    isCGI: bool = False

    def first(self, *names: str) -> str:
        """The name of the first of these that is set and not empty; empty for none."""
        return next((name for name in names if self.values.get(name)), "")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes; C{host} has no brackets."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{joined(self.host, self.port)}"


Choice = Callable[[ProxyVariables, Target], str]
"""Says which variable names the proxy that a client takes; empty where it takes none."""


def readProxies(environ: Mapping[str, str] | None = None) -> ProxyVariables:
    """What the environment says, this process's by default."""
    environ = os.environ if environ is None else environ
    found = {name: value for name, value in environ.items() if _NAMED.fullmatch(name)}
    return ProxyVariables(found, bool(environ.get("REQUEST_METHOD")))


def shownProxy(value: str) -> str:
    """A proxy's address without the password that it may have."""
    before, at, after = value.rpartition("@")
    scheme = before.partition("//")[0] + "//" if "//" in before else ""
    return f"{scheme}...@{after}" if at else value


def byCurl(there: ProxyVariables, target: Target) -> str:
    """What curl takes."""
    own = f"{target.scheme}_proxy"
    names = [own] if own == "http_proxy" else [own, own.upper()]
    names += [*_FALLBACKS.get(target.scheme, ()), "all_proxy", "ALL_PROXY"]
    chosen = there.first(*names)
    excepted = there.values.get(there.first("no_proxy", "NO_PROXY"), "")
    return "" if chosen and _exceptedByCurl(excepted, target.host) else chosen


def _exceptedByCurl(list_: str, host: str) -> bool:
    """
    By every version since 7.86: they differ in what a blank does, behind which some read on and
    some do not, and only later ones understand networks of IPv6.
    """
    if list_ == "*":
        return True
    address = _address(host)
    name = host.lower().removesuffix(".")
    for item in _BETWEEN.split(list_):
        word, *unread = item.lower().split()[:2] or [""]
        if isinstance(address, IPv4Address):
            isIn = _isIn(address, word)
        else:
            word = word.removesuffix(".").removeprefix(".")
            isIn = bool(word) and (name == word or name.endswith(f".{word}"))
        if isIn or unread:
            return isIn
    return False


def byUrllib(there: ProxyVariables, target: Target) -> str:
    """What Python's C{urllib.request} takes; it asks itself."""
    chosen = _pythonNames(there).get(target.scheme, "")
    if not chosen or _exceptedByUrllib(there, joined(target.host, target.port)):
        return ""
    return chosen


def byRequests(there: ProxyVariables, target: Target) -> str:
    """What requests takes."""
    names = _pythonNames(there)
    chosen = names.get(target.scheme) or names.get("all", "")
    if not chosen or _exceptedByUrllib(there, target.host):
        return ""
    excepted = there.values.get(there.first("no_proxy", "NO_PROXY"), "")
    words = [word for word in excepted.replace(" ", "").split(",") if word]
    address = _address(target.host)
    if isinstance(address, IPv4Address):
        return "" if any(_isIn(address, word) for word in words) else chosen
    # Without the brackets that an address with a port should have.
    host, place = target.host.lower(), f"{target.host.lower()}:{target.port}"
    for word in words:
        word = word.lstrip(".")
        if word in (host, place) or host.endswith(f".{word}") or place.endswith(f".{word}"):
            return ""
    return chosen


def _pythonNames(there: ProxyVariables) -> dict[str, str]:
    """Which variable counts, by what is before its underscore."""
    found: dict[str, str] = {}
    for name, value in there.values.items():
        if value and not (there.isCGI and name.lower() == "http_proxy"):
            found[name[:-6].lower()] = name
    for name, value in there.values.items():
        if name.endswith("_proxy"):
            if value:
                found[name[:-6].lower()] = name
            else:
                found.pop(name[:-6].lower(), None)
    return found


def _exceptedByUrllib(there: ProxyVariables, host: str) -> bool:
    names = _pythonNames(there)
    if "no" not in names:
        return False
    return bool(proxy_bypass_environment(host, {"no": there.values[names["no"]]}))


def byGo(there: ProxyVariables, target: Target) -> str:
    """What Go's net/http takes."""
    if target.scheme not in ("http", "https"):
        return ""
    upper = f"{target.scheme.upper()}_PROXY"
    chosen = there.first(upper, upper.lower())
    address = _address(target.host)
    if not chosen or target.host == "localhost" or (address and address.is_loopback):
        return ""
    if target.scheme == "http" and there.isCGI:
        return ""
    excepted = there.values.get(there.first("NO_PROXY", "no_proxy"), "")
    words = [word.strip().lower() for word in excepted.split(",")]
    return "" if any(_exceptedByGo(word, address, target) for word in words) else chosen


def _exceptedByGo(word: str, address: IPv4Address | IPv6Address | None, target: Target) -> bool:
    if not word or word == "*":
        return bool(word)
    if "/" in word:
        return _isIn(address, word)
    host, port = word, ""
    if word.count(":") == 1 or "]:" in word:
        host, _, port = word.rpartition(":")
    if port and port != str(target.port):
        return False
    if address is not None:
        return _isIn(address, host.strip("[]"))
    name = target.host.lower()
    suffix = host[1:] if host.startswith("*.") else host
    if suffix.startswith("."):
        return name.endswith(suffix)
    return bool(suffix) and (name == suffix or name.endswith(f".{suffix}"))


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _isIn(address: IPv4Address | IPv6Address | None, word: str) -> bool:
    """Whether an address is that one, or in that network."""
    try:
        return address is not None and address in ip_network(word, strict=False)
    except ValueError:
        return False


CLIENTS: Final[Mapping[str, Choice]] = {
    "curl": byCurl,
    "Python's urllib": byUrllib,
    "Python's requests": byRequests,
    "Go": byGo,
}
"""Those that are looked at, by name."""
