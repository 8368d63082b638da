"""Another user's servers where clients look for ours."""

from __future__ import annotations

import errno
import socket
import subprocess
from collections.abc import Iterable

from impostors import ATTACKER, TIMES, acting, wordsAs

_SQUAT = """
import signal
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


class Squatter:
    """
    A process of another user's that has the port of our daemon.

    @param how: it accepts C{late}, or sends an C{answer}, a C{close} or a C{reset} at once.
    @ivar port: the port.
    """

    def __init__(self, host: str, port: int, how: str) -> None:
        words = wordsAs(ATTACKER, _SQUAT, host, str(port), how)
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
