"""Answers with a chosen status, or with one by chance."""

from __future__ import annotations

import pytest
from visiting import Visit, ask, request

from go.tables import HTML, JSON, PREFIXED, SITE, TEXT, errorOf, get, small

REDIRECT = {"Location": "/redirect/1"}


@pytest.mark.parametrize(
    ("status", "fields", "body"),
    [
        (200, {"Content-Type": TEXT}, ""),
        (300, {"Location": "/image/jpeg", "Content-Type": HTML}, 'href="/image/svg"'),
        (301, REDIRECT, ""),
        (302, REDIRECT, ""),
        (303, REDIRECT, ""),
        (304, {"Location": None}, ""),
        (305, REDIRECT, ""),
        (307, REDIRECT, ""),
        (308, {"Location": "/image/jpeg", "Content-Type": HTML}, 'href="/image/jpeg"'),
        (401, {"WWW-Authenticate": 'Basic realm="Fake Realm"'}, ""),
        (402, {"X-More-Info": "https://www.rfc-editor.org/rfc/rfc9110#section-15.5.3"}, "money"),
        (406, {"Content-Type": JSON}, "Client did not request a supported media type"),
        (407, {"Proxy-Authenticate": 'Basic realm="Fake Realm"'}, ""),
        (418, {"X-More-Info": "http://tools.ietf.org/html/rfc2324"}, "I'm a teapot!"),
        (500, {}, ""),
        (599, {}, ""),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "TRACE"])
def test_what_goes_with_a_status(
    status: int, fields: dict[str, str | None], body: str, method: str
) -> None:
    """The fields that make it true, mostly nothing else."""
    found = ask(SITE, f"/status/{status}", method)
    assert found.status == status
    assert body in found.text and bool(body) == bool(found.text)
    for name, value in fields.items():
        assert found.get(name) == value


def test_redirects_lead_below_the_prefix() -> None:
    """Wherever the table is."""
    assert ask(PREFIXED, "/a-prefix/status/302").get("Location") == "/a-prefix/redirect/1"
    found = ask(PREFIXED, "/a-prefix/status/300")
    assert found.get("Location") == "/a-prefix/image/jpeg"
    assert 'href="/a-prefix/image/png"' in found.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/status", 404),
        ("/status/", 404),
        ("/status/200/foo", 404),
        ("/status/3.14", 400),
        ("/status/foo", 400),
        ("/status/600", 400),
        ("/status/99", 400),
        ("/status/1024", 400),
        ("/status/200:foo,500:1", 400),
        ("/status/200:1,foo:1", 400),
        ("/status/200:0,500:0", 400),
    ],
)
def test_what_is_no_status(path: str, status: int) -> None:
    """Or not here."""
    assert get(path).status == status


def test_what_comes_before_an_answer() -> None:
    """Is followed by one, but not where protocols are switched."""
    visit = Visit(SITE)
    visit.say(request("/status/100"))
    assert visit.heard.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    visit.end()
    visit = Visit(SITE)
    visit.say(request("/status/101"))
    assert visit.heard.startswith(b"HTTP/1.1 101 Switching Protocols\r\n") and visit.hasEnded
    visit.end()


def test_one_of_several() -> None:
    """Each now and then; one of no weight never."""
    site = small()
    found = {ask(site, "/status/200:0.7,429:0.2,503:0.1,404:0").status for _ in range(100)}
    assert found == {200, 429, 503}


def test_unstable() -> None:
    """Now and then, at the rate that is asked for."""
    site = small()
    assert {ask(site, "/unstable").status for _ in range(40)} == {200, 500}
    assert {ask(site, "/unstable?failure_rate=0").status for _ in range(20)} == {200}
    assert {ask(site, "/unstable?failure_rate=1").status for _ in range(20)} == {500}


@pytest.mark.parametrize("seed", ["1234567890", "-12345", "0"])
def test_unstable_by_seed(seed: str) -> None:
    """Always the same."""
    assert len({get(f"/unstable?seed={seed}").status for _ in range(5)}) == 1
    assert get(f"/unstable?seed={seed}&failure_rate=1").status == 500
    assert len({get(f"/unstable?seed={n}").status for n in range(30)}) == 2


@pytest.mark.parametrize(
    "query", ["failure_rate=foo", "failure_rate=-1", "failure_rate=1.23", "seed=3.14", "seed=foo"]
)
def test_unstable_by_mistake(query: str) -> None:
    """400 is neither of the two."""
    assert errorOf(get(f"/unstable?{query}"))["status_code"] == 400
