"""What a request brought, shown."""

from __future__ import annotations

import zlib

import pytest
from visiting import ask

from loopbackd.protocols.httpbin.site import makeSite

MULTIPART = ("Content-Type", "multipart/form-data; boundary=b")


def test_compressed() -> None:
    """A form that is compressed is shown as it came; one that only looks like one is refused."""
    body = zlib.compress(b"--b\r\n\r\n")
    answer = ask(makeSite(), "/post", "POST", [MULTIPART, ("Content-Encoding", "deflate")], body)
    assert answer.status == 200
    assert answer.json["data"].startswith("data:application/octet-stream;base64,")
    assert answer.json["form"] == {}
    assert ask(makeSite(), "/post", "POST", [MULTIPART], body).status == 400


@pytest.mark.parametrize("depth", [10, 900, 990, 100_000])
def test_deepJSON(depth: int) -> None:
    """JSON that nobody could write again is none."""
    body = b"[" * depth + b"]" * depth
    answer = ask(makeSite(), "/anything/below", "PUT", body=body)
    assert (answer.status, answer.text.count('"method": "PUT"')) == (200, 1)
    assert f'"data": "{body.decode()}"' in answer.text


def test_repeatedFiles() -> None:
    """Of files with one name none is lost."""
    part = b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n%d\r\n'
    body = part % 1 + part % 2 + b"--b--\r\n"
    assert ask(makeSite(), "/post", "POST", [MULTIPART], body).json["files"] == {"f": ["1", "2"]}


def test_userAgent() -> None:
    """Who does not say what it is, is nothing."""
    assert ask(makeSite(), "/user-agent").json == {"user-agent": None}
    assert ask(makeSite(), "/user-agent", "GET", [("User-Agent", "x")]).json == {"user-agent": "x"}


def test_tooLong() -> None:
    """A body has a bound."""
    assert ask(makeSite(), "/post", "POST", body=b"x" * ((16 << 20) + 1)).status == 413
