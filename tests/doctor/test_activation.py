"""Clients that socket units lose, from made facts; C{test_real_systemd.py} has real ones."""

from __future__ import annotations

import pytest

from loopbackd.doctor.checks.activation import checkActivation, checkResting
from loopbackd.doctor.facts.attempt import Attempt
from loopbackd.doctor.facts.holder import Holder
from loopbackd.doctor.facts.keepers import Resting
from loopbackd.doctor.facts.sockets import Sockets
from loopbackd.doctor.facts.socketunits import SocketUnit
from loopbackd.doctor.facts.units import Unit
from loopbackd.doctor.finding import Severity
from loopbackd.peer.process import Process
from loopbackd.peer.sockdiag import SocketRow, TCPState

HERE = "127.0.0.1"
THERE = Sockets(80, (SocketRow(TCPState.LISTEN, (HERE, 80), ("0.0.0.0", 0), 0, 1, 0.0),))
UNIT = SocketUnit("x.socket", f"{HERE}:80", "x.service")
FAILED = Unit("x.service", active="failed", result="exit-code", status=203)
LOST = Attempt(HERE, 80, accepted=False)
KEPT = Holder(0, "root", isSystemds=True, socketUnit=UNIT, service=FAILED)


@pytest.mark.parametrize("lost", [LOST, Attempt(HERE, 80, ended="reset")])
@pytest.mark.parametrize("active", ["failed", "inactive", "activating"])
def test_a_client_that_is_lost(lost: Attempt, active: str) -> None:
    """In whatever state systemd's service is that does not run."""
    service = Unit("x.service", active=active, result="exit-code", status=203)
    holder = Holder(0, "root", isSystemds=True, socketUnit=UNIT, service=service)
    (one,) = checkActivation(THERE, [lost], {1: holder})
    assert one.severity is Severity.PROBLEM and "203/EXEC" in one.says
    assert one.evidence[0] == f"{HERE}:80 is systemd as x.socket, for x.service"


@pytest.mark.parametrize(
    ("one", "holder"),
    [
        (Attempt(HERE, 80, accepted=True), KEPT),
        (Attempt(HERE, 80, ended="end", greeting=b"hello"), KEPT),
        (LOST, Holder(0, "root", Process(42, "x", "me"), service=FAILED)),
        (LOST, Holder(0, "root", isSystemds=True, socketUnit=UNIT)),
        (
            LOST,
            Holder(0, "root", isSystemds=True, socketUnit=UNIT, service=Unit("x", active="active")),
        ),
        (LOST, None),
    ],
)
def test_what_is_another_thing(one: Attempt, holder: Holder | None) -> None:
    """Who is served, and who is not served by a service that runs, or by nobody of systemd's."""
    assert list(checkActivation(THERE, [one], {} if holder is None else {1: holder})) == []


def test_a_users_unit() -> None:
    """It is that of the user's own systemd which is to be asked, and started; names are quoted."""
    name = r"a\x2db.socket"
    unit = Unit(name, isUsers=True, active="failed", result="service-start-limit-hit")
    resting = Resting(f"{HERE}:80", SocketUnit(name, f"{HERE}:80", isUsers=True), unit)
    (one,) = checkResting(resting)
    assert one.remedy == (
        rf"journalctl --user -u '{name}' -n 50",
        rf"then systemctl --user start '{name}'",
    )


def test_nothing_rests() -> None:
    """Of no unit, or of one that listens, by now or elsewhere, there is nothing to be said."""
    assert list(checkResting(None)) == []
    assert list(checkResting(Resting("x", UNIT, Unit("x.socket", active="active")))) == []
