"""Real servers behind relays."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
from realservers import PATIENCE, RealServer, postgresServer, redisServer


@pytest.fixture(scope="session")
def redis() -> Iterator[RealServer]:
    """Redis."""
    with redisServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[RealServer]:
    """PostgreSQL."""
    with postgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def accounts(postgres: RealServer) -> None:
    """What pgbench works on, made without a relay."""
    subprocess.run(
        [postgres.tool("pgbench"), "-h", "127.0.0.1", "-p", str(postgres.port), "-i", "-q"],
        env={**os.environ, **postgres.environ},
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
