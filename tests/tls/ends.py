"""The other end of TLS: clients that do one thing at a time, OpenSSL, and their certificates."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography import x509
from OpenSSL import SSL, crypto
from running import PATIENCE
from twisted.internet.threads import deferToThread

from loopbackd.testing import addressOf
from loopbackd.tls.certificates import Credential, certificatePEM, keyPEM
from loopbackd.tls.store import AuthorityStore

VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}


def storeIn(tmp_path: Path) -> AuthorityStore:
    """The authority of the test (see conftest.py)."""
    return AuthorityStore(tmp_path / "state" / "authority")


def trusting(store: AuthorityStore, **others: Any) -> ssl.SSLContext:
    """A context of Python's that trusts the authority and nobody else."""
    store.root()
    context = ssl.create_default_context(cafile=store.publicPath)
    for name, value in others.items():
        setattr(context, name, value)
    return context


def clientContext(
    version: str | None = None,
    trusted: x509.Certificate | None = None,
    credential: Credential | None = None,
    alpn: tuple[bytes, ...] = (),
) -> SSL.Context:
    """A context of pyOpenSSL's; it verifies only if it is told whom to trust."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    if version is not None:
        context.set_min_proto_version(VERSIONS[version])
        context.set_max_proto_version(VERSIONS[version])
    if trusted is not None:
        store: Any = context.get_cert_store()
        store.add_cert(crypto.X509.from_cryptography(trusted))
        context.set_verify(SSL.VERIFY_PEER)
    if credential is not None:
        context.use_certificate(credential.certificate)
        context.use_privatekey(credential.key)
        for above in credential.chain:
            context.add_extra_chain_cert(above)
    if alpn:
        context.set_alpn_protos(list(alpn))
    return context


class Client:
    """
    A blocking TLS client in which nothing happens by itself.

    @ivar ended: the peer has said close_notify.
    @ivar cut: the stream beneath ended without it.
    """

    def __init__(
        self, port: int, context: SSL.Context, name: str | None = "localhost", session: Any = None
    ) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.tls = self.fresh(context, name, session)
        self.ended = self.cut = False

    @staticmethod
    def fresh(context: SSL.Context, name: str | None, session: Any = None) -> SSL.Connection:
        """OpenSSL's end of a connection that has not begun."""
        tls = SSL.Connection(context, None)
        if name is not None:
            tls.set_tlsext_host_name(name.encode())
        if session is not None:
            tls.set_session(session)
        tls.set_connect_state()
        return tls

    def flush(self) -> None:
        """Send what OpenSSL wants to have sent."""
        try:
            while True:
                self.sock.sendall(self.tls.bio_read(1 << 16))
        except SSL.WantReadError:
            pass

    def fill(self) -> bool:
        """Hear something; false at the end."""
        data = self.sock.recv(1 << 16)
        if data:
            self.tls.bio_write(data)
        return bool(data)

    def shake(self) -> Client:
        """Do the handshake."""
        while True:
            try:
                self.tls.do_handshake()
                self.flush()
                return self
            except SSL.WantReadError:
                self.flush()
                if not self.fill():
                    raise EOFError("the handshake was cut off") from None

    def say(self, data: bytes) -> None:
        """Send that."""
        for at in range(0, len(data), 1 << 14):
            self.tls.send(data[at : at + (1 << 14)])
            self.flush()

    def finish(self) -> None:
        """Say close_notify."""
        self.tls.shutdown()
        self.flush()

    def hear(self, size: int = 1 << 30) -> bytes:
        """So many bytes, or all until the end, which L{ended} and L{cut} tell of."""
        heard = bytearray()
        while len(heard) < size:
            try:
                heard += self.tls.recv(min(size - len(heard), 1 << 16))
            except SSL.WantReadError:
                if not self.fill():
                    self.cut = True
                    break
            except SSL.ZeroReturnError:
                self.ended = True
                break
        return bytes(heard)

    def close(self) -> None:
        """Be gone."""
        self.sock.close()


@contextmanager
def client(loopback: Any, *arguments: Any, **others: Any) -> Iterator[Client]:
    """A client that has done its handshake; a port number will do as well."""
    port = loopback if isinstance(loopback, int) else addressOf(loopback).port  # type: ignore[attr-defined]
    made = Client(port, *arguments, **others)
    try:
        yield made.shake()
    finally:
        made.close()


async def ran(*words: str, input: str = "") -> tuple[int, str]:
    """The exit code of a program, and all that it said."""

    def run() -> tuple[int, str]:
        done = subprocess.run(
            words, input=input, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return await deferToThread(run)


def written(path: Path, credential: Credential) -> Path:
    """A credential as a PEM file, the chain behind it."""
    certificates = (credential.certificate, *credential.chain)
    path.write_bytes(keyPEM(credential.key) + b"".join(map(certificatePEM, certificates)))
    return path


@contextmanager
def opensslServer(binary: str, *options: str) -> Iterator[int]:
    """C{openssl s_server} with these options; its port."""
    words = [binary, "s_server", "-accept", "127.0.0.1:0", *options]
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


def opensslShowing(binary: str, path: Path, credential: Credential, *options: str) -> Any:
    """
    The same, with this certificate and its chain, for whoever asks for pages.

    @param path: a file for them.
    """
    shown = str(written(path, credential))
    chain = ["-cert_chain", shown] if credential.chain else []
    return opensslServer(binary, "-www", "-cert", shown, *chain, *options)
