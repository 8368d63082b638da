"""
HTTP that is sent to a protocol of lines: a page of the web can have a browser do that.

What the page wants said is in the body, or in a field; the lines before it give the browser away.
Redis drops such clients since 3.2.7.
"""

from __future__ import annotations

import re
from typing import Final

_REQUEST: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [^ ]+ HTTP/[0-9.]+\s*")
_GIVEN_AWAY: Final = re.compile(rb"(?:POST|Host:)(?:[ \t]|\Z)", re.I)


def isFromBrowser(line: bytes) -> bool:
    """
    Whether a line is one that a browser sends before anything a page has chosen.

    For protocols whose lines do something: who sent it should be left, and nothing of it done.

    @param line: any of a conversation, without its end: bytes that the page chose can come first,
        where something else, like a name in TLS, was sent before.
    """
    return _REQUEST.fullmatch(line) is not None or _GIVEN_AWAY.match(line) is not None
