"""Templates, rendered in a process of their own."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from running import Running, service, until
from twisted.internet import reactor as realReactor
from twisted.internet.defer import gatherResults
from visiting import Answered, answers, request

from loopbackd.service import Loopback
from loopbackd.stubs.renderer import OUTPUT, Task, render
from loopbackd.stubs.rendering import RenderError, Rendering, checkTemplate
from loopbackd.testing import converse, serving
from stubs.stubbing import settings

reactor: Any = realReactor


@asynccontextmanager
async def rendering() -> AsyncIterator[Rendering]:
    """It, and its process gone afterwards."""
    one = Rendering(reactor)
    try:
        yield one
    finally:
        one.close()


@pytest_twisted.ensureDeferred
async def test_oneAfterTheOther() -> None:
    """Each gets its own, in the same process, also where many wait."""
    async with rendering() as one:
        source = "{{ n }} {{ names.a|upper }}"
        coming = [one.render(source, False, {"n": n, "names": {"a": "é"}}, 0) for n in range(50)]
        assert await gatherResults(coming) == [f"{n} É".encode() for n in range(50)]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
            "second",
        ),
        ("{{ 9 ** (9 ** 9) }}", "second"),
        ("{{ 'x' * 10 ** 10 }}", "memory"),
        ("{{ 'x'.ljust(10 ** 10) }}", "memory"),
        ("{{ '%9999999999d' % 1 }}", "MemoryError|memory|OverflowError|ValueError"),
        ("{% for i in range(99999) %}{{ 'x' * 999 }}{% endfor %}", "more than"),
        (
            "{% set n = namespace(x='a') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}"
            "{% endfor %}",
            "memory|second",
        ),
        ("{{ range(10 ** 9)|list }}", "Range too big|memory"),
        ("{{ nothing }}", "'nothing' is undefined"),
        ("a\n{{ 1 / 0 }}", "division by zero"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ cycler.__init__.__globals__ }}", "unsafe"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_whatIsTooMuchEnds(source: str, said: str) -> None:
    """The daemon goes on meanwhile, and the next template is rendered."""
    ticks = 0

    def tick() -> None:
        nonlocal ticks, call
        ticks += 1
        call = reactor.callLater(0.01, tick)

    call = reactor.callLater(0, tick)
    try:
        async with rendering() as one:
            slow = one.render(source, False, {}, 0)
            after = one.render("ok", False, {}, 0)
            with pytest.raises(RenderError, match=said):
                await slow
            assert await after == b"ok"
    finally:
        call.cancel()
    assert ticks > 2


@pytest_twisted.ensureDeferred
async def test_whoLeavesIsPassedOver() -> None:
    """A rendering that nobody waits for is not done, or its result is dropped."""
    async with rendering() as one:
        first, second = (one.render("a", False, {}, 0) for _ in range(2))
        last = one.render("b", False, {}, 0)
        for left in (first, second):
            left.addErrback(lambda failure: None)
            left.cancel()
        assert await last == b"b"


@pytest_twisted.ensureDeferred
async def test_aProcessThatDiesIsReplaced() -> None:
    """What it was at is begun again, and nobody notices."""
    async with rendering() as one:
        assert await one.render("a", False, {}, 0) == b"a"
        assert one._process is not None
        waiting = one.render("{% for i in range(9999) %}{{ i }}{% endfor %}", False, {}, 0)
        os.kill(one._process.process.pid, signal.SIGKILL)
        after = one.render("b", False, {}, 0)
        assert (await waiting).startswith(b"0123")
        assert await after == b"b"


@pytest_twisted.ensureDeferred
async def test_a_process_that_dies_twice() -> None:
    """Is not blamed on how long the template takes."""
    async with rendering() as one:
        waiting = one.render("{% for i in range(9999) %}{{ i }}{% endfor %}", False, {}, 0)
        first = one._process
        assert first is not None
        os.kill(first.process.pid, signal.SIGKILL)
        while one._process is first or one._process is None:
            await realSleep()
        os.kill(one._process.process.pid, signal.SIGKILL)
        with pytest.raises(RenderError, match="has ended"):
            await waiting


@pytest_twisted.ensureDeferred
async def test_a_process_that_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended after a while; who waits for it is told, and the next has another."""
    async with rendering() as one:
        assert await one.render("a", False, {}, 0) == b"a"
        assert one._process is not None
        os.kill(one._process.process.pid, signal.SIGSTOP)
        monkeypatch.setattr("loopbackd.stubs.rendering._PATIENCE", 0.1)
        waiting = one.render("b", False, {}, 0)
        monkeypatch.undo()
        after = one.render("c", False, {}, 0)
        with pytest.raises(RenderError, match="was silent"):
            await waiting
        assert await after == b"c"


@pytest_twisted.ensureDeferred
async def test_much_that_waits() -> None:
    """Bodies that wait for their turn are bounded, not only how many there are."""
    async with rendering() as one:
        body = {"body": "x" * (16 << 20)}
        waiting = [one.render("a", False, body, 0) for _ in range(5)]
        with pytest.raises(RenderError, match="too many"):
            one.render("a", False, body, 0)
        for each in waiting:
            assert await each == b"a"


@pytest_twisted.ensureDeferred
async def test_closingTellsThoseWhoWait() -> None:
    """And the process is gone."""
    one = Rendering(reactor)
    waiting = [one.render("a", False, {}, 0) for _ in range(3)]
    assert one._process is not None
    process = one._process.process
    one.close()
    for each in waiting:
        with pytest.raises(RenderError, match="has ended"):
            await each
    while process.returncode is None:
        await realSleep()


async def realSleep() -> None:
    """A turn of the reactor."""
    from twisted.internet.task import deferLater

    await deferLater(reactor, 0.01, lambda: None)


@pytest_twisted.ensureDeferred
async def test_whatCannotBeGivenToIt() -> None:
    """A number of a thousand digits is told, not raised elsewhere."""
    async with rendering() as one:
        with pytest.raises(RenderError, match="cannot be given"):
            one.render("", False, {"n": 10**100}, 0)


def test_itEndsWithTheDaemon(
    daemon: Callable[..., Running], program: Callable[..., str], tmp_path: Path
) -> None:
    """However that ends."""
    curl = program("curl")
    config = tmp_path / "it.toml"
    stub = "http = { stub = [{ path = '/', answer = { template = 'hi' } }] }"
    config.write_text(service("web", protocol="http", more=stub))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        running = daemon("--config", str(config))
        url = f"http://127.0.0.1:{running.port('web')}/"
        assert subprocess.run([curl, "-sS", url], capture_output=True).stdout == b"hi"
        children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")
        (child,) = children.read_text().split()
        running.send(number)
        running.end()
        until(lambda child=child: not alive(child), "end of the process that renders")


def alive(pid: str) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{% if %}", "template: line 1: "),
        ("a\n{{ }", "template: line 2: "),
        ("{{ a|nofilter }}", "nofilter"),
        ("{{ " + "(" * 500 + "1" + ")" * 500 + " }}", "nested too deeply"),
        ("x" * ((1 << 20) + 1), "may have 1048576 characters"),
    ],
)
def test_noTemplate(source: str, said: str) -> None:
    """Found when the configuration is read."""
    with pytest.raises(ValueError, match="template: ") as caught:
        checkTemplate(source, "template")
    assert said in str(caught.value)


def test_compilingComputesNothing() -> None:
    """What would take forever is not begun before a request asks for it."""
    for long in ("9 ** (9 ** 9)", "'x' * 10 ** 12", "'x'.ljust(10 ** 12)", "'x'|center(10 ** 12)"):
        checkTemplate(f"{{{{ {long} }}}}{{% if {long} %}}{{% endif %}}", "template")


def test_chanceIsSeeded() -> None:
    """The same seed gives the same text."""
    source = "{{ random() }} {{ randint(1, 6) }} {{ choice('abc') }} {{ uuid() }}"
    texts = [render(Task(source, False, {}, seed)).text for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_output() -> None:
    """Up to a bound."""
    assert render(Task("{{ 'x' * n }}", False, {"n": OUTPUT}, 0)).isGood
    assert not render(Task("{{ 'x' * n }}", False, {"n": OUTPUT + 1}, 0)).isGood


async def ask(loopback: Loopback, data: bytes) -> Answered:
    """One request, and its answer."""
    (answered,) = answers(await converse(reactor, loopback, data), ["POST"], True)
    return answered


@pytest_twisted.ensureDeferred
async def test_whatATemplateCanSpeakOf() -> None:
    """The request in all its parts, the stub, and the time."""
    toml = r"""
    [[stub]]
    name = "echo"
    path = "/u/{id}"
    scenario = "s"
    then_state = "t"
    answer = { template = '''{{ [request.method, request.path, request.target, request.host,
    request.scheme, request.client, request.words.id, request.query.a, request.queries.a,
    request.headers["x-key"], request.cookies.c, request.body, request.json.k, stub, count, state,
    now[:2], seconds > 0]|tojson }}''', type = "application/json" }
    """
    fields = [("X-Key", "v"), ("Cookie", "c=d"), ("Content-Type", "application/json")]
    async with serving(reactor, "http", http=settings(toml)) as loopback:
        it = await ask(loopback, request("/u/%C3%A9?a=1&a=2", "POST", fields, b'{"k": [1]}'))
    assert it.json == [
        *("POST", "/u/é", "/u/%C3%A9?a=1&a=2", "127.0.0.1:62893", "http", "127.0.0.1", "é"),
        *("1", ["1", "2"], "v", "d", '{"k": [1]}', [1], "echo", 1, "t", "20", True),
    ]


@pytest_twisted.ensureDeferred
async def test_pagesAreEscapedAndFailuresTold() -> None:
    """In HTML and nowhere else; a mistake in a template is a 500 that says so."""
    toml = """
    [[stub]]
    path = "/html"
    answer = { template = "{{ request.query.q }}", type = "text/html" }
    [[stub]]
    path = "/text"
    answer = { template = "{{ request.query.q }}" }
    """
    async with serving(reactor, "http", http=settings(toml)) as loopback:
        assert (await ask(loopback, request("/html?q=<a>", "POST"))).text == "&lt;a&gt;"
        assert (await ask(loopback, request("/text?q=<a>", "POST"))).text == "<a>"
        failed = await ask(loopback, request("/text", "POST"))
        assert failed.status == 500
        assert (
            "the template of stub stub-2: line 1:" in failed.text
            or "has no attribute" in failed.text
        )
