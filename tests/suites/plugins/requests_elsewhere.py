"""
A plugin for pytest with the fixtures of pytest-httpbin, for what is at C{$LOOPBACKD_URL} and, by
TLS, at C{$LOOPBACKD_SECURE_URL} with a certificate that C{$LOOPBACKD_AUTHORITY} has signed.
"""

from __future__ import annotations

import os
from urllib.parse import urljoin, urlsplit

import pytest


class Elsewhere:
    """A server as pytest-httpbin shows it to tests."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.host = urlsplit(url).hostname
        self.port = urlsplit(url).port

    def __str__(self) -> str:
        return self.url

    def __add__(self, path: str) -> str:
        return self.url + path

    def join(self, path: str) -> str:
        """The address of a path."""
        return urljoin(self.url, path)


@pytest.fixture(scope="session")
def httpbin() -> Elsewhere:
    """By HTTP."""
    return Elsewhere(os.environ["LOOPBACKD_URL"])


@pytest.fixture(scope="session")
def httpbin_secure() -> Elsewhere:
    """By HTTPS."""
    return Elsewhere(os.environ["LOOPBACKD_SECURE_URL"])


@pytest.fixture(scope="session")
def httpbin_ca_bundle() -> str:
    """What a client must trust to believe it."""
    return os.environ["LOOPBACKD_AUTHORITY"]


@pytest.fixture(params=["http", "https"])
def httpbin_both(
    request: pytest.FixtureRequest, httpbin: Elsewhere, httpbin_secure: Elsewhere
) -> Elsewhere:
    """Both, one after the other."""
    return httpbin if request.param == "http" else httpbin_secure
