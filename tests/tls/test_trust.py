"""Tests for L{loopbackd.tls.trust}."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from loopbackd.settings import SettingsError
from loopbackd.tls.certificates import certificatePEM, makeAuthority, makeLeaf
from loopbackd.tls.trust import (
    carryOut,
    checkConstrained,
    nickname,
    plan,
    runCommand,
    shown,
    variables,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ROOT = makeAuthority(NOW)
AUTHORITY = ROOT.certificate
NAME = nickname(AUTHORITY)
FILE = Path("/state/authority.crt")
PLACES = {
    "usr/local/share/ca-certificates": "update-ca-certificates",
    "etc/pki/ca-trust/source/anchors": "update-ca-trust",
    "etc/ca-certificates/trust-source/anchors": "update-ca-trust",
    "etc/pki/trust/anchors": "update-ca-certificates",
}


@pytest.mark.parametrize(("place", "command"), PLACES.items())
def test_each_system_has_its_directory(tmp_path: Path, place: str, command: str) -> None:
    """The certificate is copied there, and a command makes it known."""
    (tmp_path / place).mkdir(parents=True)
    (step,) = plan(AUTHORITY, FILE, root=tmp_path, environ={})
    assert (step.copyTo, step.command, step.obstacle) == (
        tmp_path / place / f"{NAME}.crt",
        (command,),
        "",
    )
    assert shown(step, FILE) == [f"cp {FILE} {step.copyTo}", command]
    ran: list[tuple[str, ...]] = []

    def run(words: object) -> tuple[int, str]:
        ran.append(tuple(words))  # type: ignore[call-overload]
        return 0, ""

    assert carryOut(step, AUTHORITY, run) == f"wrote {step.copyTo}, ran {command}"
    assert ran == [(command,)]
    assert step.copyTo is not None
    assert step.copyTo.read_bytes() == certificatePEM(AUTHORITY)
    assert step.copyTo.stat().st_mode & 0o777 == 0o644
    carryOut(step, AUTHORITY, None)
    assert len(ran) == 1


def test_a_command_that_fails(tmp_path: Path) -> None:
    """Is an error with what it said."""
    (tmp_path / "etc/pki/trust/anchors").mkdir(parents=True)
    (step,) = plan(AUTHORITY, FILE, root=tmp_path, environ={})
    with pytest.raises(SettingsError, match=r"update-ca-certificates failed \(3\): no way"):
        carryOut(step, AUTHORITY, lambda _: (3, "no way\n"))


def test_browsers_and_java(tmp_path: Path) -> None:
    """The databases below the home, and the Java that is used; or what is missing for it."""
    databases = [tmp_path / ".pki/nssdb", tmp_path / ".mozilla/firefox/abc.default"]
    for place in databases:
        place.mkdir(parents=True)
        (place / "cert9.db").touch()
    (tmp_path / ".mozilla/firefox/Crash Reports").mkdir()
    (tmp_path / "java/bin").mkdir(parents=True)
    (tmp_path / "java/bin/keytool").touch()
    environ = {"HOME": str(tmp_path), "JAVA_HOME": str(tmp_path / "java")}

    def found(name: str) -> str | None:
        return name if name == "certutil" or "/java/" in name else None

    steps = [one for one in plan(AUTHORITY, FILE, environ=environ, find=found) if not one.copyTo]
    assert [shown(one, FILE) for one in steps] == [
        [f"certutil -d sql:{databases[0]} -A -t C,, -n {NAME} -i {FILE}"],
        [f"certutil -d sql:{databases[1]} -A -t C,, -n {NAME} -i {FILE}"],
        [
            f"{tmp_path}/java/bin/keytool -importcert -noprompt -cacerts -storepass changeit"
            f" -alias {NAME} -file {FILE}"
        ],
    ]
    assert [one.obstacle for one in steps] == ["", "", ""]
    steps = plan(AUTHORITY, FILE, environ=environ, find=lambda _: None)
    obstacles = [one.obstacle for one in steps if one.store.startswith("NSS")]
    assert len(obstacles) == 2 and all("certutil is not installed" in one for one in obstacles)


def test_certutil_for_real(tmp_path: Path, program: Callable[..., str]) -> None:
    """Where it is installed, a database of the test's own trusts the authority in the end."""
    certutil = program("certutil")
    place = tmp_path / ".pki/nssdb"
    place.mkdir(parents=True)
    subprocess.run([certutil, "-d", f"sql:{place}", "-N", "--empty-password"], check=True)
    (tmp_path / "a.crt").write_bytes(certificatePEM(AUTHORITY))
    steps = plan(AUTHORITY, tmp_path / "a.crt", environ={"HOME": str(tmp_path)})
    (step,) = [one for one in steps if one.store.startswith("NSS")]
    carryOut(step, AUTHORITY, runCommand)
    words = [certutil, "-d", f"sql:{place}", "-L", "-n", NAME]
    assert b"loopbackd authority" in subprocess.run(words, capture_output=True, check=True).stdout


def test_the_environment() -> None:
    """Three variables, and whether they add or replace."""
    assert [(name, value) for name, value, _ in variables(FILE)] == [
        ("NODE_EXTRA_CA_CERTS", str(FILE)),
        ("REQUESTS_CA_BUNDLE", str(FILE)),
        ("SSL_CERT_FILE", str(FILE)),
    ]


def test_only_a_bound_authority_is_trusted() -> None:
    """Whatever else lies there, nobody is made to trust it."""
    checkConstrained(AUTHORITY, FILE)
    leaf = makeLeaf(ROOT, ("a.test",), NOW).certificate
    with pytest.raises(SettingsError, match="not bound to loopback names"):
        checkConstrained(leaf, FILE)
    assert isinstance(leaf, x509.Certificate)


def test_a_program_that_is_not_there() -> None:
    """Is a failure like others."""
    code, said = runCommand(["/no/such/program"])
    assert code == 127 and "No such file" in said
