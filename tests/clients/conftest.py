"""The daemon in a process of its own for all clients, who trust its authority and nothing else."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from programs import HOST, Program, Served
from running import HERE, LOGGED, PATIENCE, launch, service


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The daemon as people start it, but for its port and the place of its authority."""
    directory = tmp_path_factory.mktemp("served")
    # A client that starts slowly on a busy machine must not be taken for one that says nothing.
    more = "twin = true\n[service.options]\ngreeting_delay = 10.0"
    (directory / "all.toml").write_text("drain = 1\n" + service("auto", HERE, "auto", more))
    words = ["twistd", *LOGGED, "loopbackd", "--config", f"{directory}/all.toml"]
    environ = {"LOOPBACKD_STATE_DIR": str(directory / "state")}
    running = launch(directory, words, environ)
    try:
        found = Served(running.port(), directory / "state" / "authority" / "authority.crt")
        _greetOverTLS(found.port)
        yield found
        running.stop()
    finally:
        running.process.kill()
        running.process.wait()


def _greetOverTLS(port: int) -> None:
    """The authority comes into being at the first need."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE) as stream,
        context.wrap_socket(stream, server_hostname=HOST),
    ):
        pass


@pytest.fixture
def ran(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run a program that must succeed, in a home of its own and without proxies."""

    def run(
        *words: str | Path, stdin: bytes = b"", environ: dict[str, str] | None = None, code: int = 0
    ) -> subprocess.CompletedProcess[bytes]:
        kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        done = subprocess.run(
            words,
            input=stdin,
            capture_output=True,
            timeout=PATIENCE * 2,
            env={**kept, "HOME": str(tmp_path), **(environ or {})},
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == code, (done.returncode, done.stdout[-2000:], done.stderr[-2000:])
        return done

    return run


@pytest.fixture
def curl(program: Program) -> str:
    """Its path."""
    return program("curl")
