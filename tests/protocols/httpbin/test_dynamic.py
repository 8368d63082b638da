"""What is made up."""

from __future__ import annotations

import random
import uuid
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from visiting import Visit, ask, request

from loopbackd.protocols.httpbin.dynamic import RandomBytes, decodeBase64
from loopbackd.protocols.httpbin.site import makeSite


def test_uuid() -> None:
    """Each is another."""
    first, second = (uuid.UUID(ask(makeSite(), "/uuid").json["uuid"]) for _ in range(2))
    assert (first.version, second.version) == (4, 4)
    assert first != second


@given(st.integers(), st.lists(st.integers(0, 50), max_size=5))
def test_seeded(seed: int, sizes: list[int]) -> None:
    """The bytes are those of Python's generator, in whatever pieces they are taken."""
    chance, source = random.Random(seed), RandomBytes(seed)
    expected = bytes(chance.randint(0, 255) for _ in range(sum(sizes)))
    assert b"".join(source.take(size) for size in sizes) == expected


def test_bytes() -> None:
    """As many as asked for, 100 KiB at most; the ones that clients' tests know."""
    answer = ask(makeSite(), "/bytes/10?seed=0")
    assert answer.body == b"\xc5\xd7\x14\x84\xf8\xcf\x9b\xf4\xb7o"
    assert ask(makeSite(), "/bytes/10?SEED=0").body == answer.body
    assert len(ask(makeSite(), "/bytes/1000000").body) == 102400
    assert ask(makeSite(), "/bytes/16").body != ask(makeSite(), "/bytes/16").body
    assert ask(makeSite(), "/bytes/0").body == b""


@pytest.mark.parametrize(
    ("query", "sizes"),
    [("chunk_size=7", [7, 3]), ("chunk_size=0", [1] * 10), ("chunk_size=-5", [1] * 10), ("", [10])],
)
def test_streamBytes(query: str, sizes: list[int]) -> None:
    """The same in chunks of that size."""
    visit = Visit(makeSite())
    visit.say(request(f"/stream-bytes/10?seed=0&{query}"))
    chunks = visit.heard.partition(b"\r\n\r\n")[2]
    for size in sizes:
        line, _, chunks = chunks.partition(b"\r\n")
        assert int(line, 16) == size
        chunks = chunks[size + 2 :]
    assert chunks == b"0\r\n\r\n"
    (answer,) = visit.answers("GET")
    assert answer.body == b"\xc5\xd7\x14\x84\xf8\xcf\x9b\xf4\xb7o"
    visit.end()


def test_links() -> None:
    """Each page has links to the others."""
    assert ask(makeSite(), "/links/3").get("Location") == "/links/3/0"
    assert ask(makeSite(), "/links/3/1").text == (
        "<html><head><title>Links</title></head><body>"
        "<a href='/links/3/0'>0</a> 1 <a href='/links/3/2'>2</a> </body></html>"
    )
    assert ask(makeSite(), "/links/1000/0").text.count("<a ") == 199
    assert ask(makeSite(), "/links/0/5").text.count("<a ") == 1


@given(st.text(), st.booleans())
def test_base64(text: str, padded: bool) -> None:
    """Text comes out of it, with or without padding."""
    encoded = urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode()
    assert decodeBase64(encoded if padded else encoded.rstrip("=")) == text


@pytest.mark.parametrize("value", ["!", "__79", "A", "é"])
def test_noBase64(value: str) -> None:
    """What is none is told how it should be."""
    assert decodeBase64(value) in ("", "Incorrect Base64 data try: SFRUUEJJTiBpcyBhd2Vzb21l")


def test_base64IsNoPageOfOurs() -> None:
    """Scripts in it do not run."""
    answer = ask(makeSite(), "/base64/PHNjcmlwdD4=")
    assert (answer.text, answer.get("Content-Security-Policy")) == ("<script>", "sandbox")
