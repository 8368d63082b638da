"""What C{loopbackd port} says of whoever was ended."""

from __future__ import annotations

import pytest

from loopbackd.commands.portview import endedInWords, endedValue, socketValue
from loopbackd.doctor.endable import Ending
from loopbackd.doctor.ending import Ended
from loopbackd.doctor.facts.cgroups import Belonging
from loopbackd.doctor.facts.holder import Holder
from loopbackd.doctor.facts.socketunits import SocketUnit
from loopbackd.peer.process import Process
from loopbackd.peer.sockdiag import SocketRow, TCPState

ROW = SocketRow(TCPState.LISTEN, ("::1", 80), ("::", 0), 1000, 1, 0.0)
WHOM = Ending("[::1]:80", "pid 42 (server), user me", {42: {1}, 43: {1}})


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (Ended(), ""),
        (Ended((42, 43)), "; killed: 42, 43"),
        (Ended((42,), (43,)), "; killed: 42; still finishing what it does: 43"),
    ],
)
def test_in_words(ended: Ended, words: str) -> None:
    """Who, and how."""
    said = endedInWords(WHOM, ended)
    assert said == f"[::1]:80: ended pid 42 (server), user me{words}"


def test_for_programs() -> None:
    """Who finishes what it does is not ended yet."""
    assert endedValue(WHOM, Ended((42,), (43,)), [ROW]) == {
        "ended": [42],
        "killed": [42],
        "finishing": [43],
        "free": ["[::1]:80"],
    }


def test_a_socket() -> None:
    """What is not known is null."""
    nobody = socketValue(ROW, Holder(1000, "me"))
    assert nobody["pids"] == [] and nobody["user"] == "me" and nobody["address"] == "[::1]:80"
    assert {nobody[name] for name in ("command", "unit", "container", "seconds")} == {None}
    somebody = socketValue(
        ROW,
        Holder(
            1000,
            "me",
            Process(42, "server", "me"),
            (43,),
            "S",
            Belonging("a.service"),
            seconds=1.239,
            socketUnit=SocketUnit("a.socket", "[::1]:80"),
        ),
    )
    assert somebody["pids"] == [42, 43] and somebody["seconds"] == 1.24
    assert (somebody["unit"], somebody["socket_unit"]) == ("a.service", "a.socket")
