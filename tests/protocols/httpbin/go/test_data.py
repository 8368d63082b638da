"""Answers that are made up."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from visiting import Visit, ask, request

from go.tables import HTML, JSON, MOST, PREFIXED, TEXT, asking, errorOf, get, small
from loopbackd.protocols.httpbin.go.data import transcoded

OCTETS = "application/octet-stream"
VALID = "dmFsaWRfYmFzZTY0X2VuY29kZWRfc3RyaW5n"


@pytest.mark.parametrize("size", [0, 1, 16, MOST])
def test_random_bytes(size: int) -> None:
    """So many."""
    found = get(f"/bytes/{size}")
    assert (found.status, len(found.body)) == (200, size)
    assert found.get("Content-Length") == str(size)
    assert found.get("Content-Type") == OCTETS


@pytest.mark.parametrize("path", ["/bytes/64", "/stream-bytes/64"])
def test_random_bytes_by_seed(path: str) -> None:
    """The same again; others by another seed, or by none."""
    one = get(f"{path}?seed=1234567890").body
    assert one == get(f"{path}?seed=1234567890").body
    assert one != get(f"{path}?seed=-12345").body
    assert get(path).body != get(path).body


@pytest.mark.parametrize(
    ("query", "chunks"),
    [
        ("", 1),
        ("?chunk_size=1", 256),
        ("?chunk_size=256", 1),
        ("?chunk_size=7", 37),
        ("?chunk_size=512", 1),
        ("?chunk_size=-10", 1),
    ],
)
def test_bytes_in_chunks(query: str, chunks: int) -> None:
    """Of the size that was asked for; a size that is none is all at once."""
    visit = Visit(small())
    visit.say(request(f"/stream-bytes/256{query}"))
    visit.later(0.1)
    (found,) = visit.answers("GET")
    assert len(found.body) == 256
    assert found.get("Transfer-Encoding") == "chunked" and found.get("Content-Length") is None
    assert (
        len(re.findall(rb"(?:^|\r\n)[0-9a-f]+\r\n", visit.heard.partition(b"\r\n\r\n")[2]))
        >= chunks
    )
    visit.end()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/bytes/-1", 400),
        ("/bytes/99999999", 400),
        ("/bytes", 404),
        ("/bytes/", 404),
        ("/bytes/16/foo", 404),
        ("/bytes/foo", 400),
        ("/bytes/3.14", 400),
        ("/bytes/16?seed=12345678901234567890", 400),
        ("/bytes/16?seed=foo", 400),
        ("/bytes/16?seed=3.14", 400),
        ("/stream-bytes", 404),
        ("/stream-bytes/10/foo", 404),
        ("/stream-bytes/foo", 400),
        ("/stream-bytes/3.1415", 400),
        ("/stream-bytes/16?chunk_size=foo", 400),
        ("/stream-bytes/16?chunk_size=3.14", 400),
        ("/links/10/1/foo", 404),
        ("/links/3.14", 400),
        ("/links/-1", 400),
        ("/links/257", 400),
        ("/links/257/0", 400),
        ("/links/1/3.14", 400),
        ("/links/1/foo", 400),
    ],
)
def test_what_is_no_number(path: str, status: int) -> None:
    """Or too large."""
    found = get(path)
    assert found.status == status
    if status == 400:
        assert errorOf(found)["detail"]


def test_empty_values_are_none() -> None:
    """As if they were not there."""
    assert get("/bytes/4?seed=").status == 200
    assert get("/stream-bytes/4?seed=&chunk_size=").status == 200
    assert get("/range/4?duration=").status == 200


@pytest.mark.parametrize("n", [0, 1, 100, 256])
def test_links_begin_at_the_first(n: int) -> None:
    """Below the prefix."""
    assert get(f"/links/{n}").get("Location") == f"/links/{n}/0"
    found = ask(PREFIXED, f"/a-prefix/links/{n}")
    assert (found.status, found.get("Location")) == (302, f"/a-prefix/links/{n}/0")


@pytest.mark.parametrize(
    ("path", "links"),
    [
        ("/links/2/0", '0 <a href="%s/links/2/1">1</a> '),
        ("/links/2/1", '<a href="%s/links/2/0">0</a> 1 '),
        ("/links/2/2", '<a href="%s/links/2/0">0</a> <a href="%s/links/2/1">1</a> '),
        ("/links/2/10", '<a href="%s/links/2/0">0</a> <a href="%s/links/2/1">1</a> '),
        ("/links/2/-1", '<a href="%s/links/2/0">0</a> <a href="%s/links/2/1">1</a> '),
        ("/links/0/0", ""),
    ],
)
def test_pages_of_links(path: str, links: str) -> None:
    """With double quotes."""
    page = f"<html><head><title>Links</title></head><body>{links}</body></html>"
    found = get(path)
    assert found.get("Content-Type") == HTML
    assert found.text == page.replace("%s", "")
    assert ask(PREFIXED, f"/a-prefix{path}").text == page.replace("%s", "/a-prefix")


def test_uuid() -> None:
    """Of version 4, and new."""
    found = get("/uuid")
    pattern = r"[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-[89ab][a-f0-9]{3}-[a-f0-9]{12}"
    assert found.get("Content-Type") == JSON
    assert re.fullmatch(pattern, found.json["uuid"])
    assert found.json != get("/uuid").json


@pytest.mark.parametrize(
    ("target", "text", "type"),
    [
        (f"/base64/{VALID}", "valid_base64_encoded_string", TEXT),
        (f"/base64/decode/{VALID}", "valid_base64_encoded_string", TEXT),
        ("/base64/encode/valid_base64_encoded_string", VALID, TEXT),
        ("/base64/dGVzdC1pbWFnZQ==", "test-image", TEXT),
        ("/base64/decode/YWJjMTIzIT8kKiYoKSctPUB-", "abc123!?$*&()'-=@~", TEXT),
        ("/base64/decode/8J+Ziywg8J+MjSEK4oCm", "\U0001f64b, \U0001f30d!\n\u2026", TEXT),
        ("/base64/encode/abc123%21%3F%24%2A%26%28%29%27-%3D%40~", "YWJjMTIzIT8kKiYoKSctPUB-", TEXT),
        (
            "/base64/eyJzZXJ2ZXIiOiAiZ28taHR0cGJpbiJ9Cg==?content-type=application/json",
            '{"server": "go-httpbin"}\n',
            "application/json",
        ),
        (
            "/base64/PGltZy9zcmMvb25lcnJvcj1hbGVydCgneHNzJyk%2B?content-type=text/html",
            "&lt;img/src/onerror=alert(&#39;xss&#39;)&gt;",
            "text/html",
        ),
    ],
)
def test_base64(target: str, text: str, type: str) -> None:
    """In either alphabet; what could run is escaped."""
    found = get(target)
    assert (found.status, found.text, found.get("Content-Type")) == (200, text, type)


def test_what_could_run_may_run_where_the_operator_says_so() -> None:
    """A file of HTML, for one."""
    target = "/base64/PGI-?content-type=text/html"
    assert get(target).text == "&lt;b&gt;"
    assert ask(small(allow_dangerous_responses=True), target).text == "<b>"


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        ("/base64/invalid_base64_encoded_string", 400, "decode failed"),
        ("/base64/decode/invalid_base64_encoded_string", 400, "decode failed"),
        ("/base64/decode/%C3%A4%C3%A4%C3%A4%C3%A4", 400, "decode failed"),
        (f"/base64/decode/{'X' * (MOST + 1)}", 400, "input data exceeds max length"),
        (f"/base64/unknown/{VALID}", 400, "invalid operation: unknown"),
        ("/base64/", 404, "not found"),
        ("/base64/decode/", 404, "not found"),
        (f"/base64/decode/{VALID}/extra", 404, "not found"),
        (asking(f"/base64/{VALID}", **{"content-type": "a\r\nb: c"}), 400, "invalid content-type"),
    ],
)
def test_what_is_no_base64(target: str, status: int, text: str) -> None:
    """And what cannot be done with it."""
    found = get(target)
    assert found.status == status and text in found.text


@given(st.text(min_size=1, max_size=200))
def test_base64_there_and_back(text: str) -> None:
    """Whatever it is."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return
    encoded = transcoded("encode", text, MOST)
    assert transcoded("decode", encoded.decode(), MOST) == data
