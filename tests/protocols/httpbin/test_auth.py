"""Users, passwords and tokens."""

from __future__ import annotations

from base64 import b64encode

import pytest
from visiting import Answered, ask

from loopbackd.protocols.httpbin.auth import parseBasic
from loopbackd.protocols.httpbin.cookies import parseCookies
from loopbackd.protocols.httpbin.digest import digestOf, parseCredentials
from loopbackd.protocols.httpbin.site import makeSite


def basic(text: str, charset: str = "utf-8") -> str:
    """The field's value for a user and a password."""
    return "Basic " + b64encode(text.encode(charset)).decode()


def authorized(target: str, value: str) -> Answered:
    """The answer to a request that has an Authorization."""
    return ask(makeSite(), target, "GET", [("Authorization", value)])


@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
def test_basic(charset: str) -> None:
    """Users and passwords can have any characters but a colon in the user, in either charset."""
    answer = authorized("/basic-auth/us%C3%A9r/pa%2Fss:w", basic("usér:pa/ss:w", charset))
    assert (answer.status, answer.json) == (200, {"authenticated": True, "user": "usér"})


@pytest.mark.parametrize("value", ["", "Basic", "Basic !", "Basic YQ==", "Bearer YTpi", "Basic é"])
def test_noBasic(value: str) -> None:
    """What is none has no user."""
    assert parseBasic(value) == []


def test_refused() -> None:
    """A wrong password is told from a missing page only where that is not hidden."""
    answer = authorized("/basic-auth/a/b", basic("a:c"))
    assert (answer.status, answer.get("WWW-Authenticate")) == (401, 'Basic realm="Fake Realm"')
    assert authorized("/hidden-basic-auth/a/b", basic("a:c")).status == 404
    assert authorized("/hidden-basic-auth/a/b", basic("a:b")).status == 200


def test_bearer() -> None:
    """Any token will do."""
    assert authorized("/bearer", "Bearer a.b c").json == {"authenticated": True, "token": "a.b c"}
    answer = authorized("/bearer", "Basic x")
    assert (answer.status, answer.get("WWW-Authenticate")) == (401, "Bearer")


class Client:
    """
    A client of digest authentication that keeps its cookies.

    @ivar answer: the last one.
    """

    answer: Answered

    def __init__(self, target: str, user: str = "user", password: str = "secret") -> None:
        self.target = target
        self.cookies: dict[str, str] = {}
        self.user, self.password = user, password
        self._count = 0

    def ask(self, authorization: str | None = None, body: bytes = b"") -> int:
        """Ask once; the status."""
        fields = [] if authorization is None else [("Authorization", authorization)]
        if self.cookies:
            fields.append(("Cookie", "; ".join(f"{n}={v}" for n, v in self.cookies.items())))
        self.answer = ask(makeSite(), self.target, "GET", fields, body)
        for name, value in self.answer.fields:
            if name == "Set-Cookie":
                self.cookies |= parseCookies(value.partition(";")[0])
        return self.answer.status

    @property
    def challenge(self) -> dict[str, str]:
        """What the last answer asks for."""
        scheme, found = parseCredentials(self.answer.get("WWW-Authenticate") or "")
        assert scheme == "digest"
        return found

    def prove(self, challenge: dict[str, str], qop: str, body: bytes = b"") -> int:
        """Answer a challenge."""
        self._count += 1
        algorithm = challenge["algorithm"]

        def digest(*parts: str) -> str:
            return digestOf(":".join(parts).encode(), algorithm)

        count, secret = f"{self._count:08x}", digest(self.user, challenge["realm"], self.password)
        asked = ["GET", self.target]
        if qop == "auth-int":
            asked.append(digestOf(body, algorithm))
        response = digest(secret, challenge["nonce"], count, "c", qop, digest(*asked))
        return self.ask(
            f'Digest username="{self.user}", realm="{challenge["realm"]}", uri="{self.target}", '
            f'nonce="{challenge["nonce"]}", algorithm={algorithm}, response="{response}", '
            f'qop={qop}, nc={count}, cnonce="c"',
            body,
        )


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-512"])
@pytest.mark.parametrize("qop", ["auth", "auth-int"])
def test_digest(algorithm: str, qop: str) -> None:
    """A client that answers the challenge comes in, whatever the hash and what it covers."""
    client = Client(f"/digest-auth/{qop}/user/secret/{algorithm}?a=%C3%A9")
    assert client.ask() == 401
    assert client.challenge["algorithm"] == algorithm
    assert client.challenge["qop"] == qop
    assert client.prove(client.challenge, qop, b"a=body") == 200
    assert client.answer.json == {"authenticated": True, "user": "user"}


def test_digestOfMD5() -> None:
    """MD5 is what there is without a word about it, and for words that nobody knows."""
    for path in ("/digest-auth/x/user/secret", "/digest-auth/x/user/secret/ROT13"):
        client = Client(path)
        assert client.ask() == 401
        assert client.challenge["algorithm"] == "MD5"
        assert client.challenge["qop"] == "auth, auth-int"


def test_wrongPassword() -> None:
    """It is refused, and its nonce is not good any more."""
    client = Client("/digest-auth/auth/user/secret", password="wrong")
    client.ask()
    challenge = client.challenge
    assert client.prove(challenge, "auth") == 401
    assert client.challenge["stale"] == "False"
    client.password = "secret"
    assert client.prove(challenge, "auth") == 401
    assert client.challenge["stale"] == "True"
    assert client.prove(client.challenge, "auth") == 200


def test_stale() -> None:
    """After so many answers another nonce is needed."""
    client = Client("/digest-auth/auth/user/secret/MD5/2")
    client.ask()
    challenge = client.challenge
    assert [client.prove(challenge, "auth") for _ in range(3)] == [200, 200, 401]
    assert client.challenge["stale"] == "True"
    assert client.prove(client.challenge, "auth") == 200


def test_requiredCookies() -> None:
    """A client that loses its cookies is told so, if it wants to be."""
    client = Client("/digest-auth/auth/user/secret?require-cookie=1")
    client.ask()
    challenge = client.challenge
    client.cookies = {"other": "x"}
    assert client.prove(challenge, "auth") == 403
    assert client.answer.json == {"errors": ["missing cookie set on challenge"]}
    assert client.prove(challenge, "auth") == 200
    client.cookies.clear()
    assert client.prove(challenge, "auth") == 401


def test_incompleteAnswer() -> None:
    """What is missing is named."""
    client = Client("/digest-auth/auth/user/secret")
    assert client.ask('Digest username="user", qop=auth, realm=x, nonce=y, uri=z') == 400
    assert "response, cnonce, nc" in client.answer.text


def test_nonceOfOthers() -> None:
    """Whatever a client claims to be a nonce comes back as a cookie, and as nothing else."""
    client = Client("/digest-auth/auth/user/secret")
    value = 'Digest username=u, realm=x, nonce="a; b\\"", uri=z, response=r'
    assert client.ask(value) == 401
    assert client.cookies["last_nonce"] == 'a; b"'
