"""Whether a hosts file can be read: by the C library, by other programs, and by everybody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from loopbackd.doctor.facts.hostsfile import HostsFile
from loopbackd.doctor.finding import Finding, Severity

_OVERFLOW: Final = 65534
"""Whoever is nobody in this user namespace (user_namespaces(7))."""

_SHOWN: Final = 5


def checkText(file: HostsFile) -> Iterator[Finding]:
    """Whether every line can be read."""
    yield from _size(file)
    if file.isUTF16:
        yield Finding(
            "hosts-utf16",
            Severity.PROBLEM,
            f"{file.path} is in UTF-16: nothing in it can be read.",
            ("it begins with the byte order mark of UTF-16",),
            (
                f"iconv -f UTF-16 -t UTF-8 {file.path} > hosts.new, look at it, and put it in its"
                " place",
            ),
            90,
        )
        return
    yield from _mark(file)
    yield from _returns(file)
    yield from _badLines(file)
    yield from _encoding(file)


def checkPermissions(file: HostsFile) -> Iterator[Finding]:
    """Whether everybody can read it, and nobody but root can change it."""
    path, mode = file.path, file.mode
    if mode is None:
        return
    evidence = (f"{path}: mode {mode:04o}, owner uid {file.uid}, group gid {file.gid}",)
    if not mode & 0o004:
        yield Finding(
            "hosts-unreadable",
            Severity.PROBLEM,
            f"Not everybody can read {path}: its names lead nowhere for programs of others.",
            evidence,
            (f"chmod 644 {path}",),
            85,
        )
    who = []
    if mode & 0o002:
        who.append("everybody")
    elif mode & 0o020 and file.gid not in (0, _OVERFLOW):
        who.append(f"group {file.gid}")
    if file.uid not in (0, _OVERFLOW):
        who.append(f"uid {file.uid}, who owns it,")
    if who:
        yield Finding(
            "hosts-writable",
            Severity.WARNING,
            f"{' and '.join(who)} can change {path}, and so lead any name anywhere.",
            evidence,
            (f"chown root:root {path} && chmod 644 {path}",),
            30,
        )


def _size(file: HostsFile) -> Iterator[Finding]:
    if file.isCut:
        yield Finding(
            "hosts-large",
            Severity.WARNING,
            f"{file.path} has {file.size} bytes: only the first {file.seen} were looked at, and all"
            " of it is read whenever a name is looked up.",
            (f"{len(file.entries)} of its lines were understood",),
            ("block so many names in a name server of your own: dnsmasq, unbound",),
            30,
        )


def _mark(file: HostsFile) -> Iterator[Finding]:
    if file.hasMark:
        yield Finding(
            "hosts-mark",
            Severity.WARNING,
            f"{file.path} begins with a byte order mark, which spoils its first line.",
            tuple(str(one) for one in file.bad if one.line == 1)
            or ("its first line leads nowhere anyway",),
            (rf"sed -i '1s/^\xEF\xBB\xBF//' {file.path}",),
        )


def _returns(file: HostsFile) -> Iterator[Finding]:
    if file.returns:
        yield Finding(
            "hosts-crlf",
            Severity.WARNING,
            f"{file.returns} lines of {file.path} end as on Windows, with a carriage return.",
            (
                "the C library takes it for white space; scripts that cut the file up have it at"
                " the end of a name",
            ),
            (rf"sed -i 's/\r$//' {file.path}",),
            20,
        )


def _badLines(file: HostsFile) -> Iterator[Finding]:
    bad = [one for one in file.bad if not (file.hasMark and one.line == 1)]
    if bad:
        shown = [str(one) for one in bad[:_SHOWN]]
        if len(bad) > _SHOWN:
            shown.append(f"and {len(bad) - _SHOWN} more, or many more")
        yield Finding(
            "hosts-unreadable-lines",
            Severity.WARNING,
            f"{file.path} has lines that lead nowhere, and nobody says so.",
            tuple(shown),
            ("a line is: address, white space, names; put # before what is none",),
            40,
        )


def _encoding(file: HostsFile) -> Iterator[Finding]:
    if file.notUTF8:
        numbers = ", ".join(map(str, file.notUTF8[:_SHOWN]))
        yield Finding(
            "hosts-not-utf8",
            Severity.WARNING,
            f"{file.path} is not UTF-8: programs that read it as text may fail.",
            (f"line {numbers}" + (", and more" if len(file.notUTF8) > _SHOWN else ""),),
            (f"iconv -f ISO-8859-1 -t UTF-8 {file.path} > hosts.new, if that is what it is in",),
            15,
        )
