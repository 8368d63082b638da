"""Tests for L{loopbackd.websocket.handshake}."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import ConnectionType
from wsproto.events import AcceptConnection, Request
from wsproto.extensions import PerMessageDeflate
from wsproto.handshake import H11Handshake

from loopbackd.websocket.deflate import Deflating
from loopbackd.websocket.handshake import Accepted, Refused, extensionsOffered, negotiate

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
GOOD = [
    (b"Host", b"127.0.0.1"),
    (b"Upgrade", b"websocket"),
    (b"Connection", b"Upgrade"),
    (b"Sec-WebSocket-Key", KEY),
    (b"Sec-WebSocket-Version", b"13"),
]


def changed(name: bytes, *values: bytes) -> list[tuple[bytes, bytes]]:
    """The good headers, but with these for that name."""
    kept = [pair for pair in GOOD if pair[0] != name]
    return kept + [(name, value) for value in values]


def accepted(headers: list[tuple[bytes, bytes]], **others: Any) -> Accepted:
    """What comes of these headers, which are good."""
    found = negotiate(b"GET", (1, 1), headers, **others)
    assert isinstance(found, Accepted), found
    return found


def refused(headers: list[tuple[bytes, bytes]]) -> Refused:
    """What comes of these headers, which are not."""
    found = negotiate(b"GET", (1, 1), headers)
    assert isinstance(found, Refused), found
    assert found.reason.endswith(".")
    return found


def test_the_example_of_the_rfc() -> None:
    """The key of section 1.3 has the answer of section 1.3."""
    assert accepted(GOOD).headers == (
        (b"Upgrade", b"websocket"),
        (b"Connection", b"Upgrade"),
        (b"Sec-WebSocket-Accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    )


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (b"Upgrade", [b"WebSocket"]),
        (b"Upgrade", [b"h2c, websocket"]),
        (b"Connection", [b"keep-alive, upgrade"]),
        (b"Connection", [b"keep-alive", b"Upgrade"]),
        (b"Content-Length", [b"0"]),
        (b"Sec-WebSocket-Protocol", [b"a,, b ,"]),
    ],
)
def test_other_ways_to_ask(name: bytes, values: list[bytes]) -> None:
    """Lists, cases and white space are as RFC 9110 has them."""
    accepted(changed(name, *values))


@pytest.mark.parametrize(
    ("name", "values", "status"),
    [
        (b"Host", [], 400),
        (b"Host", [b"a", b"b"], 400),
        (b"Upgrade", [], 400),
        (b"Upgrade", [b"h2c"], 400),
        (b"Connection", [], 400),
        (b"Connection", [b"close"], 400),
        (b"Sec-WebSocket-Key", [], 400),
        (b"Sec-WebSocket-Key", [KEY, KEY], 400),
        (b"Sec-WebSocket-Key", [b"short"], 400),
        (b"Sec-WebSocket-Key", [b"dGhlIHNhbXBsZSBub25jZSE="], 400),
        (b"Sec-WebSocket-Key", [b"dGhlIHNhbXBsZSBub25jZ!=="], 400),
        (b"Sec-WebSocket-Version", [], 400),
        (b"Sec-WebSocket-Version", [b"13", b"8"], 400),
        (b"Sec-WebSocket-Version", [b"8"], 426),
        (b"Sec-WebSocket-Version", [b"14"], 426),
        (b"Content-Length", [b"3"], 400),
        (b"Transfer-Encoding", [b"chunked"], 400),
        (b"Sec-WebSocket-Protocol", [b"a b"], 400),
        (b"Sec-WebSocket-Protocol", [b"a", b"a"], 400),
        (b"Sec-WebSocket-Extensions", [b"a; b="], 400),
        (b"Sec-WebSocket-Extensions", [b'a; b="'], 400),
        (b"Sec-WebSocket-Extensions", [b'a; b="c d"'], 400),
        (b"Sec-WebSocket-Extensions", [b"a b"], 400),
    ],
)
def test_what_is_lacking_is_named(name: bytes, values: list[bytes], status: int) -> None:
    """Each mistake has its status."""
    assert refused(changed(name, *values)).status == status


def test_the_version_we_speak_is_told() -> None:
    """A client of another version is told what to come back with (section 4.4)."""
    found = refused(changed(b"Sec-WebSocket-Version", b"25"))
    assert (b"Sec-WebSocket-Version", b"13") in found.headers
    assert (b"Upgrade", b"websocket") in found.headers


def test_only_get_and_only_http_1_1() -> None:
    """Section 4.1 has it so."""
    found = negotiate(b"POST", (1, 1), GOOD)
    assert isinstance(found, Refused)
    assert (found.status, found.headers) == (405, ((b"Allow", b"GET"),))
    found = negotiate(b"GET", (1, 0), GOOD)
    assert isinstance(found, Refused)
    assert found.status == 400


def test_subprotocols() -> None:
    """The client's favourite of those we speak is taken; of any, its favourite."""
    asked = [*GOOD, (b"Sec-WebSocket-Protocol", b"a, b"), (b"Sec-WebSocket-Protocol", b"c")]
    assert accepted(asked).subprotocol is None
    assert accepted(asked, subprotocols=["d"]).subprotocol is None
    found = accepted(asked, subprotocols=["c", "b"])
    assert found.subprotocol == "b"
    assert (b"Sec-WebSocket-Protocol", b"b") in found.headers
    assert accepted(asked, subprotocols=None).subprotocol == "a"
    assert accepted(GOOD, subprotocols=None).subprotocol is None


NAME = b"permessage-deflate"


@pytest.mark.parametrize(
    ("offered", "answer", "deflating"),
    [
        (NAME, NAME, Deflating()),
        (b"x, " + NAME, NAME, Deflating()),
        (NAME + b"; client_max_window_bits", NAME, Deflating()),
        (NAME + b"; client_max_window_bits=8", NAME, Deflating()),
        (NAME + b'; client_max_window_bits="10"', NAME, Deflating()),
        (
            NAME + b" ;server_no_context_takeover",
            NAME + b"; server_no_context_takeover",
            Deflating(forget=True),
        ),
        (
            NAME + b"; client_no_context_takeover; server_max_window_bits=10",
            NAME + b"; client_no_context_takeover; server_max_window_bits=10",
            Deflating(bits=10, clientForgets=True),
        ),
        (
            NAME + b"; server_max_window_bits=8, " + NAME + b"; server_max_window_bits=9",
            NAME + b"; server_max_window_bits=9",
            Deflating(bits=9),
        ),
        (NAME + b"; unknown, " + NAME, NAME, Deflating()),
    ],
)
def test_permessage_deflate(offered: bytes, answer: bytes, deflating: Deflating) -> None:
    """The first offer that can be met is (RFC 7692 section 7.1)."""
    found = accepted([*GOOD, (b"Sec-WebSocket-Extensions", offered)])
    assert found.deflating == deflating
    assert found.headers[-1] == (b"Sec-WebSocket-Extensions", answer)


@pytest.mark.parametrize(
    "parameters",
    [
        b"server_max_window_bits",
        b"server_max_window_bits=8",
        b"server_max_window_bits=7",
        b"server_max_window_bits=16",
        b"server_max_window_bits=09",
        b"server_max_window_bits=15; server_max_window_bits=15",
        b"client_max_window_bits=7",
        b"client_max_window_bits=16",
        b"server_no_context_takeover=1",
        b"client_no_context_takeover=true",
        b"SERVER_no_context_takeover",
    ],
)
def test_offers_that_must_be_declined(parameters: bytes) -> None:
    """The WebSocket opens, without compression."""
    found = accepted([*GOOD, (b"Sec-WebSocket-Extensions", NAME + b"; " + parameters)])
    assert found.deflating is None
    assert len(found.headers) == 3


def test_compression_can_be_refused() -> None:
    """By whoever serves."""
    asked = [*GOOD, (b"Sec-WebSocket-Extensions", NAME)]
    assert accepted(asked, compress=False).deflating is None


def test_quoted_values() -> None:
    """A comma in quotes separates nothing, and a backslash stands for what follows."""
    offered = extensionsOffered([(b"Sec-WebSocket-Extensions", b'a; b="1\\5"; c, d;e=f,,')])
    assert offered == [(b"a", [(b"b", b"15"), (b"c", None)]), (b"d", [(b"e", b"f")])]


@given(st.binary(max_size=60) | st.text(alphabet='a;=", \\\t,', max_size=40).map(str.encode))
def test_any_extensions(value: bytes) -> None:
    """Whatever is offered, it is taken apart or refused."""
    try:
        extensionsOffered([(b"Sec-WebSocket-Extensions", value)])
    except ValueError as error:
        assert "grammar" in str(error)


def test_wsproto_agrees() -> None:
    """A client of wsproto's takes our answer."""
    client = H11Handshake(ConnectionType.CLIENT)
    asked = Request(host="x", target="/", extensions=[PerMessageDeflate()], subprotocols=["a", "b"])
    lines = client.send(asked).split(b"\r\n")[1:-2]
    headers = [tuple(line.split(b": ", 1)) for line in lines]
    found = accepted(headers, subprotocols=["b"])  # type: ignore[arg-type]
    head = b"".join(b"%b: %b\r\n" % pair for pair in found.headers)
    client.receive_data(b"HTTP/1.1 101 Switching Protocols\r\n" + head + b"\r\n")
    (event,) = client.events()
    assert isinstance(event, AcceptConnection)
    assert event.subprotocol == "b"
    assert event.extensions
