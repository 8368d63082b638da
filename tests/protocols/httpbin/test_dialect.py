"""How requests are shown: as httpbin does, which stands on werkzeug."""

from __future__ import annotations

import gc
import json
import tracemalloc
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from visiting import ask
from werkzeug.wrappers import Request

from loopbackd.protocols.httpbin.dialect import jsonText, readPairs, textsAsJSON
from loopbackd.protocols.httpbin.site import makeSite

ESCAPED = st.binary(max_size=4).map(lambda data: "".join(f"%{byte:02x}" for byte in data))
PLAIN = st.text(st.sampled_from("aZ09-._~!$&'()*+,;=:@/|\"<>[]{}\\^`%"), max_size=5)
PIECES = st.lists(ESCAPED | PLAIN | st.just("%é".encode().decode("latin-1")[:1]), max_size=5)
TARGETS = PIECES.map("".join)


def shown(target: str, fields: list[tuple[str, str]] | None = None) -> Any:
    """What comes back of a request."""
    return ask(makeSite(), target, "GET", fields).json


def werkzeugs(path: str, query: str) -> Any:
    """A request as werkzeug sees it."""
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "HTTP_HOST": "127.0.0.1:62893",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "62893",
        "wsgi.url_scheme": "http",
    }
    return Request(environ)


@given(TARGETS.map(lambda path: f"/anything/{path}"), TARGETS)
def test_addressAsWerkzeug(path: str, query: str) -> None:
    """Escapes of the path and of the query are undone where that changes nothing."""
    path = path.replace("?", "")
    theirs = werkzeugs(path, query)
    ours = shown(f"{path}?{query}" if query else path)
    assert ours["url"] == theirs.url


@given(TARGETS)
def test_argumentsAsWerkzeug(query: str) -> None:
    """One value as it is, several as a list, and what is not UTF-8 stays escaped."""
    theirs = {
        name: values[0] if len(values) == 1 else values
        for name, values in werkzeugs("/get", query).args.lists()
    }
    assert shown(f"/get?{query}")["args"] == theirs


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("/anything", "http://127.0.0.1:62893/anything"),
        ("/anything?", "http://127.0.0.1:62893/anything"),
        ("/anything/a%2Fb?q=%41%26", "http://127.0.0.1:62893/anything/a/b?q=A%26"),
        ("/anything/%C3%A9%ff%25?%ff", "http://127.0.0.1:62893/anything/é\ufffd%?%FF"),
        ("//get", "http://127.0.0.1:62893/get"),
    ],
)
def test_addresses(target: str, url: str) -> None:
    """Some of them by hand."""
    assert shown(target)["url"] == url


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ([("X-Forwarded-Proto", "https")], "https://127.0.0.1:62893/get"),
        ([("X-Forwarded-Protocol", "wss")], "wss://127.0.0.1:62893/get"),
        ([("X-Forwarded-Ssl", "on")], "https://127.0.0.1:62893/get"),
        ([("X-Forwarded-Ssl", "off")], "http://127.0.0.1:62893/get"),
    ],
)
def test_behindAProxy(fields: list[tuple[str, str]], url: str) -> None:
    """A proxy may say how the client came."""
    assert shown("/get", fields)["url"] == url


def test_fields() -> None:
    """Title case, repeats joined, no underscores, and what hosting adds only when asked for."""
    fields = [
        ("x-a", "1"),
        ("X-A", "2"),
        ("a_b", "c"),
        ("via", "x"),
        ("X-FORWARDED-FOR", "1.2.3.4, z"),
    ]
    assert shown("/headers", fields) == {"headers": {"Host": "127.0.0.1:62893", "X-A": "1,2"}}
    assert shown("/get?show_env", fields)["headers"] == {
        "Host": "127.0.0.1:62893",
        "Via": "x",
        "X-A": "1,2",
        "X-Forwarded-For": "1.2.3.4, z",
    }
    assert shown("/ip", fields) == {"origin": "1.2.3.4, z"}


@pytest.mark.parametrize("target", ["/headers", "/go/headers"])
def test_longNames(target: str) -> None:
    """Whoever chooses names of fields does not choose how much is remembered."""
    site = makeSite()
    ask(site, target)
    tracemalloc.start()
    for number in range(100):
        name = f"X{number}" + "x" * 10_000
        assert name.lower() in ask(site, target, "GET", [(name, "y")]).text.lower()
    gc.collect()
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used < 500_000


def test_everyAnswerIsForEverybody() -> None:
    """Pages of other origins may read any answer, errors too."""
    for target in ("/get", "/nowhere", "/status/500"):
        answer = ask(makeSite(), target, "GET", [("Origin", "http://a.test")])
        assert answer.get("Access-Control-Allow-Origin") == "http://a.test"
        assert answer.get("Access-Control-Allow-Credentials") == "true"
        assert answer.get("Vary") == "Origin"
    assert ask(makeSite(), "/get").get("Vary") == "Origin"
    assert ask(makeSite(), "/get").get("Access-Control-Allow-Origin") == "*"


def test_preflight() -> None:
    """OPTIONS says what may be asked."""
    answer = ask(makeSite(), "/post", "OPTIONS", [("Access-Control-Request-Headers", "X-A")])
    assert (answer.status, answer.body, answer.get("Allow")) == (200, b"", "POST, OPTIONS")
    methods = "GET, POST, PUT, DELETE, PATCH, OPTIONS"
    assert answer.get("Access-Control-Allow-Methods") == methods
    assert answer.get("Access-Control-Max-Age") == "3600"
    assert answer.get("Access-Control-Allow-Headers") == "X-A"


def test_errors() -> None:
    """An error is a small page in which nothing is taken for markup."""
    answer = ask(makeSite(), "/<script>")
    assert (answer.status, answer.reason) == (404, "NOT FOUND")
    assert "<title>404 Not Found</title>" in answer.text
    assert "<script>" not in answer.text
    assert ask(makeSite(), "/post").get("Allow") == "POST, OPTIONS"


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSONS)
def test_JSON(value: object) -> None:
    """The same bytes as Python's json writes, faster."""
    try:
        expected = json.dumps(value, indent=2, sort_keys=True)
    except ValueError:
        return
    if "Infinity" not in expected:
        assert jsonText(value) == expected.encode() + b"\n"


@given(st.dictionaries(st.text(), st.text() | st.lists(st.text())))
def test_texts(value: dict[str, Any]) -> None:
    """The same where there are texts only."""
    assert textsAsJSON(value) == json.dumps(value, indent=2, sort_keys=True).encode() + b"\n"


def test_halfPairs() -> None:
    """JSON can have half of a surrogate pair, which is no character."""
    assert jsonText(["\ud800"]) == b'[\n  "\\ud800"\n]\n'


@given(st.binary())
def test_anyPairs(text: bytes) -> None:
    """Whatever comes has names and values without replacement characters of ours."""
    pairs = readPairs(text)
    assert len(pairs) <= text.count(b"&") + 1
    assert all(
        char < "\udc80" or char > "\udcff" for pair in pairs for word in pair for char in word
    )
