"""Saying what should be asked, and seeing whether it was."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor as realReactor
from visiting import Answered, answers, request

from loopbackd.expecting import expecting
from loopbackd.service import Loopback
from loopbackd.testing import converse, serving

reactor: Any = realReactor


async def ask(loopback: Loopback, *words: Any) -> Answered:
    """One request, and its answer."""
    (answered,) = answers(await converse(reactor, loopback, request(*words)), ["POST"], True)
    return answered


@pytest.mark.parametrize("protocol", ["http", "auto"])
@pytest_twisted.ensureDeferred
async def test_asExpected(protocol: str) -> None:
    """Answers in turn, counts, what was asked, and nothing to complain of."""
    async with serving(reactor, protocol) as loopback:
        api = expecting(loopback)
        users = api.expect("GET", "/users/{id}", query={"full": "1"})
        users.answer(status=503, times=2).answer(json={"name": "Ann"})
        made = api.expect("POST", "/users", body={"json_subset": {"name": "Bo"}}, name="make")
        made.answer(status=201)
        got = [(await ask(loopback, "/users/5?full=1")).status for _ in range(3)]
        assert got == [503, 503, 200]
        assert (await ask(loopback, "/users", "POST", [], b'{"name":"Bo","a":1}')).status == 201
        assert (users.count, made.count, made.name) == (3, 1, "make")
        assert [one.body.data for one in api.requests(path="/users")] == [b'{"name":"Bo","a":1}']
        assert len(api.requests()) == 4
        assert api.url == f"http://127.0.0.1:{loopback.addresses['test'][0].port}"  # type: ignore[attr-defined]
        api.check()


@pytest_twisted.ensureDeferred
async def test_notAsExpected() -> None:
    """Each expectation that nobody met, and each request that nobody expected, is named."""
    async with serving(reactor, "http") as loopback:
        api = expecting(loopback)
        api.expect("POST", "/a", name="first")
        api.expect("PUT", "/b/{id}")
        await ask(loopback, "/a", "GET")
        with pytest.raises(AssertionError) as caught:
            api.check()
        one, two, other = str(caught.value).splitlines()
        assert one == "nobody asked for first"
        assert two == "nobody asked for PUT /b/{id}"
        assert other.startswith("GET http://127.0.0.1:62893/a was not expected; closest is stub ")
        assert other.endswith("first: the method is GET, wanted is POST")


@pytest_twisted.ensureDeferred
async def test_mistakes() -> None:
    """Are told at once, and change nothing."""
    async with serving(reactor, "http") as loopback:
        api = expecting(loopback)
        one = api.expect("GET", "/a").answer(text="good")
        for wrong in ({"status": 1}, {"file": "none"}, {"stauts": 200}):
            with pytest.raises(ValueError, match=r"status|file|stauts"):
                one.answer(**wrong)
        with pytest.raises(ValueError, match="begins with /"):
            api.expect("GET", "a")
        assert (await ask(loopback, "/a")).text == "good"
    async with serving(reactor, "echo") as loopback:
        with pytest.raises(TypeError, match="no HTTP test service"):
            expecting(loopback)
