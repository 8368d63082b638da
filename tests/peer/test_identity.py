"""Who is at the other end, and every way of being wrong about it that can be made here."""

import errno
import os
import socket
import struct

import pytest
from running import until

from loopbackd.peer.identity import PeerIdentity, identify, identifyTCP, identifyUnix
from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.sockdiag import TCPState

MINE = os.geteuid()
OTHER, INNOCENT = 12345, 23456
ALONE = "127.62.8.93"
"""An address of ours on which nobody else's TIME_WAIT keeps us from binding a port twice."""


class BetweenTimes(SocketDiag):
    """Diagnostics during whose look-up something happens: before it, or after it."""

    def __init__(self, before=None, after=None):
        super().__init__()
        self.happenBefore, self.happenAfter = before, after

    def lookup(self, local, remote):
        """Look up as ever, with the event."""
        if self.happenBefore:
            self.happenBefore()
        row = super().lookup(local, remote)
        if self.happenAfter:
            self.happenAfter()
        return row


def reset(sock):
    """Close with a RST instead of a FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def inodeOf(sock):
    """Name the socket the way the kernel's rows do."""
    return os.fstat(sock.fileno()).st_ino


def test_peerIsNamed(diag, listen, connect):
    """A connected peer has its uid and its socket's inode."""
    client, accepted = connect(listen())
    known = PeerIdentity(MINE, inodeOf(client), None, "ESTABLISHED", "")
    assert identify(diag, accepted) == known
    assert identifyTCP(diag, accepted) == known


def test_clientCanIdentifyTheServer(diag, listen, connect):
    """The same question asked from the client's end names the server's socket."""
    client, accepted = connect(listen())
    assert identify(diag, client).inode == inodeOf(accepted)


@pytest.mark.parametrize(
    "bound, options, host, family",
    [
        ("::1", {}, "::1", socket.AF_INET6),
        ("::", {"dualstack_ipv6": True}, "127.0.0.1", socket.AF_INET),
        ("::", {"dualstack_ipv6": True}, "::ffff:127.0.0.1", socket.AF_INET6),
        ("::", {"dualstack_ipv6": True}, "::1", socket.AF_INET6),
        ("127.0.0.1", {}, "::ffff:127.0.0.1", socket.AF_INET6),
        ("0.0.0.0", {}, "127.0.0.9", socket.AF_INET),
    ],
)
def test_everyPairOfFamilies(diag, listen, connect, bound, options, host, family):
    """IPv6, dual-stack listeners and v4-mapped clients are all identified."""
    client, accepted = connect(listen(bound, **options), host, family)
    assert identify(diag, accepted).inode == inodeOf(client)
    assert identify(diag, client).inode == inodeOf(accepted)


def test_socketOfAnotherUser(diag, listen, connect, asUser):
    """The uid is that of whoever made the socket."""
    listener = listen()
    with asUser(OTHER):
        _, accepted = connect(listener)
    # connect() accepted as the other user too, so look from both ends.
    assert identify(diag, accepted).uid == OTHER


def test_socketMadeAsRootStaysRoots(diag, listen, asUser, stack):
    """Changing user after the socket was made does not change what is known of it."""
    listener = listen()
    client = stack.enter_context(socket.socket())
    with asUser(OTHER):
        client.connect(listener.getsockname())
    accepted = stack.enter_context(listener.accept()[0])
    assert identify(diag, accepted).uid == 0


def test_processOfAnotherUser(diag, listen, connect, spawnAs):
    """An inherited socket keeps the uid of its maker, and that is documented."""
    client, accepted = connect(listen())
    spawnAs(OTHER, client)
    inode = inodeOf(client)
    client.close()
    assert identify(diag, accepted) == PeerIdentity(MINE, inode, None, "ESTABLISHED", "")


def test_halfClosedClientIsKnown(diag, listen, connect):
    """A client that shut down its writing side still waits for an answer and is still known."""
    client, accepted = connect(listen())
    client.shutdown(socket.SHUT_WR)
    assert accepted.recv(1) == b""
    until(lambda: identify(diag, accepted).state == "FIN_WAIT2", "end")
    assert identify(diag, accepted) == PeerIdentity(MINE, inodeOf(client), None, "FIN_WAIT2", "")


def test_closedClientIsNobody(diag, listen, connect):
    """A client that has closed reads uid 0, inode 0: unknown, never root."""
    client, accepted = connect(listen())
    asked = client.getsockname(), client.getpeername()
    client.close()
    assert accepted.recv(1) == b""

    def closed():
        # For a moment, while the kernel swaps the socket for a smaller one, there is no row.
        row = diag.lookup(*asked)
        return row if row is not None and row.state is TCPState.FIN_WAIT2 else None

    row = until(closed, "end")
    assert (row.uid, row.inode) == (0, 0)
    found = identify(diag, accepted)
    assert (found.uid, found.inode, found.state) == (None, 0, "FIN_WAIT2")
    assert "closed" in found.reason


def test_killedClientIsNobody(diag, listen, connect, spawn):
    """So does a client whose process was killed."""
    client, accepted = connect(listen())
    child = spawn(client)
    client.close()
    assert identify(diag, accepted).uid == MINE
    child.kill()
    child.wait()
    assert accepted.recv(1) == b""
    until(lambda: identify(diag, accepted).state == "FIN_WAIT2", "end")
    assert identify(diag, accepted).uid is None


def test_orphanIsItsUserOrNobody(diag, listen, connect, asUser):
    """A closed client with bytes under way keeps its uid on new kernels; on none is it root."""
    listener = listen()
    with asUser(OTHER):
        client, accepted = connect(listener)
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            client.send(bytes(65536))
    client.close()
    found = identify(diag, accepted)
    assert found.uid in (OTHER, None)
    assert (found.state, found.inode) == ("FIN_WAIT1", 0)
    assert bool(found.reason) is (found.uid is None)


def test_resetBeforeRead(diag, listen, connect):
    """A client that reset is unknown, although what it sent could still be read."""
    client, accepted = connect(listen())
    client.sendall(b"DELETE ALL")
    reset(client)
    found = identify(diag, accepted)
    assert (found.uid, found.inode) == (None, 0)
    assert "gone" in found.reason


def test_resetDuringTheLookup(listen, connect, stack):
    """Our own state is looked at last, so a reset right after the look-up is noticed."""
    client, accepted = connect(listen())
    diag = BetweenTimes(after=lambda: reset(client))
    stack.callback(diag.close)
    found = identify(diag, accepted)
    assert found.uid is None
    assert "reset" in found.reason


def test_addressesTakenOverByAnotherUser(listen, connect, asUser, stack):
    """One who resets and lets another user reuse the addresses does not pass for that user."""
    listener = listen()
    with asUser(OTHER):
        client, accepted = connect(listener, source=ALONE)
    address = client.getsockname()
    named = []

    def takeOver():
        reset(client)
        with asUser(INNOCENT):
            innocent = stack.enter_context(socket.socket())
        innocent.bind(address)
        innocent.connect(listener.getsockname())
        named.append(SocketDiag.lookup(diag, address, listener.getsockname()).uid)

    diag = BetweenTimes(before=takeOver)
    stack.callback(diag.close)
    found = identify(diag, accepted)
    assert named == [INNOCENT]  # the kernel does name the innocent
    assert found.uid is None
    assert "reset" in found.reason


def test_addressesTakenOverBeforeAccept(diag, listen, asUser, stack):
    """The same before accept(): the first connection is nobody's, the second the innocent's."""
    listener = listen()
    with asUser(OTHER):
        attacker = stack.enter_context(socket.socket())
        attacker.bind((ALONE, 0))
        attacker.connect(listener.getsockname())
    attacker.sendall(b"DELETE ALL")
    address = attacker.getsockname()
    reset(attacker)
    with asUser(INNOCENT):
        innocent = stack.enter_context(socket.socket())
        innocent.bind(address)
        innocent.connect(listener.getsockname())
    first = stack.enter_context(listener.accept()[0])
    second = stack.enter_context(listener.accept()[0])
    assert first.recv(20) == b"DELETE ALL"
    assert identify(diag, first).uid is None
    assert identify(diag, second).uid == INNOCENT


def test_listenerIsNotThePeer(diag, listen, connect, stack):
    """When only a listener has the peer's port, its row is refused."""
    client, accepted = connect(listen(), source=ALONE)
    address = client.getsockname()

    def replace():
        reset(client)
        listener = stack.enter_context(socket.socket())
        listener.bind(address)
        listener.listen()

    class OwnStateHidden(BetweenTimes):
        def lookup(self, local, remote):
            row = super().lookup(local, remote)
            rows.append(row)
            return row

    rows = []
    racing = OwnStateHidden(before=replace)
    stack.callback(racing.close)
    assert identify(racing, accepted).uid is None
    assert rows[0].state is TCPState.LISTEN

    # The row alone is refused too, with our own end alive.
    client, accepted = connect(listen())
    racing.happenBefore = None
    racing.lookup = lambda local, remote: rows[0]
    assert "another socket (LISTEN)" in identify(racing, accepted).reason


def test_rowOfAnotherConnectionIsRefused(diag, listen, connect):
    """An answer about other addresses is no answer."""
    listener = listen()
    first, _ = connect(listener)
    _, accepted = connect(listener)
    row = diag.lookup(first.getsockname(), first.getpeername())
    diag.lookup = lambda local, remote: row
    found = identify(diag, accepted)
    assert (found.uid, found.inode) == (None, 0)
    assert "another socket (ESTABLISHED)" in found.reason


def test_timeWaitIsNobody(diag, listen, connect):
    """The ends of a finished connection are nobody's."""
    client, accepted = connect(listen())
    asked = client.getsockname(), client.getpeername()
    client.close()
    assert accepted.recv(1) == b""
    accepted.shutdown(socket.SHUT_WR)
    row = diag.lookup(*asked)
    assert (row.state, row.uid, row.inode) == (TCPState.TIME_WAIT, 0, 0)
    assert 0 < row.expires <= 60
    assert identify(diag, accepted).uid is None


def test_noNetlink(listen, connect):
    """Where netlink is forbidden every TCP peer is unknown, and the reason says so."""

    def forbidden():
        raise PermissionError(errno.EPERM, "Operation not permitted")

    _, accepted = connect(listen())
    found = identify(SocketDiag(forbidden), accepted)
    assert found == PeerIdentity(
        None, 0, None, "", "the kernel could not be asked: Operation not permitted"
    )


def test_noDiagnostics(listen, connect):
    """Without diagnostics the peer is unknown."""
    _, accepted = connect(listen())
    assert identify(None, accepted).reason == "socket diagnostics are not in use"


def test_closedSocketIsUnknown(diag):
    """A socket that is closed or was never connected is unknown, not an exception."""
    with socket.socket() as sock:
        assert "gone" in identify(diag, sock).reason
    assert identify(diag, sock).uid is None
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", 9))
        assert identify(diag, sock).uid is None


def test_otherFamiliesAreUnknown(diag):
    """A family that has no identity is named in the reason."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as sock:
        assert f"family {socket.AF_NETLINK}" in identify(diag, sock).reason


def test_neverRaises(listen, connect):
    """Whatever breaks in the look-up, the answer is "unknown"."""

    class Broken:
        def lookup(self, local, remote):
            raise RuntimeError("broken")

    _, accepted = connect(listen())
    assert identify(Broken(), accepted).reason == "could not be identified: broken"


def test_unixPeer(diag):
    """A Unix peer has its uid and its pid at once, with or without diagnostics."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        known = PeerIdentity(MINE, 0, os.getpid(), "CONNECTED", "")
        assert identify(None, ours) == identify(diag, ours) == identifyUnix(ours) == known


def test_unixPeerOfAnotherUser(asUser):
    """The uid is that of the user who connected."""
    with asUser(OTHER):
        ours, theirs = socket.socketpair()
    with ours, theirs:
        assert identify(None, ours).uid == OTHER


def test_unixWithoutPeer():
    """A Unix socket that is not connected has no peer, and uid -1 is not a user."""
    with socket.socket(socket.AF_UNIX) as sock:
        assert identify(None, sock) == PeerIdentity(None, 0, None, "", "the socket has no peer")
    assert identifyUnix(sock).uid is None


def test_tcpHasNoCredentials(listen, connect):
    """SO_PEERCRED on TCP names nobody, should it ever be asked."""
    _, accepted = connect(listen())
    assert identifyUnix(accepted).uid is None
