"""Tests for L{loopbackd.tls.wrong}: each as Python's ssl, openssl and curl see it."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet import reactor as realReactor
from twisted.internet.threads import deferToThread

from loopbackd.testing import addressOf, serving
from loopbackd.tls.certificates import makeLeaf
from loopbackd.tls.store import AuthorityStore
from loopbackd.tls.wrong import SITES, Site, siteOf
from tls.ends import ran, storeIn, trusting, written

reactor: Any = realReactor
PAGE = Path(__file__).parent.parent.parent / "docs" / "wrong-certificates.md"
# A client that is slow to begin is not to be greeted in plain words.
PATIENT = {"greeting_delay": 5}
NAMED = pytest.mark.parametrize("site", SITES, ids=lambda site: site.name)


def verdict(port: int, site: Site, context: ssl.SSLContext) -> str:
    """What Python's ssl says; empty where it shook hands and was answered."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 10) as plain,
            context.wrap_socket(plain, server_hostname=site.host) as sock,
        ):
            sock.sendall(b"\0hello")
            assert sock.recv(100) == b"\0hello"
    except ssl.SSLError as error:
        return str(error).lower()
    return ""


def strict(store: AuthorityStore, tmp_path: Path) -> ssl.SSLContext:
    """As strict as a browser: names in the subject do not count, and the list is looked into."""
    listed = store.revocationList()
    (tmp_path / "crl").write_bytes(listed.public_bytes(Encoding.PEM))
    context = trusting(store, hostname_checks_common_name=False)
    context.load_verify_locations(tmp_path / "crl")
    return context


@NAMED
@pytest_twisted.ensureDeferred
async def test_each_is_wrong_in_its_own_way(tmp_path: Path, site: Site) -> None:
    """A client that trusts the authority says of each what the table says it should."""
    store = storeIn(tmp_path)
    async with serving(reactor, "auto", PATIENT) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        context = strict(store, tmp_path)
        if site.isRevoked:
            # Until somebody looks into the list it is like any other.
            assert await deferToThread(verdict, port, site, context) == ""
            return
        said = await deferToThread(verdict, port, site, context)
        assert site.error.lower() in said if site.error else said == ""


@pytest_twisted.ensureDeferred
async def test_the_revoked_one_is_in_the_list(tmp_path: Path) -> None:
    """Whose address is in the certificate, and which the same store gives out."""
    site = siteOf("revoked.badssl.localhost")
    assert site is not None
    async with serving(reactor, "auto", PATIENT) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        prepared = loopback._prepared["test"]
        context = trusting(prepared.store)
        assert await deferToThread(verdict, port, site, context) == ""

        def shown() -> bytes:
            with (
                socket.create_connection(("127.0.0.1", port), 10) as plain,
                context.wrap_socket(plain, server_hostname=site.host) as sock,
            ):
                return sock.getpeercert(True) or b""

        certificate = x509.load_der_x509_certificate(await deferToThread(shown))
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        (where,) = points[0].full_name or ()
        assert where.value == f"http://localhost:{port}/ca/crl"
        looking = strict(prepared.store, tmp_path)
        looking.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        said = await deferToThread(verdict, port, site, looking)
        assert site.error in said
        good = siteOf("ecc384.badssl.localhost")
        assert good is not None
        assert await deferToThread(verdict, port, good, looking) == ""


@pytest_twisted.ensureDeferred
async def test_the_client_one_with_a_certificate(tmp_path: Path) -> None:
    """Who shows a certificate from our authority is let in."""
    store = storeIn(tmp_path)
    site = siteOf("client.badssl.localhost")
    assert site is not None
    context = trusting(store)
    mine = makeLeaf(store.root(), ("me",), store.now(), purpose="client")
    context.load_cert_chain(written(tmp_path / "me.pem", mine))
    async with serving(reactor, "auto", PATIENT) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        assert await deferToThread(verdict, port, site, context) == ""


@pytest_twisted.ensureDeferred
async def test_openssl_and_curl(tmp_path: Path, program: Callable[..., str]) -> None:
    """The same sites, as two programs see them that are told to trust the authority."""
    openssl, curl = program("openssl"), program("curl")
    store = storeIn(tmp_path)
    store.root()
    authority = str(store.publicPath)
    # They look into the subject, and not into the list.
    lenient = ("no-names", "revoked")
    async with serving(reactor, "auto", PATIENT) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        for site in SITES:
            wanted = "" if site.name in lenient else site.error
            code, said = await ran(
                *(openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-servername", site.host),
                *("-CAfile", authority, "-verify_return_error", "-verify_hostname", site.host),
                *("-brief", "-no_ign_eof"),
            )
            # What a client without a certificate is told comes after the handshake, if it waits.
            if not site.asksClient:
                assert (code == 0, wanted in said.lower()) == (not wanted, True), (site.name, said)
            # 35: the handshake failed; 56: what came after it did; 60: the certificate is no good.
            code, said = await ran(
                *(curl, "-qsS", "--noproxy", "*", "--cacert", authority, "--max-time", "10"),
                *("--connect-to", f"::127.0.0.1:{port}", f"https://{site.host}/headers"),
            )
            codes = (56,) if site.asksClient else (35, 60) if wanted else (0,)
            assert code in codes, (site.name, said)


@pytest_twisted.ensureDeferred
async def test_nobody_is_shown_a_foreign_name(tmp_path: Path, program: Callable[..., str]) -> None:
    """example.com is answered with unrecognized_name, and nobody goes further."""
    curl, openssl = program("curl"), program("openssl")
    store = storeIn(tmp_path)
    store.root()
    async with serving(reactor, "auto", PATIENT) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        elsewhere = ["-connect", f"127.0.0.1:{port}", "-servername", "example.com"]
        code, said = await ran(openssl, "s_client", *elsewhere)
        assert (code, "unrecognized name" in said) == (1, True), said
        code, said = await ran(
            *(curl, "-qsS", "--noproxy", "*", "--cacert", str(store.publicPath)),
            *("--connect-to", f"::127.0.0.1:{port}", "https://example.com/"),
        )
        assert (code, "unrecognized name" in said) == (35, True), said


def test_the_page_has_the_table() -> None:
    """docs/wrong-certificates.md says what the program does."""
    rows = re.findall(
        r"^\| `(.+)` \| (.*) \| (?:refuse: \*(.*)\*|accept) \|$", PAGE.read_text(), re.M
    )
    assert rows == [(site.host, site.what, site.error) for site in SITES]


def test_names_are_told_apart() -> None:
    """A name like any other is no site, and each site has its own."""
    assert siteOf("badssl.localhost") is None
    assert siteOf("good.badssl.localhost") is None
    assert len({site.name for site in SITES}) == len(SITES)
