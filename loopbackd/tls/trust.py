"""
How a machine's programs come to trust the authority: what is to be done, store by store.

L{plan} looks and changes nothing; L{carryOut} does one step of it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509

from loopbackd.settings import SettingsError
from loopbackd.tls.certificates import PERMITTED, certificatePEM
from loopbackd.tls.files import writeFile

_SYSTEMS: Final = (
    ("Debian, Ubuntu", "usr/local/share/ca-certificates", ("update-ca-certificates",)),
    ("Fedora, RHEL", "etc/pki/ca-trust/source/anchors", ("update-ca-trust",)),
    ("Arch", "etc/ca-certificates/trust-source/anchors", ("update-ca-trust",)),
    ("SUSE", "etc/pki/trust/anchors", ("update-ca-certificates",)),
)
"""Of a system: who, the directory for authorities, and what makes them known."""

Run = Callable[[Sequence[str]], "tuple[int, str]"]
Find = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Step:
    """
    One thing to do.

    @ivar store: whose trust it is about.
    @ivar copyTo: where the certificate is to be copied first; L{None} for nowhere.
    @ivar command: what is to be run then; empty for nothing.
    @ivar obstacle: why it cannot be done by us; empty if it can.
    """

    store: str
    copyTo: Path | None
    command: tuple[str, ...]
    obstacle: str = ""


def plan(
    certificate: x509.Certificate,
    path: Path,
    *,
    root: Path = Path("/"),
    environ: Mapping[str, str],
    find: Find = shutil.which,
) -> list[Step]:
    """
    Everything there is to do on a machine.

    @param path: the file of the certificate.
    @param root: of the machine; another one than C{/} is not running, so nothing can be run in it.
    @param find: finds programs.
    """
    name = nickname(certificate)
    steps = []
    for who, directory, command in _SYSTEMS:
        place = root / directory
        if place.is_dir():
            known = root != Path("/") or find(command[0]) is not None
            why = "" if known else f"{command[0]} is not installed"
            if not os.access(place, os.W_OK):
                why = f"{place} is not yours to write; do it as root"
            steps.append(Step(who, place / f"{name}.crt", command, why))
    if root == Path("/"):
        steps += _inNSS(name, path, environ, find)
        steps += _inJava(name, path, environ, find)
    return steps


def _inNSS(name: str, path: Path, environ: Mapping[str, str], find: Find) -> Iterator[Step]:
    """The databases of Chromium and of Firefox's profiles."""
    home = Path(environ.get("HOME", "/nonexistent"))
    found = [home / ".pki/nssdb", *sorted(home.glob(".mozilla/firefox/*"))]
    found += sorted(home.glob("snap/firefox/common/.mozilla/firefox/*"))
    tool = find("certutil")
    for place in found:
        if (place / "cert9.db").exists():
            command = ("certutil", "-d", f"sql:{place}", "-A", "-t", "C,,", "-n", name)
            why = "" if tool else "certutil is not installed (libnss3-tools, nss-tools)"
            yield Step(f"NSS {place}", None, (*command, "-i", str(path)), why)


def _inJava(name: str, path: Path, environ: Mapping[str, str], find: Find) -> Iterator[Step]:
    """The store of the Java that is used."""
    home = environ.get("JAVA_HOME", "")
    tool = find(str(Path(home) / "bin/keytool")) if home else find("keytool")
    if tool is None:
        return
    command = (tool, "-importcert", "-noprompt", "-cacerts", "-storepass", "changeit")
    store = Path(os.path.realpath(tool)).parent.parent / "lib/security/cacerts"
    why = ""
    if store.exists() and not os.access(store, os.W_OK):
        why = f"{store} is not yours to write; do it as root"
    yield Step(f"Java {store}", None, (*command, "-alias", name, "-file", str(path)), why)


def variables(path: Path) -> list[tuple[str, str, str]]:
    """For programs that look into the environment: variable, value, and who that is."""
    return [
        ("NODE_EXTRA_CA_CERTS", str(path), "Node; besides its own"),
        ("REQUESTS_CA_BUNDLE", str(path), "Python's requests; instead of its own"),
        ("SSL_CERT_FILE", str(path), "OpenSSL, Python, Go, curl; instead of the system's"),
    ]


def nickname(certificate: x509.Certificate) -> str:
    """What an authority is called in stores, the same each time."""
    identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return f"loopbackd-{identifier.value.digest.hex()[:8]}"


def checkConstrained(certificate: x509.Certificate, path: Path) -> None:
    """
    Make sure that it is an authority of ours before anybody is made to trust it.

    @raise SettingsError: it could sign for others than loopback names.
    """
    try:
        found = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    except x509.ExtensionNotFound:
        found = None
    if (
        found is None
        or not found.critical
        or set(found.value.permitted_subtrees or ()) != set(PERMITTED)
    ):
        raise SettingsError(
            f"{path}: this authority is not bound to loopback names, so it was not made by"
            " loopbackd; nothing was done"
        )


def shown(step: Step, path: Path) -> list[str]:
    """The shell commands that do a step."""
    lines = [] if step.copyTo is None else [quoted(("cp", str(path), str(step.copyTo)))]
    return lines + ([quoted(step.command)] if step.command else [])


def quoted(words: Sequence[str]) -> str:
    """Words for a shell."""
    return shlex.join(words)


def carryOut(step: Step, certificate: x509.Certificate, run: Run | None) -> str:
    """
    Do a step that has no obstacle.

    @param run: runs a command: its exit code, and what it said; L{None} for running nothing.
    @return: what was done.
    @raise SettingsError: it failed; says how.
    """
    done = []
    if step.copyTo is not None:
        try:
            writeFile(step.copyTo, certificatePEM(certificate), mode=0o644, replaces=True)
        except OSError as error:
            raise SettingsError(f"{step.copyTo}: {error.strerror}") from error
        done.append(f"wrote {step.copyTo}")
    if step.command and run is not None:
        code, said = run(step.command)
        if code:
            raise SettingsError(f"{quoted(step.command)} failed ({code}): {said.strip()[-500:]}")
        done.append(f"ran {quoted(step.command)}")
    return ", ".join(done)


def runCommand(command: Sequence[str]) -> tuple[int, str]:
    """Run a program and wait for it."""
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, str(error)
    return ran.returncode, ran.stdout + ran.stderr
