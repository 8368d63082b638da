"""What stubs answer, and what is wrong with those that cannot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loopbackd.protocols.httpbin.broken.breakages import BREAKAGES
from stubs.stubbing import Stubbed


def stub(answer: str) -> str:
    """A stub at / with that answer."""
    return f"[[stub]]\npath = '/'\nanswer = {answer}\n"


@pytest.mark.parametrize(
    ("answer", "status", "type", "body"),
    [
        ("{}", 200, None, b""),
        ("{ text = 'é' }", 200, "text/plain; charset=utf-8", "é".encode()),
        ("{ json = { b = [1, 'é'], a = true } }", 200, "application/json", None),
        ("{ status = 418, type = 'a/b', text = 'x' }", 418, "a/b", b"x"),
        ("{ text = 'x', headers = { Content-Type = 'a/b' } }", 200, "a/b", b"x"),
        ("{ status = 204 }", 204, None, b""),
        ("{ text = 'abc', chunked = true }", 200, "text/plain; charset=utf-8", b"abc"),
    ],
)
def test_bodies(answer: str, status: int, type: str | None, body: bytes | None) -> None:
    """Each with its type, and nothing that the test service adds to its own answers."""
    it = Stubbed(stub(answer)).ask("/")
    assert (it.status, it.get("Content-Type")) == (status, type)
    if body is None:
        assert it.json == {"b": [1, "é"], "a": True}
    else:
        assert it.body == body
    assert it.get("Access-Control-Allow-Origin") is None


def test_statusLineAndFields() -> None:
    """In the order and case they were written; Server and Date can be the user's."""
    answer = "{ reason = 'So So', headers = [['b', '2'], ['A', '1'], ['b', '3'], ['Server', 'x']] }"
    it = Stubbed(stub(answer)).ask("/")
    assert it.reason == "So So"
    names = [(name, value) for name, value in it.fields if name not in ("Date", "Content-Length")]
    assert names == [("b", "2"), ("A", "1"), ("b", "3"), ("Server", "x")]
    table = Stubbed(stub("{ headers = { Set-Cookie = ['a=1', 'b=2'], Date = 'x' } }")).ask("/")
    assert [v for k, v in table.fields if k == "Set-Cookie"] == ["a=1", "b=2"]
    assert table.get("Date") == "x"


def test_files(tmp_path: Path) -> None:
    """Relative to the configuration, with a type by their name."""
    (tmp_path / "a.html").write_bytes(b"<p>")
    (tmp_path / "b").write_bytes(b"\0\1")
    (tmp_path / "c.tar.gz").write_bytes(b"\x1f\x8b")
    types = {"a.html": "text/html; charset=utf-8", "b": None, "c.tar.gz": None}
    for name, type in types.items():
        it = Stubbed(stub(f"{{ file = '{name}' }}"), tmp_path).ask("/")
        assert it.body == (tmp_path / name).read_bytes()
        assert it.get("Content-Type") == (type or "application/octet-stream")


def test_aDelayIsWaitedFor() -> None:
    """And not a moment less."""
    one = Stubbed(stub("{ text = 'x', delay = 2.0 }"))
    one.send("/")
    one.visit.later(1.9)
    assert one.news() == []
    one.visit.later(0.2)
    assert [it.body for it in one.news()] == [b"x"]


def test_theSameSeedDelaysTheSame() -> None:
    """Answers come after the same times in two runs."""
    heard = []
    for _ in range(2):
        one = Stubbed("seed = 3\n" + stub("{ delay = { uniform = [0, 2] } }"))
        counts = []
        for _ in range(20):
            one.send("/")
        for _ in range(50):
            one.visit.later(0.5)
            counts.append(len(one.news()))
        heard.append(counts)
    assert heard[0] == heard[1]
    assert sum(heard[0]) == 20
    assert len(set(heard[0])) > 2


@pytest.mark.parametrize("chunked", ["false", "true"])
def test_dribble(chunked: str) -> None:
    """The pieces come one after the other, all of them in the time that was said."""
    text = "0123456789"
    dribble = f"dribble = {{ pieces = 5, seconds = 2.0 }}, chunked = {chunked}"
    one = Stubbed(stub(f"{{ text = '{text}', {dribble} }}"))
    one.send("/")
    sizes = []
    for _ in range(4):
        sizes.append(len(one.visit.heard))
        one.visit.later(0.5)
    assert len(set(sizes)) == 4
    (it,) = one.news()
    assert it.text == text
    assert it.get("Transfer-Encoding" if chunked == "true" else "Content-Length") is not None


def test_dribbleOfLess() -> None:
    """More pieces than bytes are as many as there are bytes."""
    one = Stubbed(stub("{ text = 'ab', dribble = { pieces = 100, seconds = 1.0 } }"))
    one.send("/")
    one.visit.later(1.1)
    assert [it.body for it in one.news()] == [b"ab"]


def test_broken() -> None:
    """A fault by its name, with its parameters."""
    one = Stubbed(stub("{ broken = { how = 'reset-after', bytes = 4 } }"))
    one.send("/")
    one.visit.later(1)
    assert one.visit.transport.aborted
    assert len(one.visit.heard) == 4


@pytest.mark.parametrize("how", sorted(BREAKAGES))
def test_everyFaultHasItsName(how: str) -> None:
    """All that /broken has can be a stub's."""
    Stubbed(stub(f"{{ broken = '{how}' }}"))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("{ status = 99 }", "status = 99: an answer's is 200 to 599"),
        ("{ status = 600 }", "status = 600: "),
        ("{ status = 204, text = 'x' }", "status = 204: it has no body; remove text"),
        ("{ text = 'x', json = 1 }", "text and json are all given"),
        ("{ json = 2026-01-01 }", "json = 2026-01-01: JSON has no dates"),
        ('{ reason = "a\\nb" }', r"reason = 'a\nb': it is one line"),
        ("{ headers = { 'a b' = '1' } }", "headers: 'a b' = '1' cannot be a header field"),
        ('{ headers = { a = "1\\r\\nb: 2" } }', "cannot be a header field"),
        ("{ headers = { Content-Length = '1' } }", "headers: Content-Length is up to us"),
        ("{ type = 'a', headers = { content-type = 'b' } }", "type and headers.Content-Type"),
        ('{ type = "a\\n" }', "it cannot stand in a header field"),
        ("{ file = 'none' }", "file = 'none': "),
        ("{ file = '.' }", "is not a file"),
        ("{ file = 'fifo' }", "is not a file"),
        ("{ template = '{% if %}' }", "template: line 1: "),
        ("{ template_file = 'latin' }", "template_file = 'latin': not UTF-8"),
        (
            "{ broken = 'rest' }",
            "broken = 'rest': there is no such fault; did you mean 'reset'? /broken lists them",
        ),
        ("{ broken = { how = 'reset', bytes = 1 } }", "broken = 'reset': "),
        ("{ broken = 'reset', status = 200 }", "status has no effect beside broken"),
        ("{ target = 'http://127.0.0.1', text = 'x' }", "text has no effect beside target"),
        ("{ target = 'http://example.com' }", "not on this machine; set allow_remote_target"),
        ("{ target = 'http://127.0.0.1.example.com' }", "not on this machine"),
        ("{ target = '127.0.0.1:80' }", "a target is http://host:port"),
        ("{ target = 'http://127.0.0.1:99999' }", "a target is http://host:port"),
        ("{ target = 'http://a@127.0.0.1' }", "a target is http://host:port"),
        ("{ target = 'http://127.0.0.1/?a' }", "a target has no query"),
        ("{ delay = { uniform = [2, 1] } }", "write the smaller one first"),
        ("[]", "answer = []: give at least one"),
        ("[{}, { status = 1 }]", "answer 2: status = 1: "),
    ],
)
def test_mistakes(answer: str, said: str, tmp_path: Path) -> None:
    """Each is found beforehand, and told with the stub, the key, the value and the remedy."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "latin").write_bytes(b"\xe9")
    with pytest.raises(ValueError, match=r"^stub 1: answer") as caught:
        Stubbed(stub(answer), tmp_path)
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
