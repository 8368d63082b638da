"""The page with links, which programs follow."""

from __future__ import annotations

import re
from html import unescape

from visiting import ask

from loopbackd.protocols.httpbin.site import makeSite


def test_links() -> None:
    """Each link leads to something, and those are there that clients' tests follow."""
    site = makeSite()
    answer = ask(site, "/legacy")
    assert answer.get("Content-Type") == "text/html; charset=utf-8"
    links = [unescape(link) for link in re.findall(r'<a href="([^"]*)"', answer.text)]
    assert {"/headers", "/user-agent", "/image/png", "/forms/post", "/cookies"} <= set(links)
    links.remove("/hidden-basic-auth/user/secret")
    for link in links:
        assert ask(site, link, seconds=3).status not in (400, 404, 405, 500), link


def test_notForGET() -> None:
    """What a link cannot ask for is named all the same."""
    assert "<li><code>/post</code> All of the request" in ask(makeSite(), "/legacy").text
