"""Tests for L{loopbackd.tls.credentials}."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from loopbackd.settings import SettingsError
from loopbackd.tls.certificates import certificatePEM, keyPEM, makeAuthority, makeIntermediate
from loopbackd.tls.credentials import readCredential, readTrusted
from loopbackd.tls.store import wallClock
from tls.ends import written
from tls.targetcases import leaf


def test_whom_to_trust_in_a_file_or_a_directory(tmp_path: Path) -> None:
    """Several in one file, files without any passed over; each certificate once."""
    one, two = (makeAuthority(wallClock()).certificate for _ in range(2))
    file = tmp_path / "both.pem"
    file.write_bytes(certificatePEM(one) + b"words between\n" + certificatePEM(two))
    assert readTrusted(file, "trust") == (one, two)
    (tmp_path / "again.crt").write_bytes(certificatePEM(two))
    (tmp_path / "broken.pem").write_bytes(b"no PEM")
    (tmp_path / "other.txt").write_bytes(certificatePEM(makeAuthority(wallClock()).certificate))
    assert set(readTrusted(tmp_path, "trust")) == {one, two}


def test_what_is_not_there(tmp_path: Path) -> None:
    """One line with the key, the value and the remedy."""
    with pytest.raises(SettingsError, match=r"^trust = '.*nowhere': No such file or directory$"):
        readTrusted(tmp_path / "nowhere", "trust")
    with pytest.raises(SettingsError, match=r"trustRoots = .*no certificate in it; give a PEM"):
        readTrusted(tmp_path, "trustRoots")
    (tmp_path / "endless").symlink_to("/dev/zero")
    with pytest.raises(SettingsError, match="larger than"):
        readTrusted(tmp_path / "endless", "trust")


def test_a_certificate_with_its_chain_and_key(tmp_path: Path) -> None:
    """In one file, or in two."""
    middle = makeIntermediate(makeAuthority(wallClock()), wallClock())
    shown = leaf(middle, purpose="client")
    assert len(shown.chain) == 1
    together = written(tmp_path / "both.pem", shown)
    found = readCredential(together, together, "certificate")
    assert (found.certificate, found.chain) == (shown.certificate, shown.chain)
    assert found.key.private_numbers() == shown.key.private_numbers()  # type: ignore[union-attr]
    alone, key = tmp_path / "alone.pem", tmp_path / "key.pem"
    alone.write_bytes(certificatePEM(shown.certificate))
    key.write_bytes(keyPEM(shown.key))
    assert readCredential(alone, key, "certificate").chain == ()
    with pytest.raises(SettingsError, match=r"private_key = .*no private key in it"):
        readCredential(alone, alone, "certificate")
    with pytest.raises(SettingsError, match=r"certificate = .*no certificate in it"):
        readCredential(key, key, "certificate")
    words = BestAvailableEncryption(b"secret")
    key.write_bytes(shown.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, words))
    with pytest.raises(SettingsError, match="it is encrypted"):
        readCredential(alone, key, "certificate")
