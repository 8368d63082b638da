"""Toxics and profiles in a configuration: read, found wrong, and read again."""

from __future__ import annotations

import re
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from running import HERE, Running, connected, echoes, service

from loopbackd.faultsettings import MatchSettings, ToxicSettings
from loopbackd.prepared import load
from loopbackd.settings import SettingsError

ETC = Path(__file__).parent.parent / "etc" / "loopbackd.toml"
SERVICE = "[[service]]\nname = 'db'\nprotocol = 'echo'\nendpoint = 'tcp:0:interface=127.0.0.1'\n"


def written(path: Path, text: str) -> Path:
    file = path / "it.toml"
    file.write_text(SERVICE + text)
    return file


def test_all_of_a_toxic(tmp_path: Path) -> None:
    """Each key is read."""
    settings, prepared = load(
        written(
            tmp_path,
            """profile = 'dsl'
            [[service.toxic]]
            type = 'latency'
            name = 'slow'
            stream = 'upstream'
            toxicity = 0.5
            seed = 7
            attributes = { latency = 100, jitter = 1.5 }
            match = { uid = 0, pid = 1, command = '*curl*', nth = 2, every = 3 }
            [[service.toxic]]
            type = 'noop'
            """,
        )
    )
    slow, noop = settings.service[0].toxic
    assert slow == ToxicSettings(
        type="latency",
        name="slow",
        stream="upstream",
        toxicity=0.5,
        seed=7,
        attributes={"latency": 100, "jitter": 1.5},
        match=MatchSettings(uid=0, pid=1, command="*curl*", nth=2, every=3),
    )
    assert noop == ToxicSettings(type="noop")
    assert [one.name for one in prepared["db"].toxics][:1] == ["dsl_bandwidth_upstream"]
    assert prepared["db"].toxics[-2:] == (slow, noop)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("profile = '3gg'", "service 'db': there is no profile '3gg'; did you mean '3g'? there"),
        ("[service.toxic]\ntype = 'noop'", "toxic: expected a list, got a table"),
        ("[[service.toxic]]\nname = 'x'", "toxic 'x': the key 'type' is missing"),
        (
            "[[service.toxic]]\ntype = 'latensy'",
            "service 'db': toxic 'latensy_downstream': there is no toxic 'latensy';"
            " did you mean 'latency'? there are",
        ),
        (
            "[[service.toxic]]\ntype = 'latency'\nattributes = { latenzy = 1 }",
            "service 'db': toxic 'latency_downstream': latency: unknown key 'latenzy';"
            " did you mean 'latency'?",
        ),
        (
            "[[service.toxic]]\ntype = 'latency'\nlatency = 1",
            "toxic 1: unknown key 'latency'; known are type",
        ),
        (
            "[[service.toxic]]\ntype = 'loss'\nname = 'l'\nattributes = { rate = 2 }",
            "service 'db': toxic 'l': loss: rate = 2: expected a number <= 1",
        ),
        (
            "[[service.toxic]]\ntype = 'cut'\nattributes = { every = true }",
            "service 'db': toxic 'cut_downstream': cut: every = true needs an after",
        ),
        (
            "[[service.toxic]]\ntype = 'noop'\nstream = 'up'",
            "toxic 1: stream = 'up': write 'upstream' or 'downstream'",
        ),
        ("[[service.toxic]]\ntype = 'noop'\ntoxicity = 1.5", "toxicity = 1.5: expected a number"),
        (
            "[[service.toxic]]\ntype = 'noop'\nmatch = { user = 1 }",
            "toxic 1: match: unknown key 'user'; known are uid, pid, command, nth, every",
        ),
        (
            "[[service.toxic]]\ntype = 'noop'\nmatch = { nth = 0 }",
            "toxic 1: match: nth = 0: expected a whole number >= 1",
        ),
        (
            "[[service.toxic]]\ntype = 'noop'\nmatch = { uid = 'no-such-user' }",
            "toxic 'noop_downstream': match: uid: there is no user 'no-such-user'; write a name",
        ),
        (
            "[[service.toxic]]\ntype = 'noop'\n[[service.toxic]]\ntype = 'noop'",
            "service 'db': two toxics are named 'noop_downstream'; give each its own name",
        ),
    ],
)
def test_wrong(tmp_path: Path, text: str, said: str) -> None:
    """One line that names the file, the service, the toxic, the attribute and the value."""
    file = written(tmp_path, text)
    with pytest.raises(SettingsError) as raised:
        load(file)
    message = str(raised.value)
    assert said in message and message.startswith(str(file)) and "\n" not in message


def test_example(tmp_path: Path) -> None:
    """The toxic in etc/loopbackd.toml is one, and has every key there is."""
    lines = ETC.read_text().splitlines()
    start = lines.index("# [[service.toxic]]")
    end = lines.index("", start)
    example = "\n".join(line.removeprefix("# ") for line in lines[start:end])
    settings, _ = load(written(tmp_path, example))
    (toxic,) = settings.service[0].toxic
    assert toxic.attributes and toxic.match is not None
    for kind in (ToxicSettings, MatchSettings):
        for key in kind.__struct_fields__:
            assert re.search(rf"\b{key}\b", example), key


def slow(milliseconds: int, name: str = "slow") -> str:
    return (
        f"[[service.toxic]]\ntype = 'latency'\nname = '{name}'\n"
        f"attributes = {{ latency = {milliseconds} }}\n"
    )


def took(client: socket.socket) -> float:
    began = time.monotonic()
    assert echoes(client, b"x")
    return time.monotonic() - began


def test_a_reload(daemon: Callable[..., Running], tmp_path: Path) -> None:
    """A live connection gets the toxics that a reload brings, and loses those it takes away."""
    config = tmp_path / "it.toml"
    config.write_text(service("db", HERE))
    running = daemon("--config", str(config))
    with connected(running.port("db")) as client:
        assert took(client) < 0.2
        for times, (toxics, least, most) in enumerate(
            [
                (slow(300), 0.29, 3.0),
                (slow(300) + slow(200, "other"), 0.49, 3.0),
                (slow(300), 0.29, 0.48),
                (slow(10), 0.009, 0.28),
                ("", 0, 0.2),
            ],
            1,
        ):
            config.write_text(service("db", HERE) + toxics)
            running.send(signal.SIGHUP)
            running.says("The configuration was read again", times)
            assert least <= took(client) <= most
        config.write_text(service("db", HERE) + slow(-1))
        running.send(signal.SIGHUP)
        running.says("toxic 'slow': latency: latency = -1")
        assert took(client) < 0.2
