"""httpbin's ``/get`` as a bare ASGI application on uvicorn: ``uvicorn_get.py PORT http``."""

import sys
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
from shown import shown


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """The request's query, header fields, origin and URL."""
    if scope["type"] != "http" or scope["path"] != "/get":
        raise NotImplementedError(scope["type"])
    query = scope["query_string"].decode("latin-1")
    headers = {
        name.decode("latin-1").title(): value.decode("latin-1") for name, value in scope["headers"]
    }
    path = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
    value = {
        "args": dict(parse_qsl(query, keep_blank_values=True)) if query else {},
        "headers": headers,
        "origin": scope["client"][0],
        "url": f"{scope['scheme']}://{headers.get('Host', '')}{path}",
    }
    body = shown(value)
    fields = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Serve on the port given on the command line, with httptools and uvloop, without a log."""
    uvicorn.run(
        app,  # type: ignore[arg-type]
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
