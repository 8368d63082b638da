"""Tests for L{loopbackd.doctor.facts.nameservice}."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import fakeprograms
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.doctor.facts import nameservice
from loopbackd.doctor.facts.names import Resolved
from loopbackd.doctor.facts.nameservice import (
    Source,
    Switch,
    askOne,
    askSources,
    parseSwitch,
    readSwitch,
)

DESKTOP = "hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns"
AVAHI = "hosts:  files mdns4_minimal [NOTFOUND=return] dns # and so on"


def knowing(**knows: str) -> Callable[[str, str], Resolved]:
    """Sources that know these addresses."""
    return lambda source, name: Resolved(name, tuple(knows.get(source, "").split()))


@pytest.mark.parametrize(
    ("text", "names", "line"),
    [
        ("", ["files", "dns"], 0),
        ("# hosts: dns\npasswd: files\n", ["files", "dns"], 0),
        ("passwd: files\nhosts:\tfiles  dns\n", ["files", "dns"], 2),
        (DESKTOP, ["mymachines", "resolve", "files", "myhostname", "dns"], 1),
        (AVAHI, ["files", "mdns4_minimal", "dns"], 1),
        ("hosts: dns\nhosts: files", ["files"], 2),
        ("hosts:", [], 1),
    ],
)
def test_the_order(text: str, names: list[str], line: int) -> None:
    """Of those who are asked; without a line it is the C library's own."""
    found = parseSwitch(text)
    assert (found.names, found.line) == (names, line)


def test_reactions() -> None:
    """They belong to the source before them; one of them can end the search."""
    avahi = parseSwitch(AVAHI)
    assert avahi.sources[1] == Source("mdns4_minimal", "NOTFOUND=return")
    assert avahi.sources[1].endsHere and not avahi.sources[0].endsHere
    assert not parseSwitch(DESKTOP).sources[1].endsHere
    assert str(avahi) == "files mdns4_minimal [NOTFOUND=return] dns"


@given(st.text())
def test_any_text(text: str) -> None:
    """It is understood in some way."""
    parseSwitch(text)
    parseSwitch("hosts: " + text)


def test_nobody_hears_of_a_name_who_need_not() -> None:
    """The first who knows it is the last who is asked."""
    answers = askSources("a.test", Switch(), knowing(files="127.0.0.1", dns="10.0.0.1"))
    assert [one.resolved and one.resolved.addresses for one in answers] == [("127.0.0.1",), None]
    assert answers[1].why == "not asked: files has answered"


def test_the_last_word() -> None:
    """Nor after one whose word is final."""
    answers = askSources("a.local", parseSwitch(AVAHI), knowing(dns="10.0.0.1"))
    assert [one.resolved is not None for one in answers] == [True, True, False]
    assert answers[2].why == "not asked: mdns4_minimal had the last word"


def test_a_real_source(program: Callable[..., str]) -> None:
    """The hosts file alone, as the C library asks it; one that there is not knows nothing."""
    program("getent")
    assert "127.0.0.1" in askOne("files", "localhost").addresses
    assert askOne("files", "no-such-name.invalid").error == "does not know it"
    assert askOne("nosuchsource", "localhost").error == "does not know it"
    assert askOne("files", "-x").error == "does not know it"
    assert readSwitch().sources


@pytest.mark.parametrize(
    ("script", "addresses", "error"),
    [
        ("while :; do echo 10.0.0.1 STREAM a.test; done", ("10.0.0.1",), ""),
        (
            "seq -f '10.0.0.%g STREAM' 1 250; exit 2",
            tuple(f"10.0.0.{n}" for n in range(1, 251)),
            "",
        ),
        ("exit 2", (), "does not know it"),
        ("exec sleep 60", (), "no answer in time"),
        ("yes", (), "it says too much"),
    ],
)
def test_a_source_that_goes_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    addresses: tuple[str, ...],
    error: str,
) -> None:
    """A source with more to say than anybody needs, or nothing for ever, is cut short."""
    fakeprograms.put(tmp_path / "getent", script)
    fakeprograms.firstIn(monkeypatch, tmp_path)
    monkeypatch.setattr(nameservice, "_PATIENCE", 0.5)
    assert askOne("files", "a.test") == Resolved("a.test", addresses, error)


def test_no_getent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked, and it is said why."""
    fakeprograms.lookIn(monkeypatch, tmp_path)
    assert [one.why for one in askSources("a.test", Switch())] == ["getent is not installed"] * 2


def test_no_file(tmp_path: object) -> None:
    """The usual order."""
    assert readSwitch(f"{tmp_path}/none").names == ["files", "dns"]
