"""Any toxic with any attributes, and a client that knows what it must get back through them."""

from __future__ import annotations

import random
import select
import socket
from typing import Any

from sockets import reset

from loopbackd.faultsettings import Stream

HONEST: dict[str, dict[str, list[Any]]] = {
    "bandwidth": {"rate": [0, 1, 50, 5000.5], "shared": [True, False]},
    "blackhole": {},
    "corrupt": {"rate": [0]},
    "cut": {"after": [0, 5, 50], "reset": [True, False], "per_connection": [True, False]},
    "duplicate": {"rate": [0]},
    "latency": {"latency": [0, 1, 20], "jitter": [0, 10], "distribution": ["uniform", "pareto"]},
    "limit_data": {"bytes": [0, 100, 100_000]},
    "loss": {"rate": [0, 0.01, 0.3, 1], "rto": [200, 250]},
    "noop": {},
    "refuse": {"delay": [0, 10]},
    "reset_peer": {"timeout": [0, 20]},
    "slicer": {"average_size": [1, 100, 5000], "size_variation": [0, 1], "delay": [0, 10, 500]},
    "slow_close": {"delay": [0, 30]},
    "slow_open": {"delay": [0, 20], "jitter": [0, 10]},
    "timeout": {"timeout": [0, 20]},
}
"""What leaves a stream as it is, or ends it; and what throws some of it away until it is closed."""

ENDS = frozenset(["cut", "limit_data", "refuse", "reset_peer", "timeout"])
"""What may keep some of a stream from arriving."""

STREAMS: tuple[Stream, ...] = ("upstream", "downstream")


def attributesOf(type: str, chance: random.Random) -> dict[str, Any]:
    """Some that toxics of that type can have."""
    return {key: chance.choice(values) for key, values in HONEST[type].items()}


class Caller:
    """
    A client of an echo, or of a relay to one.

    What comes back must be what it has sent, as far as it comes.

    @ivar isWhole: whether all of it must come.
    """

    def __init__(self, address: Any, isWhole: bool) -> None:
        self.socket = socket.create_connection((address.host, address.port), 10)
        self.socket.setblocking(False)
        self.sent = self.came = b""
        self.isWhole = isWhole
        self.hasFinished = self.isOver = False

    def send(self, data: bytes) -> None:
        """Send what the kernel takes of this."""
        if self.hasFinished or self.isOver:
            return
        try:
            self.sent += data[: self.socket.send(data)]
        except BlockingIOError:
            pass
        except OSError:
            self.broken()

    def read(self) -> None:
        """Read what there is."""
        try:
            while not self.isOver and select.select([self.socket], [], [], 0)[0]:
                part = self.socket.recv(65536)
                self.came += part
                assert self.sent.startswith(self.came), "what came was never sent so"
                if not part:
                    self.leave()
        except OSError:
            self.broken()

    def finish(self) -> None:
        """Send no more."""
        if not (self.hasFinished or self.isOver):
            self.hasFinished = True
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:
                self.broken()

    def hangUp(self, isReset: bool) -> None:
        """Be gone, with a reset or without."""
        self.isWhole = False
        if isReset and not self.isOver:
            reset(self.socket)
        self.leave()

    def broken(self) -> None:
        """The connection is."""
        assert not self.isWhole, "the connection broke, and no toxic says so"
        self.leave()

    def leave(self) -> None:
        """Be gone; all must have come that had to."""
        if not self.isOver:
            self.isOver = True
            self.socket.close()
            if self.isWhole:
                assert self.hasFinished and self.came == self.sent, "something is missing"
