"""The control API of a daemon in this process, and clients that block, used from a thread."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from twisted.internet import reactor as realReactor
from twisted.internet.threads import deferToThread

from loopbackd.control.listening import Control
from loopbackd.controlsettings import ControlSettings
from loopbackd.service import Loopback
from loopbackd.settings import ServiceSettings, Settings
from loopbackd.testing import servingAll

reactor: Any = realReactor
HERE = "tcp:0:interface=127.0.0.1"


@dataclass
class Told:
    """An answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which must be JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """What is wrong, as Toxiproxy's clients read it."""
        assert self.headers["Content-Type"] == "application/json"
        assert self.json["status"] == self.status
        said: str = self.json["error"]
        return said


class API:
    """
    A daemon and its API.

    @ivar port: where the API is.
    """

    def __init__(self, loopback: Loopback, control: Control) -> None:
        self.loopback = loopback
        self.control = control
        address: Any = control.addresses[0]
        self.port: int = getattr(address, "port", 0)

    @property
    def url(self) -> str:
        """Its address, for clients."""
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Awaitable[Told]:
        """Ask for something; a body that is no text or bytes is made into JSON."""

        def ask() -> Told:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            try:
                sent = body
                if body is not None and not isinstance(body, bytes | str):
                    sent = json.dumps(body)
                connection.request(method, path, sent, headers or {})
                answer = connection.getresponse()
                return Told(answer.status, answer.headers, answer.read())
            finally:
                connection.close()

        return deferToThread(ask)

    async def get(self, path: str) -> Any:
        """What is there."""
        told = await self.ask("GET", path)
        assert told.status == 200, told
        return told.json

    async def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        """What comes of posting that."""
        told = await self.ask("POST", path, body)
        assert told.status == status, told
        return told.json if told.body else None

    async def patch(self, path: str, body: Any = None, status: int = 200) -> Any:
        """What comes of that change."""
        told = await self.ask("PATCH", path, body)
        assert told.status == status, told
        return told.json

    async def delete(self, path: str) -> None:
        """Have it gone."""
        told = await self.ask("DELETE", path)
        assert (told.status, told.body) == (204, b""), told


@asynccontextmanager
async def running(
    *services: ServiceSettings, control: ControlSettings | None = None
) -> AsyncIterator[API]:
    """A daemon with these services, one echo by default, and the API."""
    found = services or (ServiceSettings(name="echo", protocol="echo", endpoint=HERE, twin=False),)
    settings = Settings(service=found, drain=0)
    asked = control or ControlSettings(endpoint=HERE, twin=False)
    async with servingAll(reactor, settings) as loopback:
        api = Control(loopback)
        try:
            api.become(api.prepare(asked))
            yield API(loopback, api)
        finally:
            await api.close()


def echoOf(api: API) -> str:
    """The address of the echo service, which proxies lead to."""
    address: Any = api.loopback.addresses["echo"][0]
    return f"127.0.0.1:{address.port}"


async def proxy(api: API, name: str = "p", **others: Any) -> Any:
    """A proxy that leads to the echo service."""
    asked = {"name": name, "listen": "localhost:0", "upstream": echoOf(api), **others}
    return await api.post("/proxies", asked, 201)


def inThread(call: Callable[..., Any], *args: Any) -> Awaitable[Any]:
    """Something that blocks, while the reactor turns."""
    return deferToThread(call, *args)


def said(listen: str, data: bytes = b"x") -> Awaitable[bytes]:
    """What comes of saying that at an address, and of finishing; empty for an end or a reset."""
    host, _, port = listen.rpartition(":")

    def say() -> bytes:
        with socket.create_connection((host.strip("[]"), int(port)), 10) as client:
            heard = b""
            try:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                while part := client.recv(1 << 16):
                    heard += part
            except ConnectionError:
                return b""
            return heard

    return deferToThread(say)


def isFree(listen: str) -> bool:
    """Whether nobody listens at an address."""
    host, _, port = listen.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) != 0
