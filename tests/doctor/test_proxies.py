"""Tests for L{loopbackd.doctor.checks.proxies}."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_proxies_facts import answering, ports

from loopbackd.doctor.checks.proxies import checkProxies, remedy, remedyValues
from loopbackd.doctor.facts.proxies import CLIENTS, Target, readProxies
from loopbackd.doctor.finding import Severity

__all__ = ["answering", "ports"]

PROXY = "http://me:secret@proxy.example:3128"
LOCAL = Target("http", "localhost", 8080)
NAMES = ["http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY", "ws_proxy"]
ENVIRON = st.dictionaries(
    st.sampled_from(NAMES), st.sampled_from(["", PROXY, "proxy:80"]), max_size=4
)
EXCEPTIONS = st.dictionaries(
    st.sampled_from(["no_proxy", "NO_PROXY"]),
    st.sampled_from(["", "*", "a,*", "a b", " localhost", "127.0.0.1 ,x", "$(reboot)", "'", ",,"])
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
    max_size=2,
)
TARGETS = st.builds(
    Target,
    st.sampled_from(["http", "https", "ws"]),
    st.sampled_from(["localhost", "127.0.0.1", "127.8.8.8", "::1", "app.test", "a.localhost"]),
    st.sampled_from([80, 8080]),
)


def test_nothing_is_caught() -> None:
    """Where there is no proxy, or no request gets there."""
    for environ in ({}, {"https_proxy": PROXY}, {"http_proxy": PROXY, "no_proxy": "localhost"}):
        assert list(checkProxies(readProxies(environ), [LOCAL])) == []


def test_what_is_caught() -> None:
    """Who, by which variable, and the line that ends it; and no password."""
    (one,) = checkProxies(readProxies({"http_proxy": PROXY}), [LOCAL])
    assert (one.kind, one.severity) == ("proxy-catches-local", Severity.WARNING)
    assert one.says == (
        "curl, Python's urllib and Python's requests send requests for http://localhost:8080 to a"
        " proxy."
    )
    assert "http_proxy=http://...@proxy.example:3128" in one.evidence
    assert "not caught: Go" in one.evidence and "no_proxy is not set" in one.evidence
    assert one.remedy[0] == "export no_proxy=localhost,127.0.0.1,::1"
    assert "secret" not in repr(one)


def test_what_is_excepted_stays_excepted() -> None:
    """The list there is goes on; Go's comes along where it is another."""
    environ = {"HTTP_PROXY": PROXY, "no_proxy": ".corp.example", "NO_PROXY": "10.0.0.0/8"}
    (one,) = checkProxies(readProxies(environ), [Target("http", "app.test", 80)])
    words = ".corp.example,10.0.0.0/8,localhost,127.0.0.1,::1,app.test"
    assert one.remedy[0] == f"export no_proxy={words} NO_PROXY={words}"


@given(ENVIRON, EXCEPTIONS, st.lists(TARGETS, min_size=1, max_size=3))
def test_the_remedy_helps(
    environ: dict[str, str], excepted: dict[str, str], targets: list[Target]
) -> None:
    """After it no client asks a proxy for any of them, and a shell reads it as it is meant."""
    there = readProxies({**environ, **excepted})
    values = remedyValues(there, targets)
    remedied = readProxies({**environ, **excepted, **values})
    assert list(checkProxies(remedied, targets)) == []
    for client, choose in CLIENTS.items():
        assert not any(choose(remedied, target) for target in targets), client
    assert shlex.split(" ".join(remedy(there, targets))) == [f"{n}={v}" for n, v in values.items()]


def test_a_request_that_goes_to_the_proxy(
    ports: tuple[int, int], program: Callable[..., str]
) -> None:
    """A real curl, before and after the line that the finding says."""
    curl = program("curl")
    proxy, direct = ports
    target = Target("http", "localhost", direct)
    environ = {"http_proxy": f"http://127.0.0.1:{proxy}"}

    def goes(before: str) -> str:
        command = f"{before}; {shlex.quote(curl)} -s -m 9 {target}/"
        return subprocess.run(
            ["sh", "-c", command],
            env={"PATH": os.environ["PATH"], **environ},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert goes(":") == "proxy"
    (one,) = checkProxies(readProxies(environ), [target])
    assert one.kind == "proxy-catches-local"
    assert goes(one.remedy[0]) == "direct"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_go_alone_is_spared(host: str) -> None:
    """It never asks a proxy for this machine."""
    (one,) = checkProxies(readProxies({"HTTP_PROXY": PROXY}), [Target("http", host, 80)])
    assert one.says.startswith("Python's urllib and Python's requests send")
    assert "not caught: curl, Go" in one.evidence
