"""Stubs from a configuration, checked beforehand, in the real daemon."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from running import Running, answer, service

from loopbackd import httpsettings
from loopbackd.http.factory import Bounds
from loopbackd.http.head import Limits
from loopbackd.http.patience import Patience
from loopbackd.httpsettings import HTTPSettings
from loopbackd.prepared import load
from loopbackd.protocols.httpbin.factory import boundsOf, limitsOf, patienceOf
from loopbackd.settings import SettingsError
from stubs.stubbing import Stubbed

ETC = Path(__file__).parent.parent.parent / "etc" / "loopbackd.toml"


def test_defaultsAreTheStacks() -> None:
    """An empty table changes nothing."""
    nothing = HTTPSettings()
    assert limitsOf(nothing) == Limits()
    assert boundsOf(nothing) == Bounds()
    assert patienceOf(nothing) == Patience()


def test_goLimits() -> None:
    """Are go-httpbin's, and those that are said."""
    assert Stubbed("[go]\nhostname = 'mine'").ask("/go/hostname").json == {"hostname": "mine"}
    assert Stubbed("[go]\nmax_duration = 1.0").ask("/go/delay/2").status == 400


def test_everyKeyHasItsEffect() -> None:
    """Each ends where it is looked at."""
    asked = HTTPSettings(
        max_head=1000,
        max_line=100,
        max_fields=3,
        max_body=5,
        max_bodies=6,
        head_timeout=1,
        body_timeout=2,
        send_timeout=3,
        min_rate=4,
        idle_timeout=5,
    )
    assert limitsOf(asked) == Limits(head=1000, line=100, fields=3)
    assert boundsOf(asked) == Bounds(body=5, bodies=6)
    assert patienceOf(asked) == Patience(head=1, body=2, sending=3, rate=4, idle=5)
    one = Stubbed("max_fields = 3\nidle_timeout = 2")
    assert one.ask("/get", fields=[("A", "1"), ("B", "2")]).status == 200
    one.visit.later(2.1)
    assert one.visit.hasEnded
    assert Stubbed("max_fields = 2").ask("/get", fields=[("A", "1"), ("B", "2")]).status == 431


@pytest.mark.parametrize(
    "table",
    [
        one
        for one in vars(httpsettings).values()
        if isinstance(one, type) and issubclass(one, msgspec.Struct)
    ],
)
def test_everyKeyIsInTheExample(table: type[msgspec.Struct]) -> None:
    """etc/loopbackd.toml names each key there is."""
    text = ETC.read_text()
    assert [key for key in table.__struct_fields__ if key not in text] == []


@pytest.mark.parametrize(
    ("protocol", "more", "said"),
    [
        (
            "echo",
            "http = {}",
            "http is for protocol 'http', or 'auto' with the route http = 'http'",
        ),
        ("auto", "http = {}\nroutes = { http = 'echo' }", "remove [service.http]"),
        ("http", "http = { max_hed = 1 }", "http: unknown key 'max_hed'; did you mean 'max_head'?"),
        ("http", "http = { max_body = -1 }", "http: max_body = -1: expected a whole number >= 0"),
        (
            "http",
            "http = { max_bodies = 1000 }",
            "http: max_bodies = 1000: it is for all bodies together, and one may have"
            " max_body = 16777216; make it larger, or that smaller",
        ),
        ("http", "http = { stub = 3 }", "http: stub = 3: expected a list"),
        (
            "http",
            "http = { stub = [{ name = 'a', pth = '/' }] }",
            "http: stub 'a': unknown key 'pth'; did you mean 'path'?",
        ),
        (
            "http",
            "http = { stub = [{}, { answer = [{}, { statuss = 1 }] }] }",
            "http: stub 2: answer 2: unknown key 'statuss'; did you mean 'status'?",
        ),
        (
            "http",
            "http = { stub = [{ answer = { delay = 'x' } }] }",
            "http: stub 1: answer: delay = 'x': expected a number or a table, got a text",
        ),
        (
            "http",
            "http = { stub = [{ answer = { dribble = { pieces = 5 } } }] }",
            "dribble: the key 'seconds' is missing",
        ),
        (
            "http",
            "http = { stub = [{ query = { a = { regx = 'x' } } }] }",
            "http: stub 1: query: unknown key 'regx'; did you mean 'regex'?",
        ),
        (
            "http",
            "http = { stub = [{ query = { a = 1.5 } }] }",
            "{'a': 1.5}: expected a text, whole number, true, false, table or list, got a number",
        ),
        (
            "http",
            "http = { stub = [{ answer = { broken = 3 } }] }",
            "answer: broken = 3: expected a text or a table, got a whole number",
        ),
        ("http", "http = { stub = [{ path_regex = '(' }] }", "http: stub 1: path_regex = '('"),
        (
            "http",
            "http = { stub = [{ name = 'x', answer = { file = 'no' } }] }",
            "service 'it': http: stub 'x': answer: file = 'no': ",
        ),
        ("http", "http = { fallback = 'x' }", "http: fallback = 'x': write builtin, not_found or"),
        (
            "http",
            "http = { fallback = 'http://a.b' }",
            "http: fallback = 'http://a.b': that is not",
        ),
        ("auto", "http = { stub = [{ after = 'x' }] }", "http: stub 1: after = 'x'"),
    ],
)
def test_mistakes(protocol: str, more: str, said: str, tmp_path: Path) -> None:
    """Each is found before anything listens, in a line that names the service and the key."""
    path = tmp_path / "it.toml"
    path.write_text(service("it", protocol=protocol, more=more))
    with pytest.raises(SettingsError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "'it'" in message
    assert said in message
    assert len(message.splitlines()) == 1


def test_withoutJinja(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A template where Jinja2 is not installed is told with the remedy."""
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    path = tmp_path / "it.toml"
    path.write_text(
        service("it", protocol="http", more="http = { stub = [{ answer = { template = 'x' } }] }")
    )
    with pytest.raises(SettingsError, match=r"pip install 'loopbackd\[stubs\]'"):
        load(path)


def test_reloadIsTheSameUnlessThereAreFiles(tmp_path: Path) -> None:
    """What has not changed is not touched; what may have is made anew."""
    path = tmp_path / "it.toml"
    (tmp_path / "a.txt").write_text("a")
    for answer_, same in (("text = 'x'", True), ("file = 'a.txt'", False)):
        more = f"http = {{ stub = [{{ answer = {{ {answer_} }} }}] }}"
        path.write_text(service("it", "tcp:1:interface=127.0.0.1", protocol="http", more=more))
        (_, before), (_, after) = load(path), load(path)
        assert before["it"].isSame(after["it"]) is same


TOML = """
[service.http]
seed = 1
[[service.http.stub]]
name = "page"
path = "/page"
answer = { file = "page.html" }
[[service.http.stub]]
path = "/hello/{name}"
answer = { template_file = "hello.j2" }
[[service.http.stub]]
name = "flaky"
path = "/flaky"
answer = [{ status = 503, times = 2 }, { text = "works" }]
"""


def test_theDaemon(
    daemon: Callable[..., Running], program: Callable[..., str], tmp_path: Path
) -> None:
    """Stubs from the file; changed files are read again at SIGHUP, a mistake changes nothing."""
    curl = program("curl")
    config, page = tmp_path / "it.toml", tmp_path / "page.html"
    page.write_text("one")
    (tmp_path / "hello.j2").write_text("Hello {{ request.words.name }}!")
    config.write_text(service("web", protocol="auto", more=f"twin = false\n{TOML}"))
    running = daemon("--config", str(config))
    where = f"http://127.0.0.1:{running.port('web')}"

    def get(target: str) -> str:
        words = [curl, "-sS", "-w", " %{http_code}", where + target]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout

    assert get("/page") == "one 200"
    assert get("/hello/you") == "Hello you! 200"
    assert [get("/flaky")[-3:] for _ in range(3)] == ["503", "503", "200"]
    assert json.loads(get("/_loopbackd/requests?stub=flaky")[:-4])["count"] == 3
    page.write_text("two")
    running.send(signal.SIGHUP)
    running.says(r"web: auto now on|configuration", 1)
    assert get("/page") == "two 200"
    page.unlink()
    running.send(signal.SIGHUP)
    running.says(r"stub 'page': answer: file = 'page.html'")
    assert get("/page") == "two 200"
    # What is no HTTP is still whatever it was.
    assert answer(running.port("web"), b"hi\n") == b"hi\n"
    running.stop()
