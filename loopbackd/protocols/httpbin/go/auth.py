"""Authentication: Basic (RFC 7617), Bearer (RFC 6750) and Digest (RFC 7616)."""

from __future__ import annotations

from typing import Final

from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import FieldPairs
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.auth import parseBasic
from loopbackd.protocols.httpbin.digest import (
    digestOf,
    isRight,
    missingFrom,
    parseCredentials,
)
from loopbackd.protocols.httpbin.go.dialect import (
    JSON,
    MANY,
    Setting,
    answerError,
    answerJSON,
)

REALM: Final = "go-httpbin"
BASIC: Final = 'Basic realm="Fake Realm"'

_ALGORITHMS: Final = ("MD5", "SHA-256")


def _told(isRight: bool, user: str, fields: FieldPairs) -> Response:
    told = {"authenticated": isRight, "user": user, "authorized": isRight}
    return answerJSON(told, 200 if isRight else 401, fields)


def addAuth(routes: Routes, setting: Setting) -> None:
    """Give a table routes that want to know who asks."""

    @routes.add(
        "/basic-auth/{user}/{password}",
        methods=MANY,
        group="authentication",
        example="/basic-auth/user/secret",
        answers={401: "without the right user and password"},
        produces=[JSON],
        reads={"Authorization": "Basic, with that user and password"},
    )
    def basicAuth(request: Request, user: str, password: str) -> Response:
        """Wants that user and password by Basic authentication."""
        given = parseBasic(request.fields.get("authorization"))
        if (user, password) in given:
            return _told(True, user, [])
        return _told(False, given[0][0] if given else "", [("WWW-Authenticate", BASIC)])

    @routes.add(
        "/hidden-basic-auth/{user}/{password}",
        methods=MANY,
        group="authentication",
        example="/hidden-basic-auth/user/secret",
        answers={404: "without the right user and password"},
        produces=[JSON],
        reads={"Authorization": "Basic, with that user and password"},
    )
    def hiddenBasicAuth(request: Request, user: str, password: str) -> Response:
        """Wants them, too, but does not say so: it is not found without."""
        if (user, password) in parseBasic(request.fields.get("authorization")):
            return _told(True, user, [])
        return answerError(404)

    @routes.add(
        "/bearer",
        methods=MANY,
        group="authentication",
        example="/bearer",
        answers={401: "without a token"},
        produces=[JSON],
        reads={"Authorization": "Bearer, with any token"},
    )
    def bearer(request: Request) -> Response:
        """Wants a bearer token, and shows it."""
        words = (request.fields.get("authorization") or "").split()
        if len(words) != 2 or words[0] != "Bearer":
            return answerError(401, "", [("WWW-Authenticate", "Bearer")])
        return answerJSON({"authenticated": True, "token": words[1]})

    @routes.add(
        "/digest-auth/{qop}/{user}/{password}",
        methods=MANY,
        group="authentication",
        example="/digest-auth/auth/user/secret",
        answers=_DIGEST,
        produces=[JSON],
        reads={"Authorization": "Digest, with that user and password"},
    )
    def digestAuth(request: Request, qop: str, user: str, password: str) -> Response:
        """Wants that user and password by Digest authentication with MD5, qop C{auth}."""
        return _digest(setting, request, qop, user, password, "MD5")

    @routes.add(
        "/digest-auth/{qop}/{user}/{password}/{algorithm}",
        methods=MANY,
        group="authentication",
        example="/digest-auth/auth/user/secret/SHA-256",
        answers=_DIGEST,
        produces=[JSON],
        reads={"Authorization": "Digest, with that user and password"},
    )
    def digestAuthBy(
        request: Request, qop: str, user: str, password: str, algorithm: str
    ) -> Response:
        """The same by MD5 or SHA-256."""
        return _digest(setting, request, qop, user, password, algorithm)


_DIGEST: Final = {
    400: "a quality or an algorithm that is not offered",
    401: "without the right user and password",
}


def _digest(
    setting: Setting, request: Request, qop: str, user: str, password: str, algorithm: str
) -> Response:
    if qop.lower() != "auth":
        raise HTTPError(400, f"invalid QOP directive: {qop[:60]!r}; write auth")
    algorithm = algorithm.upper()
    if algorithm not in _ALGORITHMS:
        raise HTTPError(400, f"invalid algorithm: {algorithm[:60]!r}; write MD5 or SHA-256")
    scheme, credentials = parseCredentials(request.fields.get("authorization") or "")
    target = request.head.target.decode("latin-1")
    if (
        scheme == "digest"
        and not missingFrom(credentials)
        and isRight(credentials, user, password, request.method, target, b"", REALM)
    ):
        return _told(True, user, [])
    nonce, opaque = (digestOf(setting.rng.randbytes(32), algorithm) for _ in range(2))
    challenge = (
        f'Digest qop="auth", realm="{REALM}", algorithm={algorithm}, '
        f'nonce="{nonce}", opaque="{opaque}"'
    )
    return answerError(401, "", [("WWW-Authenticate", challenge)])
