"""
Whoever would like to be taken for somebody else is not: each way is tried 300 times.

They come to a service that lets one user in, before anybody accepts; nothing they say is heard.
"""

from contextlib import ExitStack, asynccontextmanager

import impostors
import pytest
import pytest_twisted
from impostors import ATTACKER, ROOT, TIMES, VICTIM, Recorder, come, tell
from sockets import until
from squatting import Squatter, squatting
from twisted.internet import reactor

from loopbackd.controlclient import Address, ControlClient, ControlError
from loopbackd.net.endpoint import hasIPv6
from loopbackd.testing import addressOf, serving

pytestmark = pytest.mark.usefixtures("needsRoot", "diag")


class Door:
    """A service that lets one user in, and how many it has let in and refused."""

    said = b"DELETE ALL"

    def __init__(self, loopback):
        self.loopback = loopback
        address = addressOf(loopback)
        self.where = address.host, address.port
        self._totals = loopback.connections.totals("test")

    @property
    def refused(self):
        """How many were not let in."""
        return self._totals.refused

    async def settles(self, number):
        """Wait until so many have been let in or refused since the beginning."""
        await until(
            lambda: Recorder.opened + self.refused >= number,
            lambda: (Recorder.opened, self.refused, number),
        )

    async def isLeft(self):
        """Whoever is refused leaves nothing to wait for."""


@asynccontextmanager
async def door(allowed, **others):
    """Open it."""
    Recorder.forget()
    options = {"allow_uids": (allowed,), "max_connections_per_uid": 10_000, **others}
    async with serving(reactor, "impostors:RecorderFactory", **options) as loopback:
        loopback.room.resize(2000, 2000)
        yield Door(loopback)


async def onlyVictimsComeIn(there, attack, what="refused unheard"):
    """Try it, and count those that were refused, and those that came in and said nothing."""
    victims = await come(there, attack)
    tell(what, there.refused)
    assert (there.refused, Recorder.opened, Recorder.heard) == (TIMES, victims, [])
    return victims


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("allowed", [ROOT, VICTIM])
@pytest.mark.parametrize(
    "attack",
    [impostors.close, impostors.orphan, impostors.changeUser],
    ids=lambda one: one.__name__,
)
async def test_whoIsGoneOrHasChanged(allowed, attack):
    """A closed socket reads "uid 0", and a process can become root: neither makes it root's."""
    async with door(allowed) as there:
        assert await onlyVictimsComeIn(there, attack) == 0


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("uid", [ROOT, VICTIM])
async def test_whoHasReset(uid):
    """Even whoever may come in is not heard after a reset: the address is somebody else's now."""
    async with door(uid) as there:
        assert await onlyVictimsComeIn(there, impostors.resetAs(uid)) == 0


@pytest_twisted.ensureDeferred
async def test_whoWasKilled():
    """The end of a process closes its sockets."""
    async with door(ROOT) as there:
        assert await onlyVictimsComeIn(there, impostors.kill) == 0


@pytest_twisted.ensureDeferred
async def test_whoWasHandedASocket():
    """It is of whoever made it, also in a process of somebody who may come in."""
    async with door(VICTIM) as there:
        attack = impostors.passedOn(ATTACKER, VICTIM)
        assert await onlyVictimsComeIn(there, attack, "made by another") == 0


@pytest_twisted.ensureDeferred
async def test_whoHandsASocketOnAnswersForIt():
    """The other way round they come in: that is how it is documented."""
    async with door(VICTIM) as there:
        with ExitStack() as opened:
            impostors.passedOn(VICTIM, ATTACKER)(opened, there.where, there.said, 10)
            await there.settles(10)
            assert (there.refused, Recorder.opened) == (0, 10)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("victim", [ROOT, VICTIM])
async def test_whoLeavesTheAddressToAVictim(victim):
    """The kernel names the victim to whoever asks, which is let in itself, and said nothing."""
    async with door(victim) as there:
        taking = impostors.TakingOver(victim)
        assert await onlyVictimsComeIn(there, taking.attack) == TIMES
    tell("named by the kernel", taking.named)
    assert taking.named == TIMES


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("victim", [ROOT, VICTIM])
async def test_whoLeavesTheAddressWhileTheKernelIsAsked(victim):
    """Our own end was alive when the question was asked, and is not when it has been answered."""
    async with door(victim) as there:
        with impostors.leaving(there.loopback, victim) as diag:
            assert await onlyVictimsComeIn(there, diag.attack) == TIMES
    tell("named by the kernel", diag.named)
    assert diag.named == TIMES


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("victim", [ROOT, VICTIM])
async def test_whoLeavesTheAddressInTimeWait(victim):
    """However long they wait, and whether or not the victim gets the port."""
    async with door(victim) as there:
        tell("ports reused", await onlyVictimsComeIn(there, impostors.reuse(victim)))


@pytest_twisted.ensureDeferred
async def test_nobodyElseGetsAPortOfOurs():
    """Both loopback addresses are claimed, so that C{localhost} leads to nobody else."""
    if not hasIPv6():
        pytest.skip("there is no ::1 here")
    async with door(ROOT, twin=True) as there:
        addresses = ["127.0.0.1", "::1"]
        got = squatting([*addresses, "0.0.0.0", "::"], there.where[1])
        tell("ports taken", sum(got[one] for one in addresses))
        assert got["127.0.0.1"] == got["::1"] == got["0.0.0.0"] == 0


@pytest.mark.parametrize(
    ("host", "how"),
    [
        *[("127.0.0.1", how) for how in ("keep", "late", "answer", "close", "reset")],
        *[(host, "keep") for host in ("127.0.0.2", "::1")],
    ],
)
def test_squattersAreToldNothing(host, how):
    """Our client asks whose the server is before it says anything, whatever that does at once."""
    refused = 0
    with Squatter(host, 0, how) as squatter:
        client = ControlClient(Address(host, squatter.port), 20)
        for _ in range(TIMES):
            with pytest.raises(ControlError) as caught:
                client.ask("POST", "/services", {"secret": "s"})
            refused += caught.value.status == 0
            if how in ("keep", "late", "answer"):
                said = str(caught.value)
                assert f"of user uid {ATTACKER}, pid {squatter.pid} " in said
        count, heard = squatter.end()
    tell(f"{host} {how}: told nothing", refused)
    assert (refused, count, heard) == (TIMES, TIMES, 0)
