"""TLS as real servers speak it, or do not, and what the doctor makes of that."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from base64 import encodebytes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from programs import Program
from running import PATIENCE, Running
from tls.ends import opensslServer, opensslShowing, storeIn
from tlsserving import answering, http, kinds, wrong

from loopbackd.doctor.asked import Asked
from loopbackd.doctor.examination import examine
from loopbackd.doctor.facts.served import Outcome, served
from loopbackd.doctor.finding import Finding
from loopbackd.doctor.speaking import speaking
from loopbackd.tls.certificates import BACKDATED, keyPEM, makeAuthority, makeIntermediate, makeLeaf
from loopbackd.tls.wrong import SITES

HERE = "127.0.0.1"
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def look(port: int, name: str = "localhost", scheme: str = "https") -> list[Finding]:
    """What is to be found there."""
    return list(speaking(Asked(name, port, scheme), HERE, os.environ))


@pytest.fixture
def own(tmp_path: Path) -> Any:
    """Loopbackd's authority."""
    return storeIn(tmp_path).root()


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch, own: Any, tmp_path: Path) -> Any:
    """The same, and this machine trusts it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(storeIn(tmp_path).publicPath))
    return own


@pytest.fixture
def serving(tmp_path: Path, program: Program) -> Callable[..., Any]:
    """Has openssl show a certificate."""

    return partial(opensslShowing, program("openssl"), tmp_path / "shown.pem")


@pytest.fixture
def signedByItself(tmp_path: Path, program: Program) -> Callable[..., Any]:
    """Has openssl make such a certificate and its key (req -x509) and show it; its path."""
    binary, path = program("openssl"), str(tmp_path / "shown.pem")

    @contextmanager
    def serve(*options: str) -> Iterator[tuple[int, str]]:
        words = [binary, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"]
        words += ["-keyout", str(tmp_path / "key.pem"), "-out", path, *options]
        subprocess.run(words, check=True, capture_output=True, timeout=PATIENCE)
        files = ["-cert", path, "-key", str(tmp_path / "key.pem")]
        with opensslServer(binary, "-www", *files) as port:
            yield port, path

    return serve


def leaf(issuer: Any, *names: str, **others: Any) -> Any:
    """A certificate for these names, good but for the rest."""
    words = {"start": NOW - BACKDATED, **others}
    return makeLeaf(issuer, names or ("localhost",), **words)


def test_a_good_certificate_of_a_trusted_authority(trusted: Any, serving: Any) -> None:
    """Nothing is wrong, and how it is spoken is told."""
    with serving(leaf(trusted)) as port:
        findings = look(port)
    assert wrong(findings) == []
    assert kinds(findings) == ["tls-answers", "certificate", "answers-http"]
    assert "TLSv1.3" in findings[0].evidence[0]


def test_through_an_intermediate_that_is_shown(trusted: Any, serving: Any) -> None:
    """A chain that is whole is a good one."""
    with serving(leaf(makeIntermediate(trusted, NOW))) as port:
        assert wrong(look(port)) == []


def test_an_authority_of_ours_that_is_not_trusted(own: Any, serving: Any) -> None:
    """It is told from any other, with the command that has it trusted."""
    with serving(leaf(own)) as port:
        findings = look(port)
    assert wrong(findings) == ["certificate-of-local-authority"]
    assert findings[2].remedy[0].startswith("loopbackd ca trust")


def test_an_intermediate_that_is_left_out(own: Any, serving: Any) -> None:
    """Whose certificate is missing is named."""
    one = leaf(makeIntermediate(own, NOW))
    with serving(type(one)(one.key, one.certificate)) as port:
        findings = look(port)
    assert wrong(findings) == ["certificate-issuer-missing"]
    assert "loopbackd intermediate" in findings[2].says


def test_another_users_authority(own: Any, serving: Any) -> None:
    """One of loopbackd's that is not ours is told as such."""
    with serving(leaf(makeAuthority(NOW))) as port:
        (one,) = [one for one in look(port) if one.kind == "certificate-issuer-missing"]
    assert "another user's" in " ".join(one.evidence)


def test_an_authority_that_is_shown_and_not_trusted(own: Any, serving: Any) -> None:
    """A root in the chain does not make itself trusted."""
    stranger = makeAuthority(NOW)
    one = leaf(stranger)
    with serving(type(one)(one.key, one.certificate, (stranger.certificate,))) as port:
        assert wrong(look(port)) == ["certificate-untrusted"]


@pytest.mark.parametrize(
    ("others", "kind"),
    [
        ({"start": NOW - 40 * DAY, "days": 30}, "certificate-expired"),
        ({"start": NOW + 30 * DAY}, "certificate-not-yet-valid"),
        ({"days": 3}, "certificate-ends-soon"),
        ({"hasNames": False}, "certificate-common-name-only"),
        ({"purpose": "client"}, "certificate-purpose"),
    ],
)
def test_one_thing_is_wrong(trusted: Any, serving: Any, others: Any, kind: str) -> None:
    """Each is found, and nothing else."""
    with serving(leaf(trusted, **others)) as port:
        assert wrong(look(port)) == [kind]


def test_an_authority_above_that_has_ended(trusted: Any, serving: Any) -> None:
    """It is named; what it has signed has ended with it."""
    old = NOW - 200 * DAY
    with serving(leaf(makeIntermediate(trusted, old), start=old)) as port:
        ended = [one for one in look(port) if one.kind == "certificate-expired"]
    assert ["loopbackd intermediate" in one.says for one in ended] == [False, True]


def test_a_certificate_for_somebody_else(trusted: Any, serving: Any) -> None:
    """The name that would do is offered."""
    with serving(leaf(trusted, "localhost", "app.test")) as port:
        found = look(port, HERE)
        assert wrong(found) == ["certificate-name"]
        assert found[2].remedy[0] == f"ask for a name that it has: localhost:{port}"
        assert wrong(look(port, "other.test")) == ["certificate-name"]
        assert wrong(look(port, "app.test")) == []


def test_signed_by_itself(own: Any, signedByItself: Any) -> None:
    """The key of the common name is no name."""
    with signedByItself("-subj", "/CN=localhost") as (port, _):
        assert wrong(look(port)) == ["certificate-common-name-only", "certificate-self-signed"]


def test_that_of_an_authority_itself(signedByItself: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trusted certificate signed by itself works with some clients, and not with others."""
    with signedByItself("-subj", "/CN=x", "-addext", "subjectAltName=DNS:localhost") as (
        port,
        path,
    ):
        monkeypatch.setenv("SSL_CERT_FILE", path)
        assert wrong(look(port)) == ["certificate-is-authority"]


@pytest.mark.parametrize("version", ["tls1", "tls1_1"])
def test_an_old_protocol_alone(trusted: Any, serving: Any, version: str) -> None:
    """It is spoken to all the same, and called what it is."""
    with serving(leaf(trusted), f"-{version}", "-cipher", "ALL:@SECLEVEL=0") as port:
        assert "tls-old" in wrong(look(port))


@pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])
def test_a_client_certificate_is_wanted(trusted: Any, serving: Any, version: str) -> None:
    """TLS 1.2 says so within the handshake, 1.3 after it."""
    with serving(leaf(trusted), f"-{version}", "-Verify", "1", "-verify_return_error") as port:
        assert wrong(look(port)) == ["tls-client-certificate"]


def test_a_client_certificate_may_be_shown(trusted: Any, serving: Any) -> None:
    """Being asked is no fault."""
    with serving(leaf(trusted), "-verify", "1") as port:
        findings = look(port)
    assert wrong(findings) == []
    assert "tls-client-certificate-asked" in kinds(findings)


def test_no_common_application_protocol(trusted: Any, serving: Any) -> None:
    """A server of HTTP/2 alone refuses by an alert, which is named."""
    with serving(leaf(trusted), "-alpn", "h2") as port:
        (one,) = look(port)
    assert one.kind == "tls-refused"
    assert "no_application_protocol" in one.says


@pytest.mark.parametrize(
    ("said", "spoken"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n", "SSH"),
        (b"220 mail.test ESMTP\r\n", "SMTP"),
        (b"-ERR unknown command\r\n", "Redis"),
        (b"J\0\0\0\n8.0.36\0", "MySQL"),
        (b"\x1b[31mred", "something else"),
    ],
)
def test_no_tls_there(said: bytes, spoken: str) -> None:
    """What is spoken instead is told by its first words, which move no cursor."""
    with answering(lambda hello: said) as port:
        (one,) = look(port)
    assert one.kind == "not-tls"
    assert spoken in one.says
    assert all(line.isprintable() for line in (one.says, *one.evidence, *one.remedy))


def test_a_banner_before_anything_is_said() -> None:
    """A server that speaks first is heard."""
    with answering(lambda hello: b"SSH-2.0-x\r\n", hears=False) as port:
        assert wrong(look(port)) == ["not-tls"]


def test_silence_after_the_hello() -> None:
    """It is over after two seconds."""
    began = time.monotonic()
    with answering(lambda hello: None) as port:
        assert wrong(look(port)) == ["tls-silent"]
    assert time.monotonic() - began < 3


def test_a_trickle_of_a_handshake() -> None:
    """Bytes that come one by one do not make it last."""

    def trickle(hello: bytes) -> bytes:
        return b"\x16\x03\x03\x40\x00" + b"\2" * 20

    with answering(trickle) as port:
        assert served(HERE, port, "localhost", seconds=0.5).outcome is Outcome.CLOSED


def test_hanging_up_after_the_hello() -> None:
    """Not a word is an answer, too."""
    with answering(lambda hello: b"") as port:
        assert wrong(look(port)) == ["tls-hangs-up"]


def test_nonsense_that_looks_like_tls() -> None:
    """OpenSSL says what it thinks of it."""
    with answering(lambda hello: b"\x16\x03\x03\x00\x05hello") as port:
        (one,) = look(port)
    assert one.kind == "tls-broken"


def test_nobody_there() -> None:
    """It is recorded; nothing is raised."""
    with socket.create_server((HERE, 0)) as sock:
        port = sock.getsockname()[1]
    found = served(HERE, port, "localhost")
    assert (found.outcome, found.why) == (Outcome.UNREACHED, "Connection refused")
    assert look(port) == []


def test_a_name_that_cannot_be_asked_for() -> None:
    """It is recorded; nothing is raised."""
    with answering(lambda hello: b"") as port:
        assert served(HERE, port, "a" * 70 + "\xe4.test").outcome is Outcome.UNREACHED


WRONG = {
    "expired": ["certificate-expired", "certificate-of-local-authority"],
    "not-yet-valid": ["certificate-not-yet-valid", "certificate-of-local-authority"],
    "wrong.host": ["certificate-name", "certificate-of-local-authority"],
    "self-signed": ["certificate-self-signed"],
    "untrusted-root": ["certificate-untrusted"],
    "incomplete-chain": ["certificate-issuer-missing"],
    "out-of-bounds": ["certificate-refused"],
    "wrong-purpose": ["certificate-of-local-authority", "certificate-purpose"],
    "weak-key": ["certificate-of-local-authority", "certificate-weak"],
    "sha1": ["certificate-of-local-authority", "certificate-weak"],
    "no-names": ["certificate-common-name-only", "certificate-of-local-authority"],
    "client": ["tls-client-certificate", "certificate-of-local-authority"],
}
"""What is found at the sites of our own daemon that are wrong on purpose; at all others nothing."""


def test_certificates_that_are_wrong_on_purpose(daemon: Callable[..., Running]) -> None:
    """Each is told from every other. Who was revoked cannot be seen in a handshake."""
    port = daemon("--listen", "tcp:0:interface=127.0.0.1").port()
    expected = {one.name: WRONG.get(one.name, ["certificate-of-local-authority"]) for one in SITES}
    assert {one.name: wrong(look(port, one.host)) for one in SITES} == expected


def test_a_name_that_our_daemon_does_not_have(daemon: Callable[..., Running]) -> None:
    """The alert is named, and what it means."""
    port = daemon("--listen", "tcp:0:interface=127.0.0.1").port()
    (one,) = look(port, "example.com")
    assert one.kind == "tls-refused"
    assert "112 (unrecognized_name)" in one.evidence[0]


def test_the_whole_examination_of_a_url(daemon: Callable[..., Running]) -> None:
    """TLS and HTTP are looked at where the URL asks for them, and only there."""
    port = daemon("--listen", "tcp:0:interface=127.0.0.1").port()
    assert wrong(examine(Asked(HERE, port, "https"))) == ["certificate-of-local-authority"]
    web = kinds(examine(Asked(HERE, port, "http")))
    assert "answers-http" in web and "certificate" not in web
    plain = kinds(examine(Asked(HERE, port)))
    assert "answers-http" not in plain and "certificate" not in plain


def test_https_asked_of_a_server_without_it() -> None:
    """The mistake has its remedy."""
    with answering(http("400 Bad Request")) as port:
        (one,) = look(port)
    assert one.remedy[0].startswith("write http:// instead of https://")


@pytest.mark.parametrize(
    ("was", "is_"),
    [
        (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07"),
        (b"\x0c\x09localhost", b"\x14\x09local\xfe\xffst"),
        (b"\x0c\x09localhost", b"\x30\x09\x02\x07calhost"),
    ],
    ids=["version 8", "T.61 that is none", "a sequence for a name"],
)
def test_certificates_that_cannot_be_read(
    tmp_path: Path, program: Program, was: bytes, is_: bytes
) -> None:
    """OpenSSL serves them, and what reads them here does not: that is told, and is no crash."""
    files = odd(tmp_path, was, is_)
    with opensslServer(program("openssl"), "-www", *files) as port:
        assert wrong(look(port)) == ["certificate-unreadable"]


@pytest.mark.parametrize(
    ("was", "is_", "kinds_"),
    [
        (b"\x82\x09localhost", b"\xa3\x09localhost", ["certificate-common-name-only"]),
        (b"\x82\x09localhost", b"\xa4\x09localhost", ["certificate-common-name-only"]),
        (b"\x02\x01\x07", b"\x02\x01\x00", []),
        (b"\x02\x01\x07", b"\x02\x01\x87", []),
    ],
    ids=["a name of X.400", "a directory name that is none", "number 0", "a number below 0"],
)
def test_certificates_that_are_odd(
    tmp_path: Path,
    program: Program,
    was: bytes,
    is_: bytes,
    kinds_: list[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    """What cannot be read of them is not there, and nothing else is said of them to anybody."""
    files = odd(tmp_path, was, is_)
    with opensslServer(program("openssl"), "-www", *files) as port:
        found = wrong(look(port))
    assert found == [*kinds_, "certificate-issuer-missing"]
    assert not list(recwarn)


def odd(directory: Path, was: bytes, is_: bytes) -> list[str]:
    """OpenSSL's options for a certificate in which something was replaced by something else."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 7, NOW - DAY, NOW + 30 * DAY)
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
    encoded = made.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    assert was in encoded
    text = encodebytes(encoded.replace(was, is_)).decode()
    shown, secret = directory / "shown.pem", directory / "key.pem"
    shown.write_text(f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n")
    secret.write_bytes(keyPEM(key))
    return ["-cert", str(shown), "-key", str(secret)]
