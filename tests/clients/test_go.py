"""curl against go-httpbin's dialect: what only a real client on a real connection shows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from programs import curled, run, urlOf
from sockets import until
from twisted.internet import reactor as realReactor

from loopbackd.testing import serving

reactor: Any = realReactor


@pytest.mark.parametrize("path", ["/go/redirect/4", "/go/redirect/4?absolute=true"])
@pytest_twisted.ensureDeferred
async def test_redirects_stay_in_the_dialect(curl: str, path: str) -> None:
    """At their end is its C{/get}, where everything is a list."""
    async with serving(reactor, "http") as loopback:
        ran = await curled(curl, loopback, path, "-L", "-w", "%{num_redirects}")
        shown, end, count = ran.out.rpartition(b"}\n")
        assert count == b"4"
        assert json.loads(shown + end)["headers"]["Accept"] == ["*/*"]


@pytest_twisted.ensureDeferred
async def test_cookies_come_and_go(curl: str, tmp_path: Path) -> None:
    """A jar has what was set until it is deleted."""
    jar = str(tmp_path / "jar")
    async with serving(reactor, "http") as loopback:
        for path, cookies in (
            ("/go/cookies/set?flavour=oats&shape=round", {"flavour": "oats", "shape": "round"}),
            ("/go/cookies/delete?shape", {"flavour": "oats"}),
        ):
            ran = await curled(curl, loopback, path, "-L", "-b", jar, "-c", jar)
            assert json.loads(ran.out) == {"cookies": cookies}


@pytest.mark.parametrize("algorithm", ["", "/MD5", "/SHA-256"])
@pytest_twisted.ensureDeferred
async def test_digest(curl: str, algorithm: str) -> None:
    """The right password is known by its answer to the challenge, the wrong one as well."""
    path = f"/go/digest-auth/auth/user/secret{algorithm}"
    async with serving(reactor, "http") as loopback:
        ran = await curled(curl, loopback, path, "--digest", "-u", "user:secret")
        assert json.loads(ran.out)["authenticated"] is True
        ran = await curled(
            curl, loopback, path, "--digest", "-u", "user:wrong", "-w", "%{http_code}"
        )
        assert ran.out.endswith(b"401")


@pytest_twisted.ensureDeferred
async def test_parts_and_trailers(curl: str) -> None:
    """Several ranges are several parts; trailers come behind the last chunk."""
    async with serving(reactor, "http") as loopback:
        ran = await curled(curl, loopback, "/go/range/60", "-r", "0-3,10-12")
        assert re.findall(rb"^([a-z]+)\r$", ran.out, re.M) == [b"abcd", b"klm"]
        ran = await curled(curl, loopback, "/go/trailers?x-a=1", "--raw")
        assert ran.out.endswith(b"\r\n0\r\nX-A: 1\r\n\r\n")


@pytest_twisted.ensureDeferred
async def test_an_upload_waits_to_be_asked(curl: str, tmp_path: Path) -> None:
    """As long as it is short enough; what is too long is refused before it is sent."""
    async with serving(reactor, "http") as loopback:
        for size, status in ((1 << 20, b"200"), ((1 << 20) + 1, b"400")):
            (tmp_path / "file").write_bytes(bytes(size))
            ran = await curled(
                *(curl, loopback, "/go/upload", "-T", f"{tmp_path}/file"),
                *("-H", "Expect: 100-continue", "-w", "%{http_code}"),
            )
            assert ran.out.endswith(status)


@pytest.mark.parametrize("path", ["/go/sse", "/go/drip?delay=0", "/go/jsonl?duration=9s"])
@pytest_twisted.ensureDeferred
async def test_whoever_gives_up_is_forgotten(curl: str, path: str) -> None:
    """
    Nothing is left to do for a connection that is gone.

    That is known when something is written to it: until then it might have finished sending only.
    """
    async with serving(reactor, "http") as loopback:
        ran = await run(curl, "-qsS", "--noproxy", "*", "-m", "0.3", urlOf(loopback, path))
        assert ran.code == 28
        totals = loopback.connections.totals("test")
        await until(lambda: not totals.open, lambda: totals, 5)
