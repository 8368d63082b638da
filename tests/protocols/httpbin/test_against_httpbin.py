"""The same requests to httpbin itself and to us, both in memory: where do the answers differ?"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from visiting import Answered, ask

from loopbackd.protocols.httpbin.site import makeSite

Case = tuple[str, str, list[tuple[str, str]], bytes]

HOST = "127.0.0.1:62893"
FORM = [("Content-Type", "application/x-www-form-urlencoded")]
JSON = [("Content-Type", "application/json")]
PARTS = [("Content-Type", "multipart/form-data; boundary=b")]
MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\nhello\r\n'
    b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\nagain\r\n'
    b'--b\r\nContent-Disposition: form-data; name="f"; filename="t.bin"\r\n\r\n\xa5\xc6\r\n'
    b'--b\r\nContent-Disposition: form-data; name="g"; filename="t.png"\r\n'
    b"Content-Type: image/png; a=b\r\n\r\n\xa5\r\n--b--\r\n"
)


def get(*targets: str, **fields: str) -> list[Case]:
    """Requests with these targets, and fields whose names have no underscores."""
    pairs = [(name.replace("_", "-"), value) for name, value in fields.items()]
    return [("GET", target, pairs, b"") for target in targets]


SAME: list[Case] = [
    *get("/get", "/get?a=1&a=2&b=&c", "/get?%ff=%fe&x=%C3%A9+y", "/get?show_env=1"),
    *get("/anything/a%2Fb/%c3%a9?x=%20%26%41", "/headers", "/ip", "/user-agent", "/json"),
    *get("/get", "/ip", "/headers?show_env", X_Forwarded_For="1.2.3.4, 5.6.7.8", Via="x"),
    *get("/get", X_Forwarded_Proto="https"),
    *get("/get", X_Forwarded_Ssl="on"),
    *get("/get", Origin="http://a.test"),
    *get("/cookies", "/cookies/set?a=b&c=%22d;%c3%a9%22", "/cookies/set/x/y"),
    *get("/cookies/delete?a&b"),
    *(one for value in ("a=b; c=d", r'a="b\054\"x"; c', "=x", "a=b=c;;d= e ;f", "a=1; a=2")
      for one in get("/cookies", Cookie=value)),
    *get("/cookies", "/cookies?show_env=1", Cookie='a="b;c"; __utmz=1; _gauges_unique_day=2'),
    *get("/redirect/1", "/redirect/3", "/redirect/3?absolute=true", "/redirect/1?absolute=TRUE"),
    *get("/relative-redirect/1", "/relative-redirect/5", "/absolute-redirect/1"),
    *get("/absolute-redirect/6", "/redirect/-1", "/redirect/x", "/redirect-to?url=/x"),
    *get("/redirect-to?URL=/x&Status_Code=307", "/redirect-to?url=/x&status_code=200"),
    *get("/redirect-to?url=http%3A%2F%2Fexample.org%2F%C3%A9%20x"),
    *get("/cache/60", "/cache/x", "/etag/abc", "/bytes/10?seed=0", "/bytes/50?Seed=-5", "/bytes/0"),
    *get("/stream-bytes/30?seed=7&chunk_size=7", "/stream-bytes/9?seed=99999999999999999999999"),
    *get("/stream/3?x=y", "/stream/0", "/stream/1000", "/delay/0", "/delay/0.01?a=b"),
    *get("/range/26", "/range/0", "/range/200000", "/range/26?duration=0.01&chunk_size=3"),
    *(one for value in ("0-15", "20-", "-5", "-50", "10-5", "0-40", "0-25", "x", "-", "-0", "26-")
      for one in get("/range/26", Range=f"bytes={value}")),
    *get("/range/26", Range="items=0-1"),
    *get("/links/3", "/links/3/1", "/links/0/0", "/links/1000/5", "/robots.txt"),
    *get("/base64/SFRUUEJJTiBpcyBhd2Vzb21l", "/base64/!!!", "/base64/__79"),
    *get("/drip?numbytes=5&duration=0.01", "/drip?numbytes=3&duration=0&code=404"),
    *get("/basic-auth/a/b", "/hidden-basic-auth/a/b", "/bearer", "/nothing", "/nothing/"),
    *(one for value in ("Basic YTpi", "basic YTpi", "Basic YTpj", "Basic !!!", "Basic", "Bearer x",
                        "Bearer", "bearer x", "Bearer a b")
      for one in get("/basic-auth/a/b", "/hidden-basic-auth/a/b", "/bearer", Authorization=value)),
    *(one for value in ("abc", '"abc"', 'W/"abc"', '"x", "abc"', "*", '"x"')
      for one in [*get("/etag/abc", If_None_Match=value), *get("/etag/abc", If_Match=value)]),
    *get("/cache", If_None_Match="x"),
    *get("/cache", If_Modified_Since="x"),
    *get("/image", Accept="text/html"),
    *get("/response-headers?a=b&a=c&d=e"),
    *(("GET", f"/status/{code}", [], b"")
      for code in (200, 201, 206, 300, 304, 308, 400, 401, 404, 406, 451, 500, 503, 600, 999)),
    *((method.upper(), f"/{method}", fields, body)
      for method in ("post", "put", "patch", "delete")
      for fields, body in [
          (JSON, b'{"a":[1,2.50,{"b":null}],"\xc3\xa9":1e3}'),
          (FORM, b"a=1&a=2&b=%FF&c=%c3%a9+x"),
          (PARTS, MULTIPART),
          ([("Content-Type", "text/plain")], b"\xff\xfe"),
          ([], b"text"),
          (JSON, b'{"a":1'),
          (JSON, b"5"),
          (JSON, b'"\xed\xa0\x80 \\ud800"'),
      ]),
    *((method, path, [], b"")
      for method in ("HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH")
      for path in ("/get", "/anything", "/anything/x", "/status/200", "/redirect-to?url=/a",
                   "/delay/0", "/response-headers?a=b", "/post", "/cookies", "/redirect/2")),
    ("OPTIONS", "/get", [("Origin", "http://a"), ("Access-Control-Request-Headers", "X-A")], b""),
]  # fmt: skip

BETTER = {
    "/redirect/0": (500, 400),
    "/redirect-to": (302, 400),
    "/redirect-to?url=x&status_code=abc": (500, 400),
    "/bytes/10?seed=x": (500, 400),
    "/stream-bytes/10?chunk_size=x": (500, 400),
    "/range/26?duration=x": (500, 400),
    "/delay/abc": (500, 400),
    "/delay/-1": (500, 400),
    "/drip?numbytes=x": (500, 400),
    "/status/99": (99, 400),
    "/status/200:0": (400, 400),
    "/status/200:0,201:0": (500, 400),
}

# What is added because RFC 9110 wants it, or because a page that a client wrote may run no scripts.
ADDED = {("vary", "Accept"), ("vary", "Origin"), ("content-security-policy", "sandbox")}

# What is ours: the words of errors and of redirects' pages.
OWN_WORDS = re.compile(rb"<title>(?:Redirecting|Elsewhere|4\d\d )|\Anumber of bytes")


@pytest.fixture
def theirs(missing: Callable[[str], Any]) -> Callable[[Case], Answered]:
    """What httpbin answers."""
    try:
        # Not httpbin alone: the folder of these tests could be taken for it.
        import httpbin.core
    except ImportError:
        missing("httpbin is not installed")

    def answer(case: Case) -> Answered:
        method, target, fields, body = case
        client = httpbin.app.test_client(use_cookies=False)
        got = client.open(target, method=method, headers=[("Host", HOST), *fields], data=body)
        found = [pair for pair in got.headers if pair[0].lower() != "content-length"]
        return Answered(got.status_code, got.status[4:], found, got.get_data(), [])

    return answer


def ours(case: Case, **more: float) -> Answered:
    """What we answer."""
    method, target, fields, body = case
    return ask(makeSite(), target, method, fields, body, **more)


def comparable(answer: Answered) -> tuple[Any, ...]:
    """What of an answer must be the same."""
    fields = set()
    for name, value in answer.fields:
        name = name.lower()
        if name == "allow":
            value = ", ".join(sorted(value.split(", ")))
        if name not in ("date", "server", "content-length", "transfer-encoding", "connection"):
            fields.add((name, value))
    fields -= ADDED
    if answer.status in (401, 416):
        fields = {pair for pair in fields if pair[0] != "content-type"}
    return answer.status, answer.reason.upper(), fields


@pytest.mark.parametrize("case", SAME, ids=lambda case: f"{case[0]} {case[1]}")
def test_same(theirs: Callable[[Case], Answered], case: Case) -> None:
    """Status, reason, fields and body are the same."""
    method, target, fields, body = case
    case = method, target, [("User-Agent", "test"), *fields], body
    expected, answer = theirs(case), ours(case, seconds=1.0)
    assert comparable(answer) == comparable(expected)
    if not (OWN_WORDS.search(expected.body) and OWN_WORDS.search(answer.body)):
        assert _unordered(target, answer.body) == _unordered(target, expected.body)


def _unordered(target: str, body: bytes) -> Any:
    """C{/stream} has the request's fields as they came, and their client puts its own first."""
    if target.startswith("/stream/"):
        return [json.loads(line) for line in body.splitlines(keepends=True)]
    return body


@pytest.mark.parametrize(("target", "statuses"), BETTER.items())
def test_better(theirs: Callable[[Case], Answered], target: str, statuses: tuple[int, int]) -> None:
    """What they break at, we refuse."""
    case: Case = ("GET", target, [], b"")
    assert (theirs(case).status, ours(case).status) == statuses
