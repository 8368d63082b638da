"""The watch of a daemon: on a clock, in a thread, to the log, and changed while it runs."""

from __future__ import annotations

import socket

import pytest
import pytest_twisted
from making import listener
from sockets import reactor, until

from loopbackd.settings import SettingsError
from loopbackd.watching.events import eventOf
from loopbackd.watching.service import LINES, Watching
from loopbackd.watchsettings import WatchRule, WatchSettings

FAST = WatchSettings(enabled=True, interval=0.1)


@pytest.fixture
def watching(tmp_path):
    """A watch of these settings, that has a file of its own."""
    made = []

    def watching(settings):
        made.append(Watching(settings, reactor, {"LOOPBACKD_STATE_DIR": str(tmp_path)}))
        return made[-1]

    yield watching
    assert not any(one.running for one in made)


def ports(watching, kind):
    """The ports that events of a kind are about."""
    return {event.port for event in watching.events if event.kind == kind}


@pytest_twisted.ensureDeferred
async def test_aLife(watching, logged, tmp_path):
    """It begins, sees who comes and goes, and ends with what it has learned in its file."""
    log = logged("loopbackd.watching")
    one = watching(FAST)
    one.startService()
    await until(lambda: one.seen.watched or one.seen.counts or (tmp_path / "usual.json").exists())
    # At a port that the system does not hand out, so that it is new whoever else listens.
    with _chosen("0.0.0.0") as server:
        port = server.getsockname()[1]
        await until(lambda: port in ports(one, "all-addresses"))
        assert any(w.listener.place.port == port for w in one.seen.watched)
    await until(lambda: port in ports(one, "listener-gone"))
    await one.stopService()
    assert str(port) in (tmp_path / "usual.json").read_text()
    told = [event for event in log.events if event.get("port") == port]
    levels = {event["kind"]: event["log_level"].name for event in told}
    assert levels["listener-new"] == "info" and levels["all-addresses"] == "warn"
    assert levels["listener-gone"] == "info"


@pytest_twisted.ensureDeferred
async def test_off(watching, logged):
    """One that is not enabled looks at nothing."""
    log = logged("loopbackd.watching")
    one = watching(WatchSettings())
    one.startService()
    assert reactor.getDelayedCalls() == []
    await one.stopService()
    assert log == [] and not one.events


@pytest_twisted.ensureDeferred
async def test_changed(watching):
    """Other settings count at once, the same ones change nothing, and wrong ones neither."""
    one = watching(WatchSettings())
    one.startService()
    one.become(FAST)
    await until(lambda: one.seen.watched is not None and one.missing == "" and one._turn.sleeping)
    turn = one._turn
    one.become(FAST)
    assert one._turn is turn
    with pytest.raises(SettingsError, match="there is no user 'no-such-user'"):
        one.become(WatchSettings(allow=(WatchRule(user="no-such-user"),)))
    assert one.settings == FAST and one._turn is turn
    one.become(WatchSettings(enabled=True, interval=3600, events=3))
    one.become(WatchSettings(enabled=True, interval=0.1, events=3))
    assert one.events.maxlen == 3
    with _chosen() as server:
        await until(lambda: server.getsockname()[1] in ports(one, "listener-new"))
    one.become(WatchSettings())
    await one.stopService()
    assert one.seen.watched == ()


@pytest_twisted.ensureDeferred
async def test_stoppedInTheMiddle(watching):
    """It ends when the look that is under way is over, whenever that is."""
    for _ in range(10):
        one = watching(FAST)
        one.startService()
        await one.stopService()


@pytest_twisted.ensureDeferred
async def test_nothingCanBeSeen(watching, logged, monkeypatch):
    """A kernel that does not answer is one warning, and is asked again."""
    log = logged("loopbackd.watching")
    answers = []

    def refuse(self, *_: object) -> None:
        answers.append(1)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("loopbackd.peer.netlink.SocketDiag.table", refuse)
    one = watching(FAST)
    one.startService()
    await until(lambda: len(answers) > 2)
    assert one.missing == "Operation not permitted"
    await one.stopService()
    assert sum("nothing can be seen" in line for line in log) == 1


@pytest_twisted.ensureDeferred
async def test_itFails(watching, monkeypatch, loggedFailures):
    """A mistake of ours is in the log with its traceback, and the daemon goes on."""

    def fail(self, *_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("loopbackd.watching.watch.Watch.saw", fail)
    one = watching(FAST)
    one.startService()
    await until(lambda: one.missing)
    await one.stopService()
    assert len(loggedFailures.flush(ZeroDivisionError)) == 1


def test_manyLines(watching, logged):
    """A flood of events is few lines, with how many more there are."""
    log = logged("loopbackd.watching")

    event = eventOf("listener-new", "a\x1b[2Jb", 1.0, place=listener().place)
    watching(FAST)._tell([event] * 100)
    assert len(log) == LINES + 1
    assert log[0] == "watch: a\\x1b[2Jb (listener-new)."
    assert log[-1] == "watch: and 80 events more."


def _chosen(host="127.0.0.1"):
    """A listener at a port that the system does not hand out."""
    for port in range(20_000, 30_000):
        try:
            return socket.create_server((host, port))
        except OSError:
            continue
    raise AssertionError("there is no free port")
