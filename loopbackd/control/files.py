"""
What only the daemon's own user, and root, may have services do: read files, make or use unix
sockets, take descriptors over.

All of it is done with the daemon's rights. Who is named in C{uids} need not have these, and could
read the key of the local authority with them, or ask who lets the daemon in.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from socket import AF_UNIX
from typing import Final

from loopbackd.control.visitors import mayCome
from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import Request
from loopbackd.httpsettings import AnswerSettings, StubSettings
from loopbackd.net.endpoint import split
from loopbackd.protocols.relay.target import parseTarget
from loopbackd.settings import ServiceSettings

_ENDPOINTS: Final = frozenset(["tcp", "tcp6"])
_PLAIN: Final = frozenset(["", "host", "port", "timeout", "bindAddress"])
_UNNAMED: Final = 3  # tls, host, port

Named = tuple[str, str]
"""A key of a configuration, and what it names."""


def refuseFiles(request: Request, wanted: Iterable[Named], had: Iterable[Named] = ()) -> None:
    """
    Make sure that whoever asks may have that.

    @param had: what is there already, whoever asked for it.
    @raise HTTPError: 403; and why.
    """
    for key, name in sorted(set(wanted) - set(had)):
        connection = request.on.connection
        peer = None if connection is None else connection.peer
        if not mayCome(None if peer is None else peer.uid, frozenset()):
            raise HTTPError(
                403,
                f"{key} = {name[:100]!r}: that is done with the daemon's rights, for root and for"
                f" uid {os.geteuid()} alone; write it into the configuration",
            )


def namedBy(settings: ServiceSettings) -> Iterator[Named]:
    """All that a service names of this kind."""
    if split(settings.endpoint)[0][1] not in _ENDPOINTS:
        yield "endpoint", settings.endpoint
    yield from namedByTarget(settings.target)
    if settings.tls is not None and settings.tls.client_ca not in ("", "own"):
        yield "client_ca", settings.tls.client_ca
    asked = None if settings.relay is None else settings.relay.tls
    if asked is not None:
        if asked.trust not in ("system", "own"):
            yield "trust", asked.trust
        for key in ("certificate", "private_key"):
            if getattr(asked, key):
                yield key, getattr(asked, key)
    for stub in () if settings.http is None else settings.http.stub:
        yield from namedByStub(stub)


def namedByTarget(target: str) -> Iterator[Named]:
    """The same for where a relay leads to."""
    parts = split(target)
    if parts[0][1] == "tls":
        # Everything but where it leads is said elsewhere.
        unnamed = sum(1 for name, _ in parts if not name)
        isOther = unnamed > _UNNAMED or any(name not in _PLAIN for name, _ in parts)
    else:
        try:
            found = parseTarget(target)
        except ValueError:
            return
        isOther = bool(found.endpoint) or any(kind == AF_UNIX for kind, _ in found.addresses)
    if isOther:
        yield "target", target


def namedByStub(stub: StubSettings) -> Iterator[Named]:
    """The same for a stub."""
    answers = (stub.answer,) if isinstance(stub.answer, AnswerSettings) else stub.answer
    for answer in answers:
        for key in ("file", "template_file"):
            if getattr(answer, key):
                yield key, getattr(answer, key)
