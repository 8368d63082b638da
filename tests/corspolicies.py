"""What a browser makes of each policy of C{/cors/{policy}}."""

from __future__ import annotations

BROWSER: dict[str, tuple[bool, bool, bool]] = {
    "allow-all": (True, False, True),
    "origin": (True, False, True),
    "credentials": (True, True, True),
    "none": (False, False, False),
    "wrong-origin": (False, False, False),
    "null": (False, False, False),
    "wildcard-with-credentials": (True, False, True),
    "two-origins": (False, False, False),
    "origin-list": (False, False, False),
    "origin-with-slash": (False, False, False),
    "preflight-fails": (True, False, False),
    "preflight-redirects": (True, False, False),
    "no-methods": (True, False, False),
    "no-headers": (True, False, False),
    "exposed": (True, False, True),
}
"""
Whether a page of another origin can read the answer, can read it with credentials, and can send a
PUT with a field of its own.
"""
