"""Tests for L{loopbackd.doctor.checks.naming} and C{loopbackd hosts}."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from mounted import mounted

from loopbackd.cli import main
from loopbackd.doctor.checks.naming import checkNaming, isAddress
from loopbackd.doctor.facts.hostsfile import HOSTS, MOST, parseHosts
from loopbackd.doctor.facts.names import Resolved
from loopbackd.doctor.facts.nameservice import SWITCH, Answer, Source, Switch
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.loglines import escape

FILE = parseHosts(b"127.0.0.1 localhost app.test\n::1 localhost\n10.0.0.1 away.test\n")
SWITCHED = Switch((Source("files"), Source("dns")), 12)


def naming(name: str, *addresses: str, answers: tuple[Answer, ...] = ()) -> dict[str, Finding]:
    """What is found about a name that leads there."""
    error = "" if addresses else "Name or service not known"
    found = checkNaming(Resolved(name, addresses, error), FILE, SWITCHED, answers)
    return {one.kind: one for one in found}


def test_a_name_in_the_file() -> None:
    """The line, who is asked, who answered, and what comes of it."""
    answers = (
        Answer(Source("files"), Resolved("app.test", ("127.0.0.1",))),
        Answer(Source("dns"), why="not asked: files has answered"),
    )
    found = naming("app.test", "127.0.0.1", answers=answers)
    assert list(found) == ["name-leads"]
    assert found["name-leads"].says == "app.test leads to 127.0.0.1, this machine."
    assert found["name-leads"].evidence == (
        "/etc/hosts line 1: 127.0.0.1 localhost app.test",
        "nsswitch.conf, line 12: hosts: files dns",
        "files: 127.0.0.1",
        "dns: not asked: files has answered",
        "getaddrinfo: 127.0.0.1",
    )


@pytest.mark.parametrize(
    ("name", "addresses", "kinds"),
    [
        ("localhost", ("::1", "127.0.0.1"), ["name-leads", "name-both-families"]),
        ("localhost", ("127.0.0.1", "10.0.0.1"), ["name-leads", "localhost-elsewhere"]),
        ("x.localhost", ("10.0.0.1",), ["name-leads", "localhost-elsewhere"]),
        ("x.localhost", (), ["name-unknown"]),
        ("app.test", ("127.0.0.1", "10.0.0.1"), ["name-leads", "name-leads-apart"]),
        ("app.test", ("127.0.0.2",), ["name-leads", "hosts-not-followed"]),
        ("other.test", ("10.0.0.1", "10.0.0.2"), ["name-leads"]),
        ("127.0.0.1", ("127.0.0.1",), ["name-is-address"]),
        ("127.1", ("127.0.0.1",), ["name-is-address"]),
    ],
)
def test_what_is_odd(name: str, addresses: tuple[str, ...], kinds: list[str]) -> None:
    """About where a name leads, and where it should."""
    assert list(naming(name, *addresses)) == kinds


def test_names_that_lead_nowhere() -> None:
    """What to do about it depends on the name; a command can be pasted whatever the name is."""
    assert any("curl and browsers" in one for one in naming("x.localhost")["name-unknown"].remedy)
    assert naming("app.test.")["name-unknown"].remedy[0].endswith("in /etc/hosts: app.test")
    command = naming("a'$(reboot)")["name-unknown"].remedy[-1].partition(": ")[2]
    assert shlex.split(command)[1] == "127.0.0.1 a'$(reboot)"


@given(st.text(min_size=1), st.lists(st.sampled_from(["127.0.0.1", "::1", "10.0.0.1"])))
def test_any_name(name: str, addresses: list[str]) -> None:
    """It is explained."""
    found = naming(name, *addresses)
    assert found
    assert escape(next(iter(found.values())).kind) in found


def test_addresses() -> None:
    """Nobody is asked about those, also in their old forms."""
    assert all(map(isAddress, ["127.0.0.1", "::1", "fe80::1%lo", "127.1", "0x7f000001", "1"]))
    assert not any(map(isAddress, ["localhost", "a.b", "127.0.0.1.test", ""]))


# The commands.


def run(*words: str) -> Result:
    """C{loopbackd hosts}."""
    result = CliRunner().invoke(main, ["hosts", *words])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def test_checking_this_machine() -> None:
    """Nothing is wrong with it."""
    result = run("check")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("/etc/hosts\n") and "Nothing is wrong." in result.stdout


def test_checking_another_file(tmp_path: Path) -> None:
    """What is wrong with it, in words and in JSON; no matter who may write it."""
    path = tmp_path / "hosts"
    path.write_bytes(b"10.0.0.1 localhost\r\n")
    path.chmod(0o666)
    result = run("check", "--file", str(path))
    assert result.exit_code == 1
    assert "(hosts-localhost-elsewhere)" in result.stdout and "(hosts-crlf)" in result.stdout
    value = json.loads(run("check", "--file", str(path), "--json").stdout)
    assert [one["kind"] for one in value["findings"]] == ["hosts-localhost-elsewhere", "hosts-crlf"]


def test_checking_what_is_not_there(tmp_path: Path) -> None:
    """It could not look."""
    result = run("check", "--file", str(tmp_path / "none"))
    assert result.exit_code == 2
    assert "none: No such file or directory" in result.stderr


def test_checking_a_large_file(tmp_path: Path) -> None:
    """It is not waited for: it is said how much of it was looked at."""
    path = tmp_path / "hosts"
    line = b"0.0.0.0 advertisements.example\n"
    path.write_bytes(line * (3 * MOST // len(line)))
    began = time.process_time()
    result = run("check", "--file", str(path), "--json")
    assert time.process_time() - began < 20
    large, led = json.loads(result.stdout)["findings"]
    assert result.exit_code == 1 and (large["kind"], led["kind"]) == (
        "hosts-large",
        "hosts-led-here",
    )
    assert (
        f"has {path.stat().st_size} bytes: only the first {MOST // len(line) * len(line)} were"
        in (large["says"])
    )


@pytest.mark.parametrize("what", ["pipe", "/dev/zero", "directory"])
def test_checking_what_is_no_file(tmp_path: Path, what: str) -> None:
    """Nothing that could go on for ever is read."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    result = run("check", "--file", str(tmp_path / what))
    assert result.exit_code == 2 and f"{what}: it is no regular file" in result.stderr


def test_explaining(program: Callable[..., str]) -> None:
    """Where it leads, the line, who answered; 1 where it leads nowhere."""
    program("getent")
    result = run("explain", "localhost")
    assert result.exit_code == 0
    assert "localhost leads to 127.0.0.1" in result.stdout.replace("::1, ", "")
    value: Any = json.loads(run("explain", "localhost", "--json").stdout)
    assert "127.0.0.1" in value["addresses"]
    assert any("localhost" in one["names"] for one in value["lines"])
    assert [one for one in value["sources"] if one["asked"]]
    assert run("explain", "127.1").exit_code == 0


@pytest.mark.parametrize("name", ["", "a b", "http://x", "a\x1bb", "x" * 300])
def test_no_name(name: str) -> None:
    """Wrong usage."""
    result = run("explain", name)
    assert result.exit_code == 2 and "is no name of a host" in result.stderr


@pytest.mark.usefixtures("needsRoot")
def test_a_file_in_the_place_of_the_systems_explained(tmp_path: Path) -> None:
    """The real resolver, the real sources, and a name that leads to two places."""
    data = b"127.0.0.1 localhost\n127.0.0.1 app.test\n192.0.2.7 app.test\n"
    files = {HOSTS: data, SWITCH: b"hosts: files dns\n"}
    result = mounted(tmp_path, files, lambda: _plain(run("explain", "app.test", "--json")))
    assert result[0] == 1
    value = json.loads(result[1])
    assert sorted(value["addresses"]) == ["127.0.0.1", "192.0.2.7"]
    assert [one["line"] for one in value["lines"]] == [2, 3]
    assert [(one["name"], one["asked"]) for one in value["sources"]] == [
        ("files", True),
        ("dns", False),
    ]
    assert [one["kind"] for one in value["findings"]] == ["name-leads-apart", "name-leads"]


@pytest.mark.usefixtures("needsRoot")
def test_a_name_that_leads_nowhere_explained(tmp_path: Path) -> None:
    """Each source says so itself."""
    files = {HOSTS: b"127.0.0.1 localhost\n", SWITCH: b"hosts: files\n"}
    code, said = mounted(tmp_path, files, lambda: _plain(run("explain", "a.localhost")))
    assert code == 1
    assert "files: does not know it" in said and "libnss-myhostname" in said


def _plain(result: Result) -> tuple[int, str]:
    """What of it another process can have."""
    return result.exit_code, result.stdout


def test_severities() -> None:
    """What leads nowhere, and localhost elsewhere, does not work."""
    assert naming("x.test")["name-unknown"].severity is Severity.PROBLEM
    assert naming("localhost", "10.0.0.1")["localhost-elsewhere"].severity is Severity.PROBLEM
