"""
Digest authentication as numbers (RFC 7616, and RFC 2069 where the client speaks only that).

No state, no I/O: a challenge is made, an answer to one is taken apart and computed anew.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from hashlib import md5, sha256, sha512
from typing import Final

REALM: Final = "loopbackd"
ALGORITHMS: Final = ("MD5", "SHA-256", "SHA-512")

_MAKERS: Final = {"MD5": md5, "SHA-256": sha256, "SHA-512": sha512}
_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_PARAMETER: Final = re.compile(
    rf'[ \t,]*+({_TOKEN})[ \t]*+=[ \t]*+(?:"((?:[^"\\]|\\.)*+)"|([^ \t,"]*+))[ \t]*+(?:,|\Z)', re.S
)
# Nothing is tried twice, or a long row of spaces would take seconds.


def digestOf(data: bytes, algorithm: str) -> str:
    """The hash in lower-case hexadecimal digits."""
    return _MAKERS[algorithm](data, usedforsecurity=False).hexdigest()


def parseCredentials(value: str) -> tuple[str, dict[str, str]]:
    """
    A scheme in lower case and its parameters (RFC 9110 section 11.4).

    @param value: of C{Authorization}.
    @return: no parameters where there is something else behind the scheme.
    """
    scheme, _, rest = value.strip().partition(" ")
    found: dict[str, str] = {}
    at = 0
    while at < len(rest):
        match = _PARAMETER.match(rest, at)
        if match is None:
            return scheme.lower(), {}
        name, quoted, token = match.groups()
        found[name.lower()] = token if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        at = match.end()
    return scheme.lower(), found


def makeChallenge(
    qop: tuple[str, ...], algorithm: str, isStale: bool, nonce: str, opaque: str
) -> str:
    """
    The value of C{WWW-Authenticate} that asks for an answer.

    @param qop: qualities of protection to choose from.
    @param isStale: the last answer was right, but for its nonce.
    """
    return (
        f'Digest realm="{REALM}", nonce="{nonce}", opaque="{opaque}", '
        f'qop="{", ".join(qop)}", algorithm={algorithm}, stale={isStale}'
    )


def missingFrom(credentials: Mapping[str, str]) -> list[str]:
    """Which parameters an answer lacks that it must have (RFC 7616 section 3.4)."""
    needed = ["username", "realm", "nonce", "uri", "response"]
    if "qop" in credentials:
        needed += ["cnonce", "nc"]
    return [name for name in needed if name not in credentials]


def isRight(
    credentials: Mapping[str, str],
    user: str,
    password: str,
    method: str,
    uri: str,
    body: bytes,
    realm: str = REALM,
) -> bool:
    """
    Whether somebody who knows the password gave this answer, for this request.

    @param credentials: none is L{missingFrom} it.
    @param uri: the target of the request, as it came.
    """
    algorithm = credentials.get("algorithm", "MD5").upper()
    qop = credentials.get("qop")
    if algorithm not in _MAKERS or qop not in (None, "auth", "auth-int"):
        return False

    def digest(*parts: str) -> str:
        return digestOf(":".join(parts).encode("utf-8", "surrogateescape"), algorithm)

    secret = digest(user, credentials["realm"], password)
    asked = [method, uri, digestOf(body, algorithm)] if qop == "auth-int" else [method, uri]
    proven = [] if qop is None else [credentials["nc"], credentials["cnonce"], qop]
    expected = digest(secret, credentials["nonce"], *proven, digest(*asked))
    given = credentials["response"].lower()
    return (
        credentials["username"] == user
        and credentials["realm"] == realm
        and hmac.compare_digest(given.encode(), expected.encode())
    )
