"""The known ways to hide a request in another: each is refused, or read in the one way there is."""

from __future__ import annotations

import pytest
from reading import read

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"


def post(*lines: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    """A request with these lines in its head."""
    return b"\r\n".join([b"POST / HTTP/" + version, b"Host: x", *lines, b"", body])


TE = b"Transfer-Encoding: chunked"

HEADS = {
    "CL.TE": (400, post(b"Content-Length: 6", TE, body=b"0\r\n\r\nG")),
    "TE.CL": (400, post(TE, b"Content-Length: 4", body=b"5c\r\nGPOST")),
    "CL.TE where the length is right": (400, post(b"Content-Length: 15", TE, body=CHUNKS)),
    "CL 0 and TE": (400, post(b"Content-Length: 0", TE, body=CHUNKS)),
    "an empty CL and TE": (400, post(b"Content-Length:", TE, body=CHUNKS)),
    "TE twice": (400, post(TE, TE, body=CHUNKS)),
    "TE twice, one unknown": (400, post(TE, b"Transfer-Encoding: x", body=CHUNKS)),
    "TE identity": (501, post(b"Transfer-Encoding: identity", body=b"hello")),
    "TE empty": (400, post(b"Transfer-Encoding:", body=b"hello")),
    "TE xchunked": (501, post(b"Transfer-Encoding: xchunked", body=CHUNKS)),
    "TE chunked in a list": (400, post(b"Transfer-Encoding: chunked, chunked", body=CHUNKS)),
    "TE chunked and a comma": (400, post(b"Transfer-Encoding: chunked,", body=CHUNKS)),
    "TE a comma and chunked": (501, post(b"Transfer-Encoding: ,chunked", body=CHUNKS)),
    "TE chunked not last": (400, post(b"Transfer-Encoding: chunked, gzip", body=CHUNKS)),
    "TE quoted": (501, post(b'Transfer-Encoding: "chunked"', body=CHUNKS)),
    "TE with a parameter": (501, post(b"Transfer-Encoding: chunked;a=b", body=CHUNKS)),
    "TE with VT before": (400, post(b"Transfer-Encoding: \x0bchunked", body=CHUNKS)),
    "TE with VT behind": (400, post(b"Transfer-Encoding: chunked\x0b", body=CHUNKS)),
    "TE with FF": (400, post(b"Transfer-Encoding: \x0cchunked", body=CHUNKS)),
    "TE with NUL": (400, post(b"Transfer-Encoding: chunked\x00", body=CHUNKS)),
    "TE with NBSP": (501, post(b"Transfer-Encoding: \xa0chunked", body=CHUNKS)),
    "TE with a dotless or dotted letter": (501, post(b"Transfer-Encoding: chun\xe2\x84\xaaed")),
    "TE folded": (400, post(b"Transfer-Encoding:\r\n chunked", body=CHUNKS)),
    "TE folded behind": (400, post(b"Transfer-Encoding: chunked\r\n , identity", body=CHUNKS)),
    "TE with a space before the colon": (400, post(b"Transfer-Encoding : chunked", body=CHUNKS)),
    "TE with a tab before the colon": (400, post(b"Transfer-Encoding\t: chunked", body=CHUNKS)),
    "TE with a space before it": (400, post(b" Transfer-Encoding: chunked", body=CHUNKS)),
    "TE behind a bare LF": (400, post(b"X: a\nTransfer-Encoding: chunked", body=CHUNKS)),
    "TE behind a bare CR": (400, post(b"X: a\rTransfer-Encoding: chunked", body=CHUNKS)),
    "TE and a bare LF": (400, post(b"Transfer-Encoding: chunked\n", body=CHUNKS)),
    "TE in HTTP/1.0": (400, post(TE, body=CHUNKS, version=b"1.0")),
    "TE in HTTP/0.9": (505, post(TE, body=CHUNKS, version=b"0.9")),
    "TE and CL with an obscured name": (400, post(TE, b"Content-Length : 5", body=CHUNKS)),
    "CL twice, different": (400, post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!")),
    "CL twice, the same": (400, post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello")),
    "CL a list": (400, post(b"Content-Length: 5, 6", body=b"hello!")),
    "CL a list of the same": (400, post(b"Content-Length: 5, 5", body=b"hello")),
    "CL a comma": (400, post(b"Content-Length: 5,", body=b"hello")),
    "CL with a plus": (400, post(b"Content-Length: +5", body=b"hello")),
    "CL negative": (400, post(b"Content-Length: -5", body=b"hello")),
    "CL minus nought": (400, post(b"Content-Length: -0", body=HIDDEN)),
    "CL hexadecimal": (400, post(b"Content-Length: 0x5", body=b"hello")),
    "CL octal by the look of it": ([b"hello"], post(b"Content-Length: 0005", body=b"hello")),
    "CL with a fraction": (400, post(b"Content-Length: 5.0", body=b"hello")),
    "CL with an exponent": (400, post(b"Content-Length: 5e0", body=b"hello")),
    "CL with an underscore": (400, post(b"Content-Length: 1_0", body=b"0123456789")),
    "CL with a space inside": (400, post(b"Content-Length: 1 0", body=b"0123456789")),
    "CL in other digits": (400, post("Content-Length: ٥".encode(), body=b"hello")),  # noqa: RUF001
    "CL quoted": (400, post(b'Content-Length: "5"', body=b"hello")),
    "CL empty": (400, post(b"Content-Length:", body=HIDDEN)),
    "CL with NUL": (400, post(b"Content-Length: 5\x00", body=b"hello")),
    "CL with VT": (400, post(b"Content-Length: \x0b5", body=b"hello")),
    "CL beyond 64 bits": (400, post(b"Content-Length: 18446744073709551621", body=b"hello")),
    "CL beyond all bounds": (400, post(b"Content-Length: " + b"9" * 400, body=b"hello")),
    "CL folded": (400, post(b"Content-Length:\r\n 5", body=b"hello")),
    "CL with a space before the colon": (400, post(b"Content-Length : 5", body=b"hello")),
    "CL by another name": ([b""], post(b"Content_Length: 5")),
    "CL with a space around it": ([b"hello"], post(b"Content-Length: \t5 \t", body=b"hello")),
    "a GET with a body": (
        [b"hello"],
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    ),
    "a request in a body": ([HIDDEN], post(b"Content-Length: 33", body=HIDDEN)),
    "two requests": ([b"", b""], post() + HIDDEN),
    "Host twice": (400, post(b"Host: y")),
    "no Host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "Host a list": ([b""], b"GET / HTTP/1.1\r\nHost: x,y\r\n\r\n"),
    "Host with a path": (400, b"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n"),
    "Host with a user": (400, b"GET / HTTP/1.1\r\nHost: u@x\r\n\r\n"),
    "Host with a space": (400, b"GET / HTTP/1.1\r\nHost: x y\r\n\r\n"),
    "Host folded": (400, b"GET / HTTP/1.1\r\nHost:\r\n x\r\n\r\n"),
    "Host with a bad port": (400, b"GET / HTTP/1.1\r\nHost: x:80x\r\n\r\n"),
    "a line without a colon": (400, post(b"X")),
    "a name of nothing": (400, post(b": x")),
    "a name with a space": (400, post(b"X Y: z")),
    "a name with a control": (400, post(b"X\x01: z")),
    "a name beyond ASCII": (400, post("X\xe9: z".encode())),
    "a folded line": (400, post(b"X: y\r\n z")),
    "a first line that is folded": (400, b"GET / HTTP/1.1\r\n Host: x\r\n\r\n"),
    "NUL in a value": (400, post(b"X: a\x00b")),
    "DEL in a value": (400, post(b"X: a\x7fb")),
    "a bare CR in a value": (400, post(b"X: a\rb")),
    "lines that end with LF": (400, b"GET / HTTP/1.1\nHost: x\n\n"),
    "a head that ends with LF": (400, b"GET / HTTP/1.1\r\nHost: x\r\n\n"),
    "a head that ends with CR": (400, b"GET / HTTP/1.1\r\nHost: x\r\n\r\rX: y\r\n\r\n"),
    "a request line that ends with LF": (400, b"GET / HTTP/1.1\nHost: x\r\n\r\n"),
    "two spaces": (400, b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a tab for a space": (400, b"GET\t/\tHTTP/1.1\r\nHost: x\r\n\r\n"),
    "a space behind the version": (400, b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n"),
    "a space before the method": (400, b" GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a space in the target": (400, b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"),
    "no version": (400, b"GET /\r\n\r\n"),
    "a version in small letters": (400, b"GET / http/1.1\r\nHost: x\r\n\r\n"),
    "a version of two digits": (400, b"GET / HTTP/1.10\r\nHost: x\r\n\r\n"),
    "a version with nought before it": (400, b"GET / HTTP/01.1\r\nHost: x\r\n\r\n"),
    "HTTP/2 in the clear": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/3.1": (505, b"GET / HTTP/3.1\r\nHost: x\r\n\r\n"),
    "a fragment": (400, b"GET /#x HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a target beyond ASCII": (400, b"GET /\xe9 HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a target that is none": (400, b"GET x HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a star for GET": (400, b"GET * HTTP/1.1\r\nHost: x\r\n\r\n"),
    "an authority for GET": (400, b"GET x:80 HTTP/1.1\r\nHost: x\r\n\r\n"),
    "CONNECT": (501, b"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n"),
    "a URL with a user": (400, b"GET http://u@x/ HTTP/1.1\r\nHost: x\r\n\r\n"),
    "another scheme": (400, b"GET file:///etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n"),
    "empty lines before a request": ([b""], b"\r\n\r\n" + post()),
    "nothing but empty lines": (400, b"\r\n" * 9),
    "a bare LF before a request": (400, b"\n" + post()),
    "a TLS record": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
}

BODIES = {
    "as it should be": ([b"hello"], CHUNKS),
    "nothing": ([b""], b"0\r\n\r\n"),
    "noughts": ([b"hello"], b"0005\r\nhello\r\n000\r\n\r\n"),
    "capitals": ([b"0123456789"], b"A\r\n0123456789\r\n0\r\n\r\n"),
    "an extension": ([b"hello"], b"5;a=b;c\r\nhello\r\n0;d\r\n\r\n"),
    "an extension behind white space": ([b"hello"], b"5 \t;a\r\nhello\r\n0\r\n\r\n"),
    "an extension with quotes": ([b"hello"], b'5;a="b;\\"c"\r\nhello\r\n0\r\n\r\n'),
    "a trailer": ([b"hello"], b"5\r\nhello\r\n0\r\nX: y\r\n\r\n"),
    "a length among the trailers": (
        [b"hello", b""],
        CHUNKS[:-2] + b"Content-Length: 34\r\n\r\n" + HIDDEN,
    ),
    "a coding among the trailers": ([b"hello", b""], CHUNKS[:-2] + TE + b"\r\n\r\n" + HIDDEN),
    "another request": ([b"hello", b""], CHUNKS + HIDDEN),
    "a size with 0x": (400, b"0x5\r\nhello\r\n0\r\n\r\n"),
    "a size with an underscore": (400, b"0_5\r\nhello\r\n0\r\n\r\n"),
    "a size with a plus": (400, b"+5\r\nhello\r\n0\r\n\r\n"),
    "a negative size": (400, b"-5\r\nhello\r\n0\r\n\r\n"),
    "a size with white space before it": (400, b" 5\r\nhello\r\n0\r\n\r\n"),
    "a size with white space behind it": (400, b"5 \r\nhello\r\n0\r\n\r\n"),
    "a size with a tab behind it": (400, b"5\t\r\nhello\r\n0\r\n\r\n"),
    "a size with VT behind it": (400, b"5\x0b\r\nhello\r\n0\r\n\r\n"),
    "a size with NUL behind it": (400, b"5\x00\r\nhello\r\n0\r\n\r\n"),
    "a size with an h": (400, b"5h\r\nhello\r\n0\r\n\r\n"),
    "a size in other digits": (400, "٥\r\nhello\r\n0\r\n\r\n".encode()),  # noqa: RUF001
    "a size with a comma": (400, b"5,5\r\nhello\r\n0\r\n\r\n"),
    "no size": (400, b"\r\nhello\r\n0\r\n\r\n"),
    "a size that is an extension": (400, b";a\r\nhello\r\n0\r\n\r\n"),
    "a size beyond 64 bits": (400, b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "a size of noughts beyond bounds": (400, b"0" * 30 + b"5\r\nhello\r\n0\r\n\r\n"),
    "a size that ends with LF": (400, b"5\nhello\r\n0\r\n\r\n"),
    "a size that ends with CR": (400, b"5\rhello\r\n0\r\n\r\n"),
    "a size that ends with CR CR LF": (400, b"5\r\r\nhello\r\n0\r\n\r\n"),
    "an extension that ends with LF": (400, b"5;a\nhello\r\n0\r\n\r\n"),
    "an extension with LF inside": (400, b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    "an extension with CR inside": (400, b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    "an extension with NUL": (400, b"5;a\x00\r\nhello\r\n0\r\n\r\n"),
    "an extension with LF in quotes": (400, b'5;a="\n"\r\nhello\r\n0\r\n\r\n'),
    "an endless extension": (400, b"5;" + b"a" * 40_000 + b"\r\nhello\r\n0\r\n\r\n"),
    "extensions without end": (400, (b"1;" + b"a" * 2000 + b"\r\nx\r\n") * 20),
    "a chunk that ends with LF": (400, b"5\r\nhello\n0\r\n\r\n"),
    "a chunk that ends with CR": (400, b"5\r\nhello\r0\r\n\r\n"),
    "a chunk without an end": (400, b"5\r\nhello0\r\n\r\n"),
    "a chunk with more in it": (400, b"4\r\nhello\r\n0\r\n\r\n"),
    "a chunk with less in it": (400, b"6\r\nhello\r\n0\r\n\r\n"),
    "a last chunk that ends with LF": (400, b"0\n\r\n"),
    "an end with LF": (400, b"0\r\n\n"),
    "an end with CR": (400, b"0\r\n\r" + HIDDEN),
    "a trailer that ends with LF": (400, b"0\r\nX: y\n\r\n"),
    "a trailer that is folded": (400, b"0\r\nX: y\r\n z\r\n\r\n"),
    "a trailer without a colon": (400, b"0\r\nX\r\n\r\n"),
    "a trailer with a space before the colon": (400, b"0\r\nX : y\r\n\r\n"),
    "a trailer with NUL": (400, b"0\r\nX: \x00\r\n\r\n"),
    "a request in place of trailers": (400, b"0\r\n" + HIDDEN),
    "trailers without end": (431, b"0\r\n" + b"X: y\r\n" * 20_000),
}


def check(data: bytes, verdict: int | list[bytes]) -> None:
    """Bodies as wanted, or the refusal; in one piece and byte by byte."""
    for pieces in ([data], [data[at : at + 1] for at in range(len(data))]):
        found = read(pieces)
        if isinstance(verdict, int):
            assert found.refused == verdict
            assert not found.whole
        else:
            assert [one.body for one in found.whole] == verdict
            assert (found.begun, found.refused) == (None, 0)


@pytest.mark.parametrize("name", HEADS)
def test_heads(name: str) -> None:
    """A head that could be read in two ways is refused."""
    verdict, data = HEADS[name]
    check(data, verdict)


@pytest.mark.parametrize("name", BODIES)
def test_chunks(name: str) -> None:
    """So is a body."""
    verdict, body = BODIES[name]
    check(post(TE, body=body), verdict)
