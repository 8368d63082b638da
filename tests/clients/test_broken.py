"""What real clients make of answers that are broken on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest
import pytest_twisted
from programs import Program, run, urlOf
from twisted.internet import reactor as realReactor
from twisted.internet.threads import deferToThread

from loopbackd.testing import serving

reactor: Any = realReactor

# man curl, "exit codes".
CURL = {
    "empty-reply": 52,
    "reset": 56,
    "reset-after": 56,
    "half-answer?bytes=1000": 18,
    "length-too-long": 18,
    "no-last-chunk": 18,
    "chunk-cut": 18,
    "chunk-size-no-number": 56,
    "chunk-too-long": 56,
    "no-head": 1,
    "junk-before?seed=1": 1,
    "wrong-version": 1,
    "nul-in-field": 8,
    "no-colon": 8,
    "length-in-letters": 8,
    "gzip-that-is-none": 61,
    "gzip-wrong-checksum": 61,
    "unknown-coding": 61,
    "silence?seconds=60": 28,
    "slow-body?seconds=60": 28,
    "endless-body": 28,
    "endless-head": 28,
    "interim-only": 52,
    # What is right, and only looks wrong.
    "length-too-short": 0,
    "folded-field": 0,
    "no-reason": 0,
    "until-close": 0,
    "tiny-chunks": 0,
    "interim-flood": 0,
    "body-for-204": 0,
    "trailer-with-length": 0,
}


@pytest.mark.parametrize(("path", "code"), CURL.items())
@pytest_twisted.ensureDeferred
async def test_curl(program: Program, path: str, code: int) -> None:
    """Its exit code says what was wrong."""
    curl = program("curl")
    words = ["-qsS", "--noproxy", "*", "--compressed", "--output", "-", "--max-time"]
    async with serving(reactor, "http") as loopback:
        limit = "0.5" if code == 28 else "20"
        ran = await run(curl, *words, limit, urlOf(loopback, f"/broken/{path}"))
        assert ran.code == code, ran.err


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("empty-reply", 52),
        ("reset", 56),
        ("reset-after", 56),
        ("half-answer", 18),
        ("until-close", 0),
        ("until-reset", 56),
    ],
)
@pytest_twisted.ensureDeferred
async def test_curlOverTLS(program: Program, path: str, code: int) -> None:
    """An end is an end, and a reset a reset, below TLS as well."""
    curl = program("curl")
    async with serving(reactor, "auto") as loopback:
        url = urlOf(loopback, f"/broken/{path}").replace("http:", "https:")
        ran = await run(curl, "-qksS", "--noproxy", "*", "--output", "-", url)
        assert ran.code == code, ran.err


@pytest_twisted.ensureDeferred
async def test_curlHead(program: Program) -> None:
    """It has no body for HEAD, and asks its next question on another connection."""
    curl = program("curl")
    async with serving(reactor, "http") as loopback:
        url = urlOf(loopback, "/broken/body-for-head")
        ran = await run(curl, "-qsSI", "--noproxy", "*", url, urlOf(loopback, "/get"))
        assert ran.code == 0
        assert ran.out.count(b"HTTP/1.1 200 OK") == 2
        assert b"whole answer" not in ran.out


@pytest_twisted.ensureDeferred
async def test_curlSurplus(program: Program) -> None:
    """An answer that nobody asked for is not taken for that to the next question."""
    curl = program("curl")
    async with serving(reactor, "http") as loopback:
        urls = [urlOf(loopback, path) for path in ("/broken/surplus-answer?seconds=1", "/ip")]
        ran = await run(curl, "-qsS", "--noproxy", "*", *urls)
        assert ran.code == 0
        assert b"Nobody asked" not in ran.out
        assert b'"origin": "127.0.0.1"' in ran.out


def byRequests(url: str) -> str:
    """What requests raises, or the status."""
    import requests

    with requests.Session() as session:
        session.trust_env = False
        try:
            return str(session.get(url, timeout=0.5).status_code)
        except requests.RequestException as error:
            return type(error).__name__


def byHttpx(url: str) -> str:
    """What httpx raises, or the status."""
    import httpx

    with httpx.Client(trust_env=False, timeout=0.5) as client:
        try:
            return str(client.get(url).status_code)
        except httpx.HTTPError as error:
            return type(error).__name__


def byAiohttp(url: str) -> str:
    """What aiohttp raises, or the status."""
    import aiohttp

    async def get() -> str:
        timeout = aiohttp.ClientTimeout(total=0.5)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            try:
                async with session.get(url) as answer:
                    await answer.read()
                    return str(answer.status)
            except (aiohttp.ClientError, TimeoutError) as error:
                return type(error).__name__

    return asyncio.run(get())


PYTHON: dict[str, tuple[str, str, str]] = {
    "empty-reply": ("ConnectionError", "RemoteProtocolError", "ServerDisconnectedError"),
    "reset": ("ConnectionError", "ReadError", "ClientOSError"),
    "reset-after": ("ChunkedEncodingError", "ReadError", "ClientPayloadError"),
    "length-too-long": ("ChunkedEncodingError", "RemoteProtocolError", "ClientPayloadError"),
    "no-last-chunk": ("ChunkedEncodingError", "RemoteProtocolError", "ClientPayloadError"),
    "chunk-cut": ("ChunkedEncodingError", "RemoteProtocolError", "ClientPayloadError"),
    "no-head": ("ConnectionError", "RemoteProtocolError", "ClientResponseError"),
    "gzip-that-is-none": ("ContentDecodingError", "DecodingError", "ClientPayloadError"),
    "silence": ("ReadTimeout", "ReadTimeout", "TimeoutError"),
    "until-close": ("200", "200", "200"),
    "folded-field": ("200", "200", "200"),
    "status-unknown": ("299", "299", "299"),
    "continue-unasked": ("200", "200", "200"),
}


CLIENTS: dict[str, tuple[Callable[[str], str], int]] = {
    "requests": (byRequests, 0),
    "httpx": (byHttpx, 1),
    "aiohttp": (byAiohttp, 2),
}


@pytest.mark.parametrize("name", PYTHON)
@pytest.mark.parametrize("library", CLIENTS)
@pytest_twisted.ensureDeferred
async def test_python(name: str, library: str, missing: Callable[[str], Any]) -> None:
    """Each raises what its documents say for such an end, or takes what is right."""
    if find_spec(library) is None:
        missing(f"{library} is not installed")
    client, number = CLIENTS[library]
    async with serving(reactor, "http") as loopback:
        found = await deferToThread(client, urlOf(loopback, f"/broken/{name}"))
        assert found == PYTHON[name][number]
