"""httpbin's ``/get`` as an aiohttp handler: ``aiohttp_get.py PORT http``."""

import sys

from aiohttp import web
from shown import shown


async def get(request: web.Request) -> web.Response:
    """The request's query, header fields, origin and URL."""
    value = {
        "args": dict(request.query),
        "headers": dict(request.headers),
        "origin": request.remote,
        "url": str(request.url),
    }
    return web.Response(body=shown(value), content_type="application/json")


def main() -> None:
    """Serve on the port given on the command line, without an access log."""
    app = web.Application()
    app.router.add_get("/get", get)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)


if __name__ == "__main__":
    main()
