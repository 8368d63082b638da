"""A machine full of sockets, to look around in."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SOCKETS = 10_000

CROWD = """
import resource, socket, sys
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
server = socket.create_server(("127.0.0.1", 0), backlog=1024)
kept = []
for _ in range(int(sys.argv[1]) // 2):
    client = socket.create_connection(server.getsockname())
    kept += [client, server.accept()[0]]
print(server.getsockname()[1], flush=True)
while True:
    server.accept()
"""


@contextmanager
def crowd(sockets: int = SOCKETS) -> Iterator[int]:
    """The port of a process that has so many open sockets, half of them at each end."""
    argv = [sys.executable, "-c", CROWD, str(sockets)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port)):
            yield port
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
