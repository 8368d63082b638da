"""Tests for L{loopbackd.tls.hello}."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from loopbackd.tls.hello import HELLO_LIMIT, ClientHello, HelloError, readHello
from tls.ends import clientContext


def hello(name: str | None = "a.test", alpn: tuple[bytes, ...] = ()) -> bytes:
    """What OpenSSL says first."""
    tls = SSL.Connection(clientContext(alpn=alpn), None)
    if name is not None:
        tls.set_tlsext_host_name(name.encode())
    tls.set_connect_state()
    with pytest.raises(SSL.WantReadError):
        tls.do_handshake()
    return tls.bio_read(1 << 16)


def records(message: bytes, size: int) -> bytes:
    """A handshake message in records of that many bytes."""
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece for piece in pieces)


def message(extensions: bytes) -> bytes:
    """A ClientHello with these extensions and little else."""
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\x13\x01" + b"\x01\0"
    body += len(extensions).to_bytes(2, "big") + extensions
    return b"\x01" + len(body).to_bytes(3, "big") + body


def test_what_openssl_asks_for() -> None:
    """The name in lower case and without its dot, ALPN in order, the groups by number."""
    found = readHello(hello("Some.TEST.", (b"h2", b"http/1.1")))
    assert found is not None
    assert (found.serverName, found.alpn) == ("some.test", (b"h2", b"http/1.1"))
    assert 0x001D in found.groups


def test_who_asks_for_nothing() -> None:
    """There is no name then, and no protocol."""
    found = readHello(hello(None))
    assert found is not None
    assert (found.serverName, found.alpn) == ("", ())
    assert readHello(records(message(b"")[:-2], 100)) is None
    ancient = b"\x01\0\0\x29\x03\x03" + bytes(32) + b"\0\0\x02\x13\x01\x01\0"
    assert readHello(records(ancient, 99)) == ClientHello()


@given(st.integers(1, 600))
def test_a_hello_in_many_records(size: int) -> None:
    """However small they are, it is the same."""
    plain = hello("b.test")
    assert readHello(records(plain[5:], size)) == readHello(plain)


@given(st.integers(0, 600))
def test_a_part_is_not_enough(size: int) -> None:
    """Anything less than all of it asks for more."""
    plain = hello()
    part = plain[: min(size, len(plain) - 1)]
    assert readHello(part) is None


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(noise: bytes, extensions: bytes) -> None:
    """Nothing but the one error comes of it."""
    for data in (noise, b"\x16\x03\x01" + noise, records(message(extensions), 1000)):
        with suppress(HelloError):
            readHello(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x17\x03\x03\x00\x01a", "record type 23"),
        (b"\x16\x03\x03\x00\x00", "a record of 0 bytes"),
        (b"\x16\x03\x03\xff\xff", "a record of 65535 bytes"),
        (records(b"\x02\0\0\x01a", 9), "message 2, not ClientHello"),
        (records(b"\x01\xff\xff\xff", 9), "too long"),
        (records(b"\x01\0\0\x01a", 9), "in the middle of a field"),
        (records(b"\x01" + (30_000).to_bytes(3, "big") + bytes(3_000), 1), "many pieces"),
        (records(b"\x01" + (HELLO_LIMIT - 4).to_bytes(3, "big") + bytes(30_000), 1), "many pieces"),
        (records(message(b"\0\0\0\x07\0\x05\0\0\x02\xc3\xa4"), 99), "is not ASCII"),
    ],
)
def test_what_is_no_hello(data: bytes, said: str) -> None:
    """Is said to be none, and why."""
    with pytest.raises(HelloError, match=said):
        readHello(data)


def test_a_name_that_is_no_host() -> None:
    """Kinds of name that nobody has defined are passed over."""
    listed = b"\x07\0\x01x" + b"\0\0\x01y"
    extension = b"\0\0" + (len(listed) + 2).to_bytes(2, "big") + len(listed).to_bytes(2, "big")
    found = readHello(records(message(extension + listed), 99))
    assert found is not None and found.serverName == "y"
