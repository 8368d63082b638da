"""What C{Range} asks for, and several parts as one body."""

from __future__ import annotations

from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.http.ranges import Multipart, Part, parseRange


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("bytes=0-0", [Part(0, 0)]),
        ("bytes=10-24", [Part(10, 24)]),
        ("BYTES=20-", [Part(20, 25)]),
        ("bytes=-5", [Part(21, 25)]),
        ("bytes=-500", [Part(0, 25)]),
        ("bytes=0-400", [Part(0, 25)]),
        ("bytes= 1-2 , 5-6,", [Part(1, 2), Part(5, 6)]),
        ("bytes=5-6,1-2", [Part(5, 6), Part(1, 2)]),
        ("bytes=26-", []),
        ("bytes=32-40", []),
        ("bytes=-0", []),
        ("bytes=32-40,0-1", [Part(0, 1)]),
        ("lines=0-1", None),
    ],
)
def test_a_range_is_cut_to_what_exists(value: str, parts: list[Part] | None) -> None:
    """Of twenty-six bytes; what lies beyond them is left out."""
    assert parseRange(value, 26) == parts


@pytest.mark.parametrize(
    "value",
    ["bytes", "bytes=", "bytes=,", "bytes=-", "bytes=10-5", "bytes=a-b", "bytes=1", "bytes=+1-2"],
)
def test_what_is_no_range_is_refused(value: str) -> None:
    """The message shows it."""
    with pytest.raises(ValueError, match=r"range"):
        parseRange(value, 26)


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    """Python would refuse to read it, with an error that is not ours."""
    with pytest.raises(ValueError, match="no range of bytes"):
        parseRange(f"bytes={'9' * 9000}-", 26)


@given(st.text(alphabet="0123456789-, =bytes\t", max_size=40), st.integers(0, 1000))
def test_parts_exist(text: str, size: int) -> None:
    """Whatever is asked for, what comes out lies within what there is."""
    try:
        parts = parseRange("bytes=" + text, size)
    except ValueError:
        return
    assert parts is not None
    for part in parts:
        assert 0 <= part.first <= part.last < size


def test_several_parts_are_a_multipart_body() -> None:
    """As a mail program reads it: the type and the place of each part, and its bytes."""
    whole = bytes(range(97, 123)) * 4
    parts = [Part(10, 24), Part(50, 64), Part(0, 0)]
    multipart = Multipart(parts, "text/plain", len(whole), "xyz")
    body = b"".join(
        head + whole[part.first : part.last + 1]
        for head, part in zip(multipart.heads, parts, strict=True)
    )
    body += multipart.end
    assert multipart.length == len(body)
    message = BytesParser(EmailMessage, policy=HTTP).parsebytes(
        f"Content-Type: {multipart.type}\r\n\r\n".encode() + body
    )
    found = list(message.iter_parts())
    assert [one["Content-Range"] for one in found] == [
        "bytes 10-24/104",
        "bytes 50-64/104",
        "bytes 0-0/104",
    ]
    assert [one.get_payload(decode=True) for one in found] == [
        whole[10:25],
        whole[50:65],
        b"a",
    ]
