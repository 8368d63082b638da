"""Tests for L{loopbackd.protocols.httpbin.own.crossorigin}."""

from __future__ import annotations

import pytest
from corspolicies import BROWSER
from visiting import Answered, ask

from loopbackd.protocols.httpbin.own.crossorigin import POLICIES
from loopbackd.protocols.httpbin.site import makeSite

SITE = makeSite()
PAGE = "http://page.test"


def asked(policy: str, method: str = "GET", more: str = "", **fields: str) -> Answered:
    """The answer to a page's request."""
    pairs = [("Origin", PAGE), *((name.replace("_", "-"), value) for name, value in fields.items())]
    return ask(SITE, f"/cors/{policy}{more}", method, pairs)


def mayRead(answer: Answered, credentials: bool) -> bool:
    """The CORS check of the Fetch standard (section 4.10)."""
    allowed = [value for name, value in answer.fields if name == "Access-Control-Allow-Origin"]
    if len(allowed) != 1:
        return False
    if not credentials and allowed == ["*"]:
        return True
    if allowed != [PAGE]:
        return False
    said = answer.get("Access-Control-Allow-Credentials")
    return not credentials or said == "true"


def mayAsk(answer: Answered, method: str, field: str) -> bool:
    """What a preflight must say besides (section 4.8)."""
    methods = (answer.get("Access-Control-Allow-Methods") or "").split(", ")
    names = (answer.get("Access-Control-Allow-Headers") or "").lower().split(", ")
    return 200 <= answer.status < 300 and method in methods and field in names


@pytest.mark.parametrize("policy", POLICIES)
def test_byTheStandard(policy: str) -> None:
    """The rules of the Fetch standard come to what the table says."""
    answer = asked(policy)
    preflight = asked(
        policy,
        "OPTIONS",
        Access_Control_Request_Method="PUT",
        Access_Control_Request_Headers="x-mine",
    )
    found = (
        mayRead(answer, False),
        mayRead(answer, True),
        mayRead(preflight, False) and mayAsk(preflight, "PUT", "x-mine"),
    )
    assert found == BROWSER[policy]


@pytest.mark.parametrize("policy", POLICIES)
def test_vary(policy: str) -> None:
    """Where the answer names the page's origin, caches are told; without one it is silent."""
    echoes = any(PAGE in value for name, value in asked(policy).fields)
    answer = ask(SITE, f"/cors/{policy}")
    assert answer.get("Vary") == ("Origin" if echoes else None)
    assert "{origin}" not in str(answer.fields)


def test_maxAge() -> None:
    """How long a preflight holds is the client's to say; by default it does not."""
    assert asked("origin", "OPTIONS").get("Access-Control-Max-Age") == "0"
    assert asked("origin", "OPTIONS", "?max_age=60").get("Access-Control-Max-Age") == "60"


def test_list() -> None:
    """All policies are listed."""
    found = ask(SITE, "/cors").json["policies"]
    assert [one["name"] for one in found] == list(POLICIES)


def test_unknown() -> None:
    """An unknown policy is told, for a preflight as well."""
    assert asked("snafu").status == 400
    assert asked("snafu", "OPTIONS").status == 400
