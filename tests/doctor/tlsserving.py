"""Servers that are real, and wrong in one thing, for the doctor to talk to."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from loopbackd.tls.certificates import Credential, certificatePEM, keyPEM

PATIENCE = 20.0

Program = Callable[..., str]


def written(directory: Path, credential: Credential) -> tuple[str, str]:
    """The files of a certificate with its chain, and of its key."""
    shown, key = directory / "shown.pem", directory / "key.pem"
    shown.write_bytes(b"".join(map(certificatePEM, (credential.certificate, *credential.chain))))
    key.write_bytes(keyPEM(credential.key))
    return str(shown), str(key)


@contextmanager
def openssl(program: Program, *options: str) -> Iterator[int]:
    """C{openssl s_server} with these options; its port."""
    words = [program("openssl"), "s_server", "-www", "-accept", "127.0.0.1:0", *options]
    process = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith(b"ACCEPT"):
                yield int(line.rpartition(b":")[2])
                break
        else:
            raise AssertionError(f"{words} did not start")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


Say = Callable[[bytes], bytes | None]
"""What is answered to what was heard first; L{None} for silence, nothing for hanging up."""


@contextmanager
def answering(
    say: Say, hears: bool = True, host: str = "127.0.0.1", port: int = 0
) -> Iterator[int]:
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
