"""
Whoever would like to be taken for root at the control API is not: each way is tried 300 times.

What they ask for is a proxy, before anybody accepts; none is there afterwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import impostors
import pytest
import pytest_twisted
from controlled import API, HERE, running
from impostors import ATTACKER, ROOT, TIMES, Attack, come, tell
from sockets import until

from loopbackd.controlsettings import ControlSettings

pytestmark = pytest.mark.usefixtures("needsRoot")

_BODY = b'{"name": "p", "upstream": "127.0.0.1:1"}'


class Watched:
    """An API, and whom it has taken those for who came."""

    said = (
        b"POST /proxies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
    )

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
        """Wait until so many have come; what they said is answered by when they are gone."""
        await until(lambda: self.uids.total() >= number, lambda: (self.uids, number))

    async def isLeft(self) -> None:
        """Wait until everybody has gone."""
        connections = self.api.control.connections
        await until(lambda: not len(connections), lambda: list(connections))


@asynccontextmanager
async def watched() -> AsyncIterator[Watched]:
    """An API that has room for all of them."""
    control = ControlSettings(endpoint=HERE, twin=False, max_connections=1000)
    async with running(control=control) as api:
        yield Watched(api)


async def nothingIsDone(there: Watched, attack: Attack) -> int:
    """Try it; how many victims came."""
    victims = await come(there, attack)
    tell("not taken for root", TIMES + victims - there.uids[ROOT])
    assert there.uids.total() == TIMES + victims and there.services == ["echo"]
    return victims


@pytest_twisted.ensureDeferred
async def test_root_can() -> None:
    """What they ask for is done where root asks: otherwise nothing would be shown below."""
    async with watched() as there:
        with ExitStack() as opened:
            client = impostors.connected(opened, there.where, ROOT)
            client.sendall(there.said)
            await there.settles(1)
            await until(lambda: "p" in there.services)
        await there.isLeft()
        assert there.services == ["echo", "p"] and there.uids == {ROOT: 1}


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("attack", "taken"),
    [
        (impostors.close, {None, ATTACKER}),
        (impostors.orphan, {None, ATTACKER}),
        (impostors.changeUser, {ATTACKER}),
        (impostors.resetAs(ROOT), {None}),
        (impostors.kill, {None, ATTACKER}),
    ],
    ids=["close", "orphan", "changeUser", "reset", "kill"],
)
async def test_nobody_is_taken_for_root(attack: Attack, taken: set[int | None]) -> None:
    """They are unknown, or who they are."""
    async with watched() as there:
        assert await nothingIsDone(there, attack) == 0
        assert there.uids.keys() <= {*taken, ROOT} and there.uids[ROOT] == 0


@pytest_twisted.ensureDeferred
async def test_sockets_that_were_handed_to_root() -> None:
    """They are still of whoever made them."""
    async with watched() as there:
        await nothingIsDone(there, impostors.passedOn(ATTACKER, ROOT))
        assert there.uids == {ATTACKER: TIMES}


@pytest_twisted.ensureDeferred
async def test_addresses_that_are_left_to_root() -> None:
    """The kernel names root to whoever asks; what was said before is not root's."""
    async with watched() as there:
        taking = impostors.TakingOver(ROOT)
        await nothingIsDone(there, taking.attack)
        tell("root by the kernel", taking.named)
        assert taking.named == TIMES and there.uids == {None: TIMES, ROOT: TIMES}


@pytest_twisted.ensureDeferred
async def test_addresses_that_are_left_to_root_while_the_kernel_is_asked() -> None:
    """Our own end is looked at afterwards."""
    async with watched() as there:
        with impostors.leaving(there.api.loopback, ROOT) as diag:
            await nothingIsDone(there, diag.attack)
        tell("root by the kernel", diag.named)
        assert diag.named == TIMES and there.uids == {None: TIMES, ROOT: TIMES}


@pytest_twisted.ensureDeferred
async def test_addresses_that_are_left_in_time_wait() -> None:
    """Whether or not root gets the port."""
    async with watched() as there:
        got = await nothingIsDone(there, impostors.reuse(ROOT))
        tell("ports reused", got)
        assert there.uids[None] == TIMES and there.uids[ROOT] == got
