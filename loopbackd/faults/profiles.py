"""
Networks by name: the figures that others have published for them, and the toxics they amount to.

C{profile = "3g"} gives a service its toxics; L{use} puts them on one that runs. The figures are
those of the network alone; what a program needs to answer comes on top.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from loopbackd.faults.toxics import Toxics
from loopbackd.faultsettings import Stream, ToxicSettings

_WEBPAGETEST: Final = "WebPageTest, www/settings/connectivity.ini.sample"
_FIREFOX: Final = "Firefox, Network Monitor: Throttling"


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """
    A network.

    @ivar what: what it is like, for people.
    @ivar source: who has published these figures.
    @ivar round_trip: milliseconds there and back; half of them go on each way.
    @ivar jitter: milliseconds by which each way is longer or shorter.
    @ivar down: kilobits (1000 bits) a second towards the client; 0 for as many as there are.
    @ivar up: the same from the client.
    @ivar loss: the probability that a segment is lost, each way.
    """

    what: str
    source: str
    round_trip: float
    jitter: float = 0
    down: float = 0
    up: float = 0
    loss: float = 0.0


PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        "gprs": Profile(what="GPRS", source=f"{_FIREFOX}, GPRS", round_trip=500, down=50, up=20),
        "edge": Profile(
            what="EDGE", source=f"{_WEBPAGETEST}, Edge", round_trip=840, down=240, up=200
        ),
        "2g": Profile(what="2G", source=f"{_WEBPAGETEST}, 2G", round_trip=800, down=280, up=256),
        "3g-slow": Profile(
            what="3G where it is slow",
            source=f"{_WEBPAGETEST}, 3GSlow",
            round_trip=400,
            down=400,
            up=400,
        ),
        "3g": Profile(what="3G", source=f"{_WEBPAGETEST}, 3G", round_trip=300, down=1600, up=768),
        "3g-fast": Profile(
            what="3G where it is fast",
            source=f"{_WEBPAGETEST}, 3GFast",
            round_trip=150,
            down=1600,
            up=768,
        ),
        "4g": Profile(what="4G", source=f"{_WEBPAGETEST}, 4G", round_trip=170, down=9000, up=9000),
        "lte": Profile(
            what="LTE", source=f"{_WEBPAGETEST}, LTE", round_trip=70, down=12_000, up=12_000
        ),
        "dial-up": Profile(
            what="a modem", source=f"{_WEBPAGETEST}, Dial", round_trip=120, down=49, up=30
        ),
        "dsl": Profile(what="DSL", source=f"{_WEBPAGETEST}, DSL", round_trip=50, down=1500, up=384),
        "cable": Profile(
            what="cable", source=f"{_WEBPAGETEST}, Cable", round_trip=28, down=5000, up=1000
        ),
        "wifi": Profile(
            what="Wi-Fi as it should be",
            source=f"{_FIREFOX}, Wi-Fi",
            round_trip=2,
            down=30_000,
            up=15_000,
        ),
        "wifi-poor": Profile(
            what="Wi-Fi with a weak signal",
            source="str0m-netem, NetemConfig::wifi_lossy",
            round_trip=30,
            jitter=10,
            down=50_000,
            up=50_000,
            loss=0.05,
        ),
        "satellite": Profile(
            what="a geostationary satellite",
            source="QUIC Interop Runner, Satellite Edition, SAT (arXiv 2202.08228); round trip:"
            " APNIC, Testing LEO and GEO satellite services in Australia, 2022",
            round_trip=600,
            down=20_000,
            up=2000,
        ),
        "lossy": Profile(
            what="a phone on the move",
            source="BrowserStack, network profile 3.5g-hspa-lossy",
            round_trip=190,
            down=900,
            up=200,
            loss=0.01,
        ),
        "very-bad": Profile(
            what="hardly a network",
            source="Apple, Network Link Conditioner, Very Bad Network",
            round_trip=1000,
            down=1000,
            up=1000,
            loss=0.1,
        ),
    }
)
"""By name; slow to fast, then the troublesome."""


class NoSuchProfile(ValueError):
    """There is no profile of that name; says which there are."""


def find(name: str) -> Profile:
    """
    The profile of that name.

    @raise NoSuchProfile: there is none.
    """
    if name not in PROFILES:
        near = [
            f"did you mean {one!r}? "
            for one in difflib.get_close_matches(name.lower(), PROFILES, 1)
        ]
        raise NoSuchProfile(
            f"there is no profile {name!r}; {''.join(near)}there are {', '.join(PROFILES)}"
        )
    return PROFILES[name]


def expand(name: str) -> tuple[ToxicSettings, ...]:
    """
    The toxics a profile amounts to, named C{profile_type_stream}: C{3g_latency_upstream}.

    @raise NoSuchProfile: there is none of that name.
    """
    profile = find(name)
    streams: tuple[tuple[Stream, float], ...] = (
        ("upstream", profile.up),
        ("downstream", profile.down),
    )
    found = []
    for stream, rate in streams:
        for type, attributes in _attributes(profile, rate):
            found.append(
                ToxicSettings(
                    type=type,
                    name=f"{name}_{type}_{stream}",
                    stream=stream,
                    attributes=attributes,
                )
            )
    return tuple(found)


def _attributes(profile: Profile, rate: float) -> list[tuple[str, dict[str, Any]]]:
    """The toxics of one direction, in the order bytes meet them."""
    found: list[tuple[str, dict[str, Any]]] = []
    if rate:
        found.append(("bandwidth", {"rate": rate / 8}))
    if profile.loss:
        # What Linux waits: the round trip and at least another 200 ms (RFC 6298, tcp_rto_min).
        found.append(("loss", {"rate": profile.loss, "rto": profile.round_trip + 200}))
    latency: dict[str, Any] = {"latency": profile.round_trip / 2}
    if profile.jitter:
        latency["jitter"] = profile.jitter
    found.append(("latency", latency))
    return found


def use(toxics: Toxics, name: str | None) -> None:
    """
    Put a profile's toxics on a service that runs, and take those of any other profile away.

    All other toxics of the service stay, in front of these.

    @param name: L{None} for no profile at all.
    @raise NoSuchProfile: there is none of that name; nothing was changed.
    """
    wanted = () if name is None else expand(name)
    ours = {settings.name for other in PROFILES for settings in expand(other)}
    toxics.reload(tuple(one.settings for one in toxics if one.name in ours), wanted)


def inUse(toxics: Toxics) -> str | None:
    """The profile whose toxics a service has, all of them as they were; L{None} for none."""
    running = {one.settings.name: one.settings for one in toxics}
    for name in PROFILES:
        if all(running.get(wanted.name) == wanted for wanted in expand(name)):
            return name
    return None
