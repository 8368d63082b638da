"""Clients that come with another language: Node's fetch, Java's HttpClient, a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from programs import Served

HERE = Path(__file__).parent
SCHEMES = pytest.mark.parametrize("scheme", ["http", "https"])
Program = Callable[..., str]
Run = Callable[..., Any]


@SCHEMES
def test_node(program: Program, ran: Run, served: Served, scheme: str) -> None:
    """Node's fetch and WebSocket, which trust the authority besides those they know."""
    environ = {
        "NODE_EXTRA_CA_CERTS": str(served.authority),
        "NODE_OPTIONS": "--experimental-websocket",
    }
    url = served.url("", scheme)
    done = ran(program("node", "nodejs"), HERE / "visit.mjs", url, environ=environ)
    assert done.stdout == b"visited\n"


@pytest.fixture
def trusting(program: Program, ran: Run, served: Served, tmp_path: Path) -> tuple[str, ...]:
    """Options of java for a program that trusts the authority and nobody else."""
    store = f"{tmp_path}/trust.p12"
    ran(
        *(program("keytool"), "-importcert", "-noprompt", "-alias", "loopbackd"),
        *("-file", served.authority, "-keystore", store, "-storepass", "changeit"),
    )
    trust = ("-Djavax.net.ssl.trustStore=" + store, "-Djavax.net.ssl.trustStorePassword=changeit")
    return program("java"), "-Xshare:auto", "-XX:TieredStopAtLevel=1", *trust


def test_java(ran: Run, served: Served, trusting: tuple[str, ...]) -> None:
    """Java's HttpClient and its WebSocket, over both."""
    for scheme in ("http", "https"):
        done = ran(*trusting, HERE / "Visit.java", served.url("", scheme))
        assert done.stdout == b"visited\n"


@SCHEMES
def test_chromium(program: Program, ran: Run, served: Served, tmp_path: Path, scheme: str) -> None:
    """A browser shows the JSON, having gone through redirects and set a cookie."""
    words = (
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--virtual-time-budget=5000", f"--user-data-dir={tmp_path}/profile", "--dump-dom"),
    )
    if scheme == "https":
        _trust(program, ran, served, tmp_path)
    chromium = program("chromium", "chromium-browser", "google-chrome")
    done = ran(chromium, *words, served.url("/cookies/set?a=b", scheme))
    shown = re.search(rb"<pre[^>]*>(.*?)</pre>", done.stdout, re.S)
    assert shown is not None, done.stdout
    assert json.loads(shown[1]) == {"cookies": {"a": "b"}}


def _trust(program: Program, ran: Run, served: Served, home: Path) -> None:
    """Chromium on Linux trusts whom the NSS database of its home trusts."""
    certutil = program("certutil")
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    ran(certutil, "-d", f"sql:{store}", "-N", "--empty-password")
    words = ("-A", "-t", "C,,", "-n", "loopbackd", "-i", served.authority)
    ran(certutil, "-d", f"sql:{store}", *words)
