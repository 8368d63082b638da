"""Authentication: Basic, Bearer and Digest."""

from __future__ import annotations

from base64 import b64encode
from hashlib import md5, sha256
from typing import Any

import pytest
from visiting import ask

from go.tables import PREFIXED, SITE, errorOf, get
from loopbackd.protocols.httpbin.digest import parseCredentials

METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"]


def basic(user: str, password: str) -> str:
    """The value of C{Authorization}."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["basic-auth", "hidden-basic-auth"])
def test_who_knows_the_password_is_told_so(method: str, kind: str) -> None:
    """In this order."""
    found = get(f"/{kind}/user/pass", method, Authorization=basic("user", "pass"))
    assert list(found.json.items()) == [
        ("authenticated", True),
        ("user", "user"),
        ("authorized", True),
    ]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("fields", "user"),
    [
        ({}, ""),
        ({"Authorization": basic("bad", "auth")}, "bad"),
        ({"Authorization": "Basic ?"}, ""),
    ],
)
def test_others_are_asked(method: str, fields: dict[str, str], user: str) -> None:
    """And told whom we take them for."""
    found = get("/basic-auth/user/pass", method, **fields)
    assert found.status == 401
    assert found.get("WWW-Authenticate") == 'Basic realm="Fake Realm"'
    assert found.json == {"authenticated": False, "user": user, "authorized": False}
    hidden = get("/hidden-basic-auth/user/pass", method, **fields)
    assert hidden.status == 404 and hidden.get("WWW-Authenticate") is None
    assert errorOf(hidden)["error"] == "Not Found"


@pytest.mark.parametrize(
    "path",
    [
        "/basic-auth",
        "/basic-auth/user",
        "/basic-auth/user/pass/extra",
        "/hidden-basic-auth",
        "/hidden-basic-auth/user",
        "/hidden-basic-auth/user/pass/extra",
        "/digest-auth",
        "/digest-auth/user",
        "/digest-auth/user/pass",
        "/digest-auth/auth/user/pass/MD5/foo",
    ],
)
def test_what_is_not_there(path: str) -> None:
    """Even with a password."""
    found = get(path, Authorization=basic("foo", "bar"))
    assert found.status == 404 and "not found" in found.text


def test_bearer() -> None:
    """The token comes back."""
    found = get("/bearer", Authorization="Bearer valid_token")
    assert found.json == {"authenticated": True, "token": "valid_token"}


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer x y", "bearer x", "Bearer1 x", "xBearer x"]
)
def test_what_is_no_token(value: str) -> None:
    """One word behind the other, as it is written."""
    found = get("/bearer", **({"Authorization": value} if value else {}))
    assert found.get("WWW-Authenticate") == "Bearer"
    assert errorOf(found)["status_code"] == 401


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/digest-auth/auth/user/pass", 401),
        ("/digest-auth/auth/user/pass/MD5", 401),
        ("/digest-auth/AUTH/user/pass/sha-256", 401),
        ("/digest-auth/bad-qop/user/pass/MD5", 400),
        ("/digest-auth/auth-int/user/pass/MD5", 400),
        ("/digest-auth/auth/user/pass/SHA-512", 400),
    ],
)
def test_digest_without_an_answer(path: str, status: int) -> None:
    """Is a challenge, unless it asks for what there is not."""
    found = get(path)
    assert errorOf(found)["status_code"] == status
    challenge = found.get("WWW-Authenticate")
    assert (challenge is not None) == (status == 401)
    if challenge is not None:
        scheme, parameters = parseCredentials(challenge)
        assert scheme == "digest" and parameters["realm"] == "go-httpbin"
        assert parameters["qop"] == "auth"
        assert parameters["nonce"] != parameters["opaque"]


def answerTo(challenge: str, target: str, user: str, password: str) -> str:
    """What a client makes of a challenge."""
    _, given = parseCredentials(challenge)
    maker: Any = sha256 if given["algorithm"] == "SHA-256" else md5

    def hashed(*parts: str) -> str:
        found: str = maker(":".join(parts).encode()).hexdigest()
        return found

    response = hashed(
        hashed(user, given["realm"], password),
        given["nonce"],
        "00000001",
        "cnonce",
        "auth",
        hashed("GET", target),
    )
    return (
        f'Digest username="{user}", realm="{given["realm"]}", nonce="{given["nonce"]}", '
        f'uri="{target}", response="{response}", qop=auth, nc=00000001, cnonce="cnonce", '
        f"algorithm={given['algorithm']}"
    )


@pytest.mark.parametrize("algorithm", ["", "/MD5", "/SHA-256"])
@pytest.mark.parametrize("prefix", ["", "/a-prefix"])
def test_digest_with_an_answer(algorithm: str, prefix: str) -> None:
    """The target is what was asked for, query and prefix included."""
    site: Any = PREFIXED if prefix else SITE
    target = f"{prefix}/digest-auth/auth/user/pass{algorithm}?a=1"
    challenge = ask(site, target).get("WWW-Authenticate")
    assert challenge is not None
    for user, password, status in (
        ("user", "pass", 200),
        ("other", "pass", 401),
        ("user", "x", 401),
    ):
        value = answerTo(challenge, target, user, password)
        assert ask(site, target, fields=[("Authorization", value)]).status == status


def test_an_answer_as_a_browser_gave_it() -> None:
    """To another server: what was asked is not remembered."""
    value = (
        'Digest username="user", realm="go-httpbin", nonce="6fb213c6593975c877bb1247370527ad", '
        'uri="/digest-auth/auth/user/pass/MD5", algorithm=MD5, '
        'response="9b7a05d78051b4f668356eedf32f55d6", '
        'opaque="fd1c386a015a2bb7c41585f54329ce91", qop=auth, nc=00000001, '
        'cnonce="aaab705226af5bd4"'
    )
    found = get("/digest-auth/auth/user/pass/MD5", Authorization=value)
    assert found.json == {"authenticated": True, "user": "user", "authorized": True}
