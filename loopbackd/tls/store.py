"""
Where the authority is kept: a directory of its owner's alone.

C{private.pem} has the key and the certificate, so that they come into being as one;
C{authority.crt} is the certificate again, for those who are to trust it; C{revoked.txt} has a line
for each certificate taken back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.logger import Logger

from loopbackd.settings import SettingsError
from loopbackd.tls.certificates import (
    BACKDATED,
    Credential,
    Revocation,
    certificatePEM,
    keyPEM,
    makeAuthority,
    makeRevocationList,
)
from loopbackd.tls.directory import PrivateDirectory
from loopbackd.tls.files import readSmall

_log = Logger()

PRIVATE: Final = "private.pem"
PUBLIC: Final = "authority.crt"
REVOKED: Final = "revoked.txt"

RENEWED_BEFORE: Final = timedelta(days=30)
"""So long before its end an authority is renewed."""

# Certificates revoked on purpose that are remembered; one is made a day, for each port.
_MOST_ON_PURPOSE = 1024


def wallClock() -> datetime:
    """The time that certificates are about."""
    return datetime.now(UTC)


def stateDirectory(environ: Mapping[str, str], directory: str = "") -> Path:
    """
    Where the authority's files are, or will be.

    @param directory: what the configuration says, which comes first; after it
        C{$LOOPBACKD_STATE_DIR}, systemd's C{$STATE_DIRECTORY}, C{$XDG_STATE_HOME/loopbackd} and
        C{~/.local/state/loopbackd}, each with C{authority} below it.
    """
    if directory:
        return Path(directory).expanduser()
    own = environ.get("LOOPBACKD_STATE_DIR") or environ.get("STATE_DIRECTORY", "").split(":")[0]
    if own:
        return Path(own) / "authority"
    home = environ.get("XDG_STATE_HOME", "")
    # The specification wants relative ones ignored.
    state = Path(home) if os.path.isabs(home) else Path("~/.local/state").expanduser()
    return state / "loopbackd" / "authority"


class AuthorityStore:
    """
    The authority of a directory, made at first need.

    @param directory: made when it is needed, for its owner alone.
    @param now: the time, with its zone.
    """

    def __init__(self, directory: Path, now: Callable[[], datetime] = wallClock) -> None:
        self.directory = directory
        self.now = now
        self._private = os.fspath(directory / PRIVATE)
        self._root: Credential | None = None
        self._rootSeen: tuple[int, int] | None = None
        self._revocations: tuple[Revocation, ...] = ()
        self._revocationsSeen: tuple[int, int] | None = None
        self._onPurpose: tuple[Revocation, ...] = ()

    @property
    def publicPath(self) -> Path:
        """The file to be trusted."""
        return self.directory / PUBLIC

    def public(self) -> x509.Certificate:
        """
        The authority's certificate alone; that of another user's authority, too.

        @raise SettingsError: it cannot be read, or made if there is none.
        """
        try:
            return x509.load_pem_x509_certificate(readSmall(self.publicPath))
        except FileNotFoundError:
            return self.root().certificate
        except (OSError, ValueError) as error:
            raise SettingsError(f"{self.publicPath}: {error}") from None

    def exists(self) -> bool:
        """Whether there is an authority already."""
        return os.path.lexists(self._private)

    def root(self) -> Credential:
        """
        The authority as it is now; another process may have made, renewed or replaced it.

        @raise SettingsError: it cannot be had, or its files are not safe; says which and why.
        """
        try:
            seen = os.stat(self._private, follow_symlinks=False)
            mark: tuple[int, int] | None = (seen.st_ino, seen.st_mtime_ns)
        except OSError:
            mark = None
        if self._root is None or mark is None or mark != self._rootSeen:
            self._root, self._rootSeen = self._read(), None
            self._root = self._renewed(self._root)
            seen = os.stat(self._private, follow_symlinks=False)
            self._rootSeen = (seen.st_ino, seen.st_mtime_ns)
        elif self._isDue(self._root):
            self._root, self._rootSeen = self._renewed(self._root), None
        return self._root

    def replace(self) -> Credential:
        """Make another authority in place of the one that is there; who trusted that must anew."""
        with PrivateDirectory(self.directory) as directory:
            directory.write(PRIVATE, _together(makeAuthority(self.now())), replaces=True)
            # The serial numbers in it were the other's.
            with suppress(FileNotFoundError):
                os.unlink(REVOKED, dir_fd=directory.descriptor)
        self._root = None
        self._revocationsSeen = None
        return self.root()

    def _read(self) -> Credential:
        with PrivateDirectory(self.directory) as directory:
            try:
                words = directory.readSecret(PRIVATE)
            except FileNotFoundError:
                made = _together(makeAuthority(self.now()))
                # Who comes first makes it; everybody else takes what is there then.
                if directory.write(PRIVATE, made, replaces=False):
                    _log.info("A local authority was made: {path}", path=self.directory / PUBLIC)
                words = directory.readSecret(PRIVATE)
            root = _apart(words, self.directory / PRIVATE)
            self._publish(directory, root.certificate)
        return root

    def _publish(self, directory: PrivateDirectory, certificate: x509.Certificate) -> None:
        """Keep the copy that others may read as it should be."""
        wanted = certificatePEM(certificate)
        try:
            present: bytes | None = directory.read(PUBLIC)
        except OSError:
            present = None
        if present != wanted:
            directory.write(PUBLIC, wanted, replaces=True, mode=0o644)

    def _isDue(self, root: Credential) -> bool:
        return root.certificate.not_valid_after_utc - self.now() < RENEWED_BEFORE

    def _renewed(self, root: Credential) -> Credential:
        """The same, or with a new certificate for the same key when its end is near."""
        if not self._isDue(root):
            return root
        renewed = makeAuthority(self.now(), root.key)
        with PrivateDirectory(self.directory) as directory:
            directory.write(PRIVATE, _together(renewed), replaces=True)
            self._publish(directory, renewed.certificate)
        _log.warn(
            "The local authority ended on {end:%Y-%m-%d} and was renewed: trust {path} again"
            " (loopbackd ca trust).",
            end=root.certificate.not_valid_after_utc,
            path=self.publicPath,
        )
        return renewed

    # What was taken back.

    def revoke(self, serial: int) -> bool:
        """
        Take a certificate back.

        @return: whether it was not taken back before.
        @raise SettingsError: the files cannot be written.
        """
        self.root()
        if any(revocation.serial == serial for revocation in self.revocations()):
            return False
        line = f"{serial:x} {self.now():%Y-%m-%dT%H:%M:%SZ}\n".encode("ascii")
        with PrivateDirectory(self.directory) as directory:
            directory.append(REVOKED, line)
        return True

    def revocations(self) -> tuple[Revocation, ...]:
        """
        What was taken back so far, by whichever process.

        @raise SettingsError: the file is not as we write it.
        """
        path = self.directory / REVOKED
        try:
            seen = os.stat(path, follow_symlinks=False)
        except OSError:
            return ()
        mark = (seen.st_size, seen.st_mtime_ns)
        if mark != self._revocationsSeen:
            with PrivateDirectory(self.directory) as directory:
                lines = directory.read(REVOKED).decode("ascii", "replace").splitlines()
            try:
                self._revocations = tuple(_revocation(line) for line in lines)
            except ValueError as error:
                raise SettingsError(
                    f"{path}: {error}; each line is a serial number in hexadecimal and a time like"
                    " 2026-01-31T12:00:00Z"
                ) from None
            self._revocationsSeen = mark
        return self._revocations

    def revocationList(self) -> x509.CertificateRevocationList:
        """The list of what was taken back, signed just now."""
        revoked = {one.serial: one for one in (*self._onPurpose, *self.revocations())}
        return makeRevocationList(self.root(), revoked.values(), self.now())

    def revokeForNow(self, serial: int) -> None:
        """Take a certificate back that was made to be; the file is not troubled with it."""
        kept = self._onPurpose[1 - _MOST_ON_PURPOSE :]
        self._onPurpose = (*kept, Revocation(serial, self.now() - BACKDATED))


def revocationListDER(store: AuthorityStore) -> bytes:
    """The same as the bytes that a distribution point serves (C{application/pkix-crl})."""
    return store.revocationList().public_bytes(serialization.Encoding.DER)


def readAuthorities(path: Path) -> tuple[x509.Certificate, ...]:
    """
    The certificates in somebody's PEM file.

    @raise SettingsError: there are none, or it cannot be read.
    """
    try:
        found = tuple(x509.load_pem_x509_certificates(path.expanduser().read_bytes()))
    except OSError as error:
        raise SettingsError(f"client_ca = {str(path)!r}: {error.strerror}") from None
    except ValueError:
        found = ()
    if not found:
        raise SettingsError(
            f"client_ca = {str(path)!r}: there is no certificate in it; give a PEM file with those"
            " of the authorities that clients' certificates come from, or 'own'"
        )
    return found


def _together(root: Credential) -> bytes:
    return keyPEM(root.key) + certificatePEM(root.certificate)


def _apart(words: bytes, path: Path) -> Credential:
    try:
        key = serialization.load_pem_private_key(words, None)
        certificate = x509.load_pem_x509_certificate(words)
    except (ValueError, TypeError) as error:
        raise SettingsError(f"authority: {path}: {error}; see loopbackd ca create") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != (
        certificate.public_key()
    ):
        raise SettingsError(
            f"authority: {path}: the key is not the certificate's; see loopbackd ca create"
        )
    return Credential(key, certificate)


def _revocation(line: str) -> Revocation:
    serial, _, when = line.partition(" ")
    return Revocation(
        int(serial, 16), datetime.strptime(when, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    )
