"""PEM files that are not ours: whom to trust, and what to show."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from loopbackd.explaining import shown
from loopbackd.settings import SettingsError
from loopbackd.tls.certificates import Credential

_LARGEST: Final = 1 << 22
_ENDINGS: Final = (".pem", ".crt")


def readTrusted(path: Path, key: str) -> tuple[x509.Certificate, ...]:
    """
    The certificates in a PEM file, or in the C{.pem} and C{.crt} files of a directory.

    @param key: what the settings call it, for the message.
    @raise SettingsError: there are none, or they cannot be read.
    """
    path = path.expanduser()
    files = [path]
    if path.is_dir():
        files = sorted(one for one in path.iterdir() if one.suffix in _ENDINGS)
    found: dict[x509.Certificate, None] = {}
    for file in files:
        try:
            found.update(dict.fromkeys(x509.load_pem_x509_certificates(_read(file, key))))
        except ValueError:
            # One that has none, or another's that is broken: what counts is what is found.
            continue
    if not found:
        raise SettingsError(
            f"{key} = {shown(str(path))}: there is no certificate in it; give a PEM file with those"
            " of the authorities that sign for the target, 'own' or 'system'"
        )
    return tuple(found)


def readCredential(certificate: Path, privateKey: Path, key: str) -> Credential:
    """
    A certificate with what is between it and a root, and its key.

    @param privateKey: where the key is; the same file will do.
    @param key: what the settings call the certificate, for the message.
    @raise SettingsError: one of them is not there, or cannot be read.
    """
    place = f"{key} = {shown(str(certificate))}"
    try:
        first, *chain = x509.load_pem_x509_certificates(_read(certificate.expanduser(), key))
    except ValueError:
        raise SettingsError(f"{place}: there is no certificate in it; give a PEM file") from None
    words = _read(privateKey.expanduser(), "private_key")
    try:
        found: Any = load_pem_private_key(words, None)
    except TypeError:
        raise SettingsError(
            f"private_key = {shown(str(privateKey))}: it is encrypted, and nobody is here to be"
            " asked for the password; give one that is not"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise SettingsError(
            f"private_key = {shown(str(privateKey))}: there is no private key in it; give a PEM"
            " file with the key of the certificate"
        ) from None
    return Credential(found, first, tuple(chain))


def _read(path: Path, key: str) -> bytes:
    try:
        with path.open("rb") as file:
            words = file.read(_LARGEST + 1)
    except OSError as error:
        raise SettingsError(f"{key} = {shown(str(path))}: {error.strerror}") from None
    if len(words) > _LARGEST:
        raise SettingsError(f"{key} = {shown(str(path))}: it is larger than {_LARGEST} bytes")
    return words
