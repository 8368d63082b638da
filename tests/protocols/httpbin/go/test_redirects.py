"""Redirects, and cookies on the way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from visiting import ask

from go.tables import PREFIXED, SITE, asking, errorOf, get, small
from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import isField
from loopbackd.protocols.httpbin.go.redirects import checkedAddress

HOST = "http://127.0.0.1:62893"


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/redirect/1", "/get"),
        ("/redirect/2", "/relative-redirect/1"),
        ("/redirect/100", "/relative-redirect/99"),
        ("/redirect/1?absolute=true", f"{HOST}/get"),
        ("/redirect/2?absolute=TRUE", f"{HOST}/absolute-redirect/1"),
        ("/redirect/100?absolute=True", f"{HOST}/absolute-redirect/99"),
        ("/redirect/100?absolute=t", "/relative-redirect/99"),
        ("/redirect/100?absolute=1", "/relative-redirect/99"),
        ("/redirect/100?absolute=yes", "/relative-redirect/99"),
        ("/relative-redirect/1", "/get"),
        ("/relative-redirect/2", "/relative-redirect/1"),
        ("/relative-redirect/100", "/relative-redirect/99"),
        ("/absolute-redirect/1", f"{HOST}/get"),
        ("/absolute-redirect/2", f"{HOST}/absolute-redirect/1"),
        ("/absolute-redirect/100", f"{HOST}/absolute-redirect/99"),
    ],
)
def test_so_many_redirects(path: str, location: str) -> None:
    """Below the prefix if there is one."""
    found = get(path)
    assert (found.status, found.reason, found.get("Location")) == (302, "Found", location)
    prefixed = ask(PREFIXED, "/a-prefix" + path)
    isAbsolute = location.startswith(HOST)
    expected = f"{HOST}/a-prefix{location[len(HOST) :]}" if isAbsolute else f"/a-prefix{location}"
    assert prefixed.get("Location") == expected


@pytest.mark.parametrize("kind", ["redirect", "relative-redirect", "absolute-redirect"])
@pytest.mark.parametrize(
    ("rest", "status"),
    [
        ("", 404),
        ("/", 404),
        ("/-1", 400),
        ("/0", 400),
        ("/3.14", 400),
        ("/foo", 400),
        ("/10/foo", 404),
    ],
)
def test_no_such_redirect(kind: str, rest: str, status: int) -> None:
    """With or without a prefix."""
    assert get(f"/{kind}{rest}").status == status
    assert ask(PREFIXED, f"/a-prefix/{kind}{rest}").status == status


@pytest.mark.parametrize(
    ("query", "location", "status"),
    [
        ("url=http://www.example.com/", "http://www.example.com/", 302),
        ("url=http://www.example.com/&status_code=307", "http://www.example.com/", 307),
        ("url=/get", "/get", 302),
        ("url=/get&status_code=307", "/get", 307),
        ("url=/get?a=%25zz", "/get?a=%zz", 302),
        ("url=/caf%C3%A9+noir", "/caf%C3%A9%20noir", 302),
        ("url=http://httpbingo.org", "http://httpbingo.org", 302),
        ("url=https://httpbingo.org", "https://httpbingo.org", 302),
        ("url=https://example.org:8443/foo/bar", "https://example.org:8443/foo/bar", 302),
        ("url=//example.org/foo", "//example.org/foo", 302),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_anywhere(query: str, location: str, status: int, method: str) -> None:
    """Where it is allowed."""
    found = ask(SITE, f"/redirect-to?{query}", method)
    assert (found.status, found.get("Location")) == (status, location)


def test_a_path_leads_below_the_prefix() -> None:
    """Another host does not."""
    assert ask(PREFIXED, "/a-prefix/redirect-to?url=/get").get("Location") == "/a-prefix/get"
    found = ask(PREFIXED, "/a-prefix/redirect-to?url=//example.org/get")
    assert found.get("Location") == "//example.org/get"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "url=",
        "status_code=302",
        "url=/foo&status_code=201",
        "url=/foo&status_code=418",
        "url=/foo&status_code=foo",
        "url=http%3A%2F%2Ffoo%25%25bar",
        "url=http%3A%2F%2F[::1",
        "url=http%3A%2F%2Fexample.org%3Aport",
        "url=%3A%2F%2Fexample.org",
        "url=1http%3A%2F%2Fexample.org",
        "url=/a%0D%0ASet-Cookie:%20a",
        "url=/%5Cevil.com",
        "url=%5C%5Cevil.com",
        "url=%09//evil.com",
        "url=http%3A%2F%2Fexample.org%5C@evil.com",
    ],
)
def test_what_is_no_address(query: str) -> None:
    """To us, to browsers, or not the same to both."""
    assert errorOf(get(f"/redirect-to?{query}"))["status_code"] == 400


@pytest.mark.parametrize(
    "address",
    [
        "https://foo.example.org/foo/bar",
        "https://evil.com",
        "//evil.com",
        "///evil.com",
        "http:evil.com",
        "http:/evil.com",
        "javascript:alert(1)",
        "https://example.org@evil.com",
        "https://example.org.evil.com",
    ],
)
def test_where_it_is_not_allowed(address: str) -> None:
    """Is told in words; without a list, everything is."""
    found = get(asking("/redirect-to", url=address))
    assert found.status == 403 and found.get("Content-Type") == "text/plain"
    assert "- example.org\n" in found.text
    assert (
        ask(small(allowed_redirect_domains=()), asking("/redirect-to", url=address)).status == 302
    )


def test_a_relative_path_is_forbidden() -> None:
    """Nobody knows what it is relative to."""
    assert get("/redirect-to?url=foo").status == 403
    assert ask(small(allowed_redirect_domains=()), "/redirect-to?url=foo").status == 403


@given(st.text(max_size=30) | st.text(alphabet="htp:/\\@.?#%[]a1 \n", max_size=30))
def test_any_address_can_be_sent_or_is_refused(address: str) -> None:
    """On one line, in ASCII."""
    try:
        location = checkedAddress(address)
    except HTTPError as error:
        assert error.status == 400
        return
    assert location.isascii() and isField("Location", location)


@pytest.mark.parametrize(("site", "prefix"), [(SITE, ""), (PREFIXED, "/a-prefix")])
def test_cookies_are_set(site: Any, prefix: str) -> None:
    """The first of each name; scripts do not see them."""
    found = ask(site, f"{prefix}/cookies/set?k1=v1&k2=v2&k1=v3")
    assert (found.status, found.get("Location")) == (302, f"{prefix}/cookies")
    cookies = [value for name, value in found.fields if name.lower() == "set-cookie"]
    assert cookies == ["k1=v1; HttpOnly", "k2=v2; HttpOnly"]


@pytest.mark.parametrize(
    ("query", "cookie"),
    [
        ("attr[HttpOnly]=false", "k=v"),
        ("attr[Path]=/a&attr[Domain]=b.test", "k=v; Path=/a; Domain=b.test; HttpOnly"),
        ("attr[Secure]=true&attr[SameSite]=none", "k=v; HttpOnly; Secure; SameSite=None"),
        ("attr[secure]=true&attr[SameSite]=", None),
    ],
)
def test_cookies_have_attributes(query: str, cookie: str | None) -> None:
    """Those of the standard, as they are written there."""
    found = ask(SITE, f"/cookies/set?k=v&{query}")
    if cookie is None:
        assert errorOf(found)["status_code"] == 400
    else:
        assert found.get("Set-Cookie") == cookie


@pytest.mark.parametrize(
    "query",
    [
        "attr[Secure]=maybe",
        "attr[SameSite]=x",
        "attr[Path]=a;b",
        "attr[Domain]=%00",
        "a%20b=c",
        "=c",
    ],
)
def test_what_is_no_cookie(query: str) -> None:
    """Is refused by its name."""
    assert errorOf(get(f"/cookies/set?{query}"))["detail"]


@pytest.mark.parametrize(("site", "prefix"), [(SITE, ""), (PREFIXED, "/a-prefix")])
def test_cookies_are_deleted(site: Any, prefix: str) -> None:
    """They are long past."""
    found = ask(site, f"{prefix}/cookies/delete?k2=", fields=[("Cookie", "k1=v1; k2=v2")])
    assert (found.status, found.get("Location")) == (302, f"{prefix}/cookies")
    assert found.get("Set-Cookie") == (
        "k2=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly"
    )
