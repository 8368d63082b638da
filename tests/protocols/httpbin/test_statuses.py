"""Statuses by name, by weight, and what goes with each."""

from __future__ import annotations

import pytest
from visiting import Visit, ask, request

from loopbackd.http.errors import HTTPError
from loopbackd.protocols.httpbin.site import makeSite
from loopbackd.protocols.httpbin.statuses import answerStatus, choose, parseCodes


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("404", [(404, 1.0)]),
        ("999", [(999, 1.0)]),
        ("200,500", [(200, 1.0), (500, 1.0)]),
        ("200:0.9,500:.1", [(200, 0.9), (500, 0.1)]),
    ],
)
def test_codesAndWeights(text: str, choices: list[tuple[int, float]]) -> None:
    """One status, some, or some with weights."""
    assert parseCodes(text) == choices


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "4!9", "099", "20", "2000", "-200", "+20", "\uff12\uff10\uff10", "101"),
        *("200,", "200,402,foo", "200:", "200:x", "200:-1", "200:nan", "200:inf"),
        ",".join(["200"] * 101),
    ],
)
def test_noCodes(text: str) -> None:
    """Anything else is refused, with a word about it."""
    with pytest.raises(HTTPError, match="Invalid") as caught:
        parseCodes(text)
    assert caught.value.status == 400


def test_chosenByWeight() -> None:
    """Each has its share of the line from 0 to 1, and a weight of 0 has none."""
    choices = [(200, 1.0), (404, 0.0), (500, 3.0), (501, 0.0)]
    points = {0.0: 200, 0.2499: 200, 0.25: 500, 0.9999999999: 500}
    assert {point: choose(choices, point) for point in points} == points
    assert choose([(200, 0.1)] * 10, 0.9999999999999999) == 200


def test_nothingToChoose() -> None:
    """Weights of zero all over are the client's mistake."""
    with pytest.raises(HTTPError, match="must not be 0"):
        choose([(200, 0.0), (500, 0.0)], 0.5)


@pytest.mark.parametrize("status", [301, 302, 303, 305, 307])
def test_redirects(status: int) -> None:
    """Those that lead somewhere lead to one more redirect."""
    answer = ask(makeSite(), f"/status/{status}")
    assert (answer.status, answer.get("Location"), answer.body) == (status, "/redirect/1", b"")


def test_whatGoesWithAStatus() -> None:
    """A status that requires a field has it."""
    needed = {401: "WWW-Authenticate", 405: "Allow", 407: "Proxy-Authenticate", 426: "Upgrade"}
    for status, name in needed.items():
        assert ask(makeSite(), f"/status/{status}").get(name), status


def test_bodies() -> None:
    """The teapot is one, and 406 says what would be accepted."""
    teapot = ask(makeSite(), "/status/418")
    assert (teapot.reason, "teapot" in teapot.text) == ("I'M A TEAPOT", True)
    assert ask(makeSite(), "/status/406").json["accept"][-1] == "image/*"
    assert ask(makeSite(), "/status/204").get("Content-Type") is None


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE"])
def test_methods(method: str) -> None:
    """Any method will do."""
    assert ask(makeSite(), "/status/418", method).status == 418


def test_interim() -> None:
    """What comes before an answer comes before an answer."""
    visit = Visit(makeSite())
    visit.say(request("/status/103"))
    assert visit.heard.startswith(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n")
    (answer,) = visit.answers("GET")
    assert answer.body == b""
    visit.end()


def test_unknownStatus() -> None:
    """One that nobody has defined can be had, too."""
    answer = ask(makeSite(), "/status/799")
    assert (answer.status, answer.reason) == (799, "UNKNOWN")


def test_sharesNothing() -> None:
    """An answer can be added to without others seeing it."""
    answerStatus(401).fields.append(("X", "y"))
    assert [name for name, _ in answerStatus(401).fields] == ["WWW-Authenticate", "Content-Type"]
