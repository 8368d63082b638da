"""curl against the test service, where the connections themselves are looked at."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from programs import Program, curled, run, urlOf, where
from twisted.internet import reactor as realReactor

from loopbackd.testing import serving

reactor: Any = realReactor


@pytest_twisted.ensureDeferred
async def test_theSameConnection(curl: str) -> None:
    """Several requests go over one connection, and a HEAD between them does no harm."""
    async with serving(reactor, "auto") as loopback:
        urls = [urlOf(loopback, path) for path in ("/get", "/ip", "/nowhere", "/headers")]
        ran = await curled(curl, loopback, "/get", "-w", "%{num_connects} %{http_code}\n", *urls)
        assert re.findall(rb"^([01]) (\d+)$", ran.out, re.M) == [
            (b"1", b"200"),
            (b"0", b"200"),
            (b"0", b"404"),
            (b"0", b"200"),
            (b"0", b"200"),
        ]
        assert loopback.connections.totals("test").opened == 1


@pytest_twisted.ensureDeferred
async def test_head(curl: str) -> None:
    """HEAD is no page, but its length."""
    async with serving(reactor, "auto") as loopback:
        ran = await curled(curl, loopback, "/get", "-I")
        assert re.search(rb"\r\nContent-Length: [1-9]\d+\r\n", ran.out)
        assert ran.out.endswith(b"\r\n\r\n")


@pytest_twisted.ensureDeferred
async def test_behindABalancer(curl: str) -> None:
    """curl can speak as a load balancer: the PROXY header is taken off."""
    async with serving(reactor, "auto") as loopback:
        ran = await curled(curl, loopback, "/ip", "--haproxy-protocol")
        assert json.loads(ran.out) == {"origin": "127.0.0.1"}


@pytest.mark.parametrize("expect", ["Expect: 100-continue", "Expect:"])
@pytest_twisted.ensureDeferred
async def test_refusedUpload(curl: str, tmp_path: Path, expect: str) -> None:
    """Who sends a big body to the wrong place sees why, whether or not it waits to be asked."""
    (tmp_path / "big").write_bytes(bytes(5_000_000))
    async with serving(reactor, "auto") as loopback:
        ran = await curled(
            *(curl, loopback, "/get", "-i", "-H", expect),
            *("--data-binary", f"@{tmp_path}/big"),
        )
        assert re.match(rb"HTTP/1\.1 405 ", ran.out)


@pytest_twisted.ensureDeferred
async def test_pipelined(program: Program) -> None:
    """Requests that come all at once are answered in order; the last one ends the connection."""
    nc = program("nc.openbsd", "nc")
    lines = b"".join(
        b"GET /get?n=%d HTTP/1.1\r\nHost: x\r\n%b\r\n"
        % (number, b"Connection: close\r\n" if number == 99 else b"")
        for number in range(100)
    )
    async with serving(reactor, "auto") as loopback:
        ran = await run(nc, *where(loopback), stdin=lines)
        assert ran.code == 0
        assert re.findall(rb'"n": "(\d+)"', ran.out) == [b"%d" % n for n in range(100)]
        assert ran.out.count(b"HTTP/1.1 200 OK\r\n") == 100


@pytest_twisted.ensureDeferred
async def test_unixSocket(curl: str, tmp_path: Path) -> None:
    """The service is there on a unix socket, too."""
    async with serving(reactor, "http", endpoint=f"unix:{tmp_path}/s"):
        ran = await run(
            *(curl, "-qsS", "--noproxy", "*", "--unix-socket", f"{tmp_path}/s"),
            "http://localhost/get",
        )
        assert (ran.code, ran.err) == (0, b"")
        assert json.loads(ran.out)["url"] == "http://localhost/get"
