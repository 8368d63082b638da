"""HTTP as servers speak it, or do not, and what the doctor makes of that."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import Program
from running import Running, until
from tls.ends import opensslShowing, storeIn, written
from tlsserving import answering, http, kinds, wrong

from loopbackd.doctor.asked import Asked
from loopbackd.doctor.checks.answer import checkAnswer
from loopbackd.doctor.facts.answer import Answer, Heard, answer, exchange, hostField, requestBytes
from loopbackd.doctor.facts.talk import Talk
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.doctor.speaking import speaking
from loopbackd.tls.certificates import BACKDATED, makeLeaf

HERE = "127.0.0.1"


def look(port: int, path: str = "/", name: str = HERE, scheme: str = "http") -> list[Finding]:
    """What is to be found there."""
    return list(speaking(Asked(name, port, scheme, path), HERE, os.environ))


def test_our_daemon(daemon: Callable[..., Running]) -> None:
    """Nothing is wrong with it, a WebSocket of it, and a redirection within it."""
    port = daemon("--listen", "tcp:0:interface=127.0.0.1").port()
    assert kinds(look(port)) == ["answers-http"]
    assert kinds(look(port, "/redirect/1")) == ["answers-http"]
    assert kinds(look(port, "/websocket/echo", scheme="ws")) == ["answers-websocket"]
    assert kinds(look(port, "/get", scheme="ws")) == ["websocket-refused"]
    (one,) = look(port, "/status/503")
    assert (one.kind, one.severity) == ("answer-error", Severity.NOTE)
    (one,) = look(port, "/redirect-to?url=http://example.com/")
    assert (one.kind, one.severity) == ("redirects-elsewhere", Severity.NOTE)
    assert one.evidence[-1] == "Location: http://example.com/"


def test_a_service_of_ours_without_http(daemon: Callable[..., Running]) -> None:
    """An echo says what it was told, which is no answer."""
    port = daemon("--serve", "echo@tcp:0:interface=127.0.0.1").port("echo")
    (one,) = look(port)
    assert one.kind == "answer-not-http"
    assert "HEAD / HTTP/1.1" in one.evidence[0]


def test_pythons_server(tmp_path: Path) -> None:
    """It answers; and what it does not have is a note."""
    words = [sys.executable, "-u", "-m", "http.server", "--bind", HERE, "0"]
    process = subprocess.Popen(
        words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline().split()[5])
        assert kinds(look(port)) == ["answers-http"]
        (one,) = look(port, "/missing")
        assert one.kind == "answer-error"
        assert "404" in one.says
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


NGINX = """
daemon off; master_process off; error_log stderr; pid {0}/pid;
events {{}}
http {{
    access_log off; client_body_temp_path {0}/a; proxy_temp_path {0}/b; fastcgi_temp_path {0}/c;
    uwsgi_temp_path {0}/d; scgi_temp_path {0}/e;
    server {{
        listen 127.0.0.1:{1} ssl; ssl_certificate {2}; ssl_certificate_key {2}; {3}
        location / {{ return 200 here; }}
        location /behind {{ proxy_pass http://127.0.0.1:{4}; }}
    }}
}}
"""


@pytest.fixture
def nginx(tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A real nginx with a certificate that is trusted; its port."""
    store = storeIn(tmp_path)
    leaf = makeLeaf(store.root(), (HERE, "localhost"), datetime.now(UTC) - BACKDATED)
    monkeypatch.setenv("SSL_CERT_FILE", str(store.publicPath))
    shown = written(tmp_path / "shown.pem", leaf)
    binary = program("nginx", "/usr/sbin/nginx")

    @contextmanager
    def serve(more: str = "") -> Iterator[int]:
        with socket.create_server((HERE, 0)) as sock, socket.create_server((HERE, 0)) as other:
            port, nobody = sock.getsockname()[1], other.getsockname()[1]
        path = tmp_path / "nginx.conf"
        path.write_text(NGINX.format(tmp_path, port, shown, more, nobody))
        words = [binary, "-p", str(tmp_path), "-c", str(path), "-e", "stderr"]
        process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        try:
            until(lambda: _connects(port), "nginx")
            yield port
        finally:
            process.kill()
            process.wait()

    return serve


def _connects(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex((HERE, port)) == 0


def test_nginx_that_is_healthy(nginx: Callable[..., Any]) -> None:
    """Nothing is wrong; and behind it nobody is, which is a note."""
    with nginx() as port:
        assert kinds(look(port, scheme="https")) == ["tls-answers", "certificate", "answers-http"]
        (one,) = look(port, "/behind", scheme="https")[2:]
        assert one.kind == "answer-error"
        assert "502" in one.says and "another server" in one.remedy[0]


def test_http_asked_where_nginx_speaks_tls(nginx: Callable[..., Any]) -> None:
    """It says so in words."""
    with nginx() as port:
        (one,) = look(port)
    assert one.kind == "tls-expected"
    assert one.remedy == ("write https:// instead of http://",)


def test_nginx_that_wants_a_client_certificate(nginx: Callable[..., Any]) -> None:
    """It shakes hands with whoever comes, and refuses within HTTP."""
    with nginx("ssl_verify_client on; ssl_client_certificate shown.pem;") as port:
        assert "tls-client-certificate" in wrong(look(port, scheme="https"))


def test_http_asked_where_openssl_speaks_tls(tmp_path: Path, program: Program) -> None:
    """It answers with an alert, or hangs up; either way TLS is what it wants."""
    leaf = makeLeaf(storeIn(tmp_path).root(), ("localhost",), datetime.now(UTC) - BACKDATED)
    with opensslShowing(program("openssl"), tmp_path / "shown.pem", leaf) as port:
        assert wrong(look(port)) == ["tls-expected"]


def test_http_asked_where_our_daemon_speaks_tls(
    daemon: Callable[..., Running], tmp_path: Path
) -> None:
    """It says so in words."""
    config = tmp_path / "tls.toml"
    config.write_text(
        '[[service]]\nname = "web"\nendpoint = "tcp:0:interface=127.0.0.1"\nprotocol = "http"\n'
        "[service.tls]\n"
    )
    port = daemon("--config", str(config)).port("web")
    assert wrong(look(port)) == ["tls-expected"]


def test_an_alert_instead_of_an_answer() -> None:
    """Most servers of TLS say no more than that."""
    with answering(lambda asked: b"\x15\x03\x01\x00\x02\x02\x46") as port:
        assert wrong(look(port)) == ["tls-expected"]


def test_silence() -> None:
    """A server that takes the connection and says nothing, for two seconds and no longer."""
    began = time.monotonic()
    with answering(lambda asked: None) as port:
        found = answer(Asked(HERE, port, "http"), HERE)
        assert time.monotonic() - began < 2.5
        (one,) = checkAnswer(Asked(HERE, port, "http"), HERE, found)
    assert one.kind == "answer-silent"
    assert "s without a word" in one.evidence[0]


def test_a_server_that_knows_no_head() -> None:
    """It is asked again with GET."""

    def say(asked: bytes) -> bytes | None:
        return None if asked.startswith(b"HEAD") else b"HTTP/1.0 200 ok\r\n\r\nhello"

    with answering(say) as port:
        assert kinds(look(port)) == ["answers-http"]


def test_half_an_answer() -> None:
    """The beginning of a head is not an answer."""
    with answering(lambda asked: b"HTTP/1.1 200") as port:
        (one,) = look(port)
    assert one.kind == "answer-silent"
    assert "'HTTP/1.1 200'" in one.evidence[0]


def test_hanging_up() -> None:
    """A connection that is closed without a word."""
    with answering(lambda asked: b"") as port:
        assert wrong(look(port)) == ["answer-hangs-up"]


def test_nobody_there() -> None:
    """That is for others to say."""
    with socket.create_server((HERE, 0)) as sock:
        port = sock.getsockname()[1]
    found = answer(Asked(HERE, port, "http"), HERE)
    assert (found.heard, found.why) == (Heard.UNREACHED, "Connection refused")
    assert look(port) == []


@pytest.mark.parametrize(
    ("said", "spoken"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        (b"-ERR wrong number of arguments for 'head' command\r\n", "Redis"),
        (b"\0\0\x12\4\0\0\0\0\0\0\3\0\0\0\x64", "HTTP/2"),
        (b"\x1b]0;title\x07", "something else"),
    ],
)
def test_another_protocol(said: bytes, spoken: str) -> None:
    """It is told by its first words, which move no cursor."""
    with answering(lambda asked: said) as port:
        (one,) = look(port)
    assert one.kind == "answer-not-http"
    assert spoken in one.says
    assert all(line.isprintable() for line in (one.says, *one.evidence))


REFUSALS = [
    (
        "403 Forbidden",
        b'Blocked request. This host ("app.test") is not allowed.\nTo allow this host, add '
        b'"app.test" to `server.allowedHosts` in vite.config.js.',
        "Vite",
    ),
    ("403 Forbidden", b"Invalid Host header", "webpack"),
    ("200 OK", b"Invalid Host header", "webpack"),
    (
        "400 Bad Request",
        b"<title>DisallowedHost at /</title> Invalid HTTP_HOST header: 'app.test'.",
        "Django",
    ),
    ("403 Forbidden", b"<h1>Blocked host: app.test</h1>", "Rails"),
    ("421 Misdirected Request", b"", "the server"),
]


@pytest.mark.parametrize(("status", "body", "who"), REFUSALS)
def test_the_name_is_refused(status: str, body: bytes, who: str) -> None:
    """Servers that answer to certain names alone, in their own words."""
    with answering(http(status, body)) as port:
        (one,) = look(port, "/a", "app.test")
    assert one.kind == "host-refused"
    assert who in one.says
    assert one.remedy[1] == f"or ask by a name that it knows: http://localhost:{port}/a"


def test_the_name_is_refused_without_a_word() -> None:
    """Where the same is answered to localhost, it is the name that is refused."""

    def say(asked: bytes) -> bytes:
        isLocal = b"\r\nHost: localhost:" in asked
        return b"HTTP/1.1 200 OK\r\n\r\n" if isLocal else b"HTTP/1.1 400 Bad Request\r\n\r\n"

    with answering(say) as port:
        (one,) = look(port, "/", "app.test")
    assert one.kind == "host-refused"
    assert one.evidence[-1] == "the same with Host: localhost: 200"


def test_the_name_is_not_what_is_refused() -> None:
    """An error for localhost too is an error."""
    with answering(http("400 Bad Request")) as port:
        assert kinds(look(port, "/", "app.test")) == ["answer-error"]


def test_our_control_api_refuses_names(daemon: Callable[..., Running]) -> None:
    """A name that was made to lead here gets a 421."""
    running = daemon(
        "--control", "tcp:0:interface=127.0.0.1", "--listen", "tcp:0:interface=127.0.0.1"
    )
    port = int(running.says(r"control: on 127\.0\.0\.1:(\d+)")[1])
    assert wrong(look(port, "/version", "rebound.test")) == ["host-refused"]
    assert wrong(look(port, "/version")) == []


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("/login", "answers-http"),
        ("http://localhost:{}/login", "answers-http"),
        ("https://localhost:{}/", "redirects-elsewhere"),
        ("http://localhost/", "redirects-elsewhere"),
        ("http://127.0.0.1:{}/", "redirects-elsewhere"),
        ("//[", "redirects-elsewhere"),
    ],
)
def test_redirections(location: str, kind: str) -> None:
    """Another host, port or scheme is a note; another path is nothing."""
    asked = Asked("localhost", 8080, "http")
    fields = {"location": location.format(8080)}
    (one,) = checkAnswer(asked, HERE, Answer(Heard.ANSWER, "HEAD", status=302, fields=fields))
    assert (one.kind, one.severity) == (kind, Severity.NOTE)


def test_what_is_asked() -> None:
    """The host as clients write it, and a target of ASCII."""
    assert hostField(Asked("localhost", 80, "http")) == "localhost"
    assert hostField(Asked("localhost", 80, "https")) == "localhost:80"
    assert hostField(Asked("::1", 443, "https")) == "[::1]"
    assert hostField(Asked("b\xfccher.test", 81, "http")) == "xn--bcher-kva.test:81"
    request = requestBytes("HEAD", '/a\xe9?b=%20"', "x", {"Connection": "close"})
    assert request.startswith(b"HEAD /a%C3%A9?b=%20%22 HTTP/1.1\r\nHost: x\r\n")
    assert request.endswith(b"\r\nConnection: close\r\n\r\n")


WHOLE = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def heard(pieces: list[bytes], method: str = "GET") -> Answer:
    """What is understood of an answer that comes in these pieces."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for piece in pieces:
            theirs.sendall(piece)
        theirs.shutdown(socket.SHUT_WR)
        return exchange(Talk(ours, time.monotonic() + 5), method, b"x")


@given(st.lists(st.integers(0, len(WHOLE)), max_size=5))
def test_however_it_is_cut(cuts: list[int]) -> None:
    """An answer is the same in any pieces; what comes before the final one is skipped."""
    places = sorted({0, len(WHOLE), *cuts})
    found = heard([WHOLE[a:b] for a, b in pairwise(places)])
    assert (found.heard, found.status, found.body) == (Heard.ANSWER, 200, b"hi")


def test_words_that_would_move_the_cursor() -> None:
    """What a server says of itself is shown, and does nothing."""
    said = b"HTTP/1.1 302 \x1b[2J\r\nServer: \x1b]0;x\x07\r\nLocation: /\xc2\x9b1m\x1b\r\n\r\n"
    (one,) = checkAnswer(Asked(HERE, 1, "http"), HERE, heard([said]))
    assert "\\x1b[2J" in one.evidence[0]
    assert all(line.isprintable() for line in (one.says, *one.evidence))


@given(st.binary(max_size=200))
def test_any_bytes(said: bytes) -> None:
    """They are an answer, or called what they are; nothing is raised."""
    found = heard([said])
    assert found.status == 0 or found.heard is Heard.ANSWER
    for one in checkAnswer(Asked(HERE, 1, "http"), HERE, found):
        assert all(line.isprintable() for line in one.evidence)
