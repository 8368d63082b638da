"""Tests for `loopbackd.prepared`: what can be found wrong before anything listens."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from preparing import prepared, refusal

from loopbackd.prepared import load, prepare
from loopbackd.protocols.registry import SPEAK_ONLY
from loopbackd.settings import LogSettings, Route, Routes, ServiceSettings, Settings, SettingsError


@pytest.mark.parametrize(
    ("endpoint", "where"),
    [
        ("tcp:7007", "0.0.0.0"),
        ("tcp:7007:interface=0.0.0.0", "0.0.0.0"),
        ("tcp:7007:interface=192.0.2.7", "192.0.2.7"),
        ("tcp:port=7007:backlog=5", "0.0.0.0"),
        ("tcp6:7007", "::"),
        (r"tcp6:7007:interface=2001\:db8\:\:1", "2001:db8::1"),
        (r"tcp6:7007:interface=\:\:ffff\:192.0.2.7", "::ffff:192.0.2.7"),
        ("ssl:7007", "0.0.0.0"),
        ("tcp:7007:interface=example.com", "example.com"),
    ],
)
def test_an_endpoint_that_others_can_reach_is_refused(endpoint: str, where: str) -> None:
    """The message says why, and the ways out: loopback, a list of addresses, or TLS."""
    message = refusal(endpoint=endpoint)
    assert f"listens on {where}, which other machines can reach" in message
    assert 'allow_remote = true with allow_addresses = ["192.0.2.0/24"]' in message
    assert "--allow-remote --allow-address 192.0.2.0/24" in message and "[service.tls]" in message
    loopback = r"interface=\:\:1" if endpoint.startswith("tcp6") else "interface=127.0.0.1"
    assert f"add {loopback}" in message
    allowed = prepared(endpoint=endpoint, allow_remote=True, allow_addresses=("192.0.2.0/24",))
    assert allowed.endpoint.isRemote


@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp:0:interface=127.0.0.1",
        "tcp:0:interface=127.1.2.3",
        "tcp:0:interface=localhost",
        r"tcp6:0:interface=\:\:1",
        r"tcp6:0:interface=\:\:ffff\:127.0.0.1",
        "unix:/tmp/never.sock",
        "systemd:domain=INET:name=loopbackd",
        "haproxy:tcp:0:interface=127.0.0.1",
    ],
)
def test_an_endpoint_of_this_machine_is_taken(endpoint: str) -> None:
    """Nothing listens yet."""
    assert prepared(endpoint=endpoint).endpoint.text == endpoint


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("tcp", "endpoint 'tcp' is not complete; write for example tcp:7007:"),
        ("7007", "endpoint '7007' is not complete"),
        ("tcp:http", "port 'http' is not a number from 0 to 65535"),
        ("tcp:70000", "port '70000' is not a number from 0 to 65535"),
        ("unix:", "has no path; write unix:/path/to.sock"),
    ],
)
def test_an_endpoint_that_is_none_is_refused(endpoint: str, said: str) -> None:
    """As far as that can be seen without listening."""
    assert said in refusal(endpoint=endpoint)


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("127.0.0.1:7007", "no kind '127.0.0.1'; write for example tcp:7007:interface=127.0.0.1"),
        ("tpc:7007", "no kind 'tpc'; did you mean 'tcp'?"),
    ],
)
def test_an_endpoint_of_no_kind_is_refused(endpoint: str, said: str) -> None:
    """Before anything listens, so that check-config tells it as well."""
    settings = Settings(service=(ServiceSettings(name="it", endpoint=endpoint),))
    with pytest.raises(SettingsError, match="service 'it'") as caught:
        prepare(settings, Path("/"))
    assert said in str(caught.value)


def test_an_endpoint_of_a_plugin_is_taken() -> None:
    """Twisted finds these by itself."""
    endpoint = "haproxy:tcp:0:interface=127.0.0.1"
    settings = Settings(service=(ServiceSettings(name="it", endpoint=endpoint),))
    assert prepare(settings, Path("/"))["it"].endpoint.kind == "haproxy"


@pytest.mark.parametrize("protocol", sorted(SPEAK_ONLY))
def test_a_first_byte_nobody_waits_for(protocol: str) -> None:
    """A deadline for it would reset every client of a protocol that only speaks."""
    message = refusal(protocol=protocol, first_byte_timeout=1)
    assert message.endswith(f"{protocol} waits for no byte; remove first_byte_timeout")


def test_a_first_byte_that_is_waited_for() -> None:
    """Any other protocol may have the deadline."""
    assert prepared(protocol="echo", first_byte_timeout=1).settings.first_byte_timeout == 1


def test_users_by_name_and_number() -> None:
    """Names become uids; none at all is everybody."""
    me = pwd.getpwuid(os.geteuid())
    assert prepared(allow_uids=(me.pw_name, 4294967294)).allowed == {me.pw_uid, 4294967294}
    assert prepared().allowed is None


@pytest.mark.parametrize("name", ["nobody-of-that-name", "", "a\0b", "\n"])
def test_a_user_there_is_not(name: str) -> None:
    """It is named, and what could be written instead."""
    message = refusal(allow_uids=(name,))
    assert f"allow_uids: there is no user {name!r}; write a name of this machine's or a uid" in (
        message
    )


def test_what_auto_hands_over_to() -> None:
    """Each kind has the factory of its route; a PROXY header is taken off."""
    made: Any = prepared(routes=Routes(other="qotd"))
    assert type(made.factory.routes["other"]).__name__ == "QotdFactory"
    assert type(made.factory.routes["silent"]).__name__ == "TalkFactory"
    assert sorted(made.factory.routes) == ["http", "http2", "other", "silent"]
    assert made.factory.terminator is not None
    made = prepared(routes=Routes(proxy="echo"))
    assert type(made.factory.routes["proxy"]).__name__ == "EchoFactory"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("", 'a relay leads to a target; write target = "127.0.0.1:6379"'),
        ("redis", "target 'redis' is no address"),
    ],
)
def test_a_relay_that_leads_nowhere(target: str, said: str) -> None:
    """Is found before anything listens."""
    assert said in refusal(protocol="relay", target=target)


@pytest.mark.parametrize(
    ("routes", "said"),
    [
        (Routes(http="auto"), "routes: http = 'auto' leads nowhere; name another protocol"),
        (Routes(other="relay"), "routes: other = 'relay' leads nowhere"),
        (Routes(other="unwrap"), "routes: other = 'unwrap' leads nowhere"),
        (Routes(proxy=Route(protocol="auto")), "routes: proxy = 'auto' leads nowhere"),
        (Routes(tls="no-such"), "routes: tls: there is no protocol 'no-such'; there are auto,"),
        (
            Routes(silent=Route(protocol="talk", options={"x": 1})),
            "routes: silent: protocol 'talk': got an unexpected keyword argument 'x'",
        ),
    ],
)
def test_a_route_that_leads_nowhere(routes: Routes, said: str) -> None:
    """It is named with its kind."""
    assert said in refusal(routes=routes)


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (LogSettings(level="loud"), 'log: log level "loud" is not one of debug, info,'),
        (LogSettings(levels={"a": "b"}), 'log: log level "b" for "a" is not one of'),
        (LogSettings(format="xml"), 'log: log format "xml" is not one of text, json'),
    ],
)
def test_a_log_that_cannot_be(log: LogSettings, said: str) -> None:
    """The wrong word is named with the right ones, and nothing is configured yet."""
    with pytest.raises(SettingsError) as caught:
        prepare(Settings(log=log), Path("/"))
    assert str(caught.value).startswith(said)


def test_a_file_is_named_once(tmp_path: Path) -> None:
    """Whether its text or what it asks for is wrong."""
    path = tmp_path / "it.toml"
    for text in ("drain = -1", "[[service]]\nprotocol = 'no-such'", "[log]\nlevel = 'loud'"):
        path.write_text(text)
        with pytest.raises(SettingsError) as caught:
            load(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert str(caught.value).count("it.toml") == 1


def test_paths_in_a_file_are_relative_to_it(tmp_path: Path) -> None:
    """Wherever the daemon runs."""
    (tmp_path / "mine.py").write_text(
        "from twisted.internet.protocol import Protocol\nclass P(Protocol): pass"
    )
    (tmp_path / "it.toml").write_text("[[service]]\nprotocol = './mine.py:P'")
    settings, services = load(tmp_path / "it.toml")
    assert [service.name for service in settings.service] == ["P"] == list(services)


def test_the_example_can_be_had() -> None:
    """etc/loopbackd.toml is a configuration."""
    load(Path(__file__).parent.parent / "etc" / "loopbackd.toml")


def test_what_is_the_same(tmp_path: Path) -> None:
    """A service is the same with the same settings, except that a file is always read again."""
    assert prepared().isSame(prepared())
    assert not prepared().isSame(prepared(idle_timeout=1))
    path = tmp_path / "mine.py"
    path.write_text("from twisted.internet.protocol import Protocol\nclass P(Protocol): pass")
    assert not prepared(protocol=f"{path}:P").isSame(prepared(protocol=f"{path}:P"))


def test_a_service_that_is_switched_is_the_same(tmp_path: Path) -> None:
    """With the same factory, also where that came from a file."""
    path = tmp_path / "mine.py"
    path.write_text("from twisted.internet.protocol import Protocol\nclass P(Protocol): pass")
    mine = prepared(protocol=f"{path}:P")
    off = mine.switched(False)
    assert not off.settings.enabled and off.factory is mine.factory
    assert mine.isSame(off) and off.isSame(mine) and mine.switched(True) is mine


def test_what_is_off_needs_no_place_of_its_own() -> None:
    """Two services can be alternatives."""
    both = [ServiceSettings(name=name, protocol="echo", enabled=name == "a") for name in ("a", "b")]
    assert list(prepare(Settings(service=tuple(both)), Path())) == ["a", "b"]


def test_who_cannot_have_the_same_place() -> None:
    """One endpoint is one place; a port of its own is each service's own."""
    assert prepared(name="a").place == prepared(name="b").place
    chosen = "tcp:0:interface=127.0.0.1"
    assert prepared(name="a", endpoint=chosen).place != prepared(name="b", endpoint=chosen).place


words = st.text(st.sampled_from("tcp6:0189=.\\/unixsydm[]@\0é "), max_size=20) | st.text(min_size=1)


@given(
    words.filter(bool), st.just("echo") | words.filter(bool), st.lists(st.text() | st.integers(0))
)
def test_whatever_is_asked_is_prepared_or_one_line(
    endpoint: str, protocol: str, uids: list[Any]
) -> None:
    """No text raises anything but SettingsError."""
    try:
        prepared(endpoint=endpoint, protocol=protocol, allow_uids=tuple(uids))
    except SettingsError as error:
        assert len(str(error).splitlines()) == 1


@pytest.mark.parametrize(
    "second",
    ["tcp:7007:interface=127.0.0.1", "tcp:interface=127.0.0.1:port=7007", "tcp:7007:127.0.0.1"],
)
def test_two_services_cannot_share_an_address(second: str) -> None:
    """However its endpoint is written."""
    first = ServiceSettings(name="a", endpoint="tcp:7007:interface=127.0.0.1")
    other = ServiceSettings(name="b", endpoint=second)
    with pytest.raises(SettingsError, match="'a' and 'b' have the same endpoint"):
        prepare(Settings(service=(first, other)), Path())


def test_two_services_can_each_have_a_port_of_their_own() -> None:
    """Port 0 is a different port each time."""
    services = [
        ServiceSettings(name=name, endpoint="tcp:interface=127.0.0.1:port=0") for name in "ab"
    ]
    assert len(prepare(Settings(service=tuple(services)), Path())) == 2


@pytest.mark.parametrize("target", ["127.0.0.1:7007", "tcp:127.0.0.1:7007", "localhost:7007"])
def test_a_relay_to_itself_is_refused(target: str) -> None:
    """It would connect to itself until there is no room left."""
    relay = ServiceSettings(
        name="it", protocol="relay", target=target, endpoint="tcp:7007:interface=127.0.0.1"
    )
    with pytest.raises(SettingsError, match=r"'it': the target .* is where it listens itself"):
        prepare(Settings(service=(relay,)), Path())
    elsewhere = msgspec.structs.replace(relay, endpoint="tcp:7008:interface=127.0.0.1")
    assert list(prepare(Settings(service=(elsewhere,)), Path())) == ["it"]
