"""Servers that say one thing, for the doctor to talk to, and the gist of what it finds."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from running import PATIENCE

from loopbackd.doctor.finding import Finding, Severity

HERE = "127.0.0.1"


def kinds(findings: Iterable[Finding]) -> list[str]:
    """Their names."""
    return [one.kind for one in findings]


def wrong(findings: Iterable[Finding]) -> list[str]:
    """The kinds of what is wrong."""
    return [one.kind for one in findings if one.severity is not Severity.NOTE]


Say = Callable[[bytes], bytes | None]
"""What is answered to what was heard first; L{None} for silence, nothing for hanging up."""


@contextmanager
def answering(say: Say, hears: bool = True, host: str = HERE, port: int = 0) -> Iterator[int]:
    """
    A server that answers each connection once; its port.

    @param hears: it waits for the client to say something.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.create_server((host, port), family=family)
    kept: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            kept.append(client)
            client.settimeout(PATIENCE)
            answer = say(client.recv(65536) if hears else b"")
            if answer is not None:
                client.sendall(answer)
                client.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield int(server.getsockname()[1])
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(PATIENCE)
        for client in kept:
            client.close()


def http(status: str, body: bytes = b"", **fields: str) -> Say:
    """The same answer to every request."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in named.items()]
    head = "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")

    def say(request: bytes) -> bytes:
        return head if request.startswith(b"HEAD ") else head + body

    return say
