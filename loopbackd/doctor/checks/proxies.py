"""Whether requests to this machine are sent to a proxy instead, by the environment's variables."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from loopbackd.doctor.facts.proxies import CLIENTS, ProxyVariables, Target, shownProxy
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.hostport import bracketed

HERE: Final = ("localhost", "127.0.0.1", "::1")
"""What everybody's C{no_proxy} should have."""

_GAPS: Final = re.compile(r"[,\s]+")
_ALL: Final = "*"


def checkProxies(there: ProxyVariables, targets: Sequence[Target]) -> Iterator[Finding]:
    """
    Whether a client would ask a proxy for something that is on this machine.

    @param targets: what a client would ask for, all of it on this machine.
    """
    caught: dict[str, dict[str, list[str]]] = {}
    for target in targets:
        for client, choose in CLIENTS.items():
            name = choose(there, target)
            if name:
                caught.setdefault(name, {}).setdefault(client, []).append(str(target))
    if not caught:
        return
    clients = list(dict.fromkeys(client for one in caught.values() for client in one))
    wanted = dict.fromkeys(url for one in caught.values() for urls in one.values() for url in urls)
    evidence = []
    for name, byClient in caught.items():
        evidence.append(f"{name}={shownProxy(there.values[name])}")
        evidence += [f"{client}: {', '.join(urls)}" for client, urls in byClient.items()]
    spared = [client for client in CLIENTS if client not in clients]
    if spared:
        evidence.append(f"not caught: {', '.join(spared)}")
    evidence += _exceptions(there)
    yield Finding(
        "proxy-catches-local",
        Severity.WARNING,
        f"{_and(clients)} send requests for {_and(list(wanted))} to a proxy.",
        tuple(evidence),
        (f"export {' '.join(remedy(there, targets))}", "or, once: curl --noproxy '*' ..."),
        75,
    )


def remedy(there: ProxyVariables, targets: Iterable[Target]) -> list[str]:
    """The assignments after which no client asks a proxy for this machine, quoted for a shell."""
    return [f"{name}={shlex.quote(value)}" for name, value in remedyValues(there, targets).items()]


def remedyValues(there: ProxyVariables, targets: Iterable[Target]) -> dict[str, str]:
    """
    The same as names and values: C{no_proxy} with what it excepts already, and C{NO_PROXY} where
    that is set to something else, for Go reads it first.
    """
    kept = ",".join(there.values.get(name, "") for name in ("no_proxy", "NO_PROXY"))
    # A star among others means all to Go, and nothing to curl and Python.
    words = [word for word in _GAPS.split(kept) if word and word != _ALL]
    hosts = [target.host for target in targets]
    # urllib compares an IPv6 address as it is in the URL.
    wanted = [*HERE, *(one for host in hosts for one in (host, bracketed(host)))]
    value = ",".join(dict.fromkeys([*words, *wanted]))
    found = {"no_proxy": value}
    if there.values.get("NO_PROXY", _ALL) not in ("", _ALL):
        found["NO_PROXY"] = value
    return found


def _exceptions(there: ProxyVariables) -> Iterator[str]:
    found = [name for name in ("no_proxy", "NO_PROXY") if name in there.values]
    for name in found:
        yield f"{name}={there.values[name]}"
    if not found:
        yield "no_proxy is not set"


def _and(words: Sequence[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
