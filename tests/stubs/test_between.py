"""Stubs that match nothing, and the journal, change no answer of the test service."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from visiting import Visit, request

from loopbackd.protocols.httpbin.factory import HTTPServiceFactory as Service
from loopbackd.protocols.httpbin.site import makeSite
from stubs.stubbing import Stubbed

NOTHING = "[[stub]]\npath = '/never'\nbody = { text = 'x' }\n"
JOURNAL = "journal = 5"
FORM = "application/x-www-form-urlencoded"

BY_CHANCE = re.compile(
    r"/(go/)?(uuid|bytes/|stream-bytes|unstable|digest-auth|hidden|delay|drip|sse|ws|connection"
    r"|websocket|image|dump|links|cookies|jpeg|broken|status|retry|rate|now|jsonl|tls|trailers|cache)"
)


def _examples() -> list[tuple[str, str]]:
    site = makeSite()
    found = []
    for prefix, routes in [("", site.root), *site.mounted.items()]:
        for one in routes.endpoints:
            target = one.example or one.template
            if "{" not in target and not one.unruly and not BY_CHANCE.match(prefix + target):
                found.append((one.methods[0].replace("*", "PUT"), prefix + target))
    return found


EXAMPLES = _examples()


def heard(factory: Service, data: bytes) -> bytes:
    """All that is said to that, in ten seconds."""
    visit = Visit(factory)
    visit.say(data)
    visit.later(10)
    said = visit.heard
    if not visit.transport.disconnecting:
        visit.http.connectionLost()  # type: ignore[call-arg]
    return said


@pytest.mark.parametrize("toml", [NOTHING, JOURNAL])
@pytest.mark.parametrize(("method", "target"), EXAMPLES)
def test_theSameBytes(method: str, target: str, toml: str) -> None:
    """With a body and without one, byte for byte."""
    for body in (b"", b"a=1&b=2"):
        data = request(
            target, method, [("Content-Type", "application/x-www-form-urlencoded")], body
        )
        assert heard(Stubbed(toml).factory, data) == heard(Service(), data)


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "X"]),
            st.sampled_from(["/get", "/post", "/anything/a", "/ip", "/status/204", "*", "/go/get"]),
            st.sampled_from([b"", b"abc", bytes(3000)]),
            st.sampled_from(["", "chunked", "1.0", "close"]),
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([NOTHING, JOURNAL]),
)
def test_anyRequests(requests: list[tuple[str, str, bytes, str]], toml: str) -> None:
    """In any order, one behind the other: with stubs in between the same is said."""
    data = b""
    for method, target, body, how in requests:
        head = f"{method} {target} HTTP/1.{'0' if how == '1.0' else '1'}\r\nHost: a\r\n".encode()
        if how == "chunked":
            head += b"Transfer-Encoding: chunked\r\n"
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        else:
            head += b"Content-Length: %d\r\n" % len(body)
        if how == "close":
            head += b"Connection: close\r\n"
        data += head + b"\r\n" + body
    got, wanted = (heard(one, data) for one in (Stubbed(toml).factory, Service()))
    assert got == wanted
