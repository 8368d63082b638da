"""Digest authentication: the examples of the RFCs, and everything that can be wrong."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.protocols.httpbin.digest import (
    digestOf,
    isRight,
    makeChallenge,
    missingFrom,
    parseCredentials,
)

# RFC 7616 section 3.9.1.
EXAMPLE = {
    "username": "Mufasa",
    "realm": "http-auth@example.org",
    "uri": "/dir/index.html",
    "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    "nc": "00000001",
    "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    "qop": "auth",
}
PASSWORD = "Circle of Life"
MD5 = "8ca523f5e9506fed4657c9700eebdbec"
SHA256 = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"


def rightly(response: str, method: str = "GET", **changed: Any) -> bool:
    """Whether the example is right, changed like that."""
    credentials = {**EXAMPLE, "response": response, **changed}
    credentials = {name: value for name, value in credentials.items() if value is not None}
    return isRight(
        credentials, "Mufasa", PASSWORD, method, EXAMPLE["uri"], b"", realm=EXAMPLE["realm"]
    )


def test_exampleOfTheStandard() -> None:
    """Both answers of RFC 7616 are right, and MD5 is what is meant without an algorithm."""
    assert rightly(MD5, algorithm="MD5")
    assert rightly(MD5.upper())
    assert rightly(SHA256, algorithm="sha-256")


def test_exampleOfTheOldStandard() -> None:
    """Without a quality of protection, as in RFC 2069."""
    secret = digestOf(f"Mufasa:{EXAMPLE['realm']}:{PASSWORD}".encode(), "MD5")
    asked = digestOf(b"GET:/dir/index.html", "MD5")
    response = digestOf(f"{secret}:{EXAMPLE['nonce']}:{asked}".encode(), "MD5")
    assert rightly(response, qop=None, nc=None, cnonce=None)


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "POST"},
        {"username": "Scar"},
        {"realm": "elsewhere"},
        {"nonce": "x"},
        {"nc": "00000002"},
        {"cnonce": "x"},
        {"qop": "auth-int"},
        {"qop": "x"},
        {"algorithm": "SHA-256"},
        {"algorithm": "MD5-sess"},
        {"response": "é"},
        {"response": ""},
    ],
)
def test_wrong(changed: dict[str, str]) -> None:
    """Whatever is changed makes it wrong."""
    assert not rightly(**{"response": MD5, **changed})  # type: ignore[arg-type]


def test_parameters() -> None:
    """Quoted or not, with spaces and empty members around them."""
    value = 'DIGEST a="x, \\"y\\" \\\\", B=z ,, c = "" , d="é"'
    assert parseCredentials(value) == ("digest", {"a": 'x, "y" \\', "b": "z", "c": "", "d": "é"})


@pytest.mark.parametrize(
    "value", ["", "Digest", "Digest x", 'Digest a="b', "Basic YTpi", "Digest =x"]
)
def test_noParameters(value: str) -> None:
    """Something else has none."""
    assert parseCredentials(value)[1] == {}


@given(st.text())
def test_anyText(value: str) -> None:
    """Whatever is there, it is read or not."""
    parseCredentials(value)
    parseCredentials(f"Digest {value}")


@pytest.mark.parametrize("rest", ['a={}"', "a{}b", 'a="x"{}y', "a=x{}y", '{}"', 'a="{}'])
def test_longRows(rest: str) -> None:
    """However many spaces there are in what is none, each is looked at a few times."""
    start = process_time()
    assert parseCredentials(f"Digest {rest.format(' ' * 60_000)}") == ("digest", {})
    assert process_time() - start < 0.5


def test_missing() -> None:
    """Who has a quality of protection needs more."""
    assert missingFrom({**EXAMPLE, "response": MD5}) == []
    assert missingFrom({"qop": "auth", "username": "x"}) == [
        *("realm", "nonce", "uri", "response"),
        *("cnonce", "nc"),
    ]


def test_challenge() -> None:
    """What stands in it is what clients look for, quoted where RFC 7616 section 3.3 says so."""
    assert makeChallenge(("auth", "auth-int"), "SHA-256", True, "n", "o") == (
        'Digest realm="loopbackd", nonce="n", opaque="o", qop="auth, auth-int", '
        "algorithm=SHA-256, stale=True"
    )
