"""PostgreSQL and its own clients, with a relay in between."""

from __future__ import annotations

import subprocess

import pytest
import pytest_twisted
from between import Between, relayed
from realservers import PATIENCE, RealServer


async def benchmark(between: Between, *options: str, inAll: int) -> None:
    """Let pgbench do so many transactions, of which none may fail."""
    said = (await between.asks("pgbench", "-n", *options)).decode()
    assert f"number of transactions actually processed: {inAll}/{inAll}\n" in said
    assert "number of failed transactions: 0 (0.000%)\n" in said


@pytest_twisted.ensureDeferred
@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
async def test_transactions(postgres: RealServer, protocol: str) -> None:
    """pgbench's own transactions, by each of the ways to ask; nothing is left."""
    async with relayed(postgres) as between:
        await benchmark(between, "-c", "6", "-j", "2", "-t", "60", "-M", protocol, inAll=360)


@pytest_twisted.ensureDeferred
@pytest.mark.usefixtures("accounts")
async def test_a_connection_for_each(postgres: RealServer) -> None:
    """Transactions that only read, each on a connection of its own."""
    async with relayed(postgres) as between:
        await benchmark(between, "-S", "-C", "-c", "4", "-t", "40", inAll=160)


@pytest_twisted.ensureDeferred
async def test_many_rows(postgres: RealServer) -> None:
    """A large answer comes whole, a large COPY arrives whole, and a wrong query is told of."""
    async with relayed(postgres) as between:
        sql = "select string_agg(n::text, ',') from generate_series(1, 400000) n"
        said = await between.asks("psql", "-qAtX", "-c", sql)
        assert said == ",".join(map(str, range(1, 400_001))).encode() + b"\n"

        rows = b"".join(b"%d\trow %d\n" % (number, number) for number in range(100_000))
        script = (
            b"create temp table t (n int, r text);\ncopy t from stdin;\n"
            + rows
            + b"\\.\nselect count(*), sum(n), max(length(r)) from t;\n"
        )
        said = await between.asks("psql", "-qAtX", "-v", "ON_ERROR_STOP=1", stdin=script)
        assert said == b"100000|4999950000|9\n"

        ran = await between.ask("psql", "-qAtX", "-c", "select nothing from nowhere")
        assert (ran.code, b'relation "nowhere" does not exist' in ran.err) == (1, True)


def dumped(said: bytes) -> list[bytes]:
    """The lines of a dump, without the random word that newer versions of pg_dump put into it."""
    return [line for line in said.splitlines() if b"restrict " not in line]


@pytest_twisted.ensureDeferred
@pytest.mark.usefixtures("accounts")
async def test_dump(postgres: RealServer) -> None:
    """pg_dump writes the same through the relay as without it."""
    words = ("--table", "pgbench_accounts")
    direct = [postgres.tool("pg_dump"), "-h", "127.0.0.1", "-p", str(postgres.port), *words]
    environ = dict(postgres.environ)
    done = subprocess.run(direct, env=environ, capture_output=True, timeout=PATIENCE, check=True)
    assert done.stdout.count(b"\n") > 100_000
    async with relayed(postgres) as between:
        assert dumped(await between.asks("pg_dump", *words)) == dumped(done.stdout)
