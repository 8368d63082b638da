"""Something that is served whole, in part or not at all."""

from __future__ import annotations

from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP

import pytest
from hypothesis import given
from hypothesis import strategies as st
from visiting import Visit, request

from go.tables import MOST, SITE, TEXT, errorOf, get

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def test_whole() -> None:
    """The tag has no quotes."""
    found = get(f"/range/{MOST - 1}")
    assert found.status == 200 and len(found.body) == MOST - 1
    assert found.get("ETag") == f"range{MOST - 1}" and found.get("Accept-Ranges") == "bytes"
    assert found.get("Content-Type") == TEXT and found.get("Content-Length") == str(MOST - 1)
    assert found.get("Content-Range") is None
    assert found.text == (LETTERS * 40)[: MOST - 1]


@pytest.mark.parametrize(
    ("size", "wanted", "range", "text"),
    [
        (100, "bytes=10-24", "bytes 10-24/100", "klmnopqrstuvwxy"),
        (1000, "bytes=0-15", "bytes 0-15/1000", "abcdefghijklmnop"),
        (26, "bytes=20-", "bytes 20-25/26", "uvwxyz"),
        (26, "bytes=-5", "bytes 21-25/26", "vwxyz"),
        (26, "bytes=0-40", "bytes 0-25/26", LETTERS),
        (26, "bytes=0-0", "bytes 0-0/26", "a"),
    ],
)
def test_a_part(size: int, wanted: str, range: str, text: str) -> None:
    """Says where it belongs."""
    found = get(f"/range/{size}", Range=wanted)
    assert (found.status, found.get("Content-Range"), found.text) == (206, range, text)
    assert found.get("ETag") == f"range{size}"
    assert found.get("Content-Length") == str(len(text))


@pytest.mark.parametrize(("wanted", "range"), [("bytes=32-40", "bytes */26"), ("bytes=10-5", None)])
def test_no_such_part(wanted: str, range: str | None) -> None:
    """How much there is, unless the range makes no sense."""
    found = get("/range/26", Range=wanted)
    assert (found.status, found.get("Content-Range")) == (416, range)


@pytest.mark.parametrize("wanted", ["lines=1-2", "bytes=0-20,0-20", "bytes=" + "0-25," * 500])
def test_what_is_answered_whole(wanted: str) -> None:
    """Another unit, and parts that are more than the whole."""
    found = get("/range/26", Range=wanted)
    assert (found.status, found.text) == (200, LETTERS)


def test_too_many_parts() -> None:
    """A hundred are enough for anybody; the whole is less than their heads."""
    parts = ",".join(f"{2 * n}-{2 * n}" for n in range(101))
    assert get("/range/1000", Range=f"bytes={parts}").status == 200
    assert get("/range/1000", Range=f"bytes={parts.rpartition(',')[0]}").status == 206


def test_a_part_of_something_else() -> None:
    """The tag is none that could match, and only GET has parts."""
    assert get("/range/26", Range="bytes=0-1", If_Range='"range26"').status == 200
    assert get("/range/26", "POST", Range="bytes=0-1").status == 200
    assert get("/range/26", If_None_Match="*").status == 304


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_several_parts(seconds: float) -> None:
    """As a mail program reads them; also if they take their time."""
    query = f"?duration={seconds}" if seconds else ""
    found = get(f"/range/100{query}", seconds=seconds + 0.1, Range="bytes=10-24, 50-64")
    assert found.status == 206
    type = found.get("Content-Type") or ""
    assert type.startswith("multipart/byteranges; boundary=")
    message = BytesParser(EmailMessage, policy=HTTP).parsebytes(
        f"Content-Type: {type}\r\n\r\n".encode() + found.body
    )
    assert [
        (one.get_content_type(), one["Content-Range"], one.get_payload(decode=True))
        for one in message.iter_parts()
    ] == [
        ("text/plain", "bytes 10-24/100", b"klmnopqrstuvwxy"),
        ("text/plain", "bytes 50-64/100", b"yzabcdefghijklm"),
    ]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/range/1/foo", 404),
        ("/range/", 404),
        ("/range", 404),
        ("/range/foo", 400),
        ("/range/1.5", 400),
        ("/range/-1", 400),
        ("/range/0", 400),
        (f"/range/{MOST + 1}", 400),
        ("/range/100?duration=-1", 400),
        ("/range/100?duration=XYZ", 400),
        ("/range/100?duration=2h", 400),
    ],
)
def test_what_is_no_range(path: str, status: int) -> None:
    """In text if it is not there, else in JSON."""
    found = get(path)
    assert found.status == status
    if status == 400:
        assert errorOf(found)["detail"]


@pytest.mark.parametrize("wanted", ["bytes=10-24", "bytes=5-5"])
def test_it_takes_its_time(wanted: str) -> None:
    """All of the duration, for a part as well."""
    visit = Visit(SITE)
    visit.say(request("/range/100?duration=1", fields=[("Range", wanted)]))
    visit.later(0.8)
    assert visit.answers("GET") == []
    visit.later(0.3)
    (found,) = visit.answers("GET")
    assert found.status == 206
    visit.end()


@given(st.integers(1, 200), st.text(alphabet="0123456789-, ", max_size=20))
def test_any_range(size: int, wanted: str) -> None:
    """A part is what stands there in the whole."""
    found = get(f"/range/{size}", Range="bytes=" + wanted.strip())
    assert found.status in (200, 206, 416)
    whole = (LETTERS * 8)[:size]
    if found.status == 200:
        assert found.text == whole
    elif found.status == 206 and (place := found.get("Content-Range")) is not None:
        first, last = place.removeprefix("bytes ").partition("/")[0].split("-")
        assert found.text == whole[int(first) : int(last) + 1]
