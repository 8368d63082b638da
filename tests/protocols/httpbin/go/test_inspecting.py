"""Routes that show what a request was."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from visiting import Answered, Visit, ask, request

from go.tables import JSON, MOST, SITE, TEXT, errorOf, get
from loopbackd.protocols.httpbin.go.table import makeGo

BODIES = [
    ("POST", "/post"),
    ("PUT", "/put"),
    ("PATCH", "/patch"),
    ("DELETE", "/delete"),
    *(
        (method, path)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "QUERY")
        for path in ("/anything", "/anything/else")
    ),
    ("POST", "/delay/0"),
]
FORM = "application/x-www-form-urlencoded"
everyBody = pytest.mark.parametrize(("method", "path"), BODIES)


def sent(method: str, path: str, body: bytes, type: str | None = None) -> Answered:
    """The answer to a request with a body."""
    fields = [] if type is None else [("Content-Type", type)]
    return ask(SITE, path, method, fields, body)


def shown(answered: Answered, method: str) -> Any:
    """What is shown of a request, which has this order."""
    assert answered.status == 200 and answered.get("Content-Type") == JSON
    found = answered.json
    order = ["args", "headers", "method", "origin", "url", "data", "files", "form", "json"]
    assert list(found) == order
    assert found["method"] == method
    return found


def test_get() -> None:
    """In this order, lists everywhere, names in order."""
    found = get("/get?b=2&a=1&b=3&c", User_Agent="test")
    assert found.get("Content-Type") == JSON and found.reason == "OK"
    assert found.text == (
        '{\n  "args": {\n    "a": [\n      "1"\n    ],\n    "b": [\n      "2",\n      "3"\n    ],\n'
        '    "c": [\n      ""\n    ]\n  },\n  "headers": {\n    "Host": [\n'
        '      "127.0.0.1:62893"\n    ],\n    "User-Agent": [\n      "test"\n    ]\n  },\n'
        '  "method": "GET",\n  "origin": "127.0.0.1",\n'
        '  "url": "http://127.0.0.1:62893/get?b=2&a=1&b=3&c"\n}\n'
    )


def test_text_is_utf8_and_html_stays() -> None:
    """Nothing is escaped that need not be."""
    assert '"\u00fc<&>": [' in get("/get?%C3%BC%3C%26%3E=1").text


def test_the_address_stays_as_it_was_written() -> None:
    """Escapes included."""
    assert get("/anything/a%2Fb?q=%41").json["url"].endswith("/anything/a%2Fb?q=%41")


@pytest.mark.parametrize(
    ("name", "value"),
    [("X-Forwarded-Proto", "https"), ("X-Forwarded-Protocol", "https"), ("X-Forwarded-Ssl", "on")],
)
def test_a_proxy_says_how_it_was_asked(name: str, value: str) -> None:
    """By any of three fields."""
    assert ask(SITE, "/get", fields=[(name, value)]).json["url"].startswith("https://")


def test_fields_can_be_left_out() -> None:
    """By pattern or by name."""
    found = get("/get", x_ignore_foo="foo", X_Info_Foo="bar", x_info_this_key="baz").json
    assert sorted(found["headers"]) == ["Host", "X-Info-Foo"]


def test_names_are_canonical_and_values_are_lists() -> None:
    """As Go writes names, which is not as Python does."""
    fields = [("bar-header", "bar1"), ("foo_bar", "x"), ("BAR-Header", "bar2"), ("x-ab'c-d", "y")]
    found = ask(SITE, "/headers", fields=fields).json["headers"]
    assert found == {
        "Bar-Header": ["bar1", "bar2"],
        "Foo_bar": ["x"],
        "Host": ["127.0.0.1:62893"],
        "X-Ab'c-D": ["y"],
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/", 200),
        ("HEAD", "/get", 200),
        ("HEAD", "/head", 200),
        ("HEAD", "/anything", 200),
        ("HEAD", "/post", 405),
        ("GET", "/head", 405),
        ("POST", "/get", 405),
        ("GET", "/post", 405),
        ("GET", "/upload", 405),
        ("POST", "/forms/post", 405),
        ("POST", "/encoding/utf8", 405),
    ],
)
def test_methods(method: str, path: str, status: int) -> None:
    """405 names those there are, in text."""
    found = get(path, method)
    assert found.status == status
    if status == 405:
        assert found.get("Content-Type") == TEXT and found.get("Allow")
        assert found.body == (b"" if method == "HEAD" else b"Method Not Allowed\n")
    if method == "HEAD":
        assert found.body == b""


@pytest.mark.parametrize(
    ("fields", "origin"),
    [
        ([], "127.0.0.1"),
        ([("X-Forwarded-For", "")], "127.0.0.1"),
        ([("X-Forwarded-For", "10.1.1.1, 10.2.2.2, 10.3.3.3")], "10.1.1.1"),
        ([("X-Forwarded-For", "10.1.1.1")], "10.1.1.1"),
        ([("True-Client-IP", "1.1.1.1"), ("X-Forwarded-For", "2.2.2.2")], "1.1.1.1"),
        ([("Fastly-Client-IP", "1.1.1.1"), ("True-Client-IP", "2.2.2.2")], "1.1.1.1"),
        ([("CF-Connecting-IP", "1.1.1.1"), ("Fastly-Client-IP", "2.2.2.2")], "1.1.1.1"),
        ([("Fly-Client-IP", "1.1.1.1"), ("CF-Connecting-IP", "2.2.2.2")], "1.1.1.1"),
    ],
)
def test_where_it_comes_from(fields: list[tuple[str, str]], origin: str) -> None:
    """Whom to believe first."""
    assert ask(SITE, "/ip", fields=fields).json == {"origin": origin}


def test_the_address_as_text() -> None:
    """A line, for shells."""
    found = get("/ip?format=text")
    assert (found.text, found.get("Content-Type")) == ("127.0.0.1\n", TEXT)


def test_what_the_client_calls_itself() -> None:
    """Nothing if it does not say."""
    assert get("/user-agent", User_Agent="test").json == {"user-agent": "test"}
    assert get("/user-agent").json == {"user-agent": ""}


@pytest.mark.parametrize("count", [0, 1, 3])
def test_cookies(count: int) -> None:
    """By name."""
    cookies = {f"k{i}": f"v{i}" for i in range(count)}
    value = "; ".join(f"{name}={value}" for name, value in cookies.items())
    fields = [("Cookie", value)] if value else []
    assert ask(SITE, "/cookies", fields=fields).json == {"cookies": cookies}


@everyBody
@pytest.mark.parametrize(
    "type", ["application/octet-stream", "image/png", "image/webp", "image/jpeg", "unknown"]
)
def test_other_types_are_data_addresses(method: str, path: str, type: str) -> None:
    """In the alphabet that is safe in addresses."""
    body = b"encodeMe\xff\xfe\xfb"
    found = shown(sent(method, path, body, type), method)
    assert found["data"] == f"data:{type};base64,{base64.urlsafe_b64encode(body).decode()}"
    assert (found["args"], found["files"], found["form"], found["json"]) == ({}, {}, {}, None)


@everyBody
def test_a_body_without_a_type_is_octets(method: str, path: str) -> None:
    """Even if it looks like a form."""
    found = shown(sent(method, path, b"foo=foo&bar=bar1"), method)
    assert found["data"].startswith("data:application/octet-stream;base64,")
    assert found["form"] == {}


@everyBody
@pytest.mark.parametrize(
    "type", [None, "application/json; charset=utf-8", FORM, "multipart/form-data; foo"]
)
def test_nothing_is_nothing_of_any_type(method: str, path: str, type: str | None) -> None:
    """It is not looked at."""
    found = shown(sent(method, path, b"", type), method)
    assert (found["data"], found["files"], found["form"], found["json"]) == ("", {}, {}, None)


@everyBody
def test_forms(method: str, path: str) -> None:
    """Beside the query."""
    body = b"form1=foo&form2=bar1&form2=bar+2"
    found = shown(sent(method, f"{path}?query1=foo&query2=a&query2=b", body, FORM), method)
    assert found["form"] == {"form1": ["foo"], "form2": ["bar1", "bar 2"]}
    assert found["args"] == {"query1": ["foo"], "query2": ["a", "b"]}
    assert found["data"] == body.decode()


@everyBody
@pytest.mark.parametrize("type", ["text/html; charset=utf-8", "text/plain"])
def test_text_is_data(method: str, path: str, type: str) -> None:
    """As it is."""
    text = "<html><body><h1>hello \u4e16\u754c</h1></body></html>"
    assert shown(sent(method, path, text.encode(), type), method)["data"] == text


@everyBody
def test_multipart(method: str, path: str) -> None:
    """Fields and files, each in its list."""
    body = (
        b'--x\r\nContent-Disposition: form-data; name="bar"\r\n\r\nbar1\r\n'
        b'--x\r\nContent-Disposition: form-data; name="bar"\r\n\r\nbar2\r\n'
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\nhello world\r\n--x--\r\n"
    )
    found = shown(sent(method, path, body, "multipart/form-data; boundary=x"), method)
    assert found["form"] == {"bar": ["bar1", "bar2"]}
    assert found["files"] == {"file": ["hello world"]}


@everyBody
def test_json(method: str, path: str) -> None:
    """As text and as what it means; what is behind the value is not looked at."""
    value = {"foo": "foo", "bar": 123, "baz": [1.0, 1.1], "quux": {"1": "one"}, "half": "\ud83d"}
    body = json.dumps(value).encode() + b"\n\n"
    found = shown(sent(method, path, body, "application/json; charset=utf-8"), method)
    assert found["json"] == {**value, "half": "\ufffd"}
    assert found["data"] == body.decode()


@everyBody
@pytest.mark.parametrize(
    ("type", "body"),
    [
        (FORM, b"%ZZ"),
        (FORM, b"a=%"),
        (FORM, b"a;b"),
        ("multipart/form-data; etc", b"%ZZ"),
        ("multipart/form-data; boundary=x", b"%ZZ"),
        ("application/json; charset=utf-8", b"foo"),
        ("application/json", b"[NaN]"),
        ("application/json", b"[" * MOST),
        (None, bytes(MOST + 1)),
    ],
)
def test_bad_bodies(method: str, path: str, type: str | None, body: bytes) -> None:
    """Are told so in JSON, and never break anything."""
    found = sent(method, path, body, type)
    assert found.status == 400
    assert errorOf(found)["detail"]


@pytest.mark.parametrize(
    ("depth", "statuses"),
    # In between, each version of Python has a limit of its own, 3.13 beyond 5000.
    [(10, {200}), (300, {200, 400}), (500, {200, 400}), (5000, {200, 400}), (400_000, {400})],
)
def test_json_of_any_depth(depth: int, statuses: set[int]) -> None:
    """Shown, or refused as too deep."""
    body = b"[" * depth + b"]" * depth
    found = ask(makeGo(prefix=""), "/post", "POST", [("Content-Type", "application/json")], body)
    assert found.status in statuses


def test_a_number_of_many_digits() -> None:
    """Python would rather not read it."""
    body = b"9" * 5000
    found = ask(makeGo(prefix=""), "/post", "POST", [("Content-Type", "application/json")], body)
    assert errorOf(found)["status_code"] == 400


@everyBody
def test_a_body_in_chunks(method: str, path: str) -> None:
    """Says so; one that is too long is refused before it is there."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    visit = Visit(SITE)
    visit.say(head.encode() + b"Content-Type: text/plain\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    (found,) = visit.answers(method)
    assert shown(found, method)["headers"]["Transfer-Encoding"] == ["chunked"]
    visit.end()
    visit = Visit(SITE)
    visit.say(head.encode() + b"\r\n" + b"200\r\n%b\r\n" % bytes(512) * 3)
    (found,) = visit.answers(method)
    assert found.status == 400
    visit.end()


@everyBody
@pytest.mark.parametrize("framing", ["Content-Length: 9", "Transfer-Encoding: chunked"])
def test_the_client_waits_before_it_sends(method: str, path: str, framing: str) -> None:
    """100 Continue, and then the answer."""
    visit = Visit(SITE)
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
    visit.say(f"{head}Expect: 100-continue\r\n{framing}\r\n\r\n".encode())
    assert visit.heard == b"HTTP/1.1 100 Continue\r\n\r\n"
    isChunked = framing.endswith("chunked")
    visit.say(b"9\r\ntest body\r\n0\r\n\r\n" if isChunked else b"test body")
    (found,) = visit.answers(method)
    assert shown(found, method)["data"] == "test body"
    visit.end()


@everyBody
def test_nobody_waits_for_nothing(method: str, path: str) -> None:
    """Without a body there is nothing to expect."""
    visit = Visit(SITE)
    visit.say(request(path, method, [("Expect", "100-continue"), ("Content-Length", "0")]))
    assert visit.heard.startswith(b"HTTP/1.1 200 OK\r\n")
    visit.end()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_upload(method: str) -> None:
    """Only the number of bytes is kept."""
    found = ask(SITE, "/upload?a=1", method, body=bytes(MOST))
    assert list(found.json) == ["args", "headers", "method", "origin", "url", "bytes_received"]
    assert found.json["bytes_received"] == MOST
    assert ask(SITE, "/upload", method).json["bytes_received"] == 0
    assert errorOf(ask(SITE, "/upload", method, body=bytes(MOST + 1)))["status_code"] == 400


def test_dump() -> None:
    """Host first, names in order."""
    fields = [("x-test-header2", "Test-Value2"), ("x-test-header1", "b"), ("X-Test-Header1", "a")]
    found = ask(SITE, "/dump/request?foo=bar", fields=fields)
    assert found.get("Content-Type") == TEXT
    assert found.text == (
        "GET /dump/request?foo=bar HTTP/1.1\r\nHost: 127.0.0.1:62893\r\n"
        "X-Test-Header1: b\r\nX-Test-Header1: a\r\nX-Test-Header2: Test-Value2\r\n\r\n"
    )
    assert ask(SITE, "/dump/request", "POST", body=b"body").text.endswith(
        "Content-Length: 4\r\n\r\nbody"
    )


def test_dump_of_chunks() -> None:
    """They stay chunks, though not the same."""
    visit = Visit(SITE)
    visit.say(
        b"POST /dump/request HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n"
    )
    (found,) = visit.answers("POST")
    assert found.text == (
        "POST /dump/request HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "2\r\nab\r\n0\r\n\r\n"
    )
    visit.end()


def test_what_we_say_of_ourselves() -> None:
    """Only variables that are meant to be shown."""
    assert get("/env").json == {"env": {"HTTPBIN_ENV_A": "1", "HTTPBIN_ENV_B": "2"}}
    assert get("/hostname").json == {"hostname": "go-httpbin"}
    assert get("/version").json == {"service": "go-httpbin"}
