"""What a service must have that other machines can reach; in a network of its own at the end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from preparing import prepared, refusal
from running import LOGGED, Running, script

from loopbackd.settings import TLSSettings


@pytest.mark.parametrize("endpoint", ["tcp:7007", "tcp6:7007"])
@pytest.mark.parametrize(
    "others",
    [
        {"protocol": "echo"},
        {"protocol": "auto"},
        {"protocol": "http"},
        {"protocol": "relay", "target": "tls:192.0.2.1:5432"},
        {"protocol": "echo", "allow_uids": (0,)},
    ],
)
def test_allow_remote_alone_is_refused(endpoint: str, others: dict[str, Any]) -> None:
    """Whoever has only that is told both remedies, and not that the first is missing."""
    message = refusal(endpoint=endpoint, allow_remote=True, **others)
    assert "allow_remote = true alone lets every machine speak to it in the clear" in message
    assert 'allow_addresses = ["192.0.2.0/24"]' in message and "[service.tls]" in message
    assert "not enough" not in message and "\n" not in message


@pytest.mark.parametrize("protocol", ["echo", "http", "relay"])
def test_TLS_from_the_first_byte_is_enough(protocol: str) -> None:
    """Nothing is heard or said without it."""
    target = {"target": "127.0.0.1:1"} if protocol == "relay" else {}
    service = {"endpoint": "tcp:7007", "protocol": protocol, "allow_remote": True, **target}
    assert prepared(**service, tls=TLSSettings()).networks is None


def test_auto_with_TLS_is_not_TLS_alone() -> None:
    """It answers those who speak in the clear, too; a list of addresses remains."""
    auto: dict[str, Any] = {"endpoint": "tcp:7007", "allow_remote": True, "tls": TLSSettings()}
    assert "its tls table is not enough, since auto also answers without TLS" in refusal(**auto)
    found = prepared(**auto, allow_addresses=("10.0.0.0/8",)).networks
    assert found is not None and found.has("10.1.2.3") and not found.has("11.1.2.3")


def test_an_endpoint_that_ends_TLS_itself_is_enough() -> None:
    """Twisted's own C{ssl:} speaks nothing else."""
    assert prepared(endpoint="ssl:7007:privateKey=/nowhere", allow_remote=True)


@pytest.mark.parametrize(
    ("endpoint", "networks", "said"),
    [
        ("tcp:7007", ("nonsense",), "'nonsense' is no network; write an address or a network"),
        ("tcp:7007", ("192.0.2.7/24",), 'write "192.0.2.0/24", or "192.0.2.7" for that address'),
        ("tcp:7007", ("0.0.0.0/0",), "'0.0.0.0/0' is every machine there is"),
        ("tcp:7007", ("10.0.0.0/8", "::/0"), "'::/0' is every machine there is"),
        ("tcp6:7007", ("fe80::1%eth0",), "a network has no zone; write 'fe80::1'"),
        ("unix:/run/x.sock", ("10.0.0.0/8",), "has no address; remove it (allow_uids says"),
    ],
)
def test_networks_that_are_none(endpoint: str, networks: tuple[str, ...], said: str) -> None:
    """In one line that names the service, the key and the word."""
    message = refusal(endpoint=endpoint, allow_remote=True, allow_addresses=networks)
    assert message.startswith("service 'it': allow_addresses: ") and said in message


_ASK = """
import errno, socket, sys
source, host, port, said = sys.argv[1:]
try:
    with socket.create_connection((host, int(port)), 10, (source, 0)) as client:
        client.sendall(said.encode())
        client.shutdown(socket.SHUT_WR)
        heard = b""
        while part := client.recv(1000):
            heard += part
        print(heard.decode())
except OSError as error:
    if error.errno not in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN):
        raise
    print("reset")
"""

_PROXY = "PROXY TCP4 192.0.2.2 192.0.2.1 5 5\r\n"


@pytest.fixture
def elsewhere(
    start: Callable[..., Running], program: Callable[..., str], needsRoot: None
) -> Callable[..., Any]:
    """
    Start the daemon in a network of its own, with some addresses, and have it asked from others.
    """
    ip, unshare, nsenter = program("ip"), program("unshare"), program("nsenter")
    addresses = ["192.0.2.1/24", "192.0.2.2/24", "198.51.100.9/24"]
    six = ["2001:db8::1/64", "2001:db8::2/64", "2001:db8:1::2/64"]
    setUp = [f"{ip} link set lo up", *(f"{ip} addr add {one} dev lo" for one in addresses)]
    setUp += [f"{ip} addr add {one} dev lo nodad" for one in six]

    def begin(*options: str) -> Any:
        words: Sequence[str] = [
            *(unshare, "-n", "sh", "-c", "; ".join([*setUp, 'exec "$@"']), "sh"),
            *(script("twistd"), *LOGGED, "loopbackd", *options),
        ]
        running = start(words)
        port = int(running.says(r"echo: \S+ on \S+:(\d+)")[1])

        def ask(source: str, said: str = "hi", host: str = "") -> str:
            host = host or ("2001:db8::1" if ":" in source else "192.0.2.1")
            network = f"--net=/proc/{running.process.pid}/ns/net"
            client = [nsenter, network, sys.executable, "-c", _ASK, source, host, str(port), said]
            done = subprocess.run(client, capture_output=True, text=True, timeout=30, check=True)
            return done.stdout.strip()

        return running, ask

    return begin


@pytest.mark.parametrize("endpoint", ["tcp:0", "tcp6:0"])
def test_machines_of_the_list_come_in_and_no_others(
    elsewhere: Callable[..., Any], endpoint: str
) -> None:
    """By the address that the kernel has of them; what a PROXY header says counts for nothing."""
    options = ["--allow-remote", "--allow-address", "192.0.2.2", "--allow-address"]
    running, ask = elsewhere(*options, "2001:db8::/64", "-s", f"echo@{endpoint}")
    assert ask("192.0.2.2") == "hi"
    for said in ("hi", _PROXY):
        assert ask("192.0.2.1", said) == "reset"
        assert ask("198.51.100.9", said) == "reset"
    assert ask("127.0.0.5", host="127.0.0.1") == "hi"
    if endpoint == "tcp6:0":
        assert ask("2001:db8::2") == "hi"
        assert ask("2001:db8:1::2") == "reset"
    refusals = [line for line in running.lines if "refused" in line]
    assert 1 <= len(refusals) <= 5
    assert all("that machine is not in allow_addresses" in line for line in refusals)
    assert "192.0.2.1" in refusals[0]
    running.stop()


def test_the_daemon_does_not_start_with_neither(daemon: Callable[..., Running]) -> None:
    """In one line with both remedies."""
    running = daemon("--allow-remote", "-s", "echo@tcp:0")
    assert running.end() == 1
    (line,) = running.errors.splitlines()
    assert "--allow-address" in line and "[service.tls]" in line
