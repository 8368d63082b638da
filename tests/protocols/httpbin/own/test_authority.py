"""Tests for L{loopbackd.protocols.httpbin.own.authority}."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from programs import Program, run, urlOf
from tls.ends import storeIn
from twisted.internet import reactor as realReactor
from visiting import ask

from loopbackd.protocols.httpbin.site import makeSite
from loopbackd.testing import serving
from loopbackd.tls.certificates import certificatePEM
from loopbackd.tls.wrong import SITES

reactor: Any = realReactor


@pytest_twisted.ensureDeferred
async def test_certificate_and_list(program: Program, tmp_path: Path) -> None:
    """Of the authority that the service signs with; what is revoked meanwhile is in it."""
    curl = program("curl")
    store = storeIn(tmp_path)
    store.revoke(0xABC)
    async with serving(reactor, "auto", {"greeting_delay": 5}) as loopback:
        url = urlOf(loopback, "/ca/authority.crt")
        ran = await run(curl, "-qsS", "--noproxy", "*", url)
        assert ran.out == certificatePEM(store.root().certificate)
        ran = await run(curl, "-qsS", "--noproxy", "*", urlOf(loopback, "/ca/crl"))
        listed = x509.load_der_x509_crl(ran.out)
        assert [one.serial_number for one in listed] == [0xABC]


@pytest_twisted.ensureDeferred
async def test_where_there_is_none(program: Program, tmp_path: Path) -> None:
    """Asking does not make one; files that are not safe are not read."""
    curl = program("curl")
    store = storeIn(tmp_path)
    async with serving(reactor, "auto", {"greeting_delay": 5}) as loopback:
        for path in ("/ca/authority.crt", "/ca/crl"):
            ran = await run(curl, "-qsSi", "--noproxy", "*", urlOf(loopback, path))
            assert ran.out.startswith(b"HTTP/1.1 404 ")
            assert not store.exists()
        store.root()
        (store.directory / "private.pem").chmod(0o644)
        ran = await run(curl, "-qsSi", "--noproxy", "*", urlOf(loopback, "/ca/crl"))
        assert ran.out.startswith(b"HTTP/1.1 404 ") and b"PRIVATE" not in ran.out


@pytest.mark.parametrize("path", ["/ca/authority.crt", "/ca/crl"])
def test_without_a_store(path: str) -> None:
    """As in memory."""
    assert ask(makeSite(), path).status == 404


def test_what_is_wrong_on_purpose() -> None:
    """The table, for programs."""
    listed = json.loads(ask(makeSite(), "/ca/wrong").body)
    assert [one["host"] for one in listed] == [site.host for site in SITES]
    assert listed[0]["error"] == SITES[0].error and listed[-1]["error"] is None
