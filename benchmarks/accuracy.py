"""
How exact toxics are, as a client in a process of its own sees them.

Run it on an idle machine: python benchmarks/accuracy.py
"""

import argparse
import random
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers import TWISTD_LOOPBACKD, lacksModule
from starting import Server, running

CONNECTIONS = 100
MESSAGE = b"x" * 64


def service(protocol: str, type: str, **attributes: float) -> Server:
    """A daemon with one service that has one toxic, on what clients get."""

    def files(directory: Path, port: int) -> None:
        values = ", ".join(f"{key} = {value}" for key, value in attributes.items())
        (directory / "toxic.toml").write_text(
            f'[[service]]\nname = "one"\nendpoint = "tcp:{port}:interface=127.0.0.1"\n'
            f'protocol = "{protocol}"\ntwin = false\n'
            f'[[service.toxic]]\ntype = "{type}"\nattributes = {{ {values} }}\n'
        )

    return Server(
        type,
        lambda port, job: [*TWISTD_LOOPBACKD, "--config", "toxic.toml"],
        lacksModule("loopbackd"),
        files=files,
    )


@contextmanager
def connected(server: Server) -> Iterator[int]:
    """The port of a daemon that runs meanwhile."""
    with running(server, "accuracy", None) as started:
        yield started.port


def call(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), 30)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def roundTrips(port: int, each: int, apart: float) -> list[float]:
    """
    The seconds of so many round trips of each of the connections, one after the other.

    @param apart: the seconds between two of one connection, half as many or half as many again.
    """
    chance = random.Random(1)
    found: list[float] = []
    begun: dict[socket.socket, float] = {}
    left: dict[socket.socket, int] = {}
    due: list[tuple[float, int, socket.socket]] = []
    with selectors.DefaultSelector() as selector:
        for number in range(CONNECTIONS):
            client = call(port)
            client.setblocking(False)
            selector.register(client, selectors.EVENT_READ)
            left[client] = each
            due.append((time.perf_counter() + chance.uniform(0, apart), number, client))
        while left:
            now = time.perf_counter()
            for entry in [entry for entry in due if entry[0] <= now]:
                due.remove(entry)
                begun[entry[2]] = time.perf_counter()
                entry[2].send(MESSAGE)
            soonest = min((entry[0] for entry in due), default=now + 1)
            for key, _ in selector.select(max(0.0, soonest - time.perf_counter())):
                client = key.fileobj  # type: ignore[assignment]
                came = time.perf_counter()
                assert client.recv(100) == MESSAGE
                found.append(came - begun[client])
                left[client] -= 1
                if left[client]:
                    due.append((came + apart * chance.uniform(0.5, 1.5), id(client), client))
                else:
                    del left[client]
                    selector.unregister(client)
                    client.close()
    return found


def quantiles(values: list[float]) -> str:
    """The middle, the 99th percentile and the largest of these seconds, in milliseconds."""
    ranked = sorted(values)
    some = [ranked[len(ranked) // 2], ranked[int(len(ranked) * 0.99)], ranked[-1]]
    return "  ".join(f"{1e3 * value:8.3f}" for value in some)


def latency(each: int) -> None:
    """What a latency toxic adds, less what it should: the echo's own round trip included."""
    print(f"latency, {CONNECTIONS} connections, {CONNECTIONS * each} samples each:")
    print("  asked    less that, ms:  p50       p99       max")
    for asked in (0, 1, 5, 20, 50.5, 100):
        with connected(service("echo", "latency", latency=asked)) as port:
            trips = roundTrips(port, each, 0.15)
        print(f"  {asked:6g} ms           {quantiles([trip - asked / 1e3 for trip in trips])}")


def bandwidth(seconds: float) -> None:
    """How much comes through of a stream that has no end."""
    print(f"bandwidth, one connection, {seconds:g} s:")
    for rate in (10, 100, 1000, 10_000, 100_000):
        with connected(service("chargen", "bandwidth", rate=rate)) as port, call(port) as client:
            began, size = time.perf_counter(), 0
            buffer = bytearray(1 << 20)
            while (now := time.perf_counter()) < began + seconds:
                size += client.recv_into(buffer)
        off = size / (now - began) / (rate * 1000) - 1
        print(f"  {rate:7,} KB/s asked, {size / (now - began) / 1e3:12,.1f} got ({off:+.2%})")


def exact() -> None:
    """What a limit lets through, and whether a slicer loses anything."""
    for limit in (0, 1, 1000, 65_537, 10_000_019):
        with connected(service("chargen", "limit_data", bytes=limit)) as port, call(port) as client:
            size = 0
            while part := client.recv(1 << 16):
                size += len(part)
        print(f"limit_data of {limit:,} bytes: {size:,} came")
    sent = random.Random(2).randbytes(1_000_003)
    attributes = {"average_size": 700, "size_variation": 650, "delay": 20}
    with connected(service("echo", "slicer", **attributes)) as port, call(port) as client:
        came = bytearray()
        for at in range(0, len(sent), 50_000):
            client.sendall(sent[at : at + 50_000])
            while len(came) < min(at + 50_000, len(sent)):
                came += client.recv(1 << 16)
    print(
        f"slicer: {len(came):,} of {len(sent):,} bytes came, {'same' if came == sent else 'WRONG'}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=20, help="round trips of each connection")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long a rate is measured")
    asked = parser.parse_args()
    latency(asked.samples)
    bandwidth(asked.seconds)
    exact()


if __name__ == "__main__":
    main()
