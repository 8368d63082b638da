"""Handlers of every kind, for tests of what serves them."""

from __future__ import annotations

from collections.abc import AsyncIterator

from loopbackd.http.endpoints import Takes
from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import ByHand, Request, Response, Wire
from loopbackd.http.routes import Routes


def makeRoutes() -> Routes:
    """Handlers of every kind."""
    routes = Routes("test")

    @routes.add("/hello")
    def hello(request: Request) -> Response:
        return Response(200, b"hello", "text/plain")

    @routes.add("/echo", methods=["POST", "PUT"], takes=Takes.WHOLE)
    def echo(request: Request) -> Response:
        trailers = [] if request.trailers is None else request.trailers.pairs
        return Response(200, request.body, fields=[(b"X-" + n, v) for n, v in trailers])

    @routes.add("/slowEcho", methods=["POST"], takes=Takes.WHOLE)
    async def slowEcho(request: Request) -> Response:
        await request.on.sleep(1)
        return Response(200, request.body)

    @routes.add("/exact", methods=["POST"], takes=Takes.EXACT)
    def exact(request: Request) -> Response:
        return Response(200, request.rawBody)

    @routes.add("/count", methods=["POST"], takes=Takes.PIECES)
    async def count(request: Request) -> Response:
        assert request.pieces is not None
        size = 0
        async for piece in request.pieces:
            size += len(piece)
        return Response(200, str(size).encode())

    @routes.add("/ignore", methods=["POST"], takes=Takes.PIECES)
    async def ignore(request: Request) -> Response:
        return Response(200, b"ignored")

    @routes.add("/later/{seconds}")
    async def later(request: Request, seconds: float) -> Response:
        await request.on.sleep(seconds)
        return Response(200, b"late")

    @routes.add("/pieces/{n}")
    def pieces(request: Request, n: int, *, length: int | None = None) -> Response:
        return Response(200, (b"%d," % i for i in range(n)), length=length)

    @routes.add("/ticks/{n}")
    def ticks(request: Request, n: int) -> Response:
        async def body() -> AsyncIterator[bytes]:
            for i in range(n):
                await request.on.sleep(1)
                yield b"%d," % i

        return Response(200, body(), trailers=lambda: [("X-Ticks", str(n))])

    @routes.add("/status/{code}")
    def status(request: Request, code: int) -> Response:
        return Response(code, b"body")

    @routes.add("/fails")
    def fails(request: Request) -> Response:
        raise ZeroDivisionError

    @routes.add("/failsLater")
    async def failsLater(request: Request) -> Response:
        await request.on.sleep(1)
        raise HTTPError(418, "short and stout")

    @routes.add("/splits")
    def splits(request: Request) -> Response:
        return Response(200, b"", fields=[("X-Split", "a\r\nX-Injected: b")])

    @routes.add("/early")
    def early(request: Request) -> Response:
        request.on.interim(103, [("Link", "</style.css>")])
        return Response(200, b"late")

    @routes.add("/junk")
    def junk(request: Request) -> ByHand:
        async def script(wire: Wire) -> None:
            wire.write(b"junk")
            await wire.sleep(1)
            wire.write(b"more")

        return ByHand(script)

    @routes.add("/reset")
    def reset(request: Request) -> ByHand:
        async def script(wire: Wire) -> None:
            wire.reset()
            while True:
                wire.write(b"nobody hears this")
                await wire.drained()

        return ByHand(script)

    return routes
