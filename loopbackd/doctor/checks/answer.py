"""Whether a request of HTTP is answered, and what is the matter with the answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urljoin, urlsplit

from loopbackd.doctor.asked import Asked
from loopbackd.doctor.checks.handshake import short, shownBytes, speaks
from loopbackd.doctor.facts.answer import Answer, Heard
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.hostport import joined

_PORTS: Final = {"http": 80, "https": 443}
_TLS_RECORD: Final = re.compile(rb"[\x14-\x17]\x03[\x00-\x04]")

_WANTS_TLS: Final = re.compile(
    rb"plain HTTP request was sent to HTTPS port"
    rb"|speaking plain HTTP to an SSL-enabled server port"
    rb"|Client sent an HTTP request to an HTTPS server"
    rb"|combination of host and port requires TLS"
    rb"|TLS is spoken here",
    re.I,
)
"""nginx, Apache, Go, Tomcat and loopbackd to a client without TLS."""

_WANTS_CERTIFICATE: Final = re.compile(rb"No required SSL certificate was sent", re.I)
"""nginx to a client without a certificate."""

_HOST_REFUSALS: Final = (
    (re.compile(rb"Blocked request\. This host", re.I), "Vite", "server.allowedHosts: ['{name}']"),
    (
        re.compile(rb"\A\s*Invalid Host header", re.I),
        "webpack's or another server with a list of hosts",
        "devServer.allowedHosts: ['{name}'] (webpack), allowed_hosts=['{name}'] (Starlette)",
    ),
    (
        re.compile(rb"DisallowedHost|Invalid HTTP_HOST header", re.I),
        "Django",
        "ALLOWED_HOSTS = ['{name}']",
    ),
    (re.compile(rb"Blocked hosts?:", re.I), "Rails", "config.hosts << '{name}'"),
    (re.compile(rb"Invalid Hostname", re.I), "HTTP.sys", "a binding for {name}"),
)
"""What servers say that are asked by a name that they do not know, and how they come to know it."""


def checkAnswer(asked: Asked, host: str, found: Answer) -> Iterator[Finding]:
    """
    Whether the server at an IP address answers what was asked.

    @param asked: a URL of HTTP, or of a WebSocket.
    """
    where = joined(host, asked.port)
    if found.heard is Heard.ANSWER:
        yield from _answered(asked, where, found)
    elif found.heard is Heard.OTHER:
        yield _other(where, found, asked)
    elif found.heard in (Heard.NOTHING, Heard.PART):
        yield Finding(
            "answer-silent",
            Severity.PROBLEM,
            f"{where} takes the connection, and does not answer the request"
            + (" in time." if found.heard is Heard.NOTHING else " as a whole."),
            (
                f"{_tried(asked)} {asked.path}: {found.seconds:.1f} s without "
                + ("a word" if not found.first else f"more than {shownBytes(found.first)}"),
            ),
            (
                "see what it does: it may be busy (compiling at the first request), waiting for"
                " something of its own, or stuck",
                "or it speaks another protocol, and waits for the client to go on",
            ),
            70,
        )
    elif found.heard in (Heard.CLOSED, Heard.RESET):
        how = "closes the connection" if found.heard is Heard.CLOSED else "resets the connection"
        yield Finding(
            "answer-hangs-up",
            Severity.PROBLEM,
            f"{where} {how} and answers nothing.",
            (f"after {_tried(asked)} {asked.path}: {found.heard.name.lower()}",),
            (
                _tryTLS(asked),
                "or it crashed on the request: look at its log",
                "a forwarder does so when nobody listens behind it",
            ),
            75,
        )


def checkTLSInstead(asked: Asked, host: str) -> Iterator[Finding]:
    """Say that TLS is spoken where it was not asked for."""
    yield _tlsExpected(asked, joined(host, asked.port), "a TLS handshake worked there")


def _tried(asked: Asked) -> str:
    return "GET" if asked.scheme in ("ws", "wss") else "HEAD and GET"


def _tryTLS(asked: Asked) -> str:
    if asked.isTLS:
        return "it may want another protocol than HTTP inside of TLS"
    return f"it may want TLS: try {asked.scheme}s://"


def _tlsExpected(asked: Asked, where: str, evidence: str) -> Finding:
    return Finding(
        "tls-expected",
        Severity.PROBLEM,
        f"{where} wants TLS, and was asked without.",
        (evidence,),
        (f"write {asked.scheme}s:// instead of {asked.scheme}://",),
        95,
    )


def _other(where: str, found: Answer, asked: Asked) -> Finding:
    said = f"it answers {found.method} {asked.path} with {shownBytes(found.first)}"
    if _TLS_RECORD.match(found.first) and not asked.isTLS:
        return _tlsExpected(asked, where, f"{said}: a record of TLS")
    protocol = speaks(found.first)
    remedy = "ask on the port of its HTTP server"
    if protocol == "HTTP/2":
        remedy = "it speaks HTTP/2 alone (gRPC): have the client begin with that"
    return Finding(
        "answer-not-http",
        Severity.PROBLEM,
        f"{where} does not speak HTTP/1.1, but {protocol or 'something else'}.",
        (said,),
        (remedy, "or stop it and have your server listen there: loopbackd port says who it is"),
        90,
    )


def _answered(asked: Asked, where: str, found: Answer) -> Iterator[Finding]:
    status = f"{found.status} {short(found.reason)}".strip()
    line = f"{found.method} {asked.path}: {status}"
    server = (f"Server: {short(found.fields['server'])}",) if found.fields.get("server") else ()
    words = (f"it says {shownBytes(found.body.strip())}",) if found.body.strip() else ()
    evidence = (line, *server, *words)
    if not asked.isTLS and _WANTS_TLS.search(found.body) and found.status >= 400:
        yield _tlsExpected(asked, where, f"{line}, {shownBytes(found.body.strip())}")
    elif _WANTS_CERTIFICATE.search(found.body) and found.status == 400:
        yield Finding(
            "tls-client-certificate",
            Severity.PROBLEM,
            f"{where} turns away clients that show no certificate.",
            evidence,
            ("have the client show one: curl --cert FILE --key FILE",),
            80,
        )
    elif refusal := _hostRefusal(asked, found):
        who, remedy, known = refusal
        yield Finding(
            "host-refused",
            Severity.PROBLEM,
            f"{where} does not answer requests for {asked.host!r}: {who} does not know the name.",
            (*evidence, *known),
            (
                f"have it know the name: {remedy.format(name=asked.host)}",
                f"or ask by a name that it knows: {asked.scheme}://localhost:{asked.port}{asked.path}",
            ),
            85,
        )
    elif asked.scheme in ("ws", "wss"):
        yield _opened(where, found, evidence)
    elif found.status >= 400:
        yield Finding(
            "answer-error",
            Severity.NOTE,
            f"{where} answers, with an error: {status}.",
            evidence,
            _aboutError(found.status),
        )
    elif 300 <= found.status < 400 and found.fields.get("location"):
        yield from _redirected(asked, where, found, evidence)
    else:
        yield Finding("answers-http", Severity.NOTE, f"{where} answers: {status}.", evidence)


def _opened(where: str, found: Answer, evidence: tuple[str, ...]) -> Finding:
    if found.status == 101:
        return Finding("answers-websocket", Severity.NOTE, f"{where} opens WebSockets.", evidence)
    return Finding(
        "websocket-refused",
        Severity.PROBLEM,
        f"{where} answers, and opens no WebSocket: {found.status} {short(found.reason)}".strip()
        + ".",
        evidence,
        (
            "look at the path, and at what the server wants: an Origin, a subprotocol, a login",
            "a proxy between must pass on Upgrade and Connection",
        ),
        75,
    )


def _hostRefusal(asked: Asked, found: Answer) -> tuple[str, str, tuple[str, ...]] | None:
    """Who refuses the name, how it comes to know it, and how that is known."""
    known: tuple[str, ...] = ()
    if found.asLocalhost and found.asLocalhost < 400:
        known = (f"the same with Host: localhost: {found.asLocalhost}",)
    for pattern, who, remedy in _HOST_REFUSALS:
        if pattern.search(found.body):
            return who, remedy, known
    if found.status == 421 or known:
        return "the server", "add '{name}' to the hosts that it answers to", known
    return None


def _aboutError(status: int) -> tuple[str, ...]:
    if status in (502, 503, 504):
        return ("it stands in front of another server, which does not answer: look at that one",)
    if status in (401, 403, 407):
        return ("it wants to know who asks: log in, or look at what it allows",)
    if status == 404:
        return ("the server is there; the path is not",)
    if status >= 500:
        return ("look at the log of the server",)
    return ()


def _redirected(
    asked: Asked, where: str, found: Answer, evidence: tuple[str, ...]
) -> Iterator[Finding]:
    location = found.fields["location"]
    base = f"{asked.scheme}://{asked}{asked.path}"
    try:
        target = urlsplit(urljoin(base, location))
        host, port = target.hostname or "", target.port or _PORTS.get(target.scheme, 0)
    except ValueError:
        host, port, target = "", 0, urlsplit("")
    if (host, port, target.scheme) == (asked.host, asked.port, asked.scheme):
        yield Finding(
            "answers-http",
            Severity.NOTE,
            f"{where} answers: {found.status} to another place of its own.",
            (*evidence, f"Location: {short(location)}"),
        )
        return
    yield Finding(
        "redirects-elsewhere",
        Severity.NOTE,
        f"{where} sends clients elsewhere: to {short(location)}.",
        (*evidence, f"Location: {short(location)}"),
        ("where that is not meant: look at the server's own idea of its name, port and scheme",),
    )
