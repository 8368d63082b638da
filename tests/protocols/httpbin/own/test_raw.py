"""Tests for L{loopbackd.protocols.httpbin.own.raw}."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from visiting import Answered, Visit, ask

from loopbackd.http.factory import Bounds, HTTPFactory
from loopbackd.protocols.httpbin.own.raw import dumped, shown
from loopbackd.protocols.httpbin.site import makeSite

SITE = makeSite()
HEAD = b"PoSt /raw/a%2Fb?x=%41&&y HTTP/1.1\r\nhOST:localhost\r\nX-Two:  b \r\nx-two:\ta\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BODY = b'5;a="b"\r\nhello\r\n0a\r\n\xff123456789\r\n00\r\nX-Tail: 1\r\nx-tail: \xfc\r\n\r\n'


def said(data: bytes, size: int = 1 << 30) -> Answered:
    """The answer to these very bytes."""
    visit = Visit(SITE)
    visit.say(data, size)
    (answer,) = visit.answers("POST")
    visit.end()
    return answer


def bytesOf(value: Any) -> bytes:
    """What L{shown} showed."""
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"])


@given(st.binary())
def test_nothingIsLost(data: bytes) -> None:
    """Whatever is shown can be had again."""
    assert bytesOf(shown(data)) == data


def test_json() -> None:
    """Request line, fields in order and case, body, chunks and trailers, as they came."""
    found = said(CHUNKED + BODY).json
    assert found["request_line"] == "PoSt /raw/a%2Fb?x=%41&&y HTTP/1.1"
    assert found["headers"] == [
        ["hOST", "localhost"],
        ["X-Two", "b"],
        ["x-two", "a"],
        ["Transfer-Encoding", "chunked"],
    ]
    assert bytesOf(found["head"]) == CHUNKED
    assert (found["framing"], found["body_bytes"]) == ("chunked", 15)
    assert bytesOf(found["body"]) == b"hello\xff123456789"
    assert bytesOf(found["body_as_it_came"]) == BODY
    assert found["trailers"] == [["X-Tail", "1"], ["x-tail", {"base64": "/A=="}]]


@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=20), st.sampled_from(["%x", "%03X"]))),
    st.sampled_from(["", ";x", ';name="a b"']),
    st.integers(1, 50),
)
def test_chunksAsTheyCame(parts: list[tuple[bytes, str]], extension: str, size: int) -> None:
    """However a body was cut, and however it arrived, its bytes are those that were sent."""
    body = b"".join(
        (form % len(data) + extension).encode() + b"\r\n" + data + b"\r\n" for data, form in parts
    )
    message = CHUNKED.replace(b"?", b"?format=text&") + body + b"0\r\n\r\n"
    assert said(message, size).body == message


@pytest.mark.parametrize(
    ("more", "body", "framing"),
    [
        (b"\r\n", b"", "none"),
        (b"Content-Length: 0\r\n\r\n", b"", "content-length"),
        (b"Content-Length: 3\r\n\r\n", b"\0\xff\n", "content-length"),
    ],
)
def test_framing(more: bytes, body: bytes, framing: str) -> None:
    """How the end of the body was said."""
    found = said(HEAD + more + body).json
    assert (found["framing"], bytesOf(found["body"])) == (framing, body)
    assert found["body_as_it_came"] == found["body"]
    assert found["trailers"] == []


@pytest.mark.parametrize(
    ("accept", "type"),
    [
        (None, "application/json"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("message/http", "message/http"),
        ("message/*;q=0.3, text/*;q=0.1", "message/http"),
    ],
)
def test_byAccept(accept: str | None, type: str) -> None:
    """The client says in which form it wants it; browsers do not guess at what it is."""
    answer = ask(SITE, "/raw", fields=[] if accept is None else [("Accept", accept)])
    assert answer.get("content-type") == type
    assert answer.all("vary") == ["Accept", "Origin"]
    assert answer.get("x-content-type-options") == "nosniff"


def test_notAcceptable() -> None:
    """What there is not, is told; what the query asks for is not the field's to refuse."""
    fields = [("Accept", "image/png")]
    answer = ask(SITE, "/raw", fields=fields)
    assert answer.status == 406
    assert "message/http" in answer.text
    assert ask(SITE, "/raw?format=hex", fields=fields).status == 200


def test_tooMuch() -> None:
    """What frames a body counts, too: it is kept."""
    visit = Visit(HTTPFactory(SITE, bounds=Bounds(body=1000)))
    visit.say(CHUNKED + b"000000001\r\nx\r\n" * 80)
    (answer,) = visit.answers("POST")
    assert answer.status == 413
    visit.end()


@given(st.binary(max_size=200))
def test_dump(data: bytes) -> None:
    """Numbers and text of each line are those of sixteen bytes, and the last line is the size."""
    lines = b"".join(dumped(data)).decode().splitlines()
    assert lines.pop() == f"{len(data):08x}"
    found = b""
    for number, line in enumerate(lines):
        match = re.fullmatch(r"([0-9a-f]{8})  ([0-9a-f ]{48})  \|([ -~]{1,16})\|", line)
        assert match is not None, line
        assert int(match[1], 16) == number * 16
        part = bytes.fromhex(match[2])
        assert len(part) == len(match[3])
        found += part
    assert found == data


def test_dumpAsHexdump(program: Callable[..., str]) -> None:
    """It is what hexdump -C prints."""
    hexdump = program("hexdump")
    data = bytes(range(256)) + b"the rest"
    done = subprocess.run([hexdump, "-Cv"], input=data, capture_output=True, check=True)
    assert b"".join(dumped(data)) == done.stdout


def test_aLongDump() -> None:
    """A long dump comes in pieces."""
    assert len(list(dumped(bytes(100_000)))) > 10
