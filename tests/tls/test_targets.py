"""Tests for L{loopbackd.tls.targets}."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from twisted.internet.testing import MemoryReactorClock

from loopbackd.settings import SettingsError
from loopbackd.targetsettings import TargetTLSSettings
from loopbackd.tls.certificates import certificatePEM, makeAuthority
from loopbackd.tls.store import wallClock
from loopbackd.tls.targetpolicy import pinText
from loopbackd.tls.targets import TLSWay, parseTLSTarget
from tls.ends import storeIn, written
from tls.targetcases import leaf


def wayTo(tmp_path: Path, text: str = "tls:db.test:5432", **settings: Any) -> TLSWay:
    """One that is found good."""
    asked = TargetTLSSettings(**settings)
    return parseTLSTarget(text, asked, storeIn(tmp_path), tmp_path)


def test_what_is_asked_of_a_target_is_what_the_settings_say(tmp_path: Path) -> None:
    """The name, the protocols, the pin, the version."""
    digest = bytes(range(32))
    one = wayTo(tmp_path, pin=pinText(digest), min_version="1.3", alpn=("h2",))
    policy = one._policyFor("other.test", (b"http/1.1",))
    assert (policy.serverName, policy.alpn) == ("db.test", (b"h2",))
    assert (policy.pin, policy.minVersion) == (digest, "1.3")
    assert wayTo(tmp_path, server_name="a.test")._policyFor("b.test", ()).serverName == "a.test"
    assert wayTo(tmp_path, "tls:db.test.:1")._policyFor("", ()).serverName == "db.test"


def test_what_the_client_asked_for_is_passed_on(tmp_path: Path) -> None:
    """Its protocols by default, its server name where that is asked for, if it has one."""
    policy = wayTo(tmp_path)._policyFor("client.test", (b"h2", b"", b"x" * 300, b"http/1.1"))
    assert (policy.serverName, policy.alpn) == ("db.test", (b"h2", b"http/1.1"))
    one = wayTo(tmp_path, server_name="client", alpn=())
    policy = one._policyFor("client.test", (b"h2",))
    assert (policy.serverName, policy.alpn) == ("client.test", ())
    assert one._policyFor("", ()).serverName == "db.test"


def test_our_own_authority_is_the_one_of_the_moment(tmp_path: Path) -> None:
    """Not made before it is needed; and a new one is noticed."""
    store = storeIn(tmp_path)
    one = parseTLSTarget("tls:a.test:1", TargetTLSSettings(trust="own"), store, tmp_path)
    assert not store.exists()
    first = one._contextNow()
    assert store.exists() and one._contextNow() is first
    store.replace()
    assert one._contextNow() is not first
    assert one._policy.authorities == (store.root().certificate,)


def test_files_are_relative_to_the_configuration(tmp_path: Path) -> None:
    """Those in the string as those in the settings."""
    authority = makeAuthority(wallClock())
    (tmp_path / "ca.pem").write_bytes(certificatePEM(authority.certificate))
    written(tmp_path / "me.pem", leaf(authority, "me", purpose="client"))
    for one in (
        wayTo(tmp_path, trust="ca.pem", certificate="me.pem"),
        wayTo(tmp_path, "tls:a.test:1:trustRoots=ca.pem:certificate=me.pem:privateKey=me.pem"),
    ):
        assert one._policy.authorities == (authority.certificate,)
        assert one._policy.credential is not None
    assert (
        TargetTLSSettings(trust="ca.pem").hasFiles and TargetTLSSettings(private_key="x").hasFiles
    )
    assert not TargetTLSSettings(trust="own").hasFiles


@pytest.mark.parametrize(
    ("text", "settings", "what"),
    [
        ("tls:a.test:1", {"trust": "nowhere.pem"}, "trust = .*nowhere.pem.*No such file"),
        ("tls:a.test:1", {"pin": "abc"}, "pin = 'abc' is no SHA-256"),
        ("tls:a.test:1", {"server_name": "a b"}, "server_name = 'a b' is no host name"),
        ("tls:a.test:1", {"certificate": "me.pem"}, "certificate = .*me.pem"),
        ("tls:a.test:1", {"private_key": "me.pem"}, "without a certificate"),
        ("tls:a.test:1:trustRoots=ca", {"trust": "own"}, "give one of them"),
        ("tls:a.test:1:certificate=c", {"certificate": "c"}, "give one of them"),
    ],
)
def test_settings_that_are_wrong(
    tmp_path: Path, text: str, settings: dict[str, str], what: str
) -> None:
    """One line that names the target, the key and the value."""
    with pytest.raises(SettingsError, match=what) as caught:
        wayTo(tmp_path, text, **settings)
    assert str(caught.value).startswith(f"target {text!r}: ") and "\n" not in str(caught.value)


def test_the_schema_takes_client_or_a_list() -> None:
    """And nothing else."""
    asked = msgspec.convert({"alpn": ["h2"], "server_name": "client"}, TargetTLSSettings)
    assert asked.alpn == ("h2",)
    assert msgspec.convert({"alpn": "client"}, TargetTLSSettings).alpn == "client"
    for wrong in ({"alpn": "h2"}, {"alpn": ["\u00e4"]}, {"min_version": "1.1"}, {"trust": ""}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, TargetTLSSettings)


def test_where_it_connects_to(tmp_path: Path) -> None:
    """Addresses without asking anybody, within the deadline, from the address that is wanted."""
    store = storeIn(tmp_path)
    reactor = MemoryReactorClock()
    text = "tls:127.0.0.1:5432:timeout=3:bindAddress=127.0.0.9"
    reach = parseTLSTarget(text, TargetTLSSettings(trust="own"), store, Path()).on(reactor)
    errors: list[Any] = []
    from tls.targetcases import Giving

    reach("", ()).connect(Giving(None)).addErrback(errors.append)
    host, port, _, seconds, bind = reactor.tcpClients[0]
    assert (host, port, bind) == ("127.0.0.1", 5432, ("127.0.0.9", 0)) and seconds > 3
    reactor.advance(3.1)
    assert "cannot be reached in time" in str(errors[0].value)
    assert text in str(errors[0].value)
