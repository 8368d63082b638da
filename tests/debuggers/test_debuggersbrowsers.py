"""Names of browsers."""

from __future__ import annotations

from loopbackd.debuggers.browsers import isBrowser


def test_browsers() -> None:
    """By the name of the executable."""
    assert all(map(isBrowser, ("firefox", "chromium", "chrome", "firefox-esr", "Chromium")))
    assert not any(map(isBrowser, ("", "curl", "chromedriver", "firefoxy")))
