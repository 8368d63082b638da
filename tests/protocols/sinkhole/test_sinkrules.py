"""Tests for L{loopbackd.protocols.sinkhole.rules}."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.cli import main
from loopbackd.protocols.sinkhole.rules import Decision, Rules, sinkSettings

PATTERNS = st.text("ab.*", min_size=1, max_size=6).filter(lambda one: one.strip("."))
NAMES = st.text("ab.", max_size=8)
ANSWERS = st.sampled_from(["page", "204", "close", "reset"])


def rules(**options: Any) -> Rules:
    """Those that these options ask for."""
    return Rules(sinkSettings(options))


def test_the_first_that_fits_decides() -> None:
    """Names in any case, with or without a final dot; a star is any characters, dots too."""
    asked = rules(
        answer="204",
        status=403,
        rules=[
            {"host": "good.ads.example", "answer": "page", "status": 200},
            {"host": ["*.ads.example", "ads.example"], "answer": "reset"},
            {"host": "[::1]", "answer": "close"},
        ],
    )
    assert asked.decide("good.ads.example") == Decision("page", 200, "good.ads.example")
    assert asked.decide("A.B.ADS.example.") == Decision("reset", 403, "*.ads.example")
    assert asked.decide("ads.example") == Decision("reset", 403, "ads.example")
    assert asked.decide("badads.example") == Decision("204", 403)
    assert asked.decide("[::1]") == Decision("close", 403, "[::1]")
    assert asked.decide("") == Decision("204", 403)
    assert asked.decide("ads.example").gets("reset") == "reset (rule ads.example)"
    assert rules().decide("a") == Decision("page", 200)


def test_the_number_204_is_meant() -> None:
    """TOML has both."""
    assert rules(answer=204, rules=[{"host": "a", "answer": 204}]).decide("b").answer == "204"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"answer": "block"}, "options: answer = 'block': write 'page', '204', 'close' or 'reset'"),
        ({"colour": 1}, "options: unknown key 'colour'"),
        ({"status": 204}, 'status = 204: a page cannot have that; write answer = "204"'),
        ({"status": 100}, "options: status = 100: expected a whole number >= 200"),
        ({"patience": 0}, "options: patience = 0"),
        ({"rules": {"host": "a"}}, "options: rules"),
        ({"rules": [{"answer": "page"}]}, "the key 'host' is missing"),
        ({"rules": [{"host": "a", "anser": "page"}]}, "did you mean 'answer'?"),
        ({"rules": [{"host": [], "answer": "page"}]}, "rules: 1: host is empty"),
        ({"rules": [{"host": "http://a", "answer": "page"}]}, "host = 'http://a': write a name"),
        ({"rules": [{"host": "b\u00fccher.example", "answer": "page"}]}, "in its xn-- form"),
        ({"rules": [{"host": "a", "answer": "204", "status": 200}]}, "status is for the page"),
        (
            {"rules": [{"host": "*", "answer": "204"}, {"host": "*.a", "answer": "page"}]},
            "rules: 2: host = '*.a' never decides, for '*' comes before it",
        ),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], said: str) -> None:
    """The key, the value, and what to write."""
    with pytest.raises(ValueError, match=re.escape(said)):
        rules(**options)


@given(st.lists(st.tuples(PATTERNS, ANSWERS), max_size=5), NAMES)
def test_any_rules(asked: list[tuple[str, str]], name: str) -> None:
    """They decide as the first pattern that fits, and one that never could is refused."""
    try:
        made = rules(rules=[{"host": host, "answer": answer} for host, answer in asked])
    except ValueError as error:
        assert "never decides" in str(error)
        return
    plain = name.rstrip(".")
    fits = [answer for host, answer in asked if fnmatchcase(plain, host.rstrip("."))]
    assert made.decide(name).answer == (fits[0] if fits else "page")


@given(PATTERNS, PATTERNS, NAMES)
def test_a_rule_that_is_refused_would_never_have_decided(
    earlier: str, later: str, name: str
) -> None:
    """Whatever fits it fits the one before it."""
    try:
        rules(rules=[{"host": earlier, "answer": "204"}, {"host": later, "answer": "close"}])
    except ValueError:
        plain = name.rstrip(".")
        if fnmatchcase(plain, later.rstrip(".")):
            assert fnmatchcase(plain, earlier.rstrip("."))


@pytest.mark.parametrize(
    ("protocol", "options", "said"),
    [
        ("sinkhole", "rules = [{ host = 'a', answer = 'no' }]", "answer = 'no'"),
        ("sinkhole", "anser = 'page'", "did you mean 'answer'?"),
        ("tripwire", "answer = 'page'", "answer = 'page': write reset, close or hold"),
        ("tripwire", "rules = []", "its options are: answer, patience, held_for, most_held"),
    ],
)
def test_check_config(tmp_path: Path, protocol: str, options: str, said: str) -> None:
    """Mistakes are found before anything listens, in one line."""
    path = tmp_path / "it.toml"
    path.write_text(f"[[service]]\nprotocol = '{protocol}'\n[service.options]\n{options}\n")
    result = CliRunner().invoke(main, ["check-config", str(path)])
    assert result.exit_code == 1
    assert said in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("protocol", ["sinkhole", "tripwire"])
def test_tls_is_not_spoken(tmp_path: Path, protocol: str) -> None:
    """Both hear who begins with TLS; a handshake would come before that."""
    path = tmp_path / "it.toml"
    path.write_text(f"[[service]]\nprotocol = '{protocol}'\n[service.tls]\n")
    result = CliRunner().invoke(main, ["check-config", str(path)])
    assert result.exit_code == 1 and "remove [service.tls]" in result.stderr
