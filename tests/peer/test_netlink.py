"""The kept netlink socket, against this machine's kernel and against one that misbehaves."""

import errno
import os
import resource
import struct

import pytest

from loopbackd.peer.netlink import SocketDiag, plainAddress
from loopbackd.peer.sockdiag import DiagError, TCPState


class Kernel:
    """A netlink socket whose answers are written by the test, as functions of the sequence."""

    def __init__(self, *scripts):
        self.scripts = list(scripts)
        self.queue = []
        self.closed = False

    def send(self, request):
        sequence = struct.unpack_from("=I", request, 8)[0]
        self.queue += [make(sequence) for make in self.scripts.pop(0)]

    def recv(self, size):
        if not self.queue:
            raise BlockingIOError(errno.EAGAIN, "nothing")
        return self.queue.pop(0)

    def close(self):
        self.closed = True


def done(sequence):
    """End a dump."""
    return struct.pack("=IHHIIi", 20, 3, 2, sequence, 0, 0)


def refused(number):
    """Refuse a question."""
    return lambda sequence: struct.pack("=IHHIIi", 20, 2, 0, sequence, 0, -number)


def inodeOf(sock):
    """Name the socket the way the kernel's rows do."""
    return os.fstat(sock.fileno()).st_ino


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_lookupFindsTheConnection(diag, listen, connect, host):
    """Both ends of a connection are found by their addresses, IPv4 and IPv6."""
    client, accepted = connect(listen(host))
    local, remote = client.getsockname()[:2], client.getpeername()[:2]
    row = diag.lookup(local, remote)
    assert (row.inode, row.state) == (inodeOf(client), TCPState.ESTABLISHED)
    assert (row.local, row.remote, row.uid) == (local, remote, os.geteuid())
    assert diag.lookup(remote, local).inode == inodeOf(accepted)


def test_lookupFindsNothing(diag, listen):
    """No such socket is None."""
    listener = listen()
    host, port = listener.getsockname()
    listener.close()
    assert diag.lookup((host, port), (host, 1)) is None


def test_lookupFindsMappedAddresses(diag, listen, connect):
    """A v4-mapped question finds the same socket as the IPv4 one."""
    client, _ = connect(listen())
    (host, port), (_, remotePort) = client.getsockname(), client.getpeername()
    row = diag.lookup(("::ffff:" + host, port), ("::ffff:" + host, remotePort))
    assert row.inode == inodeOf(client)


def test_lookupNamesTheWrongWord(diag):
    """A host that is no address is a ValueError, and the socket stays usable."""
    with pytest.raises(ValueError, match="'nowhere'"):
        diag.lookup(("nowhere", 1), ("127.0.0.1", 1))
    assert diag.lookup(("127.0.0.1", 1), ("127.0.0.1", 1)) is None


def test_rowsOfAPort(diag, listen, connect):
    """A port's rows are its listener and its accepted ends, and no others."""
    listener = listen("::1")
    _, accepted = connect(listener)
    port = listener.getsockname()[1]
    # Rows without an inode are the TIME_WAIT of whoever had the port before.
    found = {row.inode: row.state for row in diag.rows(port) if row.inode}
    assert found == {inodeOf(listener): TCPState.LISTEN, inodeOf(accepted): TCPState.ESTABLISHED}
    assert [row.inode for row in diag.rows(port, [TCPState.LISTEN])] == [inodeOf(listener)]


def test_rowsOfEveryPort(diag, listen):
    """Without a port all listeners of both families are there."""
    wanted = {inodeOf(listen()), inodeOf(listen("::1"))}
    rows = diag.rows(states=[TCPState.LISTEN])
    assert wanted <= {row.inode for row in rows}
    assert {row.state for row in rows} == {TCPState.LISTEN}


def test_rowsAreBounded(diag, listen):
    """Only so many rows are kept, and the next question is answered all the same."""
    listen(), listen()
    assert 1 <= len(diag.rows(limit=1)) <= 2
    assert diag.lookup(("127.0.0.1", 1), ("127.0.0.1", 1)) is None


def test_questionsNeedNoNewDescriptor(diag, listen, connect):
    """With all descriptors used up the kept socket still answers."""
    client, _ = connect(listen())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(OSError):
            os.dup(0)
        row = diag.lookup(client.getsockname(), client.getpeername())
        rows = diag.rows(client.getsockname()[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert row.inode == inodeOf(client)
    assert inodeOf(client) in [row.inode for row in rows]


def test_oneSocketIsKept(diag, listen):
    """Questions share one descriptor; after close() another is opened."""
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        diag.lookup(("127.0.0.1", 1), ("127.0.0.1", 1))
    assert len(os.listdir("/proc/self/fd")) == before
    diag.close()
    assert len(os.listdir("/proc/self/fd")) == before - 1
    diag.close()
    assert diag.missing() is None


@pytest.mark.parametrize("number", [errno.EPERM, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT])
def test_refusalIsRemembered(number):
    """What forbids netlink for good is found out once, and every question says it."""
    tried = []

    def factory():
        tried.append(1)
        raise OSError(number, os.strerror(number))

    diag = SocketDiag(factory)
    for _ in range(3):
        assert diag.missing() == os.strerror(number)
        with pytest.raises(OSError, match=os.strerror(number)):
            diag.rows()
    assert len(tried) == 1


def test_shortageIsTriedAgain(stack):
    """Running out of descriptors is no reason to give up for good."""
    answers = [OSError(errno.EMFILE, "Too many open files"), Kernel([done])]

    def factory():
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    diag = SocketDiag(factory)
    assert diag.missing() == "Too many open files"
    assert diag.missing() is None


def test_kernelWithoutTCPDiag():
    """A kernel that has netlink but no tcp_diag is told apart from "no such socket"."""
    kernel = Kernel([refused(errno.ENOENT)])
    diag = SocketDiag(lambda: kernel)
    assert diag.missing() == "this kernel has no tcp_diag"
    assert kernel.closed


def test_staleAnswersAreDrained():
    """An answer left over from another question is passed over."""
    kernel = Kernel([done], [lambda n: refused(errno.EIO)(n - 1), refused(errno.ENOENT)])
    diag = SocketDiag(lambda: kernel)
    assert diag.lookup(("127.0.0.1", 1), ("127.0.0.1", 1)) is None


def test_nonsenseIsReadAwayAndReported():
    """After an answer that makes no sense the rest of it is read, and the next one is good."""
    kernel = Kernel([done], [lambda n: b"nonsense", done], [refused(errno.EACCES)])
    diag = SocketDiag(lambda: kernel)
    with pytest.raises(ValueError, match="cut short"):
        diag.rows()
    assert not kernel.queue
    with pytest.raises(DiagError):
        diag.lookup(("127.0.0.1", 1), ("127.0.0.1", 1))


def test_silenceIsAnError():
    """A kernel that queues no answer raises; nothing waits for it."""
    diag = SocketDiag(lambda: Kernel([done], []))
    with pytest.raises(BlockingIOError):
        diag.lookup(("127.0.0.1", 1), ("127.0.0.1", 1))


@pytest.mark.parametrize(
    "host, plain",
    [
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::1", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("::ffff:1", "::ffff:1"),
    ],
)
def test_plainAddress(host, plain):
    """Addresses of getpeername() get the form that rows have."""
    assert plainAddress((host, 80, 0, 2)) == (plain, 80)
