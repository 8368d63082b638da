"""Words of the command line, and what a daemon is asked for them."""

from __future__ import annotations

import click
import pytest

from loopbackd.commands.asking import attributesFrom, shownAttributes
from loopbackd.net.endpoint import endpointFrom


def test_attributes() -> None:
    """Values are numbers and booleans where they can be, and text else."""
    words = ["latency=100", "jitter=2.5", "shared=true", "distribution=normal", "a=b=c", "e="]
    wanted = {
        "latency": 100,
        "jitter": 2.5,
        "shared": True,
        "distribution": "normal",
        "a": "b=c",
        "e": "",
    }
    assert attributesFrom(words) == wanted
    assert attributesFrom(shownAttributes(wanted).split(" ")) == wanted


@pytest.mark.parametrize("words", [["latency"], ["=1"], [""], ["a=1", "a=2"]])
def test_no_attributes(words: list[str]) -> None:
    """What is none is not passed over, as Toxiproxy's own command does."""
    with pytest.raises(click.BadParameter, match=r"name=value|twice"):
        attributesFrom(words)


@pytest.mark.parametrize(
    ("listen", "endpoint"),
    [
        ("0", "tcp:0:interface=127.0.0.1"),
        ("26379", "tcp:26379:interface=127.0.0.1"),
        (":26379", "tcp:26379:interface=127.0.0.1"),
        ("localhost:1", "tcp:1:interface=127.0.0.1"),
        ("127.0.0.2:1", "tcp:1:interface=127.0.0.2"),
        ("[::1]:1", r"tcp6:1:interface=\:\:1"),
        ("unix:/tmp/x", "unix:/tmp/x"),
        ("tcp:1", "tcp:1"),
        ("tcp:1:interface=127.0.0.1", "tcp:1:interface=127.0.0.1"),
    ],
)
def test_endpoints(listen: str, endpoint: str) -> None:
    """Where a service shall listen can be written short."""
    assert endpointFrom(listen) == endpoint
