"""Whether the hosts file leads names where they belong, and whether everybody can tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from loopbackd.doctor.checks.hoststext import checkPermissions, checkText
from loopbackd.doctor.facts.hostsfile import Entry, HostsFile, isHere, lines
from loopbackd.doctor.facts.names import Resolved
from loopbackd.doctor.facts.nameservice import Switch
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.loglines import escape

_RIGHT: Final = "127.0.0.1 localhost"
_RIGHT_V6: Final = "::1 localhost"
_SHOWN: Final = 5


def checkHosts(
    file: HostsFile,
    switch: Switch | None,
    localhost: Resolved | None,
    hasIPv6: bool,
    hostname: str,
) -> Iterator[Finding]:
    """
    All that can be said about a hosts file.

    @param switch: who is asked for names; L{None} where the file is not the one that is asked.
    @param localhost: what the system's resolver says of it; L{None} likewise.
    @param hasIPv6: whether this machine has ::1.
    @param hostname: the machine's own name.
    """
    yield from checkText(file)
    if localhost is not None:
        yield from checkPermissions(file)
    if switch is not None:
        yield from checkOrder(file, switch)
    yield from checkLocalhost(file, localhost, hasIPv6)
    if not file.missing:
        yield from checkDuplicates(file, hostname)
        yield from checkLedHere(file, hostname)


def checkOrder(file: HostsFile, switch: Switch) -> Iterator[Finding]:
    """Whether the file is asked at all, and before the network is."""
    said = f"nsswitch.conf line {switch.line}: hosts: {switch}" if switch.line else ""
    names = switch.names
    # systemd-resolved reads the file itself.
    asked = [at for at, name in enumerate(names) if name in ("files", "resolve")]
    if not asked:
        yield Finding(
            "hosts-not-asked",
            Severity.WARNING,
            f"{file.path} is not asked for names.",
            (said,),
            ("write in /etc/nsswitch.conf: hosts: files dns",),
            60,
        )
    elif "dns" in names[: asked[0]]:
        yield Finding(
            "hosts-asked-late",
            Severity.WARNING,
            f"{file.path} is asked only for names that DNS does not know.",
            (said,),
            ("write in /etc/nsswitch.conf: hosts: files dns",),
            60,
        )


def checkLocalhost(file: HostsFile, resolved: Resolved | None, hasIPv6: bool) -> Iterator[Finding]:
    """Whether C{localhost} is this machine: by the file, and by what the system says."""
    entries = file.entriesOf("localhost")
    wrong = [entry for entry in entries if not _isLoopback(entry)]
    led = () if resolved is None else tuple(one for one in resolved.addresses if not isHere(one))
    system = () if resolved is None else (_said(resolved),)
    if wrong:
        yield Finding(
            "hosts-localhost-elsewhere",
            Severity.WARNING if resolved and not led and resolved.addresses else Severity.PROBLEM,
            f"{file.path} leads localhost to {_places(wrong)}, which is no loopback address.",
            (*lines(wrong), *system),
            (f"make that line: {_RIGHT}",),
            97,
        )
    elif led:
        yield Finding(
            "localhost-elsewhere",
            Severity.PROBLEM,
            f"localhost leads to {', '.join(led)}, and not by {file.path}.",
            (*system, *(lines(entries) if entries else (file.lacksIt,))),
            (
                f"have {file.path} say: {_RIGHT}",
                "and have it asked first: hosts: files dns in /etc/nsswitch.conf;"
                " loopbackd hosts explain localhost says who leads it there",
            ),
            96,
        )
    # What was not looked at may have it.
    if file.isUTF16 or file.isCut or (wrong and len(wrong) == len(entries)):
        return
    has4 = any("." in entry.address for entry in entries)
    if not has4 and not led:
        yield _missing(file, resolved)
    elif has4 and hasIPv6 and not any(entry.address == "::1" for entry in entries):
        yield Finding(
            "hosts-localhost-v4-only",
            Severity.NOTE,
            f"{file.path} leads localhost to 127.0.0.1 alone, and this machine has ::1, too.",
            (*lines(entries), *system),
            (f"for servers that listen on ::1 alone, add: {_RIGHT_V6}",),
            10,
        )


def _missing(file: HostsFile, resolved: Resolved | None) -> Finding:
    """There is no line for C{localhost} with IPv4; others may know the name."""
    found = () if resolved is None else resolved.addresses
    what = "cannot be read" if file.missing else "has no line for localhost with 127.0.0.1"
    evidence = [f"{file.path}: {file.missing}"] if file.missing else []
    if resolved is not None:
        evidence.append(_said(resolved))
    if resolved is None or not found:
        severity, then = Severity.PROBLEM, "localhost leads nowhere"
    elif "127.0.0.1" in found:
        severity, then = Severity.NOTE, "others know localhost all the same"
    else:
        severity, then = Severity.WARNING, "servers on 127.0.0.1 are not found by that name"
    if resolved is None:
        then = "localhost leads nowhere, unless somebody else knows it"
    return Finding(
        "hosts-localhost-missing",
        severity,
        f"{file.path} {what}: {then}.",
        tuple(evidence),
        (f"add the line: {_RIGHT}",),
        95,
    )


def checkDuplicates(file: HostsFile, hostname: str) -> Iterator[Finding]:
    """Whether a name is led to several addresses of one kind, this machine and another, say."""
    torn: list[tuple[str, list[Entry]]] = []
    several: list[tuple[str, list[Entry]]] = []
    for name, entries in file.byName.items():
        if len(entries) < 2 or name == "localhost":
            continue
        for family in (".", ":"):
            there = [one for one in entries if (":" in one.address) == (family == ":")]
            addresses = {entry.address for entry in there}
            if len(addresses) > 1:
                # A container in two networks has its own name twice, as it should.
                isFine = name == hostname.lower() or all(map(isHere, addresses))
                (several if isFine else torn).append((name, there))
    for found, severity in ((torn, Severity.WARNING), (several, Severity.NOTE)):
        if found:
            names = [name for name, _ in found]
            yield Finding(
                "hosts-duplicate",
                severity,
                f"{file.path} leads {_listed(names)} to several addresses: a client gets all of"
                " them, and tries the first line's first.",
                tuple(line for _, entries in found[:_SHOWN] for line in lines(entries)),
                ("keep the line that is meant",) if severity is Severity.WARNING else (),
                45,
            )


def checkLedHere(file: HostsFile, hostname: str) -> Iterator[Finding]:
    """The names that are led to this machine, to be blocked or to be served here."""
    found: dict[str, Entry] = {}
    for name, entries in file.byName.items():
        isOwn = "." not in name.rstrip(".") or name.startswith("localhost")
        if isOwn or name.endswith(".localhost") or name == hostname.lower():
            continue
        if name.startswith(f"{hostname.lower()}."):
            continue
        here = [entry for entry in entries if isHere(entry.address)]
        if here:
            found[name] = here[0]
    if found:
        first = islice(found.items(), _SHOWN)
        shown = [f"line {one.line}: {escape(name)} → {one.address}" for name, one in first]
        more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
        yield Finding(
            "hosts-led-here",
            Severity.NOTE,
            f"{file.path} leads {_listed(list(found))} to this machine.",
            (
                *shown,
                *more,
                "0.0.0.0 is no wall: a connection to it gets to this machine, as to 127.0.0.1",
            ),
            ("where such names should be answered, and seen: protocol sinkhole",),
            5,
        )


def _isLoopback(entry: Entry) -> bool:
    return isHere(entry.address) and entry.address not in ("0.0.0.0", "::")


def _places(entries: Sequence[Entry]) -> str:
    return " and ".join(dict.fromkeys(entry.address for entry in entries))


def _said(resolved: Resolved) -> str:
    return f"getaddrinfo: {resolved.name}: {', '.join(resolved.addresses) or resolved.error}"


def _listed(names: Sequence[str]) -> str:
    if len(names) > 3:
        return f"{len(names)} names"
    shown = [escape(name) for name in names]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
