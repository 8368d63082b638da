"""The article's server: bind, ``listen(5)``, then accept, greet, close, one client at a time."""

import contextlib
import socket
import sys


def main() -> None:
    """Greet whoever connects to the port given on the command line."""
    port = int(sys.argv[1])
    greeting = f"Hello from 127.0.0.1:{port}!".encode()
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen(5)
    while True:
        client, _ = server.accept()
        # The article's loop ends here when a client is gone already; a benchmark's must not.
        with contextlib.suppress(ConnectionError):
            client.sendall(greeting)
        client.close()


if __name__ == "__main__":
    main()
