"""The relays that are compared: how each is started in front of a target on 127.0.0.1."""

import json
from collections.abc import Callable
from pathlib import Path

from servers import TWISTD, TWISTD_LOOPBACKD, lacksModule, lacksProgram
from starting import Server, freePort

Relay = Callable[[int], Server]
"""From the target's port to a server that relays to it."""


def loopbackd(target: int) -> Server:
    """C{--relay}, as on a command line."""
    return Server(
        "loopbackd",
        lambda port, job: [
            *TWISTD_LOOPBACKD,
            "--relay",
            f"{port}=127.0.0.1:{target}",
            "--no-twin",
        ],
        lacksModule("loopbackd"),
    )


def delayed(milliseconds: float) -> Relay:
    """The same with a toxic on what comes back from the target."""

    def relay(target: int) -> Server:
        def files(directory: Path, port: int) -> None:
            (directory / "relay.toml").write_text(
                f'[[service]]\nname = "relay"\nendpoint = "tcp:{port}:interface=127.0.0.1"\n'
                f'protocol = "relay"\ntarget = "tcp:127.0.0.1:{target}"\ntwin = false\n'
                '[[service.toxic]]\ntype = "latency"\n'
                f"attributes = {{ latency = {milliseconds} }}\n"
            )

        return Server(
            f"loopbackd, latency of {milliseconds:g} ms",
            lambda port, job: [*TWISTD_LOOPBACKD, "--config", "relay.toml"],
            lacksModule("loopbackd"),
            files=files,
        )

    return relay


def haproxy(name: str, isPinned: bool) -> Relay:
    """The least that haproxy needs; it has a thread for each CPU that it may use."""

    def relay(target: int) -> Server:
        def files(directory: Path, port: int) -> None:
            (directory / "haproxy.cfg").write_text(
                "defaults\n mode tcp\n"
                " timeout connect 5s\n timeout client 1m\n timeout server 1m\n"
                f"listen relay\n bind 127.0.0.1:{port}\n server target 127.0.0.1:{target}\n"
            )

        return Server(
            name,
            lambda port, job: ["haproxy", "-db", "-f", "haproxy.cfg"],
            lacksProgram("haproxy"),
            files=files,
            isPinned=isPinned,
        )

    return relay


def socat(target: int) -> Server:
    """A process per connection."""
    return Server(
        "socat, fork",
        lambda port, job: [
            "socat",
            f"TCP-LISTEN:{port},reuseaddr,fork,nodelay,bind=127.0.0.1",
            f"TCP:127.0.0.1:{target},nodelay",
        ],
        lacksProgram("socat"),
        processesStay=False,
    )


def portforward(target: int) -> Server:
    """The relay that comes with Twisted."""
    return Server(
        "twistd portforward",
        lambda port, job: [
            *(TWISTD, "-n", "--pidfile=", "portforward"),
            *("-p", f"tcp:{port}:interface=127.0.0.1"),
            *("-h", "127.0.0.1", "-d", str(target)),
        ],
    )


def toxiproxy(target: int) -> Server:
    """Toxiproxy's server without a toxic; it logs everything unless told otherwise."""

    def files(directory: Path, port: int) -> None:
        proxy = {"name": "relay", "listen": f"127.0.0.1:{port}", "upstream": f"127.0.0.1:{target}"}
        (directory / "toxiproxy.json").write_text(json.dumps([proxy]))

    return Server(
        "toxiproxy-server",
        lambda port, job: [
            *("env", "LOG_LEVEL=error", "toxiproxy-server"),
            *("-host", "127.0.0.1", "-port", str(freePort()), "-config", "toxiproxy.json"),
        ],
        lacksProgram("toxiproxy-server"),
        files=files,
    )


RELAYS: tuple[Relay, ...] = (
    loopbackd,
    haproxy("haproxy, 1 thread", isPinned=True),
    haproxy("haproxy, both CPUs", isPinned=False),
    portforward,
    toxiproxy,
    socat,
)

DELAYED: tuple[Relay, ...] = (delayed(0.1), delayed(1), loopbackd)
"""The first two spend on each chunk that comes back what a toxic costs."""

IPERF = Server(
    "iperf3",
    lambda port, job: ["iperf3", "-s", "-B", "127.0.0.1", "-p", str(port)],
    lacksProgram("iperf3"),
)
"""A target."""
