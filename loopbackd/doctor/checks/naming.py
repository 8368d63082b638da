"""Where one name leads, and by whose word."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Iterator, Sequence
from ipaddress import ip_address

from loopbackd.doctor.facts.hostsfile import HostsFile, isHere, lines
from loopbackd.doctor.facts.names import Resolved
from loopbackd.doctor.facts.nameservice import Answer, Switch
from loopbackd.doctor.finding import Finding, Severity


def checkName(resolved: Resolved) -> Iterator[Finding]:
    """Whether the name leads anywhere."""
    if not resolved.addresses:
        name = shlex.quote(resolved.name)
        yield Finding(
            "name-unknown",
            Severity.PROBLEM,
            f"The name {resolved.name!r} leads nowhere.",
            (f"getaddrinfo: {resolved.error}",),
            (
                f"look where it should come from: loopbackd hosts explain {name}",
                "or use an address, for example 127.0.0.1",
            ),
            95,
        )


def checkNaming(
    resolved: Resolved, file: HostsFile, switch: Switch, answers: Sequence[Answer]
) -> Iterator[Finding]:
    """
    Say where a name leads and why, and what is odd about it.

    @param answers: what each source says of it, in the order of C{switch}.
    """
    name, addresses = resolved.name, resolved.addresses
    if isAddress(name):
        meant = "" if name in addresses else f", {', '.join(addresses)}"
        yield Finding(
            "name-is-address",
            Severity.NOTE if addresses else Severity.PROBLEM,
            f"{name} is an address{meant}{_whose(addresses)}: no name is looked up.",
        )
        return
    evidence = tuple(_why(resolved, file, switch, answers))
    if not addresses:
        yield Finding(
            "name-unknown",
            Severity.PROBLEM,
            f"The name {name!r} leads nowhere.",
            evidence,
            tuple(_remedies(name, file)),
            95,
        )
    else:
        yield Finding(
            "name-leads",
            Severity.NOTE,
            f"{name} leads to {', '.join(addresses)}{_whose(addresses)}.",
            evidence,
        )
    yield from _oddities(resolved, file)


def _why(
    resolved: Resolved, file: HostsFile, switch: Switch, answers: Sequence[Answer]
) -> Iterator[str]:
    entries = file.entriesOf(resolved.name)
    if file.missing:
        yield f"{file.path}: {file.missing}"
    elif not entries:
        yield file.lacksIt
    for line in lines(entries):
        yield f"{file.path} {line}"
    order = f"line {switch.line}" if switch.line else "no such line; the usual order"
    yield f"nsswitch.conf, {order}: hosts: {switch}"
    for answer in answers:
        said = answer.why
        if answer.resolved is not None:
            said = ", ".join(answer.resolved.addresses) or answer.resolved.error
        yield f"{answer.source.name}: {said}"
    if switch.keeps:
        yield "nscd keeps answers, and may know what nobody says any more: nscd -i hosts"
    yield f"getaddrinfo: {', '.join(resolved.addresses) or resolved.error}"


def _remedies(name: str, file: HostsFile) -> Iterator[str]:
    plain = name.lower().rstrip(".")
    if name != plain and file.entriesOf(plain):
        yield f"without the final dot it is in {file.path}: {plain}"
    if plain.endswith(".localhost"):
        yield (
            "curl and browsers lead such names to this machine by themselves; for all other"
            " programs install libnss-myhostname, or"
        )
    line = shlex.quote(f"127.0.0.1 {plain}")
    yield f"add it: echo {line} | sudo tee -a {file.path}"


def _oddities(resolved: Resolved, file: HostsFile) -> Iterator[Finding]:
    name, addresses = resolved.name, resolved.addresses
    away = [one for one in addresses if not isHere(one)]
    plain = name.lower().rstrip(".")
    if away and (plain == "localhost" or plain.endswith(".localhost")):
        yield Finding(
            "localhost-elsewhere",
            Severity.PROBLEM,
            f"{name} leads to {', '.join(away)}, and should lead to this machine (RFC 6761).",
            (),
            (f"have {file.path} say: 127.0.0.1 {plain}",),
            97,
        )
    elif away and len(away) < len(addresses):
        yield Finding(
            "name-leads-apart",
            Severity.WARNING,
            f"{name} leads to this machine and to another: which one a client gets depends on it.",
            (f"away: {', '.join(away)}",),
            ("keep the one that is meant",),
        )
    there = {entry.address for entry in file.entriesOf(name)}
    if there and addresses and not there & set(addresses):
        yield Finding(
            "hosts-not-followed",
            Severity.WARNING,
            f"{file.path} leads {name} to {', '.join(sorted(there))}, and nobody is led there.",
            (f"getaddrinfo: {', '.join(addresses)}",),
            ("have it asked first: hosts: files dns in /etc/nsswitch.conf",),
        )
    families = {":" in one for one in addresses}
    if len(families) == 2 and not away:
        yield Finding(
            "name-both-families",
            Severity.NOTE,
            f"A client tries {addresses[0]} first; some try no other.",
            (),
            ("a server of yours should listen on both: loopbackd does",),
        )


def _whose(addresses: Sequence[str]) -> str:
    if addresses and all(map(isHere, addresses)):
        return ", this machine"
    return ""


def isAddress(name: str) -> bool:
    """Whether nobody has to be asked for it; the old ways of writing IPv4 (inet_aton(3)) count."""
    try:
        ip_address(name.partition("%")[0])
    except ValueError:
        try:
            socket.inet_aton(name)
        except (OSError, ValueError):
            return False
    return True
