"""Authentication: Basic (RFC 7617), Bearer (RFC 6750) and Digest (RFC 7616)."""

from __future__ import annotations

import binascii
import os
from base64 import b64decode
from contextlib import suppress
from functools import partial
from typing import Final

from loopbackd.http.endpoints import Takes
from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import isField
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.cookies import cookiesOf, makeCookie
from loopbackd.protocols.httpbin.dialect import HTML, answerJSON
from loopbackd.protocols.httpbin.digest import (
    ALGORITHMS,
    digestOf,
    isRight,
    makeChallenge,
    missingFrom,
    parseCredentials,
)
from loopbackd.protocols.httpbin.schemas import User
from loopbackd.protocols.httpbin.statuses import answerStatus

routes = Routes("authentication")

_REFUSED: Final = {401: "without the right user and password"}


def parseBasic(value: str | None) -> list[tuple[str, str]]:
    """
    User and password in C{Authorization}, however they may be meant.

    @return: nothing, or what they are as UTF-8 and as ISO-8859-1 (RFC 7617 section 2.1).
    """
    scheme, _, token = (value or "").strip().partition(" ")
    if scheme.lower() != "basic":
        return []
    try:
        plain = b64decode(token.strip(), validate=True)
    except (binascii.Error, ValueError):
        return []
    user, colon, password = plain.partition(b":")
    if not colon:
        return []
    found = [(user.decode("latin-1"), password.decode("latin-1"))]
    with suppress(UnicodeDecodeError):
        found.insert(0, (user.decode("utf-8"), password.decode("utf-8")))
    return found


def _basic(request: Request, user: str, password: str, refusal: int) -> Response:
    if (user, password) in parseBasic(request.fields.get("authorization")):
        return answerJSON({"authenticated": True, "user": user})
    return answerStatus(refusal)


@routes.add(
    "/basic-auth/{user}/{password}",
    group="authentication",
    example="/basic-auth/user/secret",
    answers=_REFUSED,
    reads={"Authorization": "Basic, with that user and password"},
    returns=User,
)
def basicAuth(request: Request, user: str, password: str) -> Response:
    """Wants that user and password by Basic authentication."""
    return _basic(request, user, password, 401)


@routes.add(
    "/hidden-basic-auth/{user}/{password}",
    group="authentication",
    example="/hidden-basic-auth/user/secret",
    answers={404: "without the right user and password"},
    reads={"Authorization": "Basic, with that user and password"},
    returns=User,
)
def hiddenBasicAuth(request: Request, user: str, password: str) -> Response:
    """Wants them, too, but does not say so: it is not found without."""
    return _basic(request, user, password, 404)


@routes.add(
    "/bearer",
    group="authentication",
    example="/bearer",
    answers={401: "without a token"},
    reads={"Authorization": "Bearer, with any token"},
)
def bearer(request: Request) -> Response:
    """Wants a bearer token, and shows it."""
    value = request.fields.get("authorization") or ""
    if not value.startswith("Bearer "):
        return Response(401, b"", HTML, [("WWW-Authenticate", "Bearer")])
    return answerJSON({"authenticated": True, "token": value[len("Bearer ") :]})


_digest = partial(
    routes.add,
    takes=Takes.WHOLE,
    group="authentication",
    answers={
        **_REFUSED,
        400: "an answer to the challenge that lacks something",
        403: "without the cookie that came with the challenge",
    },
    reads={"Authorization": "Digest, with that user and password", "Cookie": "as they were set"},
)


@_digest("/digest-auth/{qop}/{user}/{password}", example="/digest-auth/auth/user/secret")
def digestAuth(request: Request, qop: str, user: str, password: str) -> Response:
    """Wants that user and password by Digest authentication, qop C{auth} or C{auth-int}."""
    return _Digest(request, qop, "MD5", "never").answer(user, password)


@_digest(
    "/digest-auth/{qop}/{user}/{password}/{algorithm}",
    example="/digest-auth/auth/user/secret/SHA-256",
)
def digestAuthBy(request: Request, qop: str, user: str, password: str, algorithm: str) -> Response:
    """The same by MD5, SHA-256 or SHA-512."""
    return _Digest(request, qop, algorithm, "never").answer(user, password)


@_digest(
    "/digest-auth/{qop}/{user}/{password}/{algorithm}/{stale_after}",
    example="/digest-auth/auth/user/secret/SHA-256/3",
)
def digestAuthUntil(
    request: Request, qop: str, user: str, password: str, algorithm: str, stale_after: str
) -> Response:
    """The same with a nonce that is stale after so many answers."""
    return _Digest(request, qop, algorithm, stale_after).answer(user, password)


class _Digest:
    """
    One request to a digest route.

    What there is to remember between two requests the client keeps, in cookies.
    """

    def __init__(self, request: Request, qop: str, algorithm: str, staleAfter: str) -> None:
        self._request = request
        self._qop = (qop,) if qop in ("auth", "auth-int") else ("auth", "auth-int")
        self._algorithm = algorithm if algorithm in ALGORITHMS else "MD5"
        self._staleAfter = staleAfter
        self._cookies = cookiesOf(request)

    def answer(self, user: str, password: str) -> Response:
        """Ask for an answer to a challenge, or judge the one there is."""
        request, cookies = self._request, self._cookies
        scheme, credentials = parseCredentials(request.fields.get("authorization") or "")
        wanted = (request.argument("require-cookie") or "").lower() in ("1", "t", "true")
        if scheme != "digest" or not credentials or (wanted and "cookie" not in request.fields):
            return self._challenge(False, None)
        if wanted and cookies.get("fake") != "fake_value":
            answer = answerJSON({"errors": ["missing cookie set on challenge"]}, 403)
            answer.fields.append(makeCookie("fake", "fake_value", "Path=/"))
            return answer
        missing = missingFrom(credentials)
        if missing:
            raise HTTPError(400, f"Authorization: Digest lacks {', '.join(missing)}")
        nonce = credentials["nonce"]
        if nonce == cookies.get("last_nonce") or cookies.get("stale_after") == "0":
            return self._challenge(True, nonce)
        target = request.rawPath.decode("ascii")
        if request.rawQuery:
            target += "?" + request.rawQuery.decode("ascii")
        if not isRight(credentials, user, password, request.method, target, request.body):
            return self._challenge(False, nonce)
        answer = answerJSON({"authenticated": True, "user": user})
        answer.fields.append(makeCookie("fake", "fake_value", "Path=/"))
        left = cookies.get("stale_after")
        if left:
            answer.fields.append(makeCookie("stale_after", _countedDown(left), "Path=/"))
        return answer

    def _challenge(self, isStale: bool, lastNonce: str | None) -> Response:
        nonce = digestOf(os.urandom(16), self._algorithm)
        opaque = digestOf(os.urandom(10), self._algorithm)
        challenge = makeChallenge(self._qop, self._algorithm, isStale, nonce, opaque)
        answer = Response(401, b"", HTML, [("WWW-Authenticate", challenge)])
        answer.fields.append(makeCookie("stale_after", self._staleAfter, "Path=/"))
        if lastNonce is not None and isField("Set-Cookie", lastNonce):
            answer.fields.append(makeCookie("last_nonce", lastNonce, "Path=/"))
        answer.fields.append(makeCookie("fake", "fake_value", "Path=/"))
        return answer


def _countedDown(left: str) -> str:
    return str(int(left) - 1) if left.isascii() and left.isdigit() and len(left) < 10 else "never"
