"""
Whoever would like to be taken for root at the control API is not: each way is tried 300 times.

What they ask for is a proxy, before anybody accepts; none is there afterwards.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import impostors
import pytest
import pytest_twisted
from controlled import API, HERE, reactor, running
from impostors import ATTACKER, TIMES, batches, tell
from twisted.internet.task import deferLater

from loopbackd.controlsettings import ControlSettings

pytestmark = pytest.mark.usefixtures("needsRoot")

ROOT = 0
_BODY = b'{"name": "p", "upstream": "127.0.0.1:1"}'
SAID = (
    b"POST /proxies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)

Attack = Callable[..., Any]


class Watched:
    """An API, and whom it has taken those for who came."""

    def __init__(self, api: API) -> None:
        self.api = api
        self.where = ("127.0.0.1", api.port)
        self.uids: Counter[int | None] = Counter()
        identify = api.control.connections.identify

        def identified(sock: Any) -> Any:
            who = identify(sock)
            self.uids[who.uid] += 1
            return who

        api.control.connections.identify = identified

    @property
    def services(self) -> list[str]:
        """What is served."""
        return [live.name for live in self.api.loopback.services()]

    async def settles(self, number: int) -> None:
        """Wait until so many have come, and all that they said has been answered."""
        deadline = time.monotonic() + 20
        while self.uids.total() < number:
            assert time.monotonic() < deadline, self.uids
            await deferLater(reactor, 0.005, lambda: None)

    async def endsEmpty(self) -> None:
        """Wait until everybody has gone."""
        deadline = time.monotonic() + 20
        while len(self.api.control.connections):
            assert time.monotonic() < deadline, len(self.api.control.connections)
            await deferLater(reactor, 0.005, lambda: None)


@asynccontextmanager
async def watched() -> AsyncIterator[Watched]:
    """An API that has room for all of them."""
    control = ControlSettings(endpoint=HERE, twin=False, max_connections=1000)
    async with running(control=control) as api:
        yield Watched(api)


@pytest_twisted.ensureDeferred
async def test_root_can() -> None:
    """What they ask for is done where root asks: otherwise nothing would be shown below."""
    async with watched() as there:
        with ExitStack() as opened:
            client = impostors.connected(opened, there.where, ROOT)
            client.sendall(SAID)
            await there.settles(1)
            for _ in range(1000):
                if "p" in there.services:
                    break
                await deferLater(reactor, 0.005, lambda: None)
        await there.endsEmpty()
        assert there.services == ["echo", "p"] and there.uids == {ROOT: 1}


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("attack", "taken"),
    [
        (impostors.close, {None, ATTACKER}),
        (impostors.orphan, {None, ATTACKER}),
        (impostors.changeUser, {ATTACKER}),
        (lambda *asked: impostors.resetAs(ROOT, *asked), {None}),
        (lambda opened, *asked: impostors.kill(*asked), {None, ATTACKER}),
    ],
    ids=["close", "orphan", "changeUser", "reset", "kill"],
)
async def test_nobody_is_taken_for_root(attack: Attack, taken: set[int | None]) -> None:
    """They are unknown, or who they are."""
    async with watched() as there:
        done = 0
        for number in batches():
            with ExitStack() as opened:
                attack(opened, there.where, SAID, number)
                done += number
                await there.settles(done)
            await there.endsEmpty()
        tell("not taken for root", there.uids.total() - there.uids[ROOT])
        assert there.uids.total() == TIMES and there.uids.keys() <= {*taken, ROOT}
        assert there.uids[ROOT] == 0 and there.services == ["echo"]


@pytest_twisted.ensureDeferred
async def test_sockets_that_were_handed_to_root() -> None:
    """They are still of whoever made them."""
    async with watched() as there:
        done = 0
        for number in batches():
            with (
                ExitStack() as opened,
                impostors.passedOn(opened, ATTACKER, ROOT, there.where, SAID, number),
            ):
                done += number
                await there.settles(done)
            await there.endsEmpty()
        tell("taken for its maker's", there.uids[ATTACKER])
        assert there.uids == {ATTACKER: TIMES} and there.services == ["echo"]


@pytest_twisted.ensureDeferred
async def test_addresses_that_are_left_to_root() -> None:
    """The kernel names root to whoever asks; what was said before is not root's."""
    async with watched() as there:
        done = named = 0
        for number in batches():
            with ExitStack() as opened:
                named += impostors.takeOver(opened, there.where, SAID, number, ROOT)
                done += 2 * number
                await there.settles(done)
            await there.endsEmpty()
        tell("root by the kernel", named)
        tell("not taken for root", there.uids[None])
        assert named == TIMES and there.uids == {None: TIMES, ROOT: TIMES}
        assert there.services == ["echo"]


@pytest_twisted.ensureDeferred
async def test_addresses_that_are_left_to_root_while_the_kernel_is_asked() -> None:
    """Our own end is looked at afterwards."""
    async with watched() as there:
        done = named = 0
        for number in batches():
            with ExitStack() as opened:
                diag = impostors.Leaving(opened, ROOT)
                loopback = there.api.loopback
                opened.callback(diag.close)
                opened.callback(setattr, loopback, "diag", loopback.diag)
                loopback.diag = diag
                diag.attack(there.where, SAID, number)
                done += 2 * number
                await there.settles(done)
                named += diag.named
            await there.endsEmpty()
        tell("root by the kernel", named)
        tell("not taken for root", there.uids[None])
        assert named == TIMES and there.uids == {None: TIMES, ROOT: TIMES}
        assert there.services == ["echo"]


@pytest_twisted.ensureDeferred
async def test_addresses_that_are_left_in_time_wait() -> None:
    """Whether or not root gets the port."""
    async with watched() as there:
        done = got = 0
        for number in batches():
            with ExitStack() as opened:
                count = impostors.reuse(opened, there.where, SAID, number, ROOT)
                done, got = done + number + count, got + count
                await there.settles(done)
            await there.endsEmpty()
        tell("ports reused", got)
        tell("not taken for root", there.uids[None])
        assert there.uids[None] == TIMES and there.uids[ROOT] == got
        assert there.services == ["echo"]
