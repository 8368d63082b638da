"""The table as go-httpbin's own tests have it: little is allowed, and everything is fast."""

from __future__ import annotations

from random import Random
from typing import Any
from urllib.parse import urlencode

from visiting import Answered, ask

from loopbackd.http.mounts import Mounts
from loopbackd.http.routes import Routes
from loopbackd.httpsettings import GoSettings
from loopbackd.protocols.httpbin.go.table import makeGo

MOST = 1024
LIMITS: dict[str, Any] = {
    "max_body_size": MOST,
    "max_duration": 1.0,
    "drip_delay": 0.0,
    "drip_duration": 0.1,
    "event_duration": 0.1,
    "allowed_redirect_domains": ("httpbingo.org", "example.org", "www.example.com"),
    "exclude_headers": "x-ignore-*,x-info-this-key",
}
JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
ENVIRON = {"HOME": "/", "HTTPBIN_ENV_B": "2", "HTTPBIN_ENV_A": "1", "HTTPBIN_X": "no"}


def small(prefix: str = "", **limits: Any) -> Routes:
    """The table by itself."""
    chosen = GoSettings(**{**LIMITS, **limits})
    return makeGo(chosen, prefix=prefix, environ=ENVIRON, rng=Random(1))


def mounted() -> Mounts:
    """The table under a prefix, with nothing around it."""
    site = Mounts(Routes("nothing"))
    site.mount("/a-prefix", small("/a-prefix"))
    return site


SITE = small()
PREFIXED = mounted()


def get(target: str, method: str = "GET", seconds: float = 0.0, **fields: str) -> Answered:
    """The answer of the small table."""
    pairs = [(name.replace("_", "-"), value) for name, value in fields.items()]
    return ask(SITE, target, method, pairs, seconds=seconds)


def asking(path: str, **query: str) -> str:
    """A path with a query."""
    return f"{path}?{urlencode(query)}"


def errorOf(answered: Answered) -> Any:
    """An error as handlers tell it."""
    assert answered.get("Content-Type") == JSON
    told = answered.json
    assert told["status_code"] == answered.status and told["error"]
    return told
