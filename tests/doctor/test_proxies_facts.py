"""Tests for L{loopbackd.doctor.facts.proxies}: what it says clients do, and what they do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from tlsserving import answering, http

from loopbackd.doctor.facts.proxies import (
    CLIENTS,
    ProxyVariables,
    Target,
    byCurl,
    byGo,
    byRequests,
    byUrllib,
    readProxies,
    shownProxy,
)
from loopbackd.net.endpoint import hasIPv6

PROXY = "http://127.0.0.1:3128"
LOCAL = Target("http", "localhost", 8080)


def test_reading() -> None:
    """The variables that are about proxies, empty ones too."""
    found = readProxies({"http_proxy": "", "HTTPS_PROXY": PROXY, "PROXY": "x", "my_proxy_x": "y"})
    assert found == ProxyVariables({"http_proxy": "", "HTTPS_PROXY": PROXY})
    assert readProxies({"REQUEST_METHOD": "GET"}).isCGI


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("http://proxy:3128", "http://proxy:3128"),
        ("http://me:secret@proxy:3128", "http://...@proxy:3128"),
        ("me:sec@ret@proxy", "...@proxy"),
    ],
)
def test_no_password_is_shown(value: str, shown: str) -> None:
    """Whatever is before the at sign stays there."""
    assert shownProxy(value) == shown


@pytest.mark.parametrize(
    ("environ", "curl", "urllib", "requests", "go"),
    [
        ({}, "", "", "", ""),
        ({"http_proxy": PROXY}, "http_proxy", "http_proxy", "http_proxy", "http_proxy"),
        ({"HTTP_PROXY": PROXY}, "", "HTTP_PROXY", "HTTP_PROXY", "HTTP_PROXY"),
        ({"https_proxy": PROXY}, "", "", "", ""),
        ({"all_proxy": PROXY}, "all_proxy", "", "all_proxy", ""),
        ({"HTTP_PROXY": PROXY, "http_proxy": ""}, "", "", "", "HTTP_PROXY"),
        ({"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}, "", "", "", ""),
        ({"http_proxy": PROXY, "no_proxy": "*"}, "", "", "", ""),
        ({"http_proxy": PROXY, "no_proxy": "a.test"}, "", "", "", ""),
        ({"http_proxy": PROXY, "no_proxy": ".test"}, "", "", "", ""),
        ({"http_proxy": PROXY, "no_proxy": "*.test"}, *["http_proxy"] * 3, ""),
        ({"http_proxy": PROXY, "no_proxy": "b,*"}, *["http_proxy"] * 3, ""),
        ({"http_proxy": PROXY, "no_proxy": "a.test:81"}, *["http_proxy"] * 4),
        ({"http_proxy": PROXY, "no_proxy": "a.test:80"}, "http_proxy", "", "", ""),
        ({"http_proxy": PROXY, "no_proxy": "b", "NO_PROXY": "a.test"}, *["http_proxy"] * 3, ""),
    ],
)
def test_where_clients_differ(
    environ: dict[str, str], curl: str, urllib: str, requests: str, go: str
) -> None:
    """The variable that each goes by, for a name that is nobody's own."""
    there, target = readProxies(environ), Target("http", "a.test", 80)
    said = [choose(there, target) for choose in (byCurl, byUrllib, byRequests, byGo)]
    assert said == [curl, urllib, requests, go]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_go_never_asks_a_proxy_for_loopback(host: str) -> None:
    """The others do."""
    there, target = readProxies({"http_proxy": PROXY}), Target("http", host, 80)
    assert [bool(choose(there, target)) for choose in CLIENTS.values()] == [True, True, True, False]


@pytest.mark.parametrize(
    ("excepted", "host", "isExcepted"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.1.2.3:80", "10.1.2.3", True),
        ("10.1.2.3:81", "10.1.2.3", False),
        ("[2001:db8::1]:80", "2001:db8::1", True),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::1", "2001:db8::1", True),
        (".a.test", "a.test", False),
        (".a.test", "b.a.test", True),
        ("a.test", "nota.test", False),
        (" A.Test ,", "b.a.test", True),
        (":80", "a.test", False),
    ],
)
def test_what_go_excepts(excepted: str, host: str, isExcepted: bool) -> None:
    """By its documentation (golang.org/x/net/http/httpproxy); there is no Go to ask here."""
    there = readProxies({"HTTP_PROXY": PROXY, "NO_PROXY": excepted})
    assert (byGo(there, Target("http", host, 80)) == "") == isExcepted


def test_websockets() -> None:
    """curl falls back on what HTTP has; Go looks at nothing but HTTP."""
    there = readProxies({"http_proxy": PROXY, "https_proxy": PROXY})
    assert byCurl(there, Target("ws", "localhost", 80)) == "http_proxy"
    assert byCurl(there, Target("wss", "localhost", 80)) == "https_proxy"
    assert byGo(there, Target("ws", "a.test", 80)) == ""


# What real clients do.

ASK = """
import json, os, sys, urllib.request
import requests
found = []
for environ, url in json.load(sys.stdin):
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    os.environ.update(environ)
    by = urllib.request.build_opener().open(url, timeout=9).read().decode()
    found.append([by, requests.get(url, timeout=9).text])
json.dump(found, sys.stdout)
"""
EXCEPTED = [
    "",
    "localhost",
    "127.0.0.1",
    "127.0.0.0/8",
    "::1",
    "[::1]",
    "*",
    "b,*",
    ".localhost",
    "LOCALHOST.",
    "ost",
    "b ,localhost",
    ",, localhost",
    "localhost:PORT",
    "127.0.0.1:PORT",
    "[::1]:PORT",
]


@pytest.fixture
def ports() -> Iterator[tuple[int, int]]:
    """Where a proxy is, and where the server itself."""
    itself = http("200 OK", b"direct")
    with (
        answering(http("200 OK", b"proxy")) as proxy,
        answering(itself) as direct,
        ExitStack() as more,
    ):
        if hasIPv6():
            more.enter_context(answering(itself, host="::1", port=direct))
        yield proxy, direct


def test_real_clients(
    ports: tuple[int, int], program: Callable[..., str], module: Callable[[str], Any]
) -> None:
    """curl, urllib and requests go where it says, with every variable and every exception."""
    curl = program("curl")
    module("requests")
    proxy, direct = f"http://127.0.0.1:{ports[0]}", ports[1]
    hosts = ["localhost", "127.0.0.1", *(["::1"] if hasIPv6() else [])]
    jobs: list[tuple[dict[str, str], Target]] = []
    for excepted in EXCEPTED:
        for number, variables in enumerate(
            ({"http_proxy": proxy}, {"HTTP_PROXY": proxy, "http_proxy": ""}, {"ALL_PROXY": proxy})
        ):
            name = "NO_PROXY" if number == 1 else "no_proxy"
            environ = {**variables, name: excepted.replace("PORT", str(direct))}
            jobs += [(environ, Target("http", host, direct)) for host in hosts]
    plain = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        input=json.dumps([(environ, f"{target}/") for environ, target in jobs]),
        capture_output=True,
        text=True,
        env=plain,
        timeout=120,
        check=True,
    )
    for (environ, target), (byPython, byItsRequests) in zip(
        jobs, json.loads(done.stdout), strict=True
    ):
        there = readProxies(environ)
        said = [choose(there, target) for choose in (byCurl, byUrllib, byRequests)]
        command = [curl, "-s", "-m", "9", f"{target}/"]
        byItself = subprocess.run(
            command, env={**plain, **environ}, capture_output=True, text=True, check=True
        ).stdout
        went = [byItself, byPython, byItsRequests]
        assert went == ["proxy" if one else "direct" for one in said], (environ, target)
