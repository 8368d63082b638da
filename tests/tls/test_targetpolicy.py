"""Tests for L{loopbackd.tls.targetpolicy}."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import crypto

from loopbackd.tls.certificates import makeAuthority, newKey
from loopbackd.tls.store import wallClock
from loopbackd.tls.targetpolicy import TargetPolicy, keyHash, parsePin, pinText, targetContext


@given(st.binary(min_size=32, max_size=32))
def test_a_pin_in_every_spelling(digest: bytes) -> None:
    """Hexadecimal as openssl and browsers write it, base64 as in HPKP and in our own messages."""
    plain, safe = base64.b64encode(digest), base64.urlsafe_b64encode(digest)
    for text in (
        digest.hex(),
        digest.hex().upper(),
        digest.hex(":"),
        plain.decode(),
        plain.decode().rstrip("="),
        safe.decode(),
    ):
        for prefix in ("", "sha256:", "SHA256:", "sha256/", "sha256//"):
            assert parsePin(prefix + text) == digest
    assert parsePin(f" {pinText(digest)}\n") == digest


@given(st.text(max_size=70))
def test_a_pin_that_is_none(text: str) -> None:
    """32 bytes, or one line that says what to write."""
    try:
        assert len(parsePin(text)) == 32
    except ValueError as error:
        assert "pin = " in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("text", ["", "sha256:", "abc", "00" * 20, "00" * 33, "sha1:" + "00" * 32])
def test_what_is_too_short_or_too_long(text: str) -> None:
    """Such a pin would never match."""
    with pytest.raises(ValueError, match="no SHA-256"):
        parsePin(text)


def test_a_key_is_hashed_as_others_do() -> None:
    """As C{openssl x509 -pubkey | openssl pkey -pubin -outform der | openssl sha256}."""
    authority = makeAuthority(wallClock()).certificate
    der = authority.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert keyHash(crypto.X509.from_cryptography(authority)) == hashlib.sha256(der).digest()


def test_a_key_of_somebody_else() -> None:
    """It is found out before anything is connected."""
    ours = replace(makeAuthority(wallClock()), key=newKey())
    with pytest.raises(ValueError, match="does not belong"):
        targetContext(TargetPolicy("app.test", credential=ours))
