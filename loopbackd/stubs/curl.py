"""A request as a command of curl's, for a POSIX shell."""

from __future__ import annotations

import re
from shlex import quote
from typing import Final

from twisted.internet.address import UNIXAddress

from loopbackd.hostport import joined
from loopbackd.http.hosts import splitHost
from loopbackd.net.endpoint import leadsHere
from loopbackd.stubs.journal import Entry

_PRINTABLE: Final = re.compile(rb"[\t\n\x20-\x7e]*")
_LONGEST_WORD: Final = 60_000
"""Bytes of a body that is a word of the command; the system has a bound for those."""

_PIECE: Final = 4096
_HYPHEN: Final = "\\055"


def curlCommand(entry: Entry) -> str:
    """
    The command that sends the same request: the same fields and the same bytes.

    The body is a word of the command where it is text, and else comes by C{printf}.  What only
    delimits the message is left to curl; names of fields that curl adds are taken out.
    """
    head = entry.head
    words = ["curl", "-sS", "-g", "--path-as-is"]
    if not head.minor:
        words.append("--http1.0")
    if head.method == "HEAD":
        words.append("--head")
    else:
        words += ["-X", quote(head.method)]
    path = head.target
    if not path.startswith(b"/"):
        words += ["--request-target", _word(path)]
        path = b"/"
    authority, options = _place(entry)
    words += options + _fields(entry, authority)
    url = f"{entry.scheme}://{authority}".encode("latin-1") + path
    body = entry.body.data
    pipe = note = ""
    if body:
        if _PRINTABLE.fullmatch(body) is not None and len(body) <= _LONGEST_WORD:
            words += ["--data-raw", quote(body.decode("ascii"))]
        else:
            words += ["--data-binary", "@-"]
            pipe = f"{{ {'; '.join(_printf(body))}; }} | "
    if entry.body.isCut:
        note = f"# only {len(body)} of {entry.body.size} bytes of the body were kept\n"
    return f"{note}{pipe}{' '.join([*words, _word(url)])}"


def _place(entry: Entry) -> tuple[str, list[str]]:
    """
    Where it goes: the authority of its address, and options.

    Where the client's name for us would lead elsewhere, it is told in C{Host}.
    """
    here, named = entry.here, entry.head.host.decode("latin-1")
    if isinstance(here, UNIXAddress):
        return named or "localhost", ["--unix-socket", quote(str(here.name or b"", "utf-8"))]
    host, port = splitHost(named)
    default = 443 if entry.scheme == "https" else 80
    if leadsHere(host) and (port or str(default)) == str(here.port):
        return named, []
    return joined(here.host, here.port), []


def _fields(entry: Entry, authority: str) -> list[str]:
    head, body = entry.head, entry.body.data
    words: list[str] = []
    names = set()
    for name, value in head.fields.pairs:
        key = name.lower()
        names.add(key)
        if key == b"content-length" or (key == b"host" and value == authority.encode("latin-1")):
            continue
        if key == b"transfer-encoding" and not body:
            continue
        words += ["-H", _word(name + b": " + value if value else name + b";")]
    added = [b"Host", b"User-Agent", b"Accept"] if not head.host else [b"User-Agent", b"Accept"]
    if body:
        added += [b"Content-Type", b"Expect"]
    for name in added:
        if name.lower() not in names:
            words += ["-H", quote(f"{name.decode()}:")]
    return words


def _word(text: bytes) -> str:
    """Bytes as a word of the shell; those that are not ASCII by a command of its own."""
    if _PRINTABLE.fullmatch(text) is not None:
        return quote(text.decode("ascii"))
    return f'"$({_printf(text)[0]})"'


def _printf(data: bytes) -> list[str]:
    """Commands that print these bytes."""
    pieces = ["".join(map(_octal, data[at : at + _PIECE])) for at in range(0, len(data), _PIECE)]
    # What begins with a hyphen would be an option.
    return [f"printf '{_HYPHEN + one[1:] if one.startswith('-') else one}'" for one in pieces]


def _octal(byte: int) -> str:
    character = chr(byte)
    if character.isascii() and (
        character.isalnum() or character in " !#$&()*+,-./:;<=>?@[]^_`{|}~"
    ):
        return character
    return f"\\{byte:03o}"
