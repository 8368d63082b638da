"""
Those who would like to be taken for somebody else, many of them, before anybody accepts.

Each function connects to an address, says C{said} and leaves the connection as its name says.  It
blocks, so that the daemon in this process accepts what is left afterwards.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from twisted.internet.protocol import Factory, Protocol

from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.sockdiag import SocketRow

TIMES = 300
"""How often each is tried."""

BATCH = 100
"""How many wait at once; the backlog is 512."""

ATTACKER, VICTIM = 12345, 23456
ALONE = "127.62.8.93"
"""An address of ours on which nobody else's TIME_WAIT keeps us from binding a port twice."""

Address = tuple[str, int]

_ERROR = socket.SOL_SOCKET, socket.SO_ERROR


class Recorder(Protocol):
    """A protocol that keeps what it is told."""

    heard: list[bytes] = []  # noqa: RUF012
    opened = 0

    def connectionMade(self) -> None:
        """Somebody was let in."""
        type(self).opened += 1

    def dataReceived(self, data: bytes) -> None:
        """Somebody said something."""
        self.heard.append(data)

    @classmethod
    def forget(cls) -> None:
        """Begin anew."""
        cls.heard.clear()
        cls.opened = 0


class RecorderFactory(Factory):
    """Builds them."""

    protocol = Recorder


def tell(what: str, count: int, times: int = TIMES) -> None:
    """Say how often it worked (pytest -s, or -rP)."""
    sys.stdout.write(f"{what}: {count}/{times}\n")


def batches() -> Iterator[int]:
    """How many at a time, until all were."""
    left = TIMES
    while left:
        yield min(left, BATCH)
        left -= BATCH


@contextmanager
def acting(uid: int) -> Iterator[None]:
    """Be that user for a while; sockets made meanwhile are that user's for good."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


def reset(sock: socket.socket) -> None:
    """Close with a RST instead of a FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def connected(
    opened: ExitStack, where: Address, uid: int, source: Address | None = None
) -> socket.socket:
    """A connection of that user's."""
    with acting(uid):
        client = opened.enter_context(socket.socket())
    if source is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.bind(source)
    client.settimeout(20)
    client.connect(where)
    return client


def close(opened: ExitStack, where: Address, said: bytes, number: int) -> None:
    """Each says it and closes, and the kernel has forgotten whose it was: it reads "uid 0"."""
    sources = []
    for _ in range(number):
        client = connected(opened, where, ATTACKER)
        sources.append(client.getsockname())
        client.sendall(said)
        client.close()
    diag = SocketDiag()
    opened.callback(diag.close)
    deadline = time.monotonic() + 5
    while sources:
        assert time.monotonic() < deadline, "the kernel remembers them"
        row = diag.lookup(sources[-1], where)
        if row is not None and row.uid == row.inode == 0:
            sources.pop()


def orphan(opened: ExitStack, where: Address, said: bytes, number: int) -> None:
    """Each says more than there is room for and closes: the kernel goes on sending for nobody."""
    for _ in range(number):
        client = connected(opened, where, ATTACKER)
        client.sendall(said)
        client.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                client.send(bytes(65536))
        client.close()


def resetAs(uid: int, opened: ExitStack, where: Address, said: bytes, number: int) -> None:
    """That user says it and resets; it can still be read."""
    for _ in range(number):
        client = connected(opened, where, uid)
        client.sendall(said)
        reset(client)


def changeUser(opened: ExitStack, where: Address, said: bytes, number: int) -> None:
    """Each was connected by the attacker, in a process that is root's when it says it."""
    for _ in range(number):
        connected(opened, where, ATTACKER).sendall(said)


class Leaving(SocketDiag):
    """
    Diagnostics during whose look-up each attacker leaves its address to a victim.

    @ivar named: how often the kernel then named the victim.
    """

    def __init__(self, opened: ExitStack, victim: int) -> None:
        super().__init__()
        self.named = 0
        self._opened = opened
        self._victim = victim
        self._attackers: dict[Address, socket.socket] = {}

    def attack(self, where: Address, said: bytes, number: int) -> None:
        """Connect, and say it."""
        for _ in range(number):
            attacker = connected(self._opened, where, ATTACKER, (ALONE, 0))
            attacker.sendall(said)
            self._attackers[attacker.getsockname()] = attacker

    def lookup(self, local: Address, remote: Address) -> SocketRow | None:
        """Look up as ever, after that has happened."""
        attacker = self._attackers.pop(local, None)
        if attacker is not None:
            reset(attacker)
            connected(self._opened, remote, self._victim, local)
        row = super().lookup(local, remote)
        if attacker is not None and row is not None:
            self.named += row.uid == self._victim
        return row


def takeOver(
    opened: ExitStack, where: Address, said: bytes, number: int, victim: int = VICTIM
) -> int:
    """
    Each says it, resets, and lets a victim connect from the very same port.

    @return: in how many cases the kernel names the victim to whoever asks about the first.
    """
    named = 0
    diag = SocketDiag()
    opened.callback(diag.close)
    for _ in range(number):
        attacker = connected(opened, where, ATTACKER, (ALONE, 0))
        attacker.sendall(said)
        source = attacker.getsockname()
        reset(attacker)
        connected(opened, where, victim, source)
        row = diag.lookup(source, where)
        named += row is not None and row.uid == victim
    return named


def reuse(opened: ExitStack, where: Address, said: bytes, number: int, victim: int = VICTIM) -> int:
    """
    Each says it and closes; later a victim takes the port that the kernel keeps in TIME_WAIT.

    @return: how many victims are connected from there.
    """
    sources = []
    for _ in range(number):
        attacker = connected(opened, where, ATTACKER, (ALONE, 0))
        attacker.sendall(said)
        sources.append(attacker.getsockname())
        attacker.close()
    time.sleep(1.1)  # before that the kernel lets nobody reuse one (tcp_tw_reuse)
    victims = []
    for source in sources:
        with acting(victim):
            client = opened.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.setblocking(False)
        try:
            client.bind(source)
        except OSError as error:
            assert error.errno == errno.EADDRINUSE
            continue
        if client.connect_ex(where) in (0, errno.EINPROGRESS):
            victims.append(client)
    # One whose SYN met the old connection tries again after a second.
    deadline = time.monotonic() + 3
    waiting = list(victims)
    while waiting and time.monotonic() < deadline:
        _, ready, _ = select.select([], waiting, [], 0.1)
        waiting = [one for one in waiting if one not in ready]
    for client in waiting:
        client.close()
    lost = [one for one in victims if one not in waiting and one.getsockopt(*_ERROR)]
    return len(victims) - len(waiting) - len(lost)


_BECOME = """
import encodings.idna, os, signal, socket, struct, sys, time
uid, host, port, said = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
os.setgroups([])
os.setresgid(uid, uid, uid)
os.setresuid(uid, uid, uid)
"""

_KILLED = """
clients = []
for _ in range(int(sys.argv[5])):
    client = socket.create_connection((host, port), 20)
    client.sendall(bytes.fromhex(said))
    clients.append(client)
print("ready", flush=True)
sys.stdin.read()
"""

_PASSED = """
channel = socket.socket(fileno=0)
kept = []
while True:
    _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
    if not descriptors:
        break
    client = socket.socket(fileno=descriptors[0])
    client.connect((host, port))
    client.sendall(bytes.fromhex(said))
    channel.sendall(b".")
    kept.append(client)
"""

_SQUAT = """
family = socket.AF_INET6 if ":" in host else socket.AF_INET
server = socket.create_server((host, port), family=family, backlog=512)
count = heard = 0
def end(*_):
    print(count, heard, flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, end)
print(server.getsockname()[1], flush=True)
while True:
    if said == "late":
        time.sleep(0.005)
    client, _ = server.accept()
    count += 1
    if said == "reset":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if said in ("reset", "close"):
        client.close()
        continue
    try:
        if said == "answer":
            client.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
        client.settimeout(20)
        while part := client.recv(65536):
            heard += len(part)
    except ConnectionError:
        pass
    client.close()
"""


def _as(uid: int, script: str, *words: str) -> list[str]:
    """A process of a user's, which need not be able to read what we import."""
    return [sys.executable, "-c", _BECOME + script, str(uid), *words]


def kill(where: Address, said: bytes, number: int) -> None:
    """Real processes of the attacker's, each with ten connections, are killed."""
    for _ in range(number // 10):
        words = _as(ATTACKER, _KILLED, where[0], str(where[1]), said.hex(), "10")
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            child.kill()


@contextmanager
def passedOn(
    opened: ExitStack, maker: int, user: int, where: Address, said: bytes, number: int
) -> Iterator[None]:
    """
    Sockets of one user's making are handed to a process of another's (SCM_RIGHTS), which connects
    them, says it and keeps them.
    """
    ours, theirs = socket.socketpair()
    with ours:
        words = _as(user, _PASSED, where[0], str(where[1]), said.hex())
        with theirs:
            child = subprocess.Popen(words, stdin=theirs)
        try:
            ours.settimeout(20)
            for _ in range(number):
                with acting(maker), socket.socket() as made:
                    socket.send_fds(ours, [b"."], [made.fileno()])
                assert ours.recv(1) == b"."
            yield
            ours.shutdown(socket.SHUT_WR)
            assert child.wait(20) == 0
        finally:
            child.kill()
            child.wait()


class Squatter:
    """
    A process of another user's that has the port of our daemon.

    @param how: it accepts C{late}, or sends an C{answer}, a C{close} or a C{reset} at once.
    @ivar port: the port.
    """

    def __init__(self, host: str, port: int, how: str) -> None:
        words = _as(ATTACKER, _SQUAT, host, str(port), how)
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def end(self) -> tuple[int, int]:
        """How many connections it has had, and how many bytes it was told."""
        self._process.terminate()
        out, _ = self._process.communicate(timeout=20)
        count, heard = out.split()
        return int(count), int(heard)

    def __enter__(self) -> Squatter:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def squatting(addresses: Iterable[str], port: int) -> dict[str, int]:
    """How often the attacker gets such a port, by address."""
    got = {}
    with acting(ATTACKER):
        for host in addresses:
            got[host] = 0
            for number in range(TIMES):
                family = socket.AF_INET6 if ":" in host else socket.AF_INET
                with socket.socket(family) as sock:
                    if family == socket.AF_INET6:
                        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, number % 2)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, number // 2 % 2)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, number // 4 % 2)
                    try:
                        sock.bind((host, port))
                        sock.listen()
                    except OSError as error:
                        assert error.errno == errno.EADDRINUSE
                    else:
                        got[host] += 1
    return got
