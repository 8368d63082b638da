"""Stubs and a journal in front of the test service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from visiting import request

from loopbackd.httpsettings import AnswerSettings, BodyWanted, Conditions, StubSettings
from loopbackd.stubs.matching import Matcher
from stubs.stubbing import Stubbed

JSON = [("Content-Type", "application/json")]


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n2;x=1\r\nhe\r\n3\r\nllo\r\n0\r\nX: 1\r\n\r\n"


def test_stubsComeFirst() -> None:
    """For what they match; the rest is the test service's, as it always was."""
    one = Stubbed("[[stub]]\npath = '/get'\nmethod = 'GET'\nanswer = { text = 'mine' }")
    assert one.ask("/get").text == "mine"
    assert one.ask("/get", "HEAD").body == b""
    assert one.ask("/headers").json["headers"]["Host"] == "127.0.0.1:62893"
    assert one.ask("/headers").get("Access-Control-Allow-Origin") == "*"
    assert one.ask("/post", "POST", body=b"a").json["data"] == "a"
    assert one.ask("/get", "PUT").status == 405


def test_theBodyDecides() -> None:
    """Also where it comes in many pieces; and the next stub has its chance."""
    one = Stubbed(
        """
        [[stub]]
        path = "/x"
        body = { json_subset = { a = 1 } }
        answer = { text = "one" }
        [[stub]]
        path = "/x"
        body = { json_subset = { a = 2 } }
        answer = { text = "two" }
        [[stub]]
        path = "/x"
        answer = { text = "any" }
        """
    )
    for body, text in ((b'{"a":2,"b":0}', "two"), (b'{"a":1}', "one"), (b"{", "any")):
        assert one.ask("/x", "POST", fields=JSON, body=body).text == text
    head = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    slow = Stubbed("[[stub]]\nbody = { text = 'abc' }\nanswer = { text = 'yes' }")
    slow.visit.say(head + b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", 1)
    (answered,) = slow.visit.answers("POST")
    assert answered.text == "yes"


def test_aBodyBeyondTheBound() -> None:
    """Is not taken, whether it is announced or not; and kept by nobody."""
    toml = "max_body = 10\n[[stub]]\npath = '/x'\nbody = { text = 'a' }\n"
    assert Stubbed(toml).ask("/x", "POST", body=bytes(11)).status == 413
    one = Stubbed(toml)
    one.visit.say(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    one.visit.say(b"B\r\n" + bytes(11) + b"\r\n0\r\n\r\n")
    (answered,) = one.visit.answers("POST")
    assert answered.status == 413


def test_whoHasTheRest() -> None:
    """The test service, or nobody; and what came closest is said to the client and in the log."""
    stub = "[[stub]]\nname = 'a'\nmethod = 'PUT'\npath = '/a'\n"
    assert Stubbed(stub).ask("/get").status == 200
    builtin = Stubbed(stub).ask("/a")
    nobody = Stubbed(f"fallback = 'not_found'\n{stub}")
    for answered in (builtin, nobody.ask("/a")):
        assert answered.status == 404
        assert "closest is stub a: the method is GET, wanted is PUT" in answered.text
    assert nobody.ask("/get").status == 404
    assert "there are no stubs" in Stubbed("fallback = 'not_found'").ask("/").text


def test_theLogNamesTheClosest(logged: Callable[[str], Any]) -> None:
    """In one line, the peer's bytes escaped."""
    lines = logged("loopbackd.stubs.site")
    Stubbed("fallback = 'not_found'\n[[stub]]\nname = 'a'\npath = '/a'").ask("/%0A%1b")
    (line,) = lines
    assert line.splitlines() == [line]
    assert "GET b'/%0A%1b' matches no stub; closest is stub a: the path is '/\\n\\x1b'" in line


def test_theLogTellsOfOneASecond(logged: Callable[[str], Any]) -> None:
    """A client in a loop does not fill it; the next line says how many were not told."""
    lines = logged("loopbackd.stubs.site")
    one = Stubbed("fallback = 'not_found'\n[[stub]]\nname = 'a'\npath = '/a'")
    for _ in range(5):
        one.send("/b")
    one.visit.later(1)
    one.send("/b")
    assert len(lines) == 2
    assert lines[1].endswith("(4 more like it since the last such line)")


def test_bodiesTogether() -> None:
    """What a stub looks at counts for the service, too, until it is answered."""
    toml = (
        "max_body = 100\nmax_bodies = 100\n[[stub]]\npath = '/x'\nbody = { contains = 'a' }\n"
        "answer = { text = 'b', delay = 1.0 }\n"
    )
    one = Stubbed(toml)
    one.send("/x", "POST", body=b"a" * 80)
    assert one.factory.bodies.used == 80
    other = one.visit.another()
    other.say(request("/x", "POST", body=b"a" * 21))
    (refused,) = other.answers("POST")
    assert (refused.status, refused.get("Retry-After")) == (503, "1")
    other.http.connectionLost()
    assert one.factory.bodies.used == 80
    one.visit.later(1)
    assert [answered.text for answered in one.news()] == ["b"]
    assert one.factory.bodies.used == 0


def test_aSequenceIsTakenOnce() -> None:
    """Two requests that wait at the same time do not get the same answer."""
    one = Stubbed("[[stub]]\npath = '/x'\nanswer = [{ text = 'a', delay = 1.0 }, { text = 'b' }]\n")
    one.send("/x")
    assert one.site.stubs["stub-1"].count == 1
    one.send("/x")
    one.visit.later(1.1)
    assert [it.text for it in one.news()] == ["a", "b"]


def test_whoLeavesIsForgotten() -> None:
    """No delayed call is left of an answer that nobody waits for."""
    one = Stubbed("[[stub]]\npath = '/x'\nanswer = { text = 'a', delay = 60 }\n")
    one.send("/x")
    one.visit.end()


def test_pipelined() -> None:
    """In order, stubs and others."""
    one = Stubbed("[[stub]]\npath = '/x'\nanswer = { text = 'a', delay = 0.5 }\n")
    for target in ("/x", "/ip", "/x"):
        one.send(target)
    one.visit.later(1.5)
    assert [it.text[:1] for it in one.news()] == ["a", "{", "a"]


def test_nothingIsInBetweenWithoutStubs() -> None:
    """Where neither stubs nor a journal are wanted, the site is the test service itself."""
    one = Stubbed("max_body = 5")
    assert one.factory.stubbed is None
    assert one.ask("/_loopbackd/requests").status == 404
    assert one.ask("/post", "POST", body=bytes(6)).status == 413


def test_stubsWhileItRuns() -> None:
    """They can be made where there were none, for connections that are open already."""
    one = Stubbed()
    assert one.ask("/x").status == 404
    one.site.stubs.add(StubSettings(path="/x", answer=AnswerSettings(text="new")))
    assert one.ask("/x").text == "new"
    assert one.site is one.factory.stubs()


def test_theJournalHasThemAll() -> None:
    """Whoever answered: stubs, the test service, nobody, a fault; with their bodies."""
    one = Stubbed(
        """
        [[stub]]
        name = "s"
        path = "/s"
        answer = { text = "stub" }
        [[stub]]
        name = "c"
        path = "/c"
        answer = { text = "0123456789", chunked = true }
        """
    )
    one.ask("/s", "POST", body=b"for the stub")
    one.ask("/post", "POST", body=b"for the service")
    one.ask("/get", body=b"for nobody")
    one.ask("/nowhere", "PUT", body=b"for nobody at all")
    one.ask("/post")
    one.ask("/c")
    one.send("/broken/half-answer")
    entries = list(one.site.journal)
    assert [(e.head.method, e.stub, e.status, e.body.data) for e in entries] == [
        ("POST", "s", 200, b"for the stub"),
        ("POST", None, 200, b"for the service"),
        ("GET", None, 200, b"for nobody"),
        ("PUT", None, 404, b"for nobody at all"),
        ("GET", None, 405, b""),
        ("GET", "c", 200, b""),
        ("GET", None, 0, b""),
    ]
    assert entries[0].sent.data == b"stub"
    assert (entries[5].sent.size, len(entries[5].sent.data)) == (10, 10)
    assert [e.closest is not None for e in entries] == [e.number == 4 for e in entries]
    assert all((e.ended is not None) == (e.status != 0) for e in entries)
    assert b"Access-Control-Allow-Origin" in dict(entries[1].fields)


def test_countedByTheSameConditions() -> None:
    """Verifying is matching, later."""
    one = Stubbed("journal = 10")
    for body in (b"a", b"b", b"b"):
        one.ask("/post", "POST", body=body)
    one.ask("/get?x=1")
    journal = one.site.journal
    assert journal.count(Matcher(Conditions(method="POST"))) == 3
    assert journal.count(Matcher(Conditions(path="/post", body=BodyWanted(text="b")))) == 2
    assert journal.count(Matcher(Conditions(query={"x": "1"}))) == 1
    assert journal.count(Matcher(Conditions(path="/other"))) == 0


def test_theJournalIsBounded() -> None:
    """By number, by bytes, and each body by itself, with a mark where it was cut."""
    one = Stubbed("journal = 3\njournal_body = 4\njournal_bytes = 100000")
    for number in range(5):
        one.ask(f"/post?{number}", "POST", body=b"0123456789")
    entries = list(one.site.journal)
    assert [e.number for e in entries] == [3, 4, 5]
    assert all(e.body.data == b"0123" and e.body.isCut and e.body.size == 10 for e in entries)
    assert one.site.journal.total == 5
    assert one.site.journal.count(Matcher(Conditions(body=BodyWanted(contains="0")))) == 0
    small = Stubbed("journal = 100\njournal_bytes = 20000")
    for _ in range(100):
        small.ask("/post", "POST", body=bytes(1000))
        assert sum(e.weight for e in small.site.journal) <= 20000
    assert 0 < len(small.site.journal) < 20


def test_continue() -> None:
    """Whoever waits for 100 Continue gets it where the body is wanted."""
    one = Stubbed("journal = 5\njournal_body = 0")
    waits = b"PUT /%b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    one.visit.say(waits % b"put")
    assert one.visit.heard == b"HTTP/1.1 100 Continue\r\n\r\n"
    one.visit.say(b"abc")
    (answered,) = one.visit.answers("PUT")
    assert answered.json["data"] == "abc"


@pytest.mark.parametrize("target", ["/x", "/get", "/post", "/nowhere", "/s"])
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_anyChunking(target: str, size: int) -> None:
    """However the bytes come, the answers are the same, and the next request is found."""
    one = Stubbed("[[stub]]\npath = '/s'\nbody = { contains = 'c' }\nanswer = { text = 'a' }\n")
    head = f"POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    one.visit.say(head + b"3;x=y\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nT: 1\r\n\r\n", size)
    one.visit.say(b"GET /ip HTTP/1.1\r\nHost: a\r\n\r\n", size)
    first, second = one.visit.answers("POST", "GET")
    statuses = {"/x": 404, "/get": 405, "/post": 200, "/nowhere": 404, "/s": 200}
    assert (first.status, second.status) == (statuses[target], 200)
    assert next(iter(one.site.journal)).body.data == b"abc0123456789abcdef"


@pytest.mark.parametrize("toml", ["[[stub]]\npath = '/s'\n", "journal = 5"])
def test_otherProtocols(toml: str) -> None:
    """A WebSocket behind stubs is one still, and the journal says so."""
    one = Stubbed(toml)
    fields = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ]
    one.send("/websocket/echo", fields=fields)
    assert one.visit.heard.startswith(b"HTTP/1.1 101 ")
    (entry,) = one.site.journal
    assert (entry.status, entry.head.path) == (101, b"/websocket/echo")


def test_stubsMadeLaterHaveTheSameBounds() -> None:
    """As the configuration says, whenever they are made."""
    one = Stubbed("max_body = 5")
    one.site.stubs.add(StubSettings(path="/x"))
    assert one.ask("/x", "POST", body=bytes(6)).status == 413


def test_aBodyInManyPieces() -> None:
    """Is kept in one piece, and as far as it is to be."""
    one = Stubbed("journal = 1\njournal_body = 1000")
    head = b"POST /post HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    one.visit.say(head + b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n")
    (entry,) = one.site.journal
    assert (entry.body.data, entry.body.size, entry.body.isCut) == (b"x" * 1000, 5000, True)


@pytest.mark.parametrize(
    ("wanted", "type", "body"),
    [
        ("json_subset = { a = 1 }", "application/json", b"[" + b"{}," * 250_000 + b"{}]"),
        ("json = 1", "application/json", b" [" + b"1," * 1_100_000 + b"1]"),
        ("form = { a = '1' }", "application/x-www-form-urlencoded", b"a&" * 10_001),
    ],
)
def test_too_much_in_a_body(wanted: str, type: str, body: bytes) -> None:
    """What would keep everybody waiting while it is taken apart is refused before."""
    one = Stubbed(f"[[stub]]\npath = '/a'\nbody = {{ {wanted} }}\nanswer = {{ text = 'x' }}")
    assert one.ask("/a", "POST", fields=[("Content-Type", type)], body=body).status == 413
    assert one.ask("/_loopbackd/requests").json["count"] == 1


def test_much_text_in_a_body() -> None:
    """Text is none of that, whatever is in it."""
    one = Stubbed("[[stub]]\nbody = { json = 'x' }\nanswer = { text = 'x' }\n[[stub]]\n")
    assert one.ask("/", "POST", body=b'"' + b"{" * 300_000 + b'"').status == 200


@pytest.mark.parametrize("toml", ["journal = 5", "[[stub]]\npath = '/a'\nanswer = { text = 'a' }"])
@pytest.mark.parametrize("body", [b"Content-Length: 5\r\n\r\nhello", CHUNKED])
def test_raw_is_the_same_behind_stubs(toml: str, body: bytes) -> None:
    """All of the request, as it came; and what came is in the journal."""
    one = Stubbed(toml)
    asked = b"POST /raw HTTP/1.1\r\nHost: localhost\r\n" + body
    one.visit.say(asked)
    (answered,) = one.visit.answers("POST")
    shown = answered.json
    assert (shown["head"] + shown["body_as_it_came"]).encode() == asked
    assert shown["body"] == "hello"
    assert [entry.body.data for entry in one.site.journal] == [b"hello"]
    assert one.visit.heard.count(b"HTTP/1.1 200") == 1
    one.send("/get")
    assert one.visit.heard.count(b"HTTP/1.1 200") == 2
