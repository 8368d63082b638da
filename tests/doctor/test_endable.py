"""Whom a port may be freed of, from made facts."""

from __future__ import annotations

import pytest

from loopbackd.doctor.checks.holding import Looker
from loopbackd.doctor.endable import Ending, NotEnded, ending, whoToEnd
from loopbackd.doctor.facts.cgroups import Belonging
from loopbackd.doctor.facts.holder import Companion, Holder
from loopbackd.doctor.facts.socketunits import SocketUnit
from loopbackd.peer.process import Process
from loopbackd.peer.sockdiag import SocketRow, TCPState


def holder(pid: int, command: str = "nginx", **more: object) -> Holder:
    """Somebody."""
    return Holder(0, "root", Process(pid, command, "root"), **more)  # type: ignore[arg-type]


DOCKER = "docker-proxy -host-port 80"
WORKER = Process(43, "worker", "me")
UNIT = SocketUnit("x.socket", "127.0.0.1:1", "x.service")


@pytest.mark.parametrize(
    ("who", "why"),
    [
        (Holder(0, "root"), "with sudo"),
        (Holder(1000, "me"), "containers"),
        (Holder(0, "root", isSystemds=True), "systemctl list-sockets"),
        (holder(42, isSystemds=True), "systemctl list-sockets"),
        (holder(42, isSystemds=True, socketUnit=UNIT), "systemctl stop x.socket x.service"),
        (holder(1, "/lib/systemd/systemd --system", isSystemds=True), "systemctl list-sockets"),
        (holder(42, belonging=Belonging(container="docker 0123")), "docker stop 0123"),
        (holder(42, belonging=Belonging(container="kubernetes 0123")), "crictl stop 0123"),
        (holder(42, belonging=Belonging("x.service")), "systemctl stop x.service"),
        (
            holder(42, DOCKER, belonging=Belonging("docker.service"), program="docker-proxy"),
            r"docker stop \$\(docker ps -q --filter publish=80\)",
        ),
        (
            holder(42, others=(43,), apart=(Companion(WORKER, Belonging("b.service")),)),
            r"pid 43 \(worker\), user me, unit b.service, which has .* systemctl stop b.service",
        ),
        (
            holder(42, others=(43,), apart=(Companion(WORKER, Belonging(container="lxc a")),)),
            "lxc-stop -n a",
        ),
        (holder(1), "by hand"),
        (holder(7), "by hand"),
        (holder(8), "by hand"),
        (holder(42, others=(8,)), "by hand"),
    ],
)
def test_who_is_not_ended(who: Holder, why: str) -> None:
    """What is no use, or not ours to do, is refused with what to do instead."""
    with pytest.raises(NotEnded, match=why):
        whoToEnd(who, Looker(1000, 7), {8})


@pytest.mark.parametrize(
    "who",
    [
        holder(42, others=(43,)),
        holder(42, others=(43,), belonging=Belonging("session-2.scope")),
        holder(42, "ssh -L 1:a:2 gate", others=(43,)),
        # Anybody can be called like that.
        holder(42, DOCKER, others=(43,)),
        holder(42, DOCKER, others=(43,), program="python3.11"),
        # A scope has nothing that would start it again.
        holder(42, others=(43,), apart=(Companion(WORKER, Belonging("b.scope")),)),
        # Of a server that is started by the same service as we are, a runner of jobs say.
        holder(42, others=(43,), belonging=Belonging("runner.service")),
    ],
)
def test_who_is_ended(who: Holder) -> None:
    """All processes that have the socket."""
    me = Looker(1000, 7, Belonging("runner.service"))
    assert whoToEnd(who, me, {8}) == (42, 43)


ME = Looker(1000, 7)


def row(host: str, inode: int) -> SocketRow:
    """Somebody who listens on port 80 there."""
    return SocketRow(TCPState.LISTEN, (host, 80), ("0.0.0.0", 0), 0, inode, 0.0)


def test_all_of_several_sockets() -> None:
    """Each process is told which ones it has to give up; a holder of two is named once."""
    rows = [row("127.0.0.1", 1), row("::1", 2), row("127.0.0.2", 3)]
    one, other = holder(42, others=(43,)), holder(44, "apache")
    found = ending(rows, {1: one, 2: one, 3: other}, ME, ())
    assert found.sockets == {42: {1, 2}, 43: {1, 2}, 44: {3}}
    assert str(found) == (
        "127.0.0.1:80 and [::1]:80 and 127.0.0.2:80 is pid 42 (nginx), user root and 1 more and"
        " pid 44 (apache), user root"
    )


def test_who_else_is_named() -> None:
    """Nobody who belongs to something else is ended as one of a number."""
    apart = (Companion(WORKER, Belonging("b.scope")),)
    found = ending([row("127.0.0.1", 1)], {1: holder(42, others=(43,), apart=apart)}, ME, ())
    assert isinstance(found, Ending) and set(found.sockets) == {42, 43}
    assert found.who.endswith(", with pid 43 (worker), user me, unit b.scope")


def test_one_who_may_not_be_ended() -> None:
    """Then nobody is, and all are named."""
    rows = [row("127.0.0.1", 1), row("::1", 2)]
    holders = {1: holder(42), 2: holder(43, belonging=Belonging("x.service"))}
    with pytest.raises(NotEnded, match=r"pid 42 .* and pid 43 .*; .*systemctl stop x.service"):
        ending(rows, holders, ME, ())


def test_a_socket_of_the_kernels() -> None:
    """It is no process's."""
    with pytest.raises(NotEnded, match=r"is the kernel's own; 127.0.0.1:80 is no process's"):
        ending([row("127.0.0.1", 0)], {}, ME, ())
