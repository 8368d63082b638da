"""``loopbackd ca``: the local authority by hand."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ParamSpec, TypeVar

import click
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from loopbackd.settings import SettingsError
from loopbackd.tls.certificates import (
    BACKDATED,
    LEAF_DAYS,
    certificatePEM,
    fingerprint,
    isPermitted,
    keyPEM,
    makeLeaf,
)
from loopbackd.tls.files import writeFile
from loopbackd.tls.store import AuthorityStore, stateDirectory
from loopbackd.tls.trust import (
    Run,
    Step,
    carryOut,
    checkConstrained,
    plan,
    runCommand,
    shown,
    variables,
)

P = ParamSpec("P")
R = TypeVar("R")


def _plainly(command: Callable[P, R]) -> Callable[P, R]:
    """What cannot be done is said in one line."""

    @wraps(command)
    def told(*arguments: P.args, **named: P.kwargs) -> R:
        try:
            return command(*arguments, **named)
        except SettingsError as error:
            raise click.ClickException(str(error)) from None

    return told


@click.group()
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the authority is. [default: as the daemon looks for it]",
)
@click.pass_context
def ca(context: click.Context, directory: Path | None) -> None:
    """The local authority, which signs for loopback names alone."""
    context.obj = AuthorityStore(stateDirectory(os.environ, str(directory or "")).absolute())


@ca.command()
@click.option("--replace", is_flag=True, help="Make another where there is one.")
@click.pass_obj
@_plainly
def create(store: AuthorityStore, replace: bool) -> None:
    """Make the authority, if there is none."""
    if replace:
        store.replace()
        click.echo("Another authority was made; whoever trusted the one before must trust it anew.")
    elif store.exists():
        click.echo("There is one already.")
    store.root()
    _describe(store)


@ca.command()
@click.option("--path", "what", flag_value="path", help="Only the path of its certificate.")
@click.option("--pem", "what", flag_value="pem", help="Only its certificate.")
@click.option("--crl", "what", flag_value="crl", help="Only the list of what was revoked, as PEM.")
@click.pass_obj
@_plainly
def show(store: AuthorityStore, what: str | None) -> None:
    """Show the authority; it is made if there is none."""
    root = store.root()
    if what == "path":
        click.echo(store.publicPath)
    elif what == "pem":
        click.echo(certificatePEM(root.certificate), nl=False)
    elif what == "crl":
        listed = store.revocationList()
        click.echo(listed.public_bytes(serialization.Encoding.PEM), nl=False)
    else:
        _describe(store)


def _describe(store: AuthorityStore) -> None:
    certificate = store.root().certificate
    constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    permitted = ", ".join(_named(name) for name in constraints.permitted_subtrees or ())
    rows = {
        "certificate": store.publicPath,
        "name": certificate.subject.rfc4514_string(),
        "SHA-256": fingerprint(certificate),
        "valid": f"{certificate.not_valid_before_utc:%Y-%m-%d} to"
        f" {certificate.not_valid_after_utc:%Y-%m-%d}",
        "permitted": permitted,
        "revoked": len(store.revocations()),
    }
    for name, value in rows.items():
        click.echo(f"{name:<12} {value}")


_KINDS: dict[type, str] = {
    x509.DNSName: "",
    x509.IPAddress: "",
    x509.RFC822Name: "mail at ",
    x509.UniformResourceIdentifier: "URIs at ",
}


def _named(name: x509.GeneralName) -> str:
    shown = f"{_KINDS[type(name)]}{name.value}"
    return f"{shown} and *.{name.value}" if isinstance(name, x509.DNSName) else shown


@ca.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--client", is_flag=True, help="For a client; its NAME may be any words.")
@click.option(
    "--days",
    type=click.IntRange(1, LEAF_DAYS),
    default=LEAF_DAYS,
    show_default=True,
    help="How long it is good for.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path(),
    help="The directory for its files. [default: here]",
)
@click.option("--replace", is_flag=True, help="Overwrite files that are there.")
@click.pass_obj
@_plainly
def issue(
    store: AuthorityStore,
    names: tuple[str, ...],
    client: bool,
    days: int,
    output: Path,
    replace: bool,
) -> None:
    """Write a key and a certificate for these NAMEs."""
    for name in names:
        if not client and not isPermitted(name):
            raise SettingsError(
                f"{name!r} is not permitted to the authority; it can sign for localhost,"
                " *.localhost, *.test, 127.0.0.0/8 and ::1"
            )
        if not name.strip() or not name.isprintable() or len(name) > 64:
            raise SettingsError(f"{name!r} cannot be a name; write 1 to 64 printable characters")
    root = store.root()
    purpose = "client" if client else "server"
    start = store.now() - BACKDATED
    lower = names if client else tuple(name.lower() for name in names)
    made = makeLeaf(root, lower, start, days=days, purpose=purpose)
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", names[0]).lstrip(".") or "client"
    paths = output / f"{stem}.key", output / f"{stem}.crt"
    if not replace:
        for path in paths:
            if os.path.lexists(path):
                raise SettingsError(f"{path} exists; remove it, or say --replace")
    for path, content in zip(
        paths, (keyPEM(made.key), certificatePEM(made.certificate)), strict=True
    ):
        try:
            writeFile(path, content, mode=0o600, replaces=replace)
        except OSError as error:
            raise SettingsError(f"{path}: {error.strerror}") from None
        click.echo(path)
    click.echo(f"serial {made.certificate.serial_number:x}, good until", nl=False)
    click.echo(f" {made.certificate.not_valid_after_utc:%Y-%m-%d}")


@ca.command()
@click.argument("which", metavar="SERIAL|FILE")
@click.pass_obj
@_plainly
def revoke(store: AuthorityStore, which: str) -> None:
    """Take a certificate back, by its SERIAL in hexadecimal or by its FILE."""
    serial = _serialOf(store, which)
    if store.revoke(serial):
        click.echo(f"{serial:x} is revoked; a running daemon knows from now on.")
    else:
        click.echo(f"{serial:x} was revoked before.")


def _serialOf(store: AuthorityStore, which: str) -> int:
    path = Path(which)
    if path.is_file():
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
        except (OSError, ValueError) as error:
            raise SettingsError(f"{path}: no certificate: {error}") from None
        try:
            certificate.verify_directly_issued_by(store.root().certificate)
        except (InvalidSignature, TypeError, UnsupportedAlgorithm, ValueError):
            raise SettingsError(
                f"{path}: this certificate is not from the authority in {store.directory}"
            ) from None
        return certificate.serial_number
    digits = which.replace(":", "").removeprefix("0x")
    if not re.fullmatch(r"[0-9A-Fa-f]{1,40}", digits) or not int(digits, 16):
        raise SettingsError(
            f"{which!r} is neither a file nor a serial number; write it in hexadecimal,"
            " as openssl x509 -noout -serial does"
        )
    return int(digits, 16)


@ca.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path("/"),
    help="Of another system, such as an image: files are put there, and nothing is run.",
)
@click.pass_obj
@_plainly
def trust(store: AuthorityStore, dry_run: bool, root: Path) -> None:
    """Have this machine's programs trust the authority, as far as your rights go."""
    certificate, path = store.public(), store.publicPath
    checkConstrained(certificate, path)
    click.echo(f"The authority: {path}\nSHA-256 {fingerprint(certificate)}\n")
    root = root.absolute()
    if dry_run:
        isDone = _tell(plan(certificate, path, root=root, environ=os.environ), path)
    else:
        # Programs get a copy of what was looked at, which nobody else can change meanwhile.
        with TemporaryDirectory(prefix="loopbackd-") as place:
            copy = Path(place) / path.name
            copy.write_bytes(certificatePEM(certificate))
            steps = plan(certificate, copy, root=root, environ=os.environ)
            isDone = _carryOut(steps, certificate, copy, None if root != Path("/") else runCommand)
    click.echo("\nFor programs that look into the environment:")
    for name, value, who in variables(path):
        click.echo(f"    export {name}={value}    # {who}")
    if not isDone:
        raise SystemExit(1)


def _tell(steps: list[Step], path: Path) -> bool:
    for step in steps:
        click.echo(step.store + (f"  ({step.obstacle})" if step.obstacle else ""))
        for line in shown(step, path):
            click.echo(f"    {line}")
    if not steps:
        click.echo("No store was found that could be told.")
    return True


def _carryOut(
    steps: list[Step], certificate: x509.Certificate, path: Path, run: Run | None
) -> bool:
    """Do what can be done; whether nothing of that failed."""
    isDone = True
    for step in steps:
        if step.obstacle:
            click.echo(f"{step.store}: not done, {step.obstacle}")
            continue
        try:
            click.echo(f"{step.store}: {carryOut(step, certificate, run)}")
        except SettingsError as error:
            isDone = False
            click.echo(f"{step.store}: {error}", err=True)
        if run is None and step.command:
            click.echo(f"    to be run in it: {' '.join(step.command)}")
    if not steps:
        click.echo("No store was found that could be told.")
    return isDone
