"""Why an address cannot be listened on, from made facts; C{test_busy.py} has the line for it."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.doctor.checks.holding import Looker
from loopbackd.doctor.checks.taken import checkHolders, refused, taken
from loopbackd.doctor.facts.holder import Holder
from loopbackd.doctor.facts.occupancy import Occupancy
from loopbackd.doctor.facts.sockets import Sockets, isInTheWay
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.peer.process import Process
from loopbackd.peer.sockdiag import SocketRow, TCPState

ME = Looker(1000, 7)
HOSTS = ("127.0.0.1", "127.0.0.2", "0.0.0.0", "::1", "::")
HOLDERS = {1: Holder(1000, "me", Process(42, "server", "me"))}


def row(
    host: str = "127.0.0.1", state: TCPState = TCPState.LISTEN, inode: int = 1, v6only: bool = False
) -> SocketRow:
    """A socket on port 80."""
    return SocketRow(state, (host, 80), ("127.0.0.1", 5432), 1000, inode, 3.2, v6only)


def found(*rows: SocketRow, host: str = "", **errors: int) -> list[Finding]:
    """What is to be found of port 80."""
    said = {"0.0.0.0": errors.get("four", 0), "::": errors.get("six", 0)}
    if host:
        said = {host: errors.get("error", 0)}
    return list(checkHolders(Occupancy(Sockets(80, rows), HOLDERS, host, said, 1024, 81), ME))


def test_each_address_is_a_finding() -> None:
    """Of both families, those that are only bound too; connections are one note."""
    others = row(state=TCPState.ESTABLISHED), row(state=TCPState.CLOSE_WAIT)
    kinds = [one.kind for one in found(row(), row("::1"), row(state=TCPState.CLOSE), *others)]
    assert kinds == ["port-taken", "port-taken", "port-bound", "port-connections"]


def test_free() -> None:
    """Nothing is to be found of a port that can be bound."""
    assert found() == []
    assert found(six=errno.EAFNOSUPPORT) == []


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([], "port-taken-unseen"),
        ([row(state=TCPState.TIME_WAIT, inode=0)], "port-closing"),
        ([row(state=TCPState.FIN_WAIT2, inode=0)], "port-closing"),
        ([row(state=TCPState.ESTABLISHED)], "port-outgoing"),
    ],
)
def test_what_else_is_in_the_way(rows: list[SocketRow], kind: str) -> None:
    """Where binding fails and nobody listens; for both families it is said once."""
    (one,) = found(*rows, four=errno.EADDRINUSE, six=errno.EADDRINUSE)[:1]
    assert (one.kind, one.severity) == (kind, Severity.WARNING)


def test_what_lingers() -> None:
    """Old connections that are in nobody's way are a note."""
    (one,) = found(row(state=TCPState.TIME_WAIT, inode=0))
    assert (one.kind, one.severity) == ("port-lingers", Severity.NOTE)
    assert "TIME_WAIT with 127.0.0.1:5432, 4 s left" in one.evidence[0]


@pytest.mark.parametrize(
    ("number", "port", "kind"),
    [
        (errno.EACCES, 80, "port-privileged"),
        (errno.EACCES, 8080, "port-forbidden"),
        (errno.EADDRNOTAVAIL, 80, "address-not-here"),
        (errno.EAFNOSUPPORT, 80, "family-missing"),
        (errno.ENOMEM, 80, "cannot-bind"),
    ],
)
def test_what_the_kernel_refuses(number: int, port: int, kind: str) -> None:
    """Each errno of bind(2) has its own words, and a way on."""
    said = refused(number, "127.0.0.1", port, 1024, "another")
    assert said.kind == kind and said.remedy and "\n" not in str(said)
    one = said.finding(f"127.0.0.1:{port}")
    assert one.evidence[0].startswith(errno.errorcode[number])


def test_many_sockets_are_not_all_shown() -> None:
    """One screen is enough."""
    rows = [row(state=TCPState.ESTABLISHED) for _ in range(1000)]
    evidence = found(row(), *rows)[-1].evidence
    assert len(evidence) < 10 and evidence[-1] == "and 992 more"


ROWS = st.builds(
    row,
    st.sampled_from(HOSTS),
    st.sampled_from(sorted(TCPState)),
    st.sampled_from((0, 1, 2)),
    st.booleans(),
)


@given(st.lists(ROWS, max_size=5), st.sampled_from(("", "localhost", "a.name", *HOSTS)))
def test_whatever_there_is(rows: list[SocketRow], host: str) -> None:
    """One explanation, on one line, that ends with the way around, and names the best match."""
    said = taken(rows, host, HOLDERS, ME, "another")
    assert str(said).endswith("another") and "\n" not in str(said)
    inTheWay = [one for one in rows if isInTheWay(one, host or "0.0.0.0")]
    listening = any(one.state is TCPState.LISTEN for one in inTheWay)
    assert (said.kind == "port-taken") is listening
    assert (said.kind == "port-taken-unseen") is (not inTheWay)
