"""Tests for L{loopbackd.commands.authority}."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509

from loopbackd.cli import main
from loopbackd.tls.certificates import Credential, certificatePEM, makeAuthority, makeLeaf
from loopbackd.tls.store import AuthorityStore
from loopbackd.tls.trust import Step, nickname


def run(*words: str) -> Result:
    """C{loopbackd ca} with these words."""
    return CliRunner().invoke(main, ["ca", *words])


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AuthorityStore:
    """That of the test; what is written goes to a directory of its own."""
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    return AuthorityStore(tmp_path / "state" / "authority")


def test_create_and_show(store: AuthorityStore) -> None:
    """Made once; shown with what it may sign, its path alone, its certificate, its list."""
    made = run("create")
    assert made.exit_code == 0 and "There is one already" not in made.output
    again = run("create")
    assert "There is one already." in again.output and made.output in again.output
    for word in (str(store.publicPath), "127.0.0.0/8", "*.test", "revoked      0", "SHA-256"):
        assert word in run("show").output
    assert run("show", "--path").output == f"{store.publicPath}\n"
    assert run("show", "--pem").output == store.publicPath.read_text()
    assert list(x509.load_pem_x509_crl(run("show", "--crl").output.encode())) == []
    before = store.root().certificate
    assert "must trust it anew" in run("create", "--replace").output
    assert store.root().certificate != before


def test_another_directory(tmp_path: Path) -> None:
    """As the configuration could say."""
    place = tmp_path / "elsewhere"
    shown = run("--directory", str(place), "show", "--path")
    assert shown.output == f"{place}/authority.crt\n"


def test_a_key_that_is_not_safe(store: AuthorityStore) -> None:
    """One line, and exit code 1."""
    store.root()
    (store.directory / "private.pem").chmod(0o644)
    told = run("show")
    assert told.exit_code == 1
    assert told.output.startswith("Error: authority: ") and told.output.count("\n") == 1


def issued(name: str) -> x509.Certificate:
    """A certificate that was written here; its key is beside it, both for the owner alone."""
    for path in (Path(f"{name}.key"), Path(f"{name}.crt")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return x509.load_pem_x509_certificate(Path(f"{name}.crt").read_bytes())


def test_issue(store: AuthorityStore) -> None:
    """For servers by names, for clients by any words; never over a file that is there."""
    assert run("issue", "App.test", "127.0.0.1").exit_code == 0
    made = issued("App.test")
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["app.test"]
    made.verify_directly_issued_by(store.root().certificate)
    told = run("issue", "App.test")
    assert (told.exit_code, "App.test.key exists" in told.output) == (1, True)
    assert issued("App.test") == made
    assert run("issue", "App.test", "--replace").exit_code == 0
    assert issued("App.test") != made
    assert run("issue", "--client", "--days", "3", "../Me & you").exit_code == 0
    client = issued("_Me___you")
    assert (client.not_valid_after_utc - client.not_valid_before_utc).days == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("example.com",), "'example.com' is not permitted to the authority"),
        (("a.test", "10.0.0.1"), "'10.0.0.1' is not permitted"),
        (("--client", "a\nb"), "cannot be a name"),
        (("--client", "x" * 65), "cannot be a name"),
        (("--client", " "), "cannot be a name"),
        (("a.test", "--days", "91"), "91 is not in the range 1<=x<=90"),
        ((), "Missing argument 'NAME...'"),
        (("a.test", "--output", "/no/such"), "does not exist"),
    ],
)
def test_what_cannot_be_issued(store: AuthorityStore, words: tuple[str, ...], said: str) -> None:
    """It is said why, and nothing is written."""
    told = run("issue", *words)
    assert told.exit_code != 0 and said in told.output
    assert list(Path().iterdir()) == []


def test_revoke(store: AuthorityStore) -> None:
    """By file and by number, as openssl writes it or we do."""
    run("issue", "--client", "me")
    serial = issued("me").serial_number
    assert f"{serial:x} is revoked" in run("revoke", "me.crt").output
    assert f"{serial:x} was revoked before" in run("revoke", f"{serial:X}").output
    assert "ab12 is revoked" in run("revoke", "AB:12").output
    assert {one.serial for one in store.revocations()} == {serial, 0xAB12}
    listed = x509.load_pem_x509_crl(run("show", "--crl").output.encode())
    assert {one.serial_number for one in listed} == {serial, 0xAB12}


@pytest.mark.parametrize("which", ["xyz", "", "0", "me.key", "f" * 41])
def test_what_cannot_be_revoked(store: AuthorityStore, which: str) -> None:
    """Neither a number nor a certificate."""
    run("issue", "--client", "me")
    assert run("revoke", which).exit_code == 1
    assert store.revocations() == ()


def test_others_certificates_are_not_revoked(store: AuthorityStore) -> None:
    """They would only seem to be."""
    other: Credential = makeAuthority(store.now())
    Path("other.crt").write_bytes(
        certificatePEM(makeLeaf(other, ("a.test",), store.now()).certificate)
    )
    told = run("revoke", "other.crt")
    assert told.exit_code == 1 and "is not from the authority in" in told.output


def test_trust_in_an_image(store: AuthorityStore, tmp_path: Path) -> None:
    """Files are put below another root; what is to be run there is said, and only said."""
    root = tmp_path / "image"
    place = root / "usr/local/share/ca-certificates"
    place.mkdir(parents=True)
    dry = run("trust", "--root", str(root), "--dry-run")
    assert (dry.exit_code, list(place.iterdir())) == (0, [])
    (name,) = {word for word in dry.output.split() if word.startswith(str(place))}
    assert f"    cp {store.publicPath} {name}\n    update-ca-certificates\n" in dry.output
    done = run("trust", "--root", str(root))
    assert done.exit_code == 0, done.output
    assert Path(name).read_bytes() == store.publicPath.read_bytes()
    assert (
        f"wrote {name}" in done.output and "to be run in it: update-ca-certificates" in done.output
    )
    assert f"export NODE_EXTRA_CA_CERTS={store.publicPath}" in done.output


def test_trust_says_what_it_may_not(store: AuthorityStore, tmp_path: Path) -> None:
    """A step that fails is told, and counts."""
    root = tmp_path / "image"
    place = root / "etc/pki/trust/anchors"
    place.mkdir(parents=True)
    (place / f"{_name(store)}.crt").mkdir()
    told = run("trust", "--root", str(root))
    assert told.exit_code == 1 and "Is a directory" in told.output


def _name(store: AuthorityStore) -> str:
    return nickname(store.root().certificate)


def test_programs_are_run_with_a_copy(
    store: AuthorityStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What there is to run on this machine is run with what was looked at, and nothing else."""
    seen: list[tuple[list[str], bytes]] = []

    def run(words: list[str]) -> tuple[int, str]:
        file = Path(words[-1])
        seen.append((words, file.read_bytes()))
        return 0, ""

    step = Step("a store", None, ("tell", "it"))
    blocked = Step("another", None, ("no",), "it is not yours to write")

    def planned(certificate: object, path: Path, **others: object) -> list[Step]:
        return [replace(step, command=("tell", str(path))), blocked]

    monkeypatch.setattr("loopbackd.commands.authority.plan", planned)
    monkeypatch.setattr("loopbackd.commands.authority.runCommand", run)
    told = CliRunner().invoke(main, ["ca", "trust"])
    assert told.exit_code == 0, told.output
    ((words, content),) = seen
    assert content == store.publicPath.read_bytes()
    assert words[1] != str(store.publicPath) and not Path(words[1]).exists()
    assert "another: not done, it is not yours to write" in told.output


def test_nothing_to_be_told(store: AuthorityStore, tmp_path: Path) -> None:
    """A system without any store."""
    (tmp_path / "empty").mkdir()
    assert "No store was found" in run("trust", "--root", str(tmp_path / "empty")).output


def test_what_is_not_ours_is_not_trusted(store: AuthorityStore, tmp_path: Path) -> None:
    """Another certificate in the file's place."""
    root = store.root()
    leaf = makeLeaf(root, ("a.test",), store.now()).certificate
    store.publicPath.write_bytes(certificatePEM(leaf))
    told = run("trust", "--root", str(tmp_path), "--dry-run")
    assert told.exit_code == 1 and "not bound to loopback names" in told.output
