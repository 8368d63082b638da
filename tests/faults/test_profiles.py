"""Networks by name: what toxics they amount to, and how they come and go."""

from __future__ import annotations

import pytest
import pytest_twisted
from suffering import Line, call, effectOf, serving, toxic
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from loopbackd.faults.profiles import PROFILES, NoSuchProfile, expand, find, inUse, use
from loopbackd.faults.toxics import check
from loopbackd.faultsettings import ToxicSettings


@pytest.mark.parametrize("name", PROFILES)
def test_good(name: str) -> None:
    """Each has toxics that could be had, named after it, and says where its figures are from."""
    toxics = expand(name)
    check(toxics)
    assert {one.name for one in toxics} == {f"{name}_{one.type}_{one.stream}" for one in toxics}
    assert {one.stream for one in toxics} == {"upstream", "downstream"}
    assert find(name).source and find(name).what


def test_figures() -> None:
    """Kilobits become kilobytes, and a round trip is half of it each way."""
    found = {one.name: one.attributes for one in expand("3g")}
    assert found == {
        "3g_bandwidth_upstream": {"rate": 96},
        "3g_latency_upstream": {"latency": 150},
        "3g_bandwidth_downstream": {"rate": 200},
        "3g_latency_downstream": {"latency": 150},
    }
    lossy = {one.name: one.attributes for one in expand("wifi-poor")}
    assert lossy["wifi-poor_loss_upstream"] == {"rate": 0.05, "rto": 230}
    assert lossy["wifi-poor_latency_upstream"] == {"latency": 15, "jitter": 10}


def test_on_a_link() -> None:
    """A piece takes as long as its bytes at that rate and the way there."""
    down = [one for one in expand("edge") if one.stream == "downstream"]
    line = Line(*(effectOf(one.type, **one.attributes) for one in down))
    line.at(0, bytes(30_000))
    line.until(1.3)
    assert 0 < len(line.outlet.data) < 30_000
    line.until(1.5)
    assert len(line.outlet.data) == 30_000  # 30 kB at 30 kB/s, and 0.42 s


def test_unknown() -> None:
    """There is no such network, but perhaps another one."""
    with pytest.raises(NoSuchProfile, match=r"'3G'; did you mean '3g'\?"):
        find("3G")
    with pytest.raises(NoSuchProfile, match=r"'3gg'; did you mean '3g'\? there are gprs, "):
        expand("3gg")


@pytest_twisted.ensureDeferred
async def test_use() -> None:
    """One after the other on a live service, and the user's own toxics stay."""
    async with serving(toxic("noop")) as loopback:
        toxics = loopback.live("main").toxics
        with call(loopback) as client:
            client.sendall(b"x")
            assert await deferToThread(client.recv, 1) == b"x"
            use(toxics, "3g")
            assert inUse(toxics) == "3g" and len(toxics) == 5
            began = reactor.seconds()  # type: ignore[attr-defined]
            client.sendall(b"x")
            assert await deferToThread(client.recv, 1) == b"x"
            assert reactor.seconds() - began > 0.29  # type: ignore[attr-defined]
            use(toxics, "satellite")
            assert inUse(toxics) == "satellite" and len(toxics) == 5
            with pytest.raises(NoSuchProfile):
                use(toxics, "5g")
            toxics.change("satellite_latency_upstream", {"latency": 1})
            assert inUse(toxics) is None
            use(toxics, "satellite")
            assert inUse(toxics) == "satellite"
            use(toxics, None)
            assert [one.name for one in toxics] == ["noop_downstream"] and inUse(toxics) is None


@pytest_twisted.ensureDeferred
async def test_of_a_service() -> None:
    """A service has the toxics of its profile, and its own behind them."""
    async with serving(toxic("latency", latency=1), profile="dsl") as loopback:
        toxics = loopback.live("main").toxics
        assert inUse(toxics) == "dsl"
        assert [one.name for one in toxics if one.stream == "downstream"] == [
            "dsl_bandwidth_downstream",
            "dsl_latency_downstream",
            "latency_downstream",
        ]


def test_same_name() -> None:
    """A toxic of the user's cannot have the name of one of the profile's."""
    mine = ToxicSettings(type="noop", name="dsl_latency_upstream")
    with pytest.raises(ValueError, match="two toxics are named 'dsl_latency_upstream'"):
        check((*expand("dsl"), mine))
