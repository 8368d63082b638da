"""Forms in both encodings, and JSON."""

from __future__ import annotations

import json
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.http.errors import HTTPError
from loopbackd.protocols.httpbin.forms import File, parseForm, parseJSON, shownBytes

MULTIPART = "multipart/form-data; boundary=xyz"


def part(disposition: str, content: bytes, *more: str) -> bytes:
    """A part with those fields."""
    lines = ["--xyz", f"Content-Disposition: form-data; {disposition}", *more, "", ""]
    return "\r\n".join(lines).encode() + content + b"\r\n"


END = b"--xyz--\r\n"


def test_urlencoded() -> None:
    """Names and values, in order; names can repeat and values be empty."""
    form = parseForm("Application/X-WWW-Form-URLencoded; charset=utf-8", b"a=1&b=%C3%A9+x&a=&c")
    assert form.isForm
    assert form.fields == [("a", "1"), ("b", "é x"), ("a", ""), ("c", "")]


def test_multipart() -> None:
    """Fields and files, told apart by a file name."""
    body = (
        b"a preamble that nobody reads\r\n"
        + part('name="a"', "é".encode())
        + part('name="a"', b"\xe9", "Content-Type: text/plain; charset=ISO-8859-1")
        + part('name="f"; filename="é.bin"', b"\0\xff\r\n--xy", "Content-Type: image/x; y=z")
        + part('name="f"; filename=""', b"")
        + END
        + b"an epilogue"
    )
    form = parseForm(MULTIPART, body)
    assert form.fields == [("a", "é"), ("a", "é")]
    assert form.files == [
        ("f", File("é.bin", "image/x; y=z", b"\0\xff\r\n--xy")),
        ("f", File("", "", b"")),
    ]


def test_extendedFilename() -> None:
    """Some clients write names of files in the encoding of RFC 8187."""
    form = parseForm(MULTIPART, part("name=f; filename*=utf-8''%e2%82%ac.txt", b"x") + END)
    assert form.files == [("f", File("€.txt", "", b"x"))]
    form = parseForm(MULTIPART, part("name=f; filename*=klingon''%e2", b"x") + END)
    assert (form.fields, form.files) == ([("f", "x")], [])


def test_lineFeedsAlone() -> None:
    """Some clients end lines with them."""
    body = (
        b'--xyz\nContent-Disposition: form-data; name="a"\n\n1\n2\n'
        b'--xyz  \r\nContent-Disposition: form-data; name="b"\r\n\r\n3\n--xyz--'
    )
    assert parseForm(MULTIPART, body).fields == [("a", "1\n2"), ("b", "3")]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ('"a%22b%0D%0A"', 'a"b\r\n'),
        (r'"a\"b\\c"', r'a"b\c'),
        (r'"C:\temp"', r"C:\temp"),
        ("plain", "plain"),
        ('""', ""),
        ('"a;b=c"', "a;b=c"),
    ],
)
def test_quoting(written: str, name: str) -> None:
    """Names are quoted as browsers do, as mail does, or not at all."""
    form = parseForm(MULTIPART, part(f"name={written}; x=y", b"") + END)
    assert form.fields == [(name, "")]


def test_boundaries() -> None:
    """What only begins like a boundary, or stands in a line, is content."""
    content = b"--xyz1\r\n x--xyz\r\n--xyz--x\r\n--xy\r\n\r\n"
    form = parseForm(MULTIPART, part('name="a"', content) + END)
    assert form.fields == [("a", content.decode())]
    form = parseForm('multipart/form-data; boundary="xyz"', part('name="a"', b"1") + END)
    assert form.fields == [("a", "1")]


@pytest.mark.parametrize(
    ("boundary", "body", "why"),
    [
        ("-" * 71, b"-" * 200_000, "more than 70"),
        ("-" * 70, b"-" * 4_000_000, "all over"),
        ("x", b"--x\r\n" + b"a:\n" * 2_000_000, "more than 16 fields"),
        ("x", b"--x\r\n" + b"a" * 4_000_000, "no field begins"),
    ],
)
def test_costs(boundary: str, body: bytes, why: str) -> None:
    """A body that is made to be looked at over and over is refused soon."""
    start = process_time()
    with pytest.raises(HTTPError, match=why):
        parseForm(f"multipart/form-data; boundary={boundary}", body)
    assert process_time() - start < 0.5


CONTENTS = st.lists(st.tuples(st.sampled_from("abé"), st.binary(max_size=20)), max_size=5)


@given(CONTENTS, st.booleans())
def test_asWritten(contents: list[tuple[str, bytes]], preamble: bool) -> None:
    """Whatever is in the parts comes out of them."""
    parts = [part(f'name="{name}"; filename="f"', content) for name, content in contents]
    body = b"x\r\n" * preamble + b"".join(parts) + END
    form = parseForm(MULTIPART, body)
    assert form.files == [(name, File("f", "", content)) for name, content in contents]


@pytest.mark.parametrize("type", [None, "", "text/plain", "application/json", "multipart/mixed"])
def test_noForm(type: str | None) -> None:
    """Other bodies are none."""
    assert not parseForm(type, b"a=b").isForm


def test_noBody() -> None:
    """Where there is no body, its type says nothing."""
    assert not parseForm("multipart/form-data", b"").isForm


@pytest.mark.parametrize(
    ("type", "body", "why"),
    [
        ("multipart/form-data", part('name="a"', b"1") + END, "lacks its boundary"),
        (MULTIPART, b"a=b", "cannot be read"),
        (MULTIPART, part('name="a"', b"1"), "last boundary is missing"),
        (MULTIPART, part('name="a"', b"1", "no colon") + END, "no field begins"),
        (MULTIPART, b"--xyz\r\n\r\nx\r\n" + END, "lacks Content-Disposition"),
        (MULTIPART, part("filename=x", b"") + END, "lacks Content-Disposition"),
        (MULTIPART, part("name=x", b"", *[f"A{n}: b" for n in range(16)]) + END, "more than 16"),
        (MULTIPART, part("name=x", b"", "A: " + " " * 100_000) + END, "more than 8192"),
    ],
)
def test_malformed(type: str, body: bytes, why: str) -> None:
    """What only looks like a form is the client's mistake, and it is told what is wrong."""
    with pytest.raises(HTTPError, match=why) as caught:
        parseForm(type, body)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("type", "body"),
    [
        (MULTIPART, part('name="a"', b"") * 1001 + END),
        ("application/x-www-form-urlencoded", b"&" * 10_000),
        ("application/x-www-form-urlencoded", b"a=" + b"%41" * 400_000),
    ],
)
def test_tooMany(type: str, body: bytes) -> None:
    """A form has a bound."""
    with pytest.raises(HTTPError) as caught:
        parseForm(type, body)
    assert caught.value.status == 413


@given(st.sampled_from([MULTIPART, "application/x-www-form-urlencoded"]), st.binary())
def test_anyBytes(type: str, body: bytes) -> None:
    """Whatever comes is a form, or refused."""
    try:
        form = parseForm(type, body)
    except HTTPError as error:
        assert error.status in (400, 413)
    else:
        assert form.isForm == bool(body)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_JSON(value: object) -> None:
    """JSON is read whatever its type was said to be."""
    assert parseJSON(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "body",
    [b"", b"x", b"{", b"\xff", b"NaN", b"[-Infinity]", b"1e999", b"[" * 100_000, b"1" * 5000],
)
def test_noJSON(body: bytes) -> None:
    """What could not be written again is none."""
    assert parseJSON(body) is None


def test_bytesAreShown() -> None:
    """As text where they are text, else in a URL that holds them."""
    assert shownBytes("é".encode()) == "é"
    assert shownBytes(b"\xff\xfe\xfd") == "data:application/octet-stream;base64,//79"
    assert shownBytes(b"\xff", "image/png") == "data:image/png;base64,/w=="
