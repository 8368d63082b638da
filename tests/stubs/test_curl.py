"""Requests as curl commands: run, they send the same again."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from running import Running, service
from visiting import request

from loopbackd.stubs.curl import curlCommand
from loopbackd.stubs.journal import Entry
from stubs.stubbing import Stubbed


def entryOf(data: bytes) -> Entry:
    """The journal's entry of a request."""
    one = Stubbed("journal = 1\nfallback = 'not_found'")
    one.visit.say(data)
    (entry,) = one.site.journal
    return entry


def test_oneAsPeopleWriteIt() -> None:
    """A plain request is a plain command."""
    fields = [("User-Agent", "curl/8"), ("Accept", "*/*"), ("X-A", "it's"), ("X-Empty", "")]
    assert curlCommand(entryOf(request("/a?b=c&d", fields=fields))) == (
        "curl -sS -g --path-as-is -X GET -H 'User-Agent: curl/8' -H 'Accept: */*'"
        """ -H 'X-A: it'"'"'s' -H 'X-Empty;' 'http://127.0.0.1:62893/a?b=c&d'"""
    )


def test_aCutBodyIsMarked() -> None:
    """The command says that it sends less."""
    one = Stubbed("journal = 1\njournal_body = 3")
    one.visit.say(request("/post", "POST", [], b"abcdef"))
    (entry,) = one.site.journal
    assert curlCommand(entry).startswith("# only 3 of 6 bytes of the body were kept\ncurl ")


visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)


@example(b"-\0 begins like an option", "a")
@given(
    st.binary(max_size=300) | st.text(max_size=300).map(str.encode),
    visible.filter(lambda text: "#" not in text),
)
def test_theShellReadsItAsItWasMeant(body: bytes, path: str) -> None:
    """Whatever the bytes are: printed by a real shell, they are the same."""
    command = curlCommand(entryOf(request(f"/{path}", "POST", [], body)))
    script = 'curl() { for last; do :; done; printf "%s\\0" "$last"; cat; }\n'
    if not body:
        script += f"{command} < /dev/null"
    elif "--data-binary @-" in command:
        script += command
    else:
        script += (
            'curl() { while [ "$1" != --data-raw ]; do shift; done; printf "%s\\0%s" "$3" "$2"; }\n'
        )
        script += command
    said = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    assert said.stderr == b""
    url, _, sent = said.stdout.partition(b"\0")
    assert url.decode() == f"http://127.0.0.1:62893/{path}"
    assert sent == body


def test_curlSendsTheSameAgain(
    daemon: Callable[..., Running], program: Callable[..., str], tmp_path: Path
) -> None:
    """The head in its order and case, and the body, as the journal has them, by the real curl."""
    program("curl")
    config = tmp_path / "it.toml"
    config.write_text(
        service("web", protocol="http", more="[service.http]\njournal = 99\njournal_body = 100000")
    )
    running = daemon("--config", str(config))
    port = running.port("web")
    where = f"http://127.0.0.1:{port}"
    binary = tmp_path / "binary"
    binary.write_bytes(bytes(range(256)) * 300)
    for words in (
        ["/get?a=%20&b[]=1", "-H", "x-Low: 1", "-H", "X-Latin: \xe9", "-H", "X-Two: 2"],
        ["/a/../b//c", "--path-as-is", "-X", "DELETE", "-A", "", "-H", "Accept:"],
        ["/post", "-d", 'it\'s 100% "$HOME" `id` \\n\n@!'],
        ["/post", "--data-raw", "@/etc/passwd"],
        ["/anything", "-X", "PUT", "--data-binary", f"@{binary}", "-H", "Content-Type: a/b"],
        ["/post", "--data-binary", "abc", "-H", "Transfer-Encoding: chunked"],
        ["/get", "--head"],
        ["/get", "--http1.0"],
        ["/nowhere", "-H", "Host: localhost:1234"],
        ["/get", "-X", "OPTIONS", "--request-target", "*"],
    ):
        subprocess.run(
            ["curl", "-gsS", f"{where}{words[0]}", *words[1:]], check=True, capture_output=True
        )
    fetch = ["curl", "-sS", f"{where}/_loopbackd/requests?format="]
    commands = subprocess.run([*fetch[:-1], f"{fetch[-1]}curl"], check=True, capture_output=True)
    before = listed(where)
    for command in split(commands.stdout.decode()):
        script = tmp_path / "script"
        script.write_text(command)
        done = subprocess.run(["sh", str(script)], capture_output=True)
        assert (done.returncode, done.stderr) == (0, b""), command
    after = listed(where)[len(before) :]
    assert len(after) == len(before) == 10
    for one, other in zip(before, after, strict=True):
        assert same(other) == same(one)
    running.stop()


def listed(where: str) -> list[dict[str, object]]:
    """The journal."""
    said = subprocess.run(
        ["curl", "-sS", f"{where}/_loopbackd/requests"], check=True, capture_output=True
    )
    found: list[dict[str, object]] = json.loads(said.stdout)["requests"]
    return found


def same(entry: dict[str, object]) -> dict[str, object]:
    """What must be the same the second time: all that was sent, but for what frames a body."""
    keys = ("method", "target", "http_version", "body", "body_base64", "body_size")
    framing = ("content-length", "transfer-encoding")
    headers: Any = entry["headers"]
    return {key: entry.get(key) for key in keys} | {
        "headers": sorted(pair for pair in headers if pair[0].lower() not in framing)
    }


def split(commands: str) -> list[str]:
    """The commands: each begins a line with curl or with what is piped into it."""
    return re.split(r"\n(?=curl |\{ printf )", commands.strip("\n"))
