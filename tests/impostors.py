"""
Those who would like to be taken for somebody else, many of them, before anybody accepts.

An L{Attack} connects to an address, says C{said} and leaves the connection as its name says.  It
blocks, so that the daemon in this process accepts what is left afterwards.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Protocol as Interface

from sockets import reset
from twisted.internet.protocol import Factory, Protocol

from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.sockdiag import SocketRow
from loopbackd.service import Loopback

TIMES = 300
"""How often each is tried."""

BATCH = 100
"""How many wait at once; the backlog is 512."""

ROOT, ATTACKER, VICTIM = 0, 12345, 23456
ALONE = "127.62.8.93"
"""An address of ours on which nobody else's TIME_WAIT keeps us from binding a port twice."""

Address = tuple[str, int]

Attack = Callable[[ExitStack, Address, bytes, int], int]
"""
What so many do at an address, with what they say; what is opened stays so until that stack ends.

It returns how many connections come of it: more than attackers where victims connect after them.
"""

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


class Attacked(Interface):
    """
    Where they come.

    @ivar where: its address.
    @ivar said: what they say there, which must not be done.
    """

    where: Address
    said: bytes

    async def settles(self, number: int) -> None:
        """Wait until so many have come since the beginning, and whether they may was decided."""

    async def isLeft(self) -> None:
        """Wait until everybody who had come is gone."""


async def come(there: Attacked, attack: Attack) -> int:
    """
    Have all of them come, a batch at a time.

    @return: how many victims came.
    """
    done = 0
    for at in range(0, TIMES, BATCH):
        with ExitStack() as opened:
            done += attack(opened, there.where, there.said, min(BATCH, TIMES - at))
            await there.settles(done)
        await there.isLeft()
    return done - TIMES


@contextmanager
def acting(uid: int) -> Iterator[None]:
    """Be that user for a while; sockets made meanwhile are that user's for good."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


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


def close(opened: ExitStack, where: Address, said: bytes, number: int) -> int:
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
    return number


def orphan(opened: ExitStack, where: Address, said: bytes, number: int) -> int:
    """Each says more than there is room for and closes: the kernel goes on sending for nobody."""
    for _ in range(number):
        client = connected(opened, where, ATTACKER)
        client.sendall(said)
        client.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                client.send(bytes(65536))
        client.close()
    return number


def resetAs(uid: int) -> Attack:
    """That user says it and resets; it can still be read."""

    def attack(opened: ExitStack, where: Address, said: bytes, number: int) -> int:
        for _ in range(number):
            client = connected(opened, where, uid)
            client.sendall(said)
            reset(client)
        return number

    return attack


def changeUser(opened: ExitStack, where: Address, said: bytes, number: int) -> int:
    """Each was connected by the attacker, in a process that is root's when it says it."""
    for _ in range(number):
        connected(opened, where, ATTACKER).sendall(said)
    return number


class Leaving(SocketDiag):
    """
    Diagnostics during whose look-up each attacker leaves its address to a victim.

    @ivar named: how often the kernel then named the victim.
    """

    def __init__(self, victim: int) -> None:
        super().__init__()
        self.named = 0
        self._victim = victim
        self._attackers: dict[Address, tuple[ExitStack, socket.socket]] = {}

    def attack(self, opened: ExitStack, where: Address, said: bytes, number: int) -> int:
        """Connect, and say it."""
        for _ in range(number):
            attacker = connected(opened, where, ATTACKER, (ALONE, 0))
            attacker.sendall(said)
            self._attackers[attacker.getsockname()] = opened, attacker
        return 2 * number

    def lookup(self, local: Address, remote: Address) -> SocketRow | None:
        """Look up as ever, after that has happened."""
        opened, attacker = self._attackers.pop(local, (None, None))
        if opened is not None and attacker is not None:
            reset(attacker)
            connected(opened, remote, self._victim, local)
        row = super().lookup(local, remote)
        if attacker is not None and row is not None:
            self.named += row.uid == self._victim
        return row


@contextmanager
def leaving(loopback: Loopback, victim: int) -> Iterator[Leaving]:
    """Have a daemon ask L{Leaving} who is there."""
    asked, loopback.diag = loopback.diag, Leaving(victim)
    try:
        yield loopback.diag
    finally:
        loopback.diag.close()
        loopback.diag = asked


class TakingOver:
    """
    Each says it, resets, and lets a victim connect from the very same port.

    @ivar named: how often the kernel names the victim to whoever asks about the first.
    """

    def __init__(self, victim: int) -> None:
        self.named = 0
        self._victim = victim

    def attack(self, opened: ExitStack, where: Address, said: bytes, number: int) -> int:
        """Do that."""
        diag = SocketDiag()
        opened.callback(diag.close)
        for _ in range(number):
            attacker = connected(opened, where, ATTACKER, (ALONE, 0))
            attacker.sendall(said)
            source = attacker.getsockname()
            reset(attacker)
            connected(opened, where, self._victim, source)
            row = diag.lookup(source, where)
            self.named += row is not None and row.uid == self._victim
        return 2 * number


def reuse(victim: int) -> Attack:
    """
    Each says it and closes; later a victim takes the port that the kernel keeps in TIME_WAIT, as
    far as it lets it.
    """

    def attack(opened: ExitStack, where: Address, said: bytes, number: int) -> int:
        sources = []
        for _ in range(number):
            attacker = connected(opened, where, ATTACKER, (ALONE, 0))
            attacker.sendall(said)
            sources.append(attacker.getsockname())
            attacker.close()
        time.sleep(1.1)  # before that the kernel lets nobody reuse one (tcp_tw_reuse)
        return number + _connectedFrom(opened, sources, where, victim)

    return attack


def _connectedFrom(opened: ExitStack, sources: list[Address], where: Address, uid: int) -> int:
    """From how many of these addresses that user gets connected."""
    clients = []
    for source in sources:
        with acting(uid):
            client = opened.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.setblocking(False)
        try:
            client.bind(source)
        except OSError as error:
            assert error.errno == errno.EADDRINUSE
            continue
        if client.connect_ex(where) in (0, errno.EINPROGRESS):
            clients.append(client)
    # One whose SYN met the old connection tries again after a second.
    deadline = time.monotonic() + 3
    waiting = list(clients)
    while waiting and time.monotonic() < deadline:
        _, ready, _ = select.select([], waiting, [], 0.1)
        waiting = [one for one in waiting if one not in ready]
    for client in waiting:
        client.close()
    lost = [one for one in clients if one not in waiting and one.getsockopt(*_ERROR)]
    return len(clients) - len(waiting) - len(lost)


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


def wordsAs(uid: int, script: str, *words: str) -> list[str]:
    """The command of a process of that user's, which need not be able to read what we import."""
    return [sys.executable, "-c", _BECOME + script, str(uid), *words]


def kill(opened: ExitStack, where: Address, said: bytes, number: int) -> int:
    """Real processes of the attacker's, each with ten connections, are killed."""
    for _ in range(number // 10):
        words = wordsAs(ATTACKER, _KILLED, where[0], str(where[1]), said.hex(), "10")
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            child.kill()
    return number


def passedOn(maker: int, user: int) -> Attack:
    """
    Sockets of one user's making are handed to a process of another's (SCM_RIGHTS), which connects
    them, says it and keeps them.
    """

    def attack(opened: ExitStack, where: Address, said: bytes, number: int) -> int:
        opened.enter_context(_passedOn(maker, user, where, said, number))
        return number

    return attack


@contextmanager
def _passedOn(maker: int, user: int, where: Address, said: bytes, number: int) -> Iterator[None]:
    ours, theirs = socket.socketpair()
    with ours:
        words = wordsAs(user, _PASSED, where[0], str(where[1]), said.hex())
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
