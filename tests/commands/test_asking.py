"""Words of the command line, and what a daemon is asked for them."""

from __future__ import annotations

import click
import pytest

from loopbackd.commands.asking import attributesFrom, shownAttributes


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
