"""
A plugin for pytest: httpbin's own tests, unchanged, against whatever is at C{$LOOPBACKD_URL}.

Their client talks to httpbin's WSGI application in memory; here that application passes every
request on by HTTP, and the answer back.
"""

from __future__ import annotations

import http.client
import os
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, urlsplit

import httpbin

_WHERE = urlsplit(os.environ["LOOPBACKD_URL"])
_PER_CONNECTION = {"connection", "keep-alive", "transfer-encoding"}


def passOn(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """A WSGI application (PEP 3333) that asks another server."""
    assert _WHERE.hostname is not None
    path = quote(environ["PATH_INFO"].encode("latin-1"), safe="/!$&'()*+,:;=@~")
    query = environ["QUERY_STRING"]
    fields = {
        name[5:].replace("_", "-"): value
        for name, value in environ.items()
        # One test sends a field without a name, which cannot be written.
        if name.startswith("HTTP_") and name != "HTTP_"
    }
    if environ.get("CONTENT_TYPE"):
        fields["Content-Type"] = environ["CONTENT_TYPE"]
    length = environ.get("CONTENT_LENGTH")
    body = environ["wsgi.input"].read(int(length)) if length else None
    connection = http.client.HTTPConnection(_WHERE.hostname, _WHERE.port, timeout=30)
    try:
        connection.request(
            environ["REQUEST_METHOD"], f"{path}?{query}" if query else path, body, fields
        )
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    kept = [pair for pair in answer.getheaders() if pair[0].lower() not in _PER_CONNECTION]
    start(f"{answer.status} {answer.reason}", kept)
    return [content]


def pytest_configure() -> None:
    """From here on nothing is answered by httpbin itself."""
    httpbin.app.wsgi_app = passOn
