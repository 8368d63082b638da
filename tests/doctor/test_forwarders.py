"""Programs that forward, by their command lines."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.doctor.facts.forwarders import forwarderIn

PROXY = (
    "/usr/bin/docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8080"
    " -container-ip 172.17.0.2 -container-port 80"
)


@pytest.mark.parametrize(
    ("command", "target", "stopping"),
    [
        (PROXY, "172.17.0.2:80", "docker stop $(docker ps -q --filter publish=8080)"),
        (
            "docker-proxy -container-ip fd00::2 -container-port 80 -host-port 1",
            "[fd00::2]:80",
            "docker stop $(docker ps -q --filter publish=1)",
        ),
        ("docker-proxy", "", "docker stop $(docker ps -q --filter publish=PORT)"),
        (
            # Whoever runs what is said here would run this.
            "docker-proxy -host-port $(reboot)",
            "",
            "docker stop $(docker ps -q --filter publish=PORT)",
        ),
        ("rootlessport", "", "podman ps, and podman stop the container that publishes the port"),
        ("ssh -N -L 8080:db.example:5432 gate", "8080:db.example:5432", ""),
        ("/usr/bin/ssh -fNL8080:db:1 gate", "8080:db:1", ""),
        ("ssh -D 1080 gate", "1080", ""),
        ("autossh -M 0 -L 1:a:2 gate", "1:a:2", ""),
        ("ssh -NL", "", ""),
        ("kubectl -n shop port-forward --address 0.0.0.0 svc/db 1:2", "svc/db", ""),
        ("kubectl port-forward svc/db 1:2", "svc/db", ""),
        ("socat TCP-LISTEN:8080,fork TCP:db:5432", "TCP:db:5432", ""),
    ],
)
def test_forwarders(command: str, target: str, stopping: str) -> None:
    """Where they lead, and what is stopped instead of them."""
    name = os.path.basename(command.split()[0])
    found = forwarderIn(command, name)
    assert found is not None
    assert (found.name, found.target, found.stopping) == (name, target, stopping)
    assert not found.isSaidOnly


@pytest.mark.parametrize("program", ["", "python3.11", "podman"])
def test_who_only_says_so(program: str) -> None:
    """Nothing else is stopped for a process that is called like one: anybody can be."""
    found = forwarderIn(PROXY, program)
    assert found is not None and found.isSaidOnly
    assert (found.target, found.stopping) == ("172.17.0.2:80", "")


@pytest.mark.parametrize(
    ("command", "program"),
    [
        ("rootlessport-child", "rootlessport"),
        ("containers-rootlessport", "podman"),
        ("pasta --config-net", "passt.avx2"),
    ],
)
def test_a_program_of_another_name(command: str, program: str) -> None:
    """Some are one program under several names."""
    found = forwarderIn(command, program)
    assert found is not None and "podman stop" in found.stopping


@pytest.mark.parametrize(
    "command",
    [
        "",
        "vim ssh -L",
        "python -m http.server",
        "ssh gate",
        "ssh -p 22 gate",
        "ssh -oLogLevel=ERROR gate",
        "kubectl get pods",
        "socat TCP:db:1 -",
    ],
)
def test_others(command: str) -> None:
    """What only looks like one is none."""
    assert forwarderIn(command) is None


@given(st.text())
def test_any_command(command: str) -> None:
    """Anybody may call themselves anything."""
    forwarderIn(f"docker-proxy {command}")
    forwarderIn(f"ssh {command}")
    forwarderIn(command)
