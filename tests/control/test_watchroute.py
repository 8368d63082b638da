"""What the control API tells of the watch."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest_twisted
from controlled import running
from running import HERE, Running, service, until

from loopbackd.control import shapes


@pytest_twisted.ensureDeferred
async def test_off() -> None:
    """A daemon that does not watch says so."""
    async with running() as api:
        found = await api.get("/watch")
    assert found == {
        "enabled": False,
        "missing": "",
        "listeners": [],
        "findings": [],
        "events": [],
    }


def test_aDaemon(daemon: Callable[..., Running], tmp_path: Path) -> None:
    """[watch] in a daemon: the log, /watch, and a reload that ends it."""
    config = tmp_path / "loopbackd.toml"
    rest = f'[control]\nendpoint = "{HERE}"\n' + service("echo")
    config.write_text("[watch]\nenabled = true\ninterval = 0.1\n" + rest)
    started = daemon(
        "--config",
        str(config),
        "--control",
        HERE,
        environ={"LOOPBACKD_STATE_DIR": str(tmp_path / "state")},
    )
    started.says(r"watch: every 0\.1 s\.")
    where = started.says(r"control: on 127\.0\.0\.1:(\d+)")[1]

    def asked() -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{where}/watch", timeout=10) as answer:
            body = answer.read()
        msgspec.json.decode(body, type=shapes.Watch)
        return json.loads(body)

    until(lambda: any(one["pid"] == started.process.pid for one in asked()["listeners"]), "us")
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        until(lambda: any(port == one["port"] for one in asked()["listeners"]), "listener")
        found = asked()
        (one,) = [one for one in found["listeners"] if one["port"] == port]
        assert "all-addresses" in one["suspicious"]
        assert any(f"0.0.0.0 port {port}" in f["evidence"][0] for f in found["findings"])
        assert any(event["port"] == port for event in found["events"])
        started.says(rf"#warn\] watch: .*\(0\.0\.0\.0:{port}\), which other machines can reach")
    until(lambda: all(port != one["port"] for one in asked()["listeners"]), "end of it")
    config.write_text(rest)
    started.send(signal.SIGHUP)
    started.says("The configuration was read again")
    until(lambda: asked()["enabled"] is False and asked()["listeners"] == [], "end of it all")
    config.write_text('[[watch.allow]]\nuser = "no-such-user"\n' + rest)
    started.send(signal.SIGHUP)
    started.says("Nothing was changed: .*there is no user 'no-such-user'")
    started.stop()
