"""The journal's own addresses: JSON, HAR and curl, and who may see them."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

import msgspec
import pytest

from loopbackd.http.guarding import SHIELD
from loopbackd.stubs.har import archive, isoTime
from loopbackd.stubs.journal import Entry
from stubs.stubbing import Stubbed

TOML = (
    "journal = 100\njournal_body = 50\n[[stub]]\nname = 's'\npath = '/s'\nanswer = { json = 1 }\n"
)


class Named(msgspec.Struct, forbid_unknown_fields=True):
    """A name and a value, as HAR has headers, cookies and the query."""

    name: str
    value: str


class PostData(msgspec.Struct, forbid_unknown_fields=True):
    """HAR 1.2, C{postData}."""

    mimeType: str
    params: list[Named]
    text: str
    encoding: str = msgspec.field(name="_encoding", default="")


class HARRequest(msgspec.Struct, forbid_unknown_fields=True):
    """HAR 1.2, C{request}."""

    method: str
    url: str
    httpVersion: str
    cookies: list[Named]
    headers: list[Named]
    queryString: list[Named]
    headersSize: int
    bodySize: int
    postData: PostData | None = None


class Content(msgspec.Struct, forbid_unknown_fields=True):
    """HAR 1.2, C{content}."""

    size: int
    mimeType: str
    text: str = ""
    encoding: str = ""
    comment: str = ""


class HARResponse(msgspec.Struct, forbid_unknown_fields=True):
    """HAR 1.2, C{response}."""

    status: int
    statusText: str
    httpVersion: str
    cookies: list[Named]
    headers: list[Named]
    content: Content
    redirectURL: str
    headersSize: int
    bodySize: int


class Timings(msgspec.Struct, forbid_unknown_fields=True):
    """HAR 1.2, C{timings}."""

    send: float
    wait: float
    receive: float


class HAREntry(msgspec.Struct, forbid_unknown_fields=True):
    """HAR 1.2, C{entries}."""

    startedDateTime: str
    time: float
    request: HARRequest
    response: HARResponse
    cache: dict[str, Any]
    timings: Timings
    serverIPAddress: str = ""
    connection: str = ""
    comment: str = ""


class Creator(msgspec.Struct, forbid_unknown_fields=True):
    """HAR 1.2, C{creator}."""

    name: str
    version: str


class Log(msgspec.Struct, forbid_unknown_fields=True):
    """HAR 1.2, C{log}."""

    version: str
    creator: Creator
    entries: list[HAREntry]


class HAR(msgspec.Struct, forbid_unknown_fields=True):
    """HAR 1.2, as its specification has it, and nothing else."""

    log: Log


def test_har() -> None:
    """An archive has every request with its answer, in the format's own words."""
    one = Stubbed(TOML)
    fields = [("Cookie", "a=b; c=d"), ("X", "1"), ("X", "2"), ("Content-Type", "a/b")]
    one.ask("/s?q=%20x&q=y", "POST", fields=fields, body=b"caf\xc3\xa9")
    one.ask("/anything", "PUT", body=bytes(range(256)))
    one.ask("/cookies/set?k=v")
    har = msgspec.json.decode(one.ask("/_loopbackd/requests?format=har").body, type=HAR)
    assert (har.log.version, har.log.creator.name) == ("1.2", "loopbackd")
    first, second, third = har.log.entries
    assert first.request.url == "http://127.0.0.1:62893/s?q=%20x&q=y"
    assert [(one.name, one.value) for one in first.request.queryString] == [("q", " x"), ("q", "y")]
    assert [(one.name, one.value) for one in first.request.cookies] == [("a", "b"), ("c", "d")]
    assert [one.value for one in first.request.headers if one.name == "X"] == ["1", "2"]
    assert first.request.postData == PostData("a/b", [], "café")
    assert first.response.content == Content(1, "application/json", "1")
    assert first.comment == "answered by stub s"
    assert (second.request.bodySize, second.comment) == (256, "50 of 256 bytes of the body kept")
    assert second.request.postData == PostData("", [], bytes(range(50)).decode(), "")
    assert [one.name for one in third.response.cookies] == ["k"]
    assert third.response.redirectURL == "/cookies"


def test_harOfBinary() -> None:
    """What is no text is base64."""
    one = Stubbed("journal = 10\n")
    one.ask("/anything", "POST", body=b"\xff\x00")
    har = msgspec.json.decode(one.ask("/_loopbackd/requests?format=har").body, type=HAR)
    post = har.log.entries[0].request.postData
    assert post is not None
    assert (post.encoding, b64decode(post.text)) == ("base64", b"\xff\x00")


def test_anEmptyArchive() -> None:
    """Is one still."""
    assert msgspec.json.decode(json.dumps(archive([], "1")), type=HAR).log.entries == []
    empty = Stubbed("journal = 5").ask("/_loopbackd/requests?format=har").body
    assert msgspec.json.decode(empty, type=HAR).log.entries == []


def test_times() -> None:
    """With milliseconds and a zone."""
    assert isoTime(0.1234) == "1970-01-01T00:00:00.123+00:00"


def test_listed() -> None:
    """All, or those that are asked for; and forgotten."""
    one = Stubbed(TOML)
    for target in ("/s", "/get?x=1", "/s"):
        one.ask(target)
    one.ask("/post", "POST", body=b"\xff")
    it = one.ask("/_loopbackd/requests").json
    assert it["count"] == 4
    assert [r["target"] for r in it["requests"]] == ["/s", "/get?x=1", "/s", "/post"]
    assert [r["stub"] for r in it["requests"]] == ["s", None, "s", None]
    assert it["requests"][3]["body_base64"] == "/w=="
    assert it["requests"][0]["answer"]["status"] == 200
    counts = {
        "?stub=s": 2,
        "?path=/get": 1,
        "?method=POST": 1,
        "?last=3": 3,
        "?path=/{x}&method=GET": 3,
        "?stub=none": 0,
    }
    got = {query: one.ask(f"/_loopbackd/requests{query}").json["count"] for query in counts}
    assert got == counts
    assert one.ask("/_loopbackd/requests", "DELETE").status == 204
    assert one.ask("/_loopbackd/requests").json == {"count": 0, "requests": []}


def test_foundByConditions() -> None:
    """The same as a stub's."""
    one = Stubbed(TOML)
    for body in (b'{"a": 1, "b": 2}', b'{"a": 2}'):
        one.ask("/post", "POST", body=body)
    conditions = {"method": "POST", "body": {"json_subset": {"a": 1}}}
    find = "/_loopbackd/requests/find"
    it = one.ask(find, "POST", body=json.dumps(conditions).encode())
    assert [r["body"] for r in it.json["requests"]] == ['{"a": 1, "b": 2}']
    for wrong in (
        *({"metod": "POST"}, {"path": "x"}, {"headers": {"a b": "1"}}, 3),
        *({"body": {"regex": "a"}}, {"path_regex": "a"}, {"query": {"a": {"regex": "a"}}}),
        *({"body": {"form": {"a": {"not_regex": "a"}}}}, {"cookies": {"a": {"regex": "a"}}}),
    ):
        assert one.ask(find, "POST", body=json.dumps(wrong).encode()).status == 400
    assert one.ask(find, "POST", body=b"[" * 10_000).status == 400
    assert one.ask(find, "POST", body=b"[" * 100_000).status == 413


def test_stubsListed() -> None:
    """With their counts; and begun anew."""
    one = Stubbed(TOML)
    one.ask("/s")
    assert one.ask("/_loopbackd/stubs").json["stubs"] == [{"name": "s", "count": 1}]
    assert one.ask("/_loopbackd/stubs/reset", "POST").status == 204
    assert one.ask("/_loopbackd/stubs").json["stubs"] == [{"name": "s", "count": 0}]


def test_itDoesNotLookAtItself() -> None:
    """Neither stubs nor the journal see the journal's addresses, and only those."""
    one = Stubbed("[[stub]]\npath_regex = '.*'\nanswer = { text = 'x' }")
    assert one.ask("/_loopbackd/requests").json["count"] == 0
    assert one.ask("/_loopbackd/nothing").status == 404
    assert one.ask("/_loopbackd").status == 404
    assert one.ask("/_loopbackdx").text == "x"
    assert len(one.site.journal) == 1


@pytest.mark.parametrize(
    ("host", "fields", "status"),
    [
        ("127.0.0.1:62893", [], 200),
        ("localhost", [], 200),
        ("app.localhost:1", [], 200),
        ("[::1]:62893", [], 200),
        ("localhost", [("Origin", "http://localhost")], 200),
        ("localhost", [("Sec-Fetch-Site", "none")], 200),
        ("localhost", [("Sec-Fetch-Site", "same-origin")], 200),
        ("example.com", [], 421),
        ("app.test", [], 421),
        ("127.0.0.1.example.com", [], 421),
        ("", [], 421),
        ("localhost", [("Origin", "http://localhost:1")], 403),
        ("localhost", [("Origin", "https://localhost")], 403),
        ("localhost", [("Origin", "null")], 403),
        ("localhost", [("Sec-Fetch-Site", "cross-site")], 403),
        ("localhost", [("Sec-Fetch-Site", "same-site")], 403),
    ],
)
def test_whoMaySee(host: str, fields: list[tuple[str, str]], status: int) -> None:
    """Programs on this machine that call it by its name, and no page of another site."""
    one = Stubbed("journal = 5")
    lines = [f"GET /_loopbackd/requests HTTP/1.1\r\nHost: {host}\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in fields]
    one.visit.say("".join([*lines, "\r\n"]).encode())
    (answered,) = one.visit.answers("GET")
    assert answered.status == status
    assert answered.get("Access-Control-Allow-Origin") is None
    assert (answered.get("Connection") == "close") == (status != 200)
    assert {*SHIELD} <= {*answered.fields}


@pytest.mark.parametrize("path", ["requests", "stubs/reset"])
@pytest.mark.parametrize(
    ("fields", "isDone"),
    [
        ([], True),
        ([("User-Agent", "Mozilla/5.0"), ("Sec-Fetch-Site", "same-origin")], True),
        ([("User-Agent", "Mozilla/5.0"), ("Origin", "http://127.0.0.1:62893")], True),
        ([("User-Agent", "Mozilla/5.0")], False),
        ([("Sec-Fetch-Site", "none")], False),
    ],
)
def test_whoMayChange(path: str, fields: list[tuple[str, str]], isDone: bool) -> None:
    """Programs, and a browser that says which page asks: one of the same origin."""
    one = Stubbed(TOML)
    one.ask("/s")
    method = "DELETE" if path == "requests" else "POST"
    status = one.ask(f"/_loopbackd/{path}", method, fields=fields).status
    assert status == (204 if isDone else 403)
    if path == "requests":
        assert len(one.site.journal) == (0 if isDone else 1)
    else:
        assert [stub.count for stub in one.site.stubs] == [0 if isDone else 1]


def test_a_search_lets_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes; and what is found is all of it."""
    one = Stubbed("journal = 9")
    for number in range(5):
        one.ask(f"/get?{number}")
    clock, looks = one.visit.clock, []

    def slowly(entry: Entry, *wanted: object) -> bool:
        looks.append(entry)
        clock.rightNow += 0.02
        return True

    monkeypatch.setattr("loopbackd.stubs.reporting.isLike", slowly)
    one.send("/_loopbackd/requests")
    assert len(looks) == 1
    for _ in range(5):
        clock.advance(0)
    assert len(looks) == 5
    assert one.visit.answers("GET", "GET", "GET", "GET", "GET", "GET")[-1].json["count"] == 5


@pytest.mark.parametrize("format", ["json", "har", "curl"])
def test_a_long_answer_lets_others_have_their_turn(
    monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    """However long each entry takes to be written; and all of them are."""
    one = Stubbed("journal = 9")
    for number in range(5):
        one.ask(f"/get?{number}")
    clock, looks = one.visit.clock, []
    names = {"json": "asJSON", "har": "harEntry", "curl": "curlCommand"}
    name = f"loopbackd.stubs.reporting.{names[format]}"

    def slowly(entry: Entry) -> Any:
        looks.append(entry)
        clock.rightNow += 0.02
        return "x" if format == "curl" else {}

    monkeypatch.setattr(name, slowly)
    one.send(f"/_loopbackd/requests?format={format}")
    assert len(looks) == 1
    for _ in range(5):
        clock.advance(0)
    assert len(looks) == 5
    assert len(one.visit.answers(*["GET"] * 6)) == 6
