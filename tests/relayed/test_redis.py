"""Redis and its own clients, with a relay in between."""

from __future__ import annotations

import random

import pytest
import pytest_twisted
from between import relayed
from realservers import RealServer

KEEPALIVE = b"WARNING: Keepalive disabled."
"""What redis-benchmark has to say of C{-k 0}."""

MEGABYTES = random.Random(4).randbytes(3_000_000)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "options",
    [
        ("-c", "30", "-n", "6000", "-t", "ping,set,get,incr,lpush,lpop,hset,mset"),
        ("-c", "8", "-n", "2000", "-P", "16", "-d", "2000", "-t", "set,get"),
        ("-c", "4", "-n", "100", "-d", "50000", "-t", "set,get,lrange_100"),
        # A connection for each request.
        ("-c", "10", "-n", "1000", "-k", "0", "-t", "ping,get"),
    ],
    ids=["small", "pipelined", "large", "each anew"],
)
async def test_benchmark(redis: RealServer, options: tuple[str, ...]) -> None:
    """redis-benchmark, which stops at the first error, has none; nothing is left."""
    async with relayed(redis) as between:
        ran = await between.ask("redis-benchmark", *options, "-q")
        assert ran.code == 0
        assert [line for line in ran.err.splitlines() if KEEPALIVE not in line] == []
        assert b"requests per second" in ran.out
        assert b"rror" not in ran.out


@pytest_twisted.ensureDeferred
async def test_bytes(redis: RealServer) -> None:
    """Three megabytes of anything come back as they were."""
    async with relayed(redis) as between:
        assert await between.asks("redis-cli", "-x", "set", "bytes", stdin=MEGABYTES) == b"OK\n"
        assert await between.asks("redis-cli", "--raw", "get", "bytes") == MEGABYTES + b"\n"


@pytest_twisted.ensureDeferred
async def test_mass_insertion(redis: RealServer) -> None:
    """Twenty thousand commands in one breath are all answered."""
    commands = b"".join(b"SET many:%d %d\r\n" % (number, number) for number in range(20_000))
    async with relayed(redis) as between:
        said = await between.asks("redis-cli", "--pipe", stdin=commands)
        assert b"errors: 0, replies: 20000" in said
        assert await between.asks("redis-cli", "get", "many:19999") == b"19999\n"


@pytest_twisted.ensureDeferred
async def test_a_client_that_waits(redis: RealServer) -> None:
    """A connection on which nothing happens for a while is none the worse for it."""
    async with relayed(redis) as between:
        said = await between.asks("redis-cli", "-r", "3", "-i", "0.3", "ping")
        assert said == b"PONG\n" * 3
        assert await between.asks("redis-cli", "blpop", "nobody-pushes", "1") == b"\n"
