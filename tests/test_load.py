"""
Two thousand clients at once, and clients that never read, against the real daemon.

The figures are logged: C{pytest -m load --log-cli-level=info}.
"""

from __future__ import annotations

import logging
import os
import random
import resource
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from running import Running, running

from loopbackd.gate import raiseDescriptorLimit

pytestmark = [pytest.mark.load, pytest.mark.timeout(300)]

_log = logging.getLogger(__name__)

CLIENTS = 2000
EACH = 1 << 20
SEED = 20240229
MEGABYTE = 1 << 20

# Where every client takes its bytes from; at which place and in which pieces, its own seed says.
BLOCK = random.Random(SEED).randbytes(3 * MEGABYTE)


def pieces(number: int) -> Iterator[tuple[int, int]]:
    """What a client says, as (start, length) in the block: odd lengths, in all C{EACH} bytes."""
    chance = random.Random(SEED + number)
    start = chance.randrange(len(BLOCK) - EACH)
    left = EACH
    while left:
        most = 300 if chance.random() < 0.1 else 150_000
        length = min(left, chance.randrange(most) | 1)
        yield start, length
        start += length
        left -= length


class Talker:
    """A client that says its bytes, and checks that just these come back in their order."""

    def __init__(self, number: int, sock: socket.socket) -> None:
        self.sock = sock
        self._pieces = pieces(number)
        self._start, self._length = next(self._pieces)
        self._expected = self._start
        self.left = EACH
        self.unsaid = EACH

    def say(self, most: int = EACH) -> None:
        """Send what the kernel takes, at most that many bytes of a piece at a time."""
        view = memoryview(BLOCK)
        while self.unsaid:
            end = self._start + min(self._length, most)
            try:
                sent = self.sock.send(view[self._start : end])
            except BlockingIOError:
                return
            self.unsaid -= sent
            self._start += sent
            self._length -= sent
            if not self._length and self.unsaid:
                self._start, self._length = next(self._pieces)
            if most != EACH:
                return

    def hear(self) -> None:
        """Check what has come back."""
        data = self.sock.recv(1 << 18)
        assert data, f"closed with {self.left} bytes to come"
        assert BLOCK.startswith(data, self._expected), f"wrong with {self.left} bytes to come"
        self._expected += len(data)
        self.left -= len(data)


def talkAll(talkers: list[Talker], until: int, deadline: float) -> None:
    """Let all talk until each has that many bytes left to hear."""
    byNumber = {talker.sock.fileno(): talker for talker in talkers}
    busy = len(talkers)
    with select.epoll() as poll:
        for number in byNumber:
            poll.register(number, select.EPOLLIN | select.EPOLLOUT)
        while busy:
            assert time.monotonic() < deadline, f"{busy} clients were not served in time"
            for number, event in poll.poll(1):
                talker = byNumber[number]
                if event & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                    talker.hear()
                    if talker.left == until:
                        poll.unregister(number)
                        busy -= 1
                elif event & select.EPOLLOUT:
                    if talker.unsaid > until:
                        talker.say(EACH if until == 0 else 1)
                    else:
                        poll.modify(number, select.EPOLLIN)


def test_two_thousand_at_once_each_get_their_megabyte_back(tmp_path: Path) -> None:
    """Every byte, in order, on connections that are all open at the same time."""
    # One user gets half of all.
    most = 2 * CLIENTS + 200
    if raiseDescriptorLimit() < most + 100:
        allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            f"needs {most + 100} file descriptors, {allowed} are allowed"
        )
    (tmp_path / "load.toml").write_text(
        f"drain = 0\nmax_connections = {most}\n"
        "[[service]]\n"
        'name = "echo"\n'
        'protocol = "echo"\n'
        'endpoint = "tcp:0:interface=127.0.0.1"\n'
        "twin = false\n"
    )
    with running(tmp_path, "--config", "load.toml") as daemon, ExitStack() as stack:
        address = daemon.address("echo")
        before, start, spent = daemon.memory(), time.monotonic(), daemon.seconds
        talkers = []
        for number in range(CLIENTS):
            sock = stack.enter_context(socket.create_connection(address, 30))
            sock.setblocking(False)
            talkers.append(Talker(number, sock))
        talkAll(talkers, EACH - 1, start + 120)
        open, idle = time.monotonic() - start, daemon.memory() - before
        talkAll(talkers, 0, start + 240)
        took, grown = time.monotonic() - start, daemon.memory("VmHWM") - before
        spent = daemon.seconds - spent
        _log.info(
            "%d clients open and heard after %.1f s (%.1f MB), %d MB back after %.1f s;"
            " the daemon grew by at most %.1f MB and used %.1f s of processor time",
            *(CLIENTS, open, idle / MEGABYTE, CLIENTS * EACH / MEGABYTE),
            *(took, grown / MEGABYTE, spent),
        )
        assert all(not talker.left for talker in talkers)
        assert grown < 200 * MEGABYTE
        assert not any("Traceback" in line for line in daemon.lines)


def stuff(clients: list[socket.socket], said: bytes, most: int) -> int:
    """
    Let all say that again and again, until nobody can say more for a moment, or that is enough.

    @return: how many bytes the kernel took.
    """
    taken = 0
    waiting = {client.fileno(): (client, said) for client in clients}
    with select.epoll() as poll:
        for number in waiting:
            poll.register(number, select.EPOLLOUT)
        while taken < most and (events := poll.poll(0.5)):
            for number, _ in events:
                client, rest = waiting[number]
                try:
                    sent = client.send(rest)
                except BlockingIOError:
                    continue
                taken += sent
                # A line that was cut is finished first, so that lines stay lines.
                waiting[number] = client, rest[sent:] or said
    return taken


TALKING = b"help\nwhoami\nstats\nwho would listen to that?\n" * 200


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        ("echo", BLOCK[:100_001]),
        ("chargen", BLOCK[:100_001]),
        ("talk", TALKING),
        ("auto", TALKING),
        ("auto", b""),
        ("auto", b"GET /get HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100),
    ],
    ids=["echo", "chargen", "talk", "auto-other", "auto-silent", "auto-http"],
)
def test_clients_that_never_read_cost_no_memory(tmp_path: Path, protocol: str, said: bytes) -> None:
    """A hundred of them, who go on sending as long as anybody takes it."""
    with (
        running(tmp_path, "--protocol", protocol, "--listen", "tcp:0:interface=127.0.0.1",
                "--no-twin", "--drain=0") as daemon,
        ExitStack() as stack,
    ):  # fmt: skip
        address = daemon.address(protocol)
        greet(address, said or b"hello\n")
        before = daemon.memory()
        clients = []
        for _ in range(100):
            clients.append(stack.enter_context(socket.socket()))
            # What the kernel keeps for them is not the daemon's, and should not hide it.
            clients[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            clients[-1].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
            clients[-1].connect(address)
            clients[-1].setblocking(False)
        start = time.monotonic()
        taken = 0
        taken = stuff(clients, said, 1024 * MEGABYTE) if said else 0
        if not said:
            assert all(client in select.select([client], [], [], 10)[0] for client in clients)
        grown = daemon.memory("VmHWM") - before
        _log.info(
            "%s: took %.1f MB of 100 clients in %.1f s and grew by at most %.1f MB",
            *(protocol, taken / MEGABYTE, time.monotonic() - start, grown / MEGABYTE),
        )
        # A read, a protocol's limit and a transport's, of 64 KiB each, and what malloc loses
        # between them; without limits it would be hundreds of megabytes.
        assert grown < 100 * 6 * (1 << 16)
        greet(address, said or b"hello\n")
        assert not any("Traceback" in line for line in daemon.lines)


def greet(address: tuple[str, int], said: bytes) -> None:
    """Somebody is served."""
    with socket.create_connection(address, 10) as client:
        client.sendall(said[:100])
        assert client.recv(1)


def test_the_pieces_are_what_they_are_said_to_be() -> None:
    """Odd but for the last, a megabyte in all, and not two clients alike."""
    one, two = list(pieces(1)), list(pieces(2))
    assert sum(length for _, length in one) == EACH
    assert all(length % 2 for _, length in one[:-1])
    assert one == list(pieces(1)) != two
    ends = [start + length for start, length in one]
    assert [start for start, _ in one[1:]] == ends[:-1] and ends[-1] <= len(BLOCK)


def test_a_wrong_byte_would_be_noticed() -> None:
    """The check of this file itself."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        talker = Talker(1, ours)
        (start, _), *_ = pieces(1)
        theirs.send(BLOCK[start : start + 9])
        talker.hear()
        assert talker.left == EACH - 9
        theirs.send(bytes([BLOCK[start + 9] ^ 1]))
        with pytest.raises(AssertionError, match="wrong"):
            talker.hear()


def test_running_measures_memory(tmp_path: Path) -> None:
    """Both figures are there, and the peak is the greater."""
    with running(tmp_path, "--serve", "echo@tcp:0:interface=127.0.0.1", "--no-twin") as daemon:
        assert isinstance(daemon, Running)
        assert 0 < daemon.memory() <= daemon.memory("VmHWM")
