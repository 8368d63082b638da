"""The line that says who is in the way: one test for each kind of holder."""

import ctypes
import errno
import os
import re
import socket
from dataclasses import replace

import pytest
from asuser import STRANGER, become, inChild

from loopbackd.doctor import busy
from loopbackd.doctor.busy import whoHolds, whoHoldsPath, whyNotListen
from loopbackd.doctor.facts.cgroups import Belonging
from loopbackd.doctor.facts.holder import Holder, isSystemd
from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.process import Process, userName
from loopbackd.peer.sockdiag import SocketRow, TCPState

ME = userName(os.geteuid())
ELSE = "choose another port: --listen tcp:PORT:interface=127.0.0.1"


class Rows:
    """Diagnostics that answer with rows of the test's own."""

    def __init__(self, *rows):
        self.answer = list(rows)

    def rows(self, port):
        """Answer, whatever the port."""
        return self.answer


def row(state=TCPState.LISTEN, host="127.0.0.1", inode=99, uid=0, expires=0.0, v6only=False):
    """Make a row on port 80 of C{host}."""
    remote = ("127.0.0.1", 5432)
    return SocketRow(state, (host, 80), remote, uid, inode, expires, v6only)


@pytest.fixture
def heldBy(monkeypatch):
    """Pretend that a process holds whatever is asked for."""

    def heldBy(found, systemdToo=False, belonging=None):
        keeps = systemdToo or (found is not None and isSystemd(found))

        def holdersOf(rows):
            one = Holder(0, "root", found, (), "S", belonging or Belonging(), keeps)
            return {row.inode: replace(one, uid=row.uid, user=userName(row.uid)) for row in rows}

        monkeypatch.setattr(busy, "holdersOf", holdersOf)
        # Whatever systemd this machine has knows nothing of them.
        monkeypatch.setattr(busy, "asSystemdSays", lambda holders, rows: holders)

    return heldBy


@pytest.fixture
def cannotBind():
    """Check that an address is really busy, also for one who would reuse it."""

    def cannotBind(host, number):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError) as caught:
                sock.bind((host, number))
                sock.listen()
        assert caught.value.errno == errno.EADDRINUSE

    return cannotBind


def test_listening(diag, listen, spawn, cannotBind):
    """A listener is named by pid, command and user, with the way to stop it."""
    listener = listen()
    number = listener.getsockname()[1]
    child = spawn(listener)
    listener.close()
    cannotBind("127.0.0.1", number)
    assert whoHolds(diag, "127.0.0.1", number) == (
        f"held by pid {child.pid} (cat), user {ME}; stop it: kill {child.pid}, or {ELSE}"
    )


def test_listeningOnIPv6(diag, listen, spawn):
    """The other port is offered in the way the endpoint string wants it."""
    listener = listen("::1")
    number = listener.getsockname()[1]
    child = spawn(listener)
    listener.close()
    said = whoHolds(diag, "::1", number)
    assert said.startswith(f"held by pid {child.pid} (cat)")
    assert said.endswith(r"--listen 'tcp:PORT:interface=\:\:1'")
    assert f"pid {child.pid}" not in whoHolds(diag, "127.0.0.1", number)


def test_ourselves(diag, listen):
    """When two services of ours want one port nobody is told to kill us."""
    number = listen().getsockname()[1]
    said = whoHolds(diag, "127.0.0.1", number)
    assert said == f"held by this very process (pid {os.getpid()}); " + (
        f"two services want one address: {ELSE}"
    )


def test_listeningAsAnotherUser(diag, listen, asUser, spawn, missing):
    """Another user's process cannot be seen; the user can, and so can the remedy."""
    if userName(1) == "uid 1":
        missing("there is no user with uid 1")
    with asUser(1):
        listener = listen()
    number = listener.getsockname()[1]
    spawn(listener)
    listener.close()
    with asUser(12345):
        said = whoHolds(diag, "127.0.0.1", number)
    assert (
        said == f"held by another user ({userName(1)}); run as root to see the process, or {ELSE}"
    )


def test_listeningAsRoot(diag, listen, spawn, asUser):
    """What root holds may be systemd's, which anybody may list."""
    listener = listen()
    number = listener.getsockname()[1]
    spawn(listener)
    listener.close()
    with asUser(12345):
        said = whoHolds(diag, "127.0.0.1", number)
    assert said.startswith("held by another user (root); run as root to see the process, or see")
    assert "systemctl list-sockets" in said


def test_listeningOutOfSight(heldBy):
    """A socket of our own user without a process says why that may be."""
    heldBy(None)
    said = whoHolds(Rows(row(uid=os.geteuid())), "127.0.0.1", 80)
    assert said.startswith(f"held by a process of user {ME} that does not show itself")
    assert "containers" in said and "kill" not in said


@pytest.mark.parametrize(
    "held, asked, options",
    [
        ("0.0.0.0", "127.0.0.1", {}),
        ("::", "127.0.0.1", {"dualstack_ipv6": True}),
        ("::", "::1", {}),
    ],
)
def test_wildcardHolder(diag, listen, spawn, cannotBind, held, asked, options):
    """A listener on every address is in the way of a single one, over families too."""
    listener = listen(held, **options)
    number = listener.getsockname()[1]
    child = spawn(listener)
    listener.close()
    cannotBind(asked, number)
    said = whoHolds(diag, asked, number)
    assert re.match(r"held on every address \(.*:\d+\) by pid " + str(child.pid), said)
    assert held in said


def test_everyAddressAsked(diag, listen, cannotBind):
    """One who wants every address is told who has one of them."""
    number = listen("127.0.0.2").getsockname()[1]
    cannotBind("0.0.0.0", number)
    for host in ("", "0.0.0.0"):
        said = whoHolds(diag, host, number)
        assert said.startswith("held by this very process")
        assert said.endswith("--listen tcp:PORT")


def test_sixOnlyIsNotInTheWay(diag, listen):
    """An IPv6-only listener on every address leaves IPv4 free, and is not accused."""
    number = listen("::").getsockname()[1]
    assert "this very process" in whoHolds(diag, "::1", number)
    assert "this very process" not in whoHolds(diag, "127.0.0.1", number)
    assert "this very process" not in whoHolds(diag, "0.0.0.0", number)


@pytest.mark.parametrize(
    "held, asked, conflict",
    [
        (row(host="127.0.0.1"), "localhost", True),
        (row(host="127.0.0.2"), "localhost", False),
        (row(host="127.0.0.1"), "::ffff:127.0.0.1", True),
        (row(host="127.0.0.1"), "::", True),
        (row(host="::1"), "0.0.0.0", False),
        (row(host="::1"), "::", True),
        (row(host="::", v6only=True), "::1", True),
        (row(host="10.0.0.1"), "some.name", True),
    ],
)
def test_conflicts(heldBy, held, asked, conflict):
    """Which holder is in the way of which address."""
    heldBy(Process(42, "nginx", "www-data"))
    assert ("pid 42 (nginx)" in whoHolds(Rows(held), asked, 80)) is conflict


def test_exactHolderComesFirst(heldBy):
    """Of several holders the one of the very address is named."""
    heldBy(None)
    rows = row(host="0.0.0.0", inode=1, uid=1234567), row(host="127.0.0.1", inode=2, uid=7654321)
    assert "uid 7654321" in whoHolds(Rows(*rows), "127.0.0.1", 80)


@pytest.mark.parametrize(
    "belonging, command",
    [
        (Belonging(unit="nginx.service"), "systemctl stop nginx.service"),
        (Belonging("app.service", isUsers=True), "systemctl --user stop app.service"),
        (Belonging(container="docker 0123456789ab"), "docker stop 0123456789ab"),
        (Belonging(unit="session-2.scope"), "kill 42"),
    ],
)
def test_whatItBelongsTo(heldBy, belonging, command):
    """What would start it again is stopped, and not the process."""
    heldBy(Process(42, "nginx", "root"), belonging=belonging)
    said = whoHolds(Rows(row()), "127.0.0.1", 80)
    assert f": {command}, or {ELSE}" in said
    assert ("kill" in said) is ("kill" in command)


def test_boundNotListening(diag, spawn, cannotBind, stack):
    """A socket that is only bound holds the port too, which /proc/net/tcp does not show."""
    bound = stack.enter_context(socket.socket())
    bound.bind(("127.0.0.1", 0))
    number = bound.getsockname()[1]
    child = spawn(bound)
    bound.close()
    cannotBind("127.0.0.1", number)
    assert whoHolds(diag, "127.0.0.1", number) == (
        f"bound but not listening: held by pid {child.pid} (cat), user {ME};"
        f" stop it: kill {child.pid}, or {ELSE}"
    )


def test_outgoing(diag, listen, connect, cannotBind, spawn):
    """A port that an outgoing connection uses will be free when that ends; nobody is killed."""
    listener = listen()
    # At an address of its own, where nobody else's client has the same port.
    client, _ = connect(listener, source="127.0.93.1")
    number = client.getsockname()[1]
    child = spawn(client)
    client.close()
    cannotBind("127.0.93.1", number)
    assert whoHolds(diag, "127.0.93.1", number).replace("127.0.93.1", "127.0.0.1") == (
        f"in use by an outgoing connection of pid {child.pid} (cat), user {ME}"
        f" to 127.0.0.1:{listener.getsockname()[1]}; wait until it ends, or {ELSE}"
    )


def test_outgoingOutOfSight(heldBy):
    """Of another user's connection at least the user is named."""
    heldBy(None)
    said = whoHolds(Rows(row(TCPState.ESTABLISHED, uid=1234567)), "127.0.0.1", 80)
    assert "outgoing connection of user uid 1234567 to 127.0.0.1:5432" in said


def test_timeWait(diag, listen, connect, cannotBind):
    """TIME_WAIT passes by itself, and it is said when."""
    client, accepted = connect(listen(), source="127.0.94.1")
    number = client.getsockname()[1]
    client.close()
    assert accepted.recv(1) == b""
    accepted.close()
    cannotBind("127.0.94.1", number)
    said = whoHolds(diag, "127.0.94.1", number).replace("127.0.94.1", "127.0.0.1")
    assert re.fullmatch(
        r"closing \(TIME_WAIT, free in (60|5\d) s\); wait, or " + re.escape(ELSE), said
    )
    assert "kill" not in said


def test_timeWaitIsRoundedUp():
    """Of several the longest counts, and a part of a second is a second."""
    rows = [row(TCPState.TIME_WAIT, inode=0, expires=left) for left in (3.2, 42.1)]
    assert "free in 43 s" in whoHolds(Rows(*rows), "127.0.0.1", 80)


def test_closingWithoutOwner():
    """Other states without an owner are named and have no promise of time."""
    said = whoHolds(Rows(row(TCPState.LAST_ACK, inode=0)), "127.0.0.1", 80)
    assert said == f"closing (LAST_ACK); wait, or {ELSE}"


@pytest.mark.parametrize("command", ["/lib/systemd/systemd --system", "/sbin/init"])
def test_systemdUnit(heldBy, command):
    """A port that systemd keeps for a service is freed by stopping the unit, not by killing."""
    heldBy(Process(1, command, "root"))
    assert whoHolds(Rows(row()), "127.0.0.1", 80) == (
        "held by systemd (pid 1), for a service; stop the socket unit that it keeps it for:"
        f" systemctl list-sockets, or {ELSE}"
    )


def test_systemdUnitOfAUser(heldBy):
    """A user's own systemd has a list of its own."""
    heldBy(Process(900, "/usr/lib/systemd/systemd --user", "alice"))
    said = whoHolds(Rows(row()), "127.0.0.1", 80)
    assert said.startswith("held by systemd (pid 900), for a service; stop the socket unit")
    assert "systemctl --user list-sockets" in said and "kill" not in said


def test_serviceStartedBySystemd(heldBy):
    """A service that got its port from systemd is named, with the unit as the remedy."""
    heldBy(Process(42, "cupsd -l", "root"), systemdToo=True)
    said = whoHolds(Rows(row()), "127.0.0.1", 80)
    assert said.startswith("held by pid 42 (cupsd -l), user root, started by systemd")
    assert "list-sockets" in said and "kill" not in said


def test_pidOneOfAContainer(heldBy):
    """Pid 1 of a container is a program like any other."""
    heldBy(Process(1, "nginx -g daemon off;", "root"))
    assert "pid 1 (nginx -g daemon off;), user root; stop it" in whoHolds(
        Rows(row()), "127.0.0.1", 80
    )


def test_nobody():
    """A port that is free by now says so and offers a way on."""
    said = whoHolds(Rows(), "127.0.0.1", 80)
    assert said.startswith("held by nobody that can be seen") and "try again" in said
    assert said.endswith(ELSE)


def test_noNetlink():
    """Without netlink it says that it cannot see, why, and what can."""

    def forbidden():
        raise PermissionError(errno.EPERM, "Operation not permitted")

    assert whoHolds(SocketDiag(forbidden), "127.0.0.1", 80) == (
        "cannot see who holds it (no socket diagnostics: Operation not permitted):"
        f" try `lsof -nP -iTCP:80` as root, or {ELSE}"
    )
    assert "not in use" in whoHolds(None, "127.0.0.1", 80)


PATH_ELSE = "choose another path: --listen unix:PATH"


@pytest.fixture
def bindPath(stack, tmp_path):
    """Bind a Unix socket to a path of the test."""

    def bindPath(listening=True, kind=socket.SOCK_STREAM):
        sock = stack.enter_context(socket.socket(socket.AF_UNIX, kind))
        path = str(tmp_path / "a b.sock")
        sock.bind(path)
        if listening:
            sock.listen()
        return sock, path

    return bindPath


def test_pathListening(bindPath, spawn):
    """A live listener is named by its process."""
    sock, path = bindPath()
    child = spawn(sock)
    sock.close()
    assert whoHoldsPath(path) == (
        f"held by pid {child.pid} (cat), user {ME}; stop it: kill {child.pid}, or {PATH_ELSE}"
    )


def test_pathByAnotherName(bindPath, spawn, tmp_path):
    """A symbolic link to the socket, or a roundabout name, is the same path."""
    _, path = bindPath()
    link = tmp_path / "link.sock"
    link.symlink_to(path)
    assert "this very process" in whoHoldsPath(str(link))
    assert "this very process" in whoHoldsPath(f"{tmp_path}/../{tmp_path.name}/a b.sock")


def test_pathBoundOnly(bindPath):
    """A socket that is bound to the path without listening is named too."""
    _, path = bindPath(listening=False)
    assert whoHoldsPath(path).startswith("bound but not listening: held by this very process")


def test_pathLeftover(bindPath):
    """A socket file that nobody listens on may be removed, and the command is given."""
    sock, path = bindPath()
    sock.close()
    assert whoHoldsPath(path) == (
        f"a leftover, nobody listens: remove it (rm '{path}'), or {PATH_ELSE}"
    )


def test_pathLeftoverWithOldConnections(bindPath, stack):
    """Connections that outlive their listener do not make the file anybody's."""
    sock, path = bindPath()
    client = stack.enter_context(socket.socket(socket.AF_UNIX))
    client.connect(path)
    stack.enter_context(sock.accept()[0])
    sock.close()
    assert "a leftover" in whoHoldsPath(path)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_pathOfAnUnseenListener(bindPath, monkeypatch, kind):
    """A listener the kernel's table does not show is not taken for a leftover."""
    _, path = bindPath(kind == socket.SOCK_STREAM, kind)
    monkeypatch.setattr(busy, "_boundTo", lambda path: [])
    said = whoHoldsPath(path)
    assert said.startswith("held by a process that cannot be seen") and "rm" not in said


def test_pathForbidden(bindPath, monkeypatch):
    """What may not be tried is not taken for a leftover either."""
    _, path = bindPath()
    monkeypatch.setattr(busy, "_boundTo", lambda path: [])
    monkeypatch.setattr(busy, "_connectError", lambda path: errno.EACCES)
    assert whoHoldsPath(path).startswith("cannot see who holds it (Permission denied)")


def test_pathIsNoSocket(tmp_path):
    """A file of another kind is never to be removed."""
    file = tmp_path / "notes.txt"
    file.write_text("dear diary")
    for path in (file, tmp_path):
        said = whoHoldsPath(str(path))
        assert said.startswith("not a socket but another kind of file") and "rm" not in said


def test_pathToNowhere(tmp_path):
    """A dangling link is in the way of bind() too."""
    link = tmp_path / "link.sock"
    link.symlink_to("nowhere")
    assert whoHoldsPath(str(link)).startswith(f"a symbolic link to nowhere: remove it (rm {link})")


def test_pathIsFree(tmp_path):
    """A path where nothing is (any more) says so."""
    said = whoHoldsPath(str(tmp_path / "x"))
    assert said == f"nothing is there now: try again, or {PATH_ELSE}"
    (tmp_path / "file").touch()
    said = whoHoldsPath(str(tmp_path / "file" / "x"))
    assert said == f"cannot be looked at (Not a directory): {PATH_ELSE}"


@pytest.mark.parametrize("state", [TCPState.LISTEN, TCPState.CLOSE])
def test_nobodysSocket(state):
    """A socket of the kernel's own has no inode, and is explained all the same."""
    said = whoHolds(Rows(row(state, inode=0)), "127.0.0.1", 80)
    assert "held by" in said and said.endswith(ELSE)


def test_everyAnswerIsOneLine(diag, heldBy):
    """Whatever the rows, the answer is one line and gives a way on."""
    for found in (None, Process(42, "x", "y"), Process(1, "systemd", "root")):
        heldBy(found)
        for state in TCPState:
            for inode in (0, 99):
                said = whoHolds(Rows(row(state, inode=inode)), "127.0.0.1", 80)
                assert "\n" not in said
                assert said.endswith(ELSE)


def test_aDaemonThatMayNotSeeOthers(listen, spawn, needsRoot):
    """Where others' processes do not show, as in the hardened unit, it says so and where to ask."""
    listener = listen()
    number = listener.getsockname()[1]
    spawn(listener)
    listener.close()

    def hide():
        libc = ctypes.CDLL(None, use_errno=True)
        apart = libc.unshare(0x20000)  # CLONE_NEWNS
        private = libc.mount(b"none", b"/", None, (1 << 18) | (1 << 14), None)  # MS_PRIVATE, MS_REC
        hidden = libc.mount(b"proc", b"/proc", b"proc", 0, b"hidepid=2")
        assert (apart, private, hidden) == (0, 0, 0), os.strerror(ctypes.get_errno())
        become(STRANGER)

    def ask():
        diag = SocketDiag()
        try:
            return whoHolds(diag, "127.0.0.1", number)
        finally:
            diag.close()

    said = inChild(hide, ask)
    assert said.startswith("held by another user (root); ask from a terminal as root, since this")
    assert f"process may not see others: loopbackd port {number}, or" in said


@pytest.mark.parametrize(
    "number, says",
    [
        (errno.EADDRINUSE, "held by this very process"),
        (errno.EADDRNOTAVAIL, "this machine does not have the address 127.0.0.1"),
        (errno.ENOBUFS, "refused by the kernel: No buffer space available"),
    ],
)
def test_whateverTheKernelSays(diag, listen, number, says):
    """Every error of bind(2) has one line."""
    said = whyNotListen(diag, "127.0.0.1", listen().getsockname()[1], number)
    assert says in said and "\n" not in said
