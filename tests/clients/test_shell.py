"""Programs of the command line that speak HTTP and TLS: curl, wget, httpie, nc, openssl."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from programs import Served

Program = Callable[..., str]
Run = Callable[..., Any]

SCHEMES = pytest.mark.parametrize("scheme", ["http", "https"])


class TestCurl:
    """curl, and each of its switches that the service has to do something for."""

    @pytest.fixture
    def curl(self, program: Program, ran: Run, served: Served) -> Callable[..., Any]:
        """Ask for a path; what is printed."""
        path = program("curl")

        def ask(where: str, *options: str | Path, scheme: str = "http", code: int = 0) -> bytes:
            words = (path, "-qsS", "--cacert", served.authority, *options)
            done = ran(*words, served.url(where, scheme), code=code)
            assert not done.stderr or code
            return bytes(done.stdout)

        return ask

    @SCHEMES
    @pytest.mark.parametrize("version", ["--http1.0", "--http1.1", "--http2"])
    def test_versions(self, curl: Callable[..., bytes], scheme: str, version: str) -> None:
        """HTTP/1.1 answers each; the offer of HTTP/2 is declined both ways it can be made."""
        said = curl("/get", version, "-w", "\n%{http_version} %{num_connects}", scheme=scheme)
        body, _, written = said.rpartition(b"\n")
        assert written == b"1.1 1"
        assert json.loads(body)["url"].startswith(f"{scheme}://localhost:")

    @SCHEMES
    @pytest.mark.parametrize("expect", ["Expect: 100-continue", "Expect:"])
    @pytest.mark.parametrize("coding", ["Transfer-Encoding: chunked", "X: y"])
    def test_upload(
        self, curl: Callable[..., bytes], tmp_path: Path, scheme: str, expect: str, coding: str
    ) -> None:
        """Three megabytes arrive, with or without waiting, with or without a length."""
        data = b"0123456789abcde\n" * 200_000
        (tmp_path / "big").write_bytes(data)
        options = ("-H", expect, "-H", coding, "-H", "Content-Type: text/plain")
        said = curl("/post", *options, "--data-binary", f"@{tmp_path}/big", scheme=scheme)
        assert json.loads(said)["data"].encode() == data

    def test_form(self, curl: Callable[..., bytes], tmp_path: Path) -> None:
        """A form with a file."""
        (tmp_path / "file.txt").write_text("in a file")
        said = json.loads(curl("/post", "-F", "a=b", "-F", f"f=@{tmp_path}/file.txt"))
        assert (said["form"], said["files"]) == ({"a": "b"}, {"f": "in a file"})

    @pytest.mark.parametrize("coding", ["gzip", "deflate", "brotli"])
    def test_compressed(self, curl: Callable[..., bytes], coding: str) -> None:
        """What it undoes itself."""
        said = json.loads(curl(f"/{coding}", "--compressed"))
        assert said["brotli" if coding == "brotli" else {"gzip": "gzipped"}.get(coding, "deflated")]

    def test_range(self, curl: Callable[..., bytes]) -> None:
        """A part, and what is left of a download that broke off."""
        whole = curl("/range/1024")
        assert len(whole) == 1024
        assert curl("/range/1024", "-r", "100-199") == whole[100:200]
        assert curl("/range/1024", "-r", "-24") == whole[1000:]
        assert b"\r\n\r\n" in curl("/range/1024", "-i", "-r", "5000-")

    def test_resumed(self, curl: Callable[..., bytes], tmp_path: Path) -> None:
        """C{-C -} gets the rest."""
        whole = curl("/range/1024")
        (tmp_path / "part").write_bytes(whole[:300])
        curl("/range/1024", "-C", "-", "-o", tmp_path / "part")
        assert (tmp_path / "part").read_bytes() == whole

    @pytest.mark.parametrize("method", ["--digest", "--basic", "--anyauth"])
    @pytest.mark.parametrize("route", ["digest", "basic"])
    def test_auth(self, curl: Callable[..., bytes], method: str, route: str) -> None:
        """The right method opens the door, and so does letting curl find out which it is."""
        path = "/digest-auth/auth/user/word" if route == "digest" else "/basic-auth/user/word"
        said = curl(path, method, "-u", "user:word", "-w", "\n%{http_code}")
        isOpen = method in (f"--{route}", "--anyauth")
        assert said.endswith(b"\n200" if isOpen else b"\n401")
        if isOpen:
            assert json.loads(said.rpartition(b"\n")[0])["authenticated"] is True

    @pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-512"])
    def test_digest(self, curl: Callable[..., bytes], algorithm: str) -> None:
        """With the algorithms it has; SHA-512 is none of them."""
        path = f"/digest-auth/auth/user/word/{algorithm}"
        said = curl(path, "--digest", "-u", "user:word", "-w", "\n%{http_code}")
        assert said.endswith(b"\n401" if algorithm == "SHA-512" else b"\n200")

    def test_wrongPassword(self, curl: Callable[..., bytes]) -> None:
        """It is told so, and does not try for ever."""
        said = curl("/digest-auth/auth/user/word", "--digest", "-u", "user:x", "-w", "%{http_code}")
        assert said.endswith(b"401")

    @SCHEMES
    def test_cookies(self, curl: Callable[..., bytes], tmp_path: Path, scheme: str) -> None:
        """A jar that is filled, sent and emptied again."""
        jar = ("-L", "-b", tmp_path / "jar", "-c", tmp_path / "jar")
        said = json.loads(curl("/cookies/set?a=b&c=d", *jar, scheme=scheme))
        assert said == {"cookies": {"a": "b", "c": "d"}}
        assert json.loads(curl("/cookies", *jar, scheme=scheme)) == said
        assert json.loads(curl("/cookies/delete?a=", *jar, scheme=scheme)) == {
            "cookies": {"c": "d"}
        }

    @pytest.mark.parametrize("route", ["redirect", "absolute-redirect", "relative-redirect"])
    def test_redirects(self, curl: Callable[..., bytes], route: str) -> None:
        """Five of them on one connection."""
        said = curl(f"/{route}/5", "-L", "-w", "\n%{num_redirects} %{num_connects}")
        assert said.endswith(b"\n5 1")
        assert json.loads(said.rpartition(b"\n")[0])["url"].endswith("/get")

    def test_tooManyRedirects(self, curl: Callable[..., bytes]) -> None:
        """It gives up as it should (47)."""
        curl("/redirect/5", "-L", "--max-redirs", "3", code=47)

    def test_stream(self, curl: Callable[..., bytes]) -> None:
        """Chunks are put together; each line is a JSON."""
        lines = curl("/stream/20").splitlines()
        assert [json.loads(line)["id"] for line in lines] == list(range(20))

    def test_bytes(self, curl: Callable[..., bytes]) -> None:
        """The same bytes for the same seed, whole and in chunks."""
        assert len(curl("/bytes/50000?seed=1")) == 50_000
        assert curl("/bytes/50000?seed=1") == curl("/bytes/50000?seed=1", "--http1.0")

    def test_strangerIsNotTrusted(self, curl: Callable[..., bytes]) -> None:
        """Without the authority nobody believes the certificate (60)."""
        curl("/get", "--cacert", "/etc/ssl/certs/ca-certificates.crt", scheme="https", code=60)

    def test_anotherName(self, program: Program, ran: Run, served: Served) -> None:
        """Nobody can be example.com here: there is no handshake for that name (35)."""
        connect = ("--connect-to", f"::127.0.0.1:{served.port}", "--cacert", served.authority)
        done = ran(program("curl"), "-qsS", *connect, "https://example.com/get", code=35)
        assert b"unrecognized name" in done.stderr


class TestWget:
    """GNU wget."""

    @SCHEMES
    def test_get(self, program: Program, ran: Run, served: Served, scheme: str) -> None:
        """A page, what is posted, and a name that it follows redirects to."""
        words = (program("wget"), "-q", "-O", "-", f"--ca-certificate={served.authority}")
        said = json.loads(ran(*words, served.url("/get?a=b", scheme)).stdout)
        assert said["args"] == {"a": "b"}
        said = json.loads(ran(*words, "--post-data=a=b", served.url("/post", scheme)).stdout)
        assert said["form"] == {"a": "b"}
        said = json.loads(ran(*words, served.url("/redirect/3", scheme)).stdout)
        assert said["url"] == served.url("/get", scheme)

    def test_resumed(self, program: Program, ran: Run, served: Served, tmp_path: Path) -> None:
        """C{-c} gets the rest of a download."""
        url = served.url("/range/1024")
        ran(program("wget"), "-q", "-O", "whole", url)
        (tmp_path / "1024").write_bytes((tmp_path / "whole").read_bytes()[:300])
        ran(program("wget"), "-q", "-c", url)
        assert (tmp_path / "1024").read_bytes() == (tmp_path / "whole").read_bytes()

    def test_auth(self, program: Program, ran: Run, served: Served) -> None:
        """Digest after a 401, on the connection it has."""
        words = ("-q", "-O", "-", "--user=user", "--password=word")
        done = ran(program("wget"), *words, served.url("/digest-auth/auth/user/word"))
        assert json.loads(done.stdout)["authenticated"] is True

    def test_error(self, program: Program, ran: Run, served: Served) -> None:
        """A 404 is an error of the server's for it (8)."""
        ran(program("wget"), "-q", "-O", "-", served.url("/status/404"), code=8)


class TestHTTPie:
    """C{http} and C{https}."""

    @SCHEMES
    def test_json(self, program: Program, ran: Run, served: Served, scheme: str) -> None:
        """What it is known for: JSON from words."""
        words = (program("http"), "--ignore-stdin", "--verify", served.authority, "--body")
        done = ran(*words, "POST", served.url("/post", scheme), "a=b", "n:=1", "X-Y:z", "q==1")
        said = json.loads(done.stdout)
        assert (said["json"], said["args"]) == ({"a": "b", "n": 1}, {"q": "1"})
        assert said["headers"]["X-Y"] == "z"

    def test_auth(self, program: Program, ran: Run, served: Served) -> None:
        """Digest."""
        words = (program("http"), "--ignore-stdin", "-A", "digest", "-a", "user:word", "--body")
        done = ran(*words, served.url("/digest-auth/auth/user/word"))
        assert json.loads(done.stdout)["authenticated"] is True

    def test_follow(self, program: Program, ran: Run, served: Served) -> None:
        """C{--follow}, and the exit code of a status."""
        words = (program("http"), "--ignore-stdin", "--check-status", "--body")
        assert ran(*words, "--follow", served.url("/redirect/3")).stdout
        ran(*words, served.url("/status/503"), code=5)


class TestOpenSSL:
    """C{openssl s_client}, by hand."""

    def words(self, program: Program, served: Served, *more: str) -> tuple[str | Path, ...]:
        """The command, which must verify who is there."""
        where = ("s_client", "-connect", f"127.0.0.1:{served.port}", "-servername", "localhost")
        trust = ("-CAfile", served.authority, "-verify_return_error", "-verify_hostname")
        return program("openssl"), *where, *trust, "localhost", "-quiet", "-ign_eof", *more

    @pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
    def test_get(self, program: Program, ran: Run, served: Served, version: str) -> None:
        """A request typed in, the answer, and the end."""
        request = b"GET /get HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        done = ran(*self.words(program, served, version), stdin=request)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert json.loads(body)["url"] == "https://localhost/get"

    def test_old(self, program: Program, ran: Run, served: Served) -> None:
        """TLS 1.1 is not spoken."""
        old = ("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
        done = ran(*self.words(program, served, *old), code=1)
        assert b"protocol version" in done.stderr


@SCHEMES
def test_samples(program: Program, ran: Run, served: Served, scheme: str) -> None:
    """A megabyte comes over whole, and the same both ways of asking."""
    words = (program("curl"), "-qsS", "--cacert", served.authority)
    url = served.url("/stream-bytes/100000?seed=7&chunk_size=777", scheme)
    one = ran(*words, url).stdout
    two = ran(program("wget"), "-q", f"--ca-certificate={served.authority}", "-O", "-", url).stdout
    assert len(one) == 100_000
    assert hashlib.sha256(one).digest() == hashlib.sha256(two).digest()
