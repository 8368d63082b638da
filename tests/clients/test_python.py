"""Python's clients: requests, httpx (both kinds), aiohttp, urllib."""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from programs import Served

SCHEMES = pytest.mark.parametrize("scheme", ["http", "https"])
Module = Callable[[str], Any]
BIG = bytes(range(256)) * 8000


def parts() -> Iterator[bytes]:
    """A body of unknown length."""
    for at in range(0, len(BIG), 100_000):
        yield BIG[at : at + 100_000]


async def slowParts() -> AsyncIterator[bytes]:
    """The same, coming in its time."""
    for part in parts():
        await asyncio.sleep(0)
        yield part


def carried(said: Any) -> bytes:
    """The body that was posted, as the JSON has what is no text."""
    kind, _, data = said["data"].partition(";base64,")
    assert kind == "data:application/octet-stream"
    return base64.b64decode(data)


@SCHEMES
class TestRequests:
    """The client whose tests the URLs were made for."""

    @pytest.fixture
    def session(self, module: Module, served: Served) -> Iterator[Any]:
        """A session that trusts the authority, whatever the environment says."""
        requests = module("requests")
        with requests.Session() as session:
            session.trust_env = False
            session.verify = str(served.authority)
            yield session

    def test_methods(self, session: Any, served: Served, scheme: str) -> None:
        """Each is echoed, and all go over one connection."""
        for method in ("get", "post", "put", "patch", "delete"):
            answer = session.request(method, served.url(f"/{method}", scheme), params={"é": "ü"})
            assert answer.status_code == 200
            assert answer.json()["args"] == {"é": "ü"}
        [adapter] = {session.get_adapter(served.url("/", scheme))}
        [pool] = [adapter.poolmanager.pools[key] for key in adapter.poolmanager.pools.keys()]  # noqa: SIM118
        assert pool.num_connections == 1

    def test_upload(self, session: Any, served: Served, scheme: str) -> None:
        """Whole, in chunks, and as a file of a form."""
        url = served.url("/post", scheme)
        kind = {"Content-Type": "application/octet-stream"}
        assert carried(session.post(url, data=BIG, headers=kind).json()) == BIG
        assert carried(session.post(url, data=parts(), headers=kind).json()) == BIG
        form = session.post(url, data={"a": ["1", "2"]}, files={"f": ("n", b"text")}).json()
        assert (form["form"], form["files"]) == ({"a": ["1", "2"]}, {"f": "text"})

    def test_auth(self, session: Any, served: Served, scheme: str) -> None:
        """Digest, the nonce being used again, and Basic."""
        from requests.auth import HTTPDigestAuth

        digest = HTTPDigestAuth("user", "word")
        for _ in range(3):
            answer = session.get(served.url("/digest-auth/auth/user/word", scheme), auth=digest)
            assert answer.json()["authenticated"] is True
        url = served.url("/basic-auth/user/word", scheme)
        assert session.get(url, auth=("user", "word")).status_code == 200
        assert session.get(url, auth=("user", "x")).status_code == 401

    def test_cookiesAndRedirects(self, session: Any, served: Served, scheme: str) -> None:
        """Cookies set on the way are sent on the way; 303 after POST is GET."""
        answer = session.get(served.url("/cookies/set?a=b", scheme))
        assert answer.json() == {"cookies": {"a": "b"}}
        url = served.url("/redirect-to?status_code=303&url=/get", scheme)
        answer = session.post(url, data=b"x")
        assert [one.status_code for one in answer.history] == [303]
        assert answer.json()["url"] == served.url("/get", scheme)

    @pytest.mark.parametrize("coding", ["gzip", "deflate"])
    def test_codings(self, session: Any, served: Served, scheme: str, coding: str) -> None:
        """Undone by itself."""
        answer = session.get(served.url(f"/{coding}", scheme))
        assert answer.headers["Content-Encoding"] == coding
        assert answer.json()["method"] == "GET"

    def test_lines(self, session: Any, served: Served, scheme: str) -> None:
        """As they come."""
        answer = session.get(served.url("/stream/10", scheme), stream=True)
        assert [json.loads(line)["id"] for line in answer.iter_lines()] == list(range(10))


@SCHEMES
def test_httpx(module: Module, served: Served, scheme: str) -> None:
    """httpx, one thing after the other."""
    httpx = module("httpx")
    with httpx.Client(verify=served.trusting, trust_env=False, follow_redirects=True) as client:
        kind = {"Content-Type": "application/octet-stream"}
        url = served.url("/post", scheme)
        assert carried(client.post(url, content=BIG, headers=kind).json()) == BIG
        assert carried(client.post(url, content=parts(), headers=kind).json()) == BIG
        assert client.get(served.url("/redirect/3", scheme)).json()["url"].endswith("/get")
        auth = httpx.DigestAuth("user", "word")
        path = "/digest-auth/auth/user/word/SHA-256"
        assert client.get(served.url(path, scheme), auth=auth).is_success
        assert client.get(served.url("/brotli", scheme)).json()["brotli"] is True
        with client.stream("GET", served.url("/stream/10", scheme)) as answer:
            assert [json.loads(line)["id"] for line in answer.iter_lines()] == list(range(10))
        with pytest.raises(httpx.ReadTimeout):
            client.get(served.url("/delay/5", scheme), timeout=0.2)
        assert client.head(served.url("/get", scheme)).content == b""


@SCHEMES
def test_httpxAsync(module: Module, served: Served, scheme: str) -> None:
    """httpx with asyncio: many at once."""
    httpx = module("httpx")

    async def visit() -> None:
        async with httpx.AsyncClient(verify=served.trusting, trust_env=False) as client:
            urls = [served.url(f"/get?n={number}", scheme) for number in range(50)]
            answers = await asyncio.gather(*map(client.get, urls))
            assert [one.json()["args"]["n"] for one in answers] == [str(n) for n in range(50)]
            kind = {"Content-Type": "application/octet-stream"}
            answer = await client.post(
                served.url("/post", scheme), content=slowParts(), headers=kind
            )
            assert carried(answer.json()) == BIG

    asyncio.run(visit())


@SCHEMES
def test_aiohttp(module: Module, served: Served, scheme: str) -> None:
    """aiohttp: many at once, an upload in chunks, a download as it comes, an early end."""
    aiohttp = module("aiohttp")

    async def visit() -> None:
        connector = aiohttp.TCPConnector(ssl=served.trusting)
        async with aiohttp.ClientSession(connector=connector) as client:

            async def number(n: int) -> Any:
                async with client.get(served.url("/get", scheme), params={"n": n}) as answer:
                    return (await answer.json())["args"]["n"]

            found = await asyncio.gather(*map(number, range(50)))
            assert found == [str(n) for n in range(50)]
            kind = {"Content-Type": "application/octet-stream"}
            url = served.url("/post", scheme)
            async with client.post(url, data=slowParts(), headers=kind, expect100=True) as answer:
                assert carried(await answer.json()) == BIG
            async with client.get(served.url("/stream-bytes/100000?seed=1", scheme)) as answer:
                size = 0
                async for part in answer.content.iter_any():
                    size += len(part)
                assert size == 100_000
            # Left in the middle; the next one is served all the same.
            async with client.get(served.url("/drip?numbytes=100&duration=50", scheme)) as answer:
                assert await answer.content.readexactly(1)
            assert await number(1) == "1"

    asyncio.run(visit())


@SCHEMES
@pytest.mark.parametrize("compress", [0, 15])
def test_aiohttpWebSocket(module: Module, served: Served, scheme: str, compress: int) -> None:
    """aiohttp's WebSocket, compressed and not: texts, bytes, a ping, and a clean end."""
    aiohttp = module("aiohttp")

    async def visit() -> None:
        connector = aiohttp.TCPConnector(ssl=served.trusting)
        async with aiohttp.ClientSession(connector=connector) as client:
            url = served.url("/websocket/echo", scheme.replace("http", "ws"))
            async with client.ws_connect(url, compress=compress) as socket:
                assert bool(socket.compress) is bool(compress)
                for text in ("", "hello", "é" * 50_000):
                    await socket.send_str(text)
                    assert await socket.receive_str(timeout=10) == text
                await socket.send_bytes(BIG[:100_000])
                assert await socket.receive_bytes(timeout=10) == BIG[:100_000]
                await socket.ping(b"x")
                await socket.close(code=1000, message=b"bye")
                assert socket.close_code == 1000

    asyncio.run(visit())


@SCHEMES
def test_urllib(served: Served, scheme: str) -> None:
    """The standard library's."""
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=served.trusting)
    )
    with opener.open(served.url("/redirect/2", scheme), timeout=20) as answer:
        assert json.load(answer)["url"] == served.url("/get", scheme)
