"""What a server says to a client that speaks TLS or HTTP, where a URL asks for that."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from loopbackd.doctor.asked import Asked
from loopbackd.doctor.checks.answer import checkAnswer, checkTLSInstead
from loopbackd.doctor.checks.certificate import checkCertificate, checkReadable
from loopbackd.doctor.checks.handshake import checkHandshake
from loopbackd.doctor.facts.answer import Heard, answer
from loopbackd.doctor.facts.judged import judged
from loopbackd.doctor.facts.served import Outcome, served
from loopbackd.doctor.finding import Finding

_HTTP: Final = (b"http/1.1",)
_SPEECHLESS: Final = frozenset({Heard.CLOSED, Heard.RESET, Heard.NOTHING})
"""How some servers of TLS answer whoever does not speak it."""


def speaking(asked: Asked, host: str, environ: Mapping[str, str]) -> Iterator[Finding]:
    """
    Say what is to be found about TLS and HTTP at an address that takes connections.

    Nothing is said to the server where the URL asks for neither. Takes about two seconds for each,
    at most. Never call it for the port of a Java debugger.

    @param host: the IP address.
    @param environ: where loopbackd's authority is looked for.
    """
    with warnings.catch_warnings():
        # What is odd about a certificate is for the checks to say; cryptography warns of it, too.
        warnings.simplefilter("ignore", UserWarning)
        found = list(_said(asked, host, environ))
    yield from found


def _said(asked: Asked, host: str, environ: Mapping[str, str]) -> Iterator[Finding]:
    if asked.isTLS:
        found = served(host, asked.port, asked.host, _HTTP if asked.isHTTP else ())
        yield from checkHandshake(found)
        yield from checkReadable(found)
        if found.chain:
            now = datetime.now(UTC)
            yield from checkCertificate(found, judged(found.chain, environ), now)
        if found.outcome is not Outcome.DONE or found.isCut:
            return
    if asked.isHTTP:
        said = answer(asked, host)
        if said.heard in _SPEECHLESS and not asked.isTLS and _speaksTLS(asked, host):
            yield from checkTLSInstead(asked, host)
        else:
            yield from checkAnswer(asked, host, said)


def _speaksTLS(asked: Asked, host: str) -> bool:
    return served(host, asked.port, asked.host, _HTTP).outcome is Outcome.DONE
