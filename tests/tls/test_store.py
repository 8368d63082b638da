"""Tests for L{loopbackd.tls.store} and L{loopbackd.tls.files}."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from loopbackd.settings import SettingsError
from loopbackd.tls.certificates import certificatePEM, makeAuthority
from loopbackd.tls.files import writeFile
from loopbackd.tls.store import AuthorityStore, readAuthorities, revocationListDER, stateDirectory

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the authority will be."""
    return tmp_path / "made" / "authority"


@pytest.mark.parametrize(
    ("environ", "directory", "place"),
    [
        ({"LOOPBACKD_STATE_DIR": "/a", "STATE_DIRECTORY": "/b"}, "", "/a/authority"),
        ({"STATE_DIRECTORY": "/b:/c", "XDG_STATE_HOME": "/d"}, "", "/b/authority"),
        ({"XDG_STATE_HOME": "/d"}, "", "/d/loopbackd/authority"),
        ({"LOOPBACKD_STATE_DIR": "/a"}, "/e", "/e"),
        ({}, "~/e", "~/e"),
        ({"XDG_STATE_HOME": "not/absolute"}, "", "~/.local/state/loopbackd/authority"),
        ({}, "", "~/.local/state/loopbackd/authority"),
    ],
)
def test_where_it_is(environ: dict[str, str], directory: str, place: str) -> None:
    """The configuration, then our variable, systemd's, XDG's, and at last the home."""
    assert stateDirectory(environ, directory) == Path(place).expanduser()


def test_it_is_made_at_first_need(place: Path) -> None:
    """And for its owner alone, whatever the umask; the next one takes what is there."""
    old = os.umask(0)
    try:
        store = AuthorityStore(place)
        assert not store.exists()
        root = store.root()
    finally:
        os.umask(old)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()}
    assert modes == {"private.pem": 0o600, "authority.crt": 0o644}
    assert stat.S_IMODE(place.stat().st_mode) == stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    assert AuthorityStore(place).root().certificate == root.certificate == store.public()
    assert store.root() is root


_MAKE = """
import sys
from pathlib import Path
from loopbackd.tls.store import AuthorityStore
store = AuthorityStore(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
print(store.root().certificate.serial_number)
"""


def test_daemons_that_start_at_once_have_one_authority(place: Path) -> None:
    """Who comes first has made it for all."""
    words = [sys.executable, "-c", _MAKE, str(place)]
    pipe = subprocess.PIPE
    racing = [subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    for one in racing:
        assert one.stdout is not None and one.stdout.readline() == "ready\n"
    for one in racing:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    assert len({one.communicate(timeout=30)[0] for one in racing}) == 1
    assert sorted(path.name for path in place.iterdir()) == ["authority.crt", "private.pem"]


def link(place: Path) -> None:
    (place / "private.pem").rename(place / "elsewhere")
    (place / "private.pem").symlink_to("elsewhere")


def readable(place: Path) -> None:
    (place / "private.pem").chmod(0o640)


def fifo(place: Path) -> None:
    (place / "private.pem").unlink()
    os.mkfifo(place / "private.pem", 0o600)


def open_(place: Path) -> None:
    place.chmod(0o777)


def linkedDirectory(place: Path) -> None:
    place.rename(place.parent / "elsewhere")
    place.symlink_to("elsewhere")


def noKey(place: Path) -> None:
    (place / "private.pem").write_bytes((place / "authority.crt").read_bytes())


def otherKey(place: Path) -> None:
    one, other = AuthorityStore(place), AuthorityStore(place.parent / "other")
    one.root(), other.root()
    key = (other.directory / "private.pem").read_bytes().split(b"-----BEGIN CERT")[0]
    (place / "private.pem").write_bytes(key + (place / "authority.crt").read_bytes())


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (link, "private.pem: it is a symbolic link"),
        (readable, r"others can use it \(mode 640\), so its key is not safe"),
        (fifo, "it is no file"),
        (open_, "others can write there; chmod 700 it"),
        (linkedDirectory, "authority: it is a symbolic link|Not a directory"),
        (noKey, "see loopbackd ca create"),
        (otherKey, "the key is not the certificate's"),
    ],
)
def test_what_is_not_safe_is_not_used(place: Path, harm: Callable[[Path], None], said: str) -> None:
    """It says what is wrong, and what to do."""
    AuthorityStore(place).root()
    harm(place)
    with pytest.raises(SettingsError, match=said):
        AuthorityStore(place).root()


@pytest.mark.usefixtures("needsRoot")
@pytest.mark.parametrize("name", ["private.pem", "."])
def test_what_is_somebody_elses_is_not_used(place: Path, name: str) -> None:
    """Neither the key nor the directory."""
    AuthorityStore(place).root()
    os.chown(place / name, 12345, -1)
    with pytest.raises(SettingsError, match="it belongs to uid 12345"):
        AuthorityStore(place).root()


def test_a_planted_link_is_not_followed(place: Path, tmp_path: Path) -> None:
    """Not where the authority is to be made either."""
    place.mkdir(parents=True, mode=0o700)
    (place / "private.pem").symlink_to(tmp_path / "stolen")
    with pytest.raises(SettingsError, match="symbolic link"):
        AuthorityStore(place).root()
    assert not (tmp_path / "stolen").exists()


def test_where_nothing_can_be_made(tmp_path: Path) -> None:
    """It says where else."""
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="have another directory with LOOPBACKD_STATE_DIR"):
        AuthorityStore(tmp_path / "file" / "authority").root()


def test_it_is_renewed_before_its_end(place: Path, logged: Any) -> None:
    """With the same key, also while the daemon runs; a line says that it is to be trusted again."""
    lines = logged("loopbackd.tls.store")
    store = AuthorityStore(place, lambda: now)
    now = NOW
    first = store.root()
    now = NOW + timedelta(days=790)
    assert store.root() is first
    now = NOW + timedelta(days=800)
    second = store.root()
    assert second.certificate != first.certificate
    assert second.certificate.public_key() == first.certificate.public_key()
    assert second.certificate.not_valid_after_utc - now > timedelta(days=800)
    assert store.root().certificate == second.certificate == store.public()
    assert AuthorityStore(place, lambda: now).root().certificate == second.certificate
    assert len([line for line in lines if "was renewed: trust" in line]) == 1


def test_another_process_replaces_it(place: Path) -> None:
    """The daemon takes the new one with the next certificate; the old revocations are gone."""
    running, other = AuthorityStore(place), AuthorityStore(place)
    first = running.root()
    running.revoke(5)
    assert other.replace().certificate != first.certificate
    assert running.root().certificate == other.root().certificate
    assert other.revocations() == ()


def test_what_is_revoked_is_known_to_all(place: Path) -> None:
    """At once, once, and in the list."""
    running, other = AuthorityStore(place), AuthorityStore(place)
    assert running.revocations() == ()
    assert other.revoke(0xABC)
    assert not other.revoke(0xABC)
    assert [one.serial for one in running.revocations()] == [0xABC]
    assert other.revoke(0xDEF)
    assert len(running.revocations()) == 2
    running.revokeForNow(7)
    listed = x509.load_der_x509_crl(revocationListDER(running))
    assert {one.serial_number for one in listed} == {0xABC, 0xDEF, 7}
    assert listed.is_signature_valid(running.root().certificate.public_key())  # type: ignore[arg-type]
    assert stat.S_IMODE((place / "revoked.txt").stat().st_mode) == 0o600


def test_a_full_disk(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that cannot be written whole is not there, and that is an error."""
    store = AuthorityStore(place)
    store.revoke(1)
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:5]))
    with pytest.raises(SettingsError, match=r"revoked\.txt: No space left"):
        store.revoke(2)
    monkeypatch.undo()
    assert [one.serial for one in AuthorityStore(place).revocations()] == [1]


def test_revocations_that_are_no_file(place: Path) -> None:
    """Said in a line."""
    store = AuthorityStore(place)
    store.root()
    (place / "revoked.txt").mkdir()
    with pytest.raises(SettingsError, match="it is no file"):
        store.revocations()


@pytest.mark.parametrize("kind", ["fifo", "endless"])
def test_an_authority_of_somebody_else_who_means_no_good(place: Path, kind: str) -> None:
    """Whoever is made to read its certificate neither waits for it nor reads without end."""
    store = AuthorityStore(place)
    store.root()
    store.publicPath.unlink()
    if kind == "fifo":
        os.mkfifo(store.publicPath)
    else:
        store.publicPath.symlink_to("/dev/zero")
    with pytest.raises(SettingsError, match="no file of at most"):
        store.public()


def test_revocations_that_cannot_be_read(place: Path) -> None:
    """Nobody is let in by mistake: it is an error."""
    store = AuthorityStore(place)
    store.revoke(1)
    with (place / "revoked.txt").open("a") as file:
        file.write("what is this\n")
    with pytest.raises(SettingsError, match="each line is a serial number"):
        store.revocations()


def test_somebody_elses_authorities(tmp_path: Path) -> None:
    """All that are in the file; none is an error, and so is no file."""
    made = [makeAuthority(NOW).certificate for _ in range(2)]
    path = tmp_path / "them.pem"
    path.write_bytes(b"".join(map(certificatePEM, made)))
    assert readAuthorities(path) == tuple(made)
    path.write_text("nothing")
    with pytest.raises(SettingsError, match="there is no certificate in it"):
        readAuthorities(path)
    with pytest.raises(SettingsError, match="No such file"):
        readAuthorities(tmp_path / "none.pem")


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    """Unless it is to be replaced; nothing else is left behind."""
    path = tmp_path / "it"
    writeFile(path, b"one", mode=0o600, replaces=False)
    with pytest.raises(FileExistsError):
        writeFile(path, b"two", mode=0o600, replaces=False)
    assert path.read_bytes() == b"one"
    writeFile(path, b"three", mode=0o640, replaces=True)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"three", 0o640)
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["it"]
