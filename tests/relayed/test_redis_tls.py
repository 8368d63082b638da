"""Redis under TLS, with relays that begin it, end it, or both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from between import relayed
from realservers import RealServer, redisServer
from tls.ends import storeIn
from tls.targetcases import leaf

from loopbackd.faultsettings import ToxicSettings
from loopbackd.relaysettings import RelaySettings
from loopbackd.settings import TLSSettings
from loopbackd.targetsettings import TargetTLSSettings
from loopbackd.tls.certificates import certificatePEM, keyPEM

BEGINS: dict[str, Any] = {
    "kind": "tls",
    "relay": RelaySettings(tls=TargetTLSSettings(trust="own")),
}
ENDS: dict[str, Any] = {"tls": TLSSettings()}
HOW = pytest.mark.parametrize("how", [BEGINS, ENDS, BEGINS | ENDS], ids=["begins", "ends", "both"])


@contextmanager
def behind(directory: Path, how: dict[str, Any]) -> Iterator[RealServer]:
    """Redis, which speaks TLS if the relay begins one; its certificate is the authority's."""
    if "relay" not in how:
        with redisServer() as server:
            yield server
        return
    made = leaf(storeIn(directory).root(), "127.0.0.1")
    file = directory / "redis.pem"
    file.write_bytes(certificatePEM(made.certificate) + keyPEM(made.key))
    with redisServer(file) as server:
        yield server


def asClient(directory: Path, how: dict[str, Any]) -> tuple[str, ...]:
    """What Redis's clients have to be told."""
    if "tls" not in how:
        return ()
    store = storeIn(directory)
    store.root()
    return ("--tls", "--cacert", str(store.publicPath), "--sni", "localhost")


@HOW
@pytest_twisted.ensureDeferred
async def test_benchmark(tmp_path: Path, how: dict[str, Any]) -> None:
    """redis-benchmark and redis-cli are content, and nothing is left."""
    tls = asClient(tmp_path, how)
    with behind(tmp_path, how) as server:
        async with relayed(server, **how) as between:
            words = ("-c", "10", "-n", "1000", "-d", "3000", "-q", "-t", "ping,set,get,lpush")
            ran = await between.ask("redis-benchmark", *tls, *words)
            assert (ran.code, ran.err) == (0, b"")
            said = await between.asks("redis-cli", *tls, "-x", "set", "k", stdin=b"x" * 1_000_000)
            assert said == b"OK\n"
            assert await between.asks("redis-cli", *tls, "strlen", "k") == b"1000000\n"


@HOW
@pytest_twisted.ensureDeferred
async def test_toxics_are_below_tls(tmp_path: Path, how: dict[str, Any]) -> None:
    """Slow and in small pieces it works all the same; flipped bits end it at the handshake."""
    tls = asClient(tmp_path, how)
    slow = [
        ToxicSettings(type="latency", stream="upstream", attributes={"latency": 2}),
        ToxicSettings(type="slicer", attributes={"average_size": 100, "size_variation": 50}),
    ]
    with behind(tmp_path, how) as server:
        async with relayed(server, *slow, **how) as between:
            words = ("-c", "5", "-n", "100", "-d", "300", "-q", "-t", "set,get")
            ran = await between.ask("redis-benchmark", *tls, *words)
            assert (ran.code, ran.err) == (0, b"")
            if tls:
                wrong = ToxicSettings(type="corrupt", attributes={"rate": 1}, seed=4)
                between.toxics.add(wrong)
                ran = await between.ask("redis-cli", *tls, "ping")
                assert (ran.code, b"PONG" in ran.out) == (1, False)


@pytest_twisted.ensureDeferred
async def test_somebody_else(tmp_path: Path) -> None:
    """A Redis whose certificate is not trusted is none that a relay leads to."""
    with behind(tmp_path, BEGINS) as server:
        strict = RelaySettings(tls=TargetTLSSettings(trust="system"))
        async with relayed(server, kind="tls", relay=strict) as between:
            ran = await between.ask("redis-cli", "ping")
            assert (ran.code, b"PONG" in ran.out) == (1, False)
