"""
The hosts file (hosts(5)): which names it leads where, and what is wrong with its text.

It is read as the C library reads it: an address, white space, names; C{#} begins a comment; the
address as inet_pton(3) takes it, so that C{127.1} is none; the first line is no different from the
others, so that a byte order mark there spoils it. A line that cannot be read leads nowhere, and
nobody is told.
"""

from __future__ import annotations

import os
import socket
import stat
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from ipaddress import ip_address
from typing import Final

from loopbackd.doctor.facts.files import readRegular
from loopbackd.loglines import escape, reasonOf

HOSTS: Final = "/etc/hosts"
"""The one that the system asks."""

MOST: Final = 8 << 20
"""Bytes of it that are looked at: more than the lists of blocked names that people share have."""

_MOST_BAD: Final = 100
_LONGEST_SHOWN: Final = 80
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One line that leads somewhere.

    @ivar line: its number, from 1.
    @ivar names: in lower case.
    """

    line: int
    address: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        """The line, short and safe to show."""
        return f"line {self.line}: {_shown(' '.join((self.address, *self.names)))}"


@dataclass(frozen=True, slots=True)
class BadLine:
    """
    One line that cannot be read.

    @ivar text: safe to show.
    @ivar why: what is wrong with it, in words.
    """

    line: int
    text: str
    why: str

    def __str__(self) -> str:
        """Both, on one line."""
        return f"line {self.line}: {self.text}: {self.why}"


@dataclass(frozen=True)
class HostsFile:
    """
    A hosts file.

    @ivar missing: why it could not be read; empty if it could.
    @ivar bad: the lines that are no use, the first hundred of them.
    @ivar notUTF8: the numbers of the lines that are not UTF-8, as many.
    @ivar returns: how many lines end with a carriage return.
    @ivar hasMark: it begins with a byte order mark.
    @ivar isUTF16: by that mark, so that nothing of it can be read.
    @ivar size: in bytes.
    @ivar seen: how many of them were looked at.
    @ivar mode: its permissions; L{None} where there is no file.
    @ivar uid: who owns it.
    @ivar gid: the same for the group.
    """

    path: str = HOSTS
    missing: str = ""
    entries: tuple[Entry, ...] = ()
    bad: tuple[BadLine, ...] = ()
    notUTF8: tuple[int, ...] = ()
    returns: int = 0
    hasMark: bool = False
    isUTF16: bool = False
    size: int = 0
    seen: int = 0
    mode: int | None = None
    uid: int = 0
    gid: int = 0

    @cached_property
    def byName(self) -> dict[str, list[Entry]]:
        """The lines of each name, in their order."""
        found: defaultdict[str, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            for name in dict.fromkeys(entry.names):
                found[name].append(entry)
        return dict(found)

    @property
    def isCut(self) -> bool:
        """Whether there is more of it than was looked at."""
        return self.seen < self.size

    @property
    def lacksIt(self) -> str:
        """In words, that it does not have a name, as far as was looked."""
        where = f" in its first {self.seen} bytes" if self.isCut else ""
        return f"{self.path} does not have it{where}"

    def entriesOf(self, name: str) -> list[Entry]:
        """The lines that have a name, in their order; a final dot counts, as for the C library."""
        return self.byName.get(name.lower(), [])


@lru_cache(4096)
def isHere(address: str) -> bool:
    """Whether connecting to an address stays on this machine: loopback, or no address at all."""
    found = ip_address(address)
    found = getattr(found, "ipv4_mapped", None) or found
    return found.is_loopback or found.is_unspecified


def parseHosts(data: bytes, path: str = HOSTS) -> HostsFile:
    """Understand the text of a hosts file; any bytes are one."""
    entries: list[Entry] = []
    bad: list[BadLine] = []
    notUTF8: list[int] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.isascii() and len(notUTF8) < _MOST_BAD and not _isUTF8(line):
            notUTF8.append(number)
        words = line.partition(b"#")[0].split()
        if not words:
            continue
        if len(words) > 1 and b"\0" not in line and _isAddress(words[0]):
            names = b" ".join(words[1:]).lower().decode("utf-8", "backslashreplace")
            entries.append(Entry(number, words[0].decode(), tuple(names.split(" "))))
        elif len(bad) < _MOST_BAD:
            bad.append(_badLine(number, line, words))
    return HostsFile(
        path,
        entries=tuple(entries),
        bad=tuple(bad),
        notUTF8=tuple(notUTF8),
        returns=data.count(b"\r\n") + data.endswith(b"\r"),
        hasMark=data.startswith((_UTF8_MARK, *_UTF16_MARKS)),
        isUTF16=data.startswith(_UTF16_MARKS),
        size=len(data),
        seen=len(data),
    )


def readHosts(path: str = HOSTS) -> HostsFile:
    """Read a hosts file; never raises for what the system refuses."""
    try:
        data, status = readRegular(path, MOST + 1)
    except (OSError, ValueError) as error:
        return _unread(path, reasonOf(error))
    size = max(len(data), status.st_size)
    if len(data) > MOST:
        # No line is half a line.
        data = data[: data.rfind(b"\n", 0, MOST) + 1]
    return _owned(replace(parseHosts(data, path), size=size), status)


def _unread(path: str, why: str) -> HostsFile:
    try:
        return _owned(HostsFile(path, why), os.stat(path))
    except (OSError, ValueError):
        return HostsFile(path, why)


def _owned(found: HostsFile, status: os.stat_result) -> HostsFile:
    return replace(found, mode=stat.S_IMODE(status.st_mode), uid=status.st_uid, gid=status.st_gid)


def _badLine(number: int, line: bytes, words: list[bytes]) -> BadLine:
    address = words[0]
    if b"\0" in line:
        why = "it has bytes that are zero"
    elif _isAddress(address):
        why = "an address, and no name"
    elif number == 1 and address.startswith(_UTF8_MARK):
        why = "the byte order mark before it makes the address unreadable"
    elif b"%" in address and _isAddress(address.partition(b"%")[0]):
        why = "an address with a zone is not taken here"
    else:
        why = f"it does not begin with an address, but with {_shown(_text(address))}"
    return BadLine(number, _shown(_text(line.strip())), why)


@lru_cache(4096)
def _isAddress(word: bytes) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6 if b":" in word else socket.AF_INET, word.decode("ascii"))
    except (OSError, ValueError):
        return False
    return True


def _isUTF8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def _shown(text: str) -> str:
    safe = escape(text[: _LONGEST_SHOWN + 1]).replace("\ufeff", "\\ufeff")
    return safe if len(safe) <= _LONGEST_SHOWN else safe[: _LONGEST_SHOWN - 3] + "..."


def lines(entries: list[Entry], most: int = 5) -> Iterator[str]:
    """Lines for people, and how many more there are."""
    for entry in entries[:most]:
        yield str(entry)
    if len(entries) > most:
        yield f"and {len(entries) - most} more lines"
