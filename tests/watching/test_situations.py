"""What the watch is for, made for real: other users, deleted programs, scans, browsers."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from asuser import apartForAWhile
from running import script, until
from sockets import freePort

from loopbackd.peer.netlink import SocketDiag

# Listens at an address, prints the port, and lives until its input ends.
LISTENER = """
import socket, sys
host = sys.argv[1]
family = socket.AF_INET6 if ":" in host else socket.AF_INET
with socket.create_server((host, int(sys.argv[2])), family=family) as server:
    print(server.getsockname()[1], flush=True)
    sys.stdin.read()
"""

# Connects to all ports it is given; closes each at once, or keeps them until its input ends.
SCANNER = """
import socket, sys
kept = []
for port in sys.argv[2:]:
    sock = socket.socket()
    sock.connect_ex(("127.0.0.1", int(port)))
    kept.append(sock)
    if sys.argv[1] == "closes":
        sock.close()
print("done", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _apart():
    """Root has a network of its own, where nobody else listens, connects or is refused."""
    if os.geteuid() != 0:
        yield
        return
    with apartForAWhile():
        yield


def printed(process):
    """The first line that it prints, as a number."""
    return int(process.stdout.readline())


def listenAs(spawn, host="127.0.0.1", port=0, before=()):
    """A process that listens, and its port."""
    process = spawn(*before, sys.executable, "-c", LISTENER, host, str(port))
    return process, printed(process)


def test_aNewListener(looking, spawn):
    """A process begins to listen, and ends: both are told once, with who it was."""
    watched = looking()
    process, port = listenAs(spawn, port=_chosenPort())
    event = watched.until("listener-new", port)
    assert (event.pid, event.uid, event.host) == (process.pid, os.geteuid(), "127.0.0.1")
    assert event.program == os.path.realpath(sys.executable)
    watched.look()
    process.kill()
    process.wait()
    watched.until("listener-gone", port)
    watched.look()
    kinds = [kind for kind in watched.kindsAt(port) if kind.startswith("listener-")]
    assert kinds == ["listener-new", "listener-gone"]


def test_aServiceComesBack(looking, spawn):
    """A usual service at a chosen port that ends, and is there again."""
    port = _chosenPort()
    process, _ = listenAs(spawn, port=port)
    watched = looking()
    process.kill()
    process.wait()
    watched.until("listener-gone", port)
    listenAs(spawn, port=port)
    watched.until("listener-back", port)


def test_anotherUser(looking, spawn, program, needsRoot):
    """A user who never listened does, at a port that was somebody else's; that is seen."""
    port = _chosenPort()
    mine, _ = listenAs(spawn, port=port)
    watched = looking()
    mine.kill()
    mine.wait()
    watched.until("listener-gone", port)
    setpriv = [program("setpriv"), "--reuid", "12345", "--regid", "12345", "--clear-groups"]
    # The tests' own Python may be where another user cannot go.
    theirs = spawn(*setpriv, program("socat"), f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr", "-")
    event = watched.until("new-uid", port)
    assert (event.uid, event.user, event.pid) == (12345, "uid 12345", theirs.pid)
    assert "used to be the port of" in watched.until("port-taken-over", port).says


def test_asAnOrdinaryUser(looking, spawn, asUser):
    """Who may not look into a process is told the uid of its listener all the same."""
    with asUser(12345):
        watched = looking()
    _, port = listenAs(spawn, port=_chosenPort())
    with asUser(12345):
        event = watched.until("listener-new", port)
    assert (event.uid, event.pid, event.command) == (0, None, None)


def test_aDeletedProgram(looking, spawn, program, tmp_path):
    """An executable below /tmp that listens, and is removed: both are told."""
    copy = tmp_path / "harmless"
    shutil.copy(program("socat"), copy)
    if not str(copy).startswith(("/tmp/", "/var/tmp/")):
        pytest.skip("the tests' files are not in /tmp")
    watched = looking()
    port = freePort()
    spawn(copy, f"TCP-LISTEN:{port},bind=127.0.0.1", "-")
    assert watched.until("temporary-program", port).program == str(copy)
    again = looking()
    assert "deleted-program" not in again.kindsAt(port)
    copy.unlink()
    third = looking()
    event = third.until("deleted-program", port)
    assert event.program == str(copy) and "was deleted" in event.says
    # A newer version in its place is an upgrade.
    shutil.copy(program("socat"), copy)
    assert "deleted-program" not in looking().kindsAt(port)


def test_onAllAddresses(program, needsRoot, tmp_path):
    """In a network of its own: listeners on all addresses, and on one of the network."""
    said = f"""
        ip link set lo up && ip addr add 10.9.8.7/32 dev lo
        {sys.executable} -c '{LISTENER}' 0.0.0.0 4001 < held > /dev/null &
        {sys.executable} -c '{LISTENER}' :: 4002 < held > /dev/null &
        {sys.executable} -c '{LISTENER}' 10.9.8.7 4003 < held > /dev/null &
        {sys.executable} -c '{LISTENER}' 127.0.0.1 4004 < held > /dev/null &
        exec 3> held
        while [ $({program("ss")} -tlnH | wc -l) -lt 4 ]; do sleep 0.05; done
        {script("loopbackd")} watch --once --json
        code=$?
        {script("loopbackd")} watch --once --learn > /dev/null || exit 97
        {script("loopbackd")} watch --once > /dev/null || exit 98
        exit $code
    """
    os.mkfifo(tmp_path / "held")
    done = subprocess.run(
        [program("unshare"), "-n", "sh", "-c", said], capture_output=True, cwd=tmp_path, timeout=60
    )
    assert done.returncode == 1, done
    shown = json.loads(done.stdout)
    listening = {one["address"] for one in shown["listeners"]}
    assert listening == {"0.0.0.0:4001", "[::]:4002", "10.9.8.7:4003", "127.0.0.1:4004"}
    found = {(one["kind"], one["evidence"][0]) for one in shown["findings"]}
    assert {one for one in found if one[0] != "temporary-program"} == {
        ("all-addresses", "address: 0.0.0.0 port 4001"),
        ("all-addresses", "address: :: port 4002"),
        ("other-address", "address: 10.9.8.7 port 4003"),
    }


@pytest.fixture
def hundred(stack):
    """A hundred ports where this process listens."""
    servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(100)]
    return [str(server.getsockname()[1]) for server in servers]


def test_aScan(looking, spawn, hundred):
    """One process that is connected to a hundred ports is named."""
    watched = looking()
    scanner = spawn(sys.executable, "-c", SCANNER, "keeps", *hundred)
    scanner.stdout.readline()
    event = watched.until("port-scan")
    assert (event.pid, event.uid) == (scanner.pid, os.geteuid())
    assert event.ports == tuple(sorted(map(int, hundred)))


def test_aScanThatIsOver(looking, spawn, hundred):
    """A process that has closed its sockets has scanned; whose they were is not known any more."""
    watched = looking()
    scanner = spawn(sys.executable, "-c", SCANNER, "closes", *hundred)
    scanner.stdout.readline()
    event = watched.until("port-scan")
    assert set(event.ports) >= set(map(int, hundred[:20]))
    assert event.pid in (None, scanner.pid)


def test_aScanOfClosedPorts(looking, spawn):
    """What was refused is counted."""
    watched = looking()
    closed = [str(freePort()) for _ in range(3)]
    spawn(sys.executable, "-c", SCANNER, "closes", *closed * 100).stdout.readline()
    assert watched.until("refused-attempts").says.partition(" ")[0].isdigit()


def test_aBrowserAtNodesInspector(looking, spawn, program, tmp_path):
    """Something called firefox that is connected to a real node --inspect."""
    port = freePort()
    watched = looking()
    node = spawn(program("node"), f"--inspect=127.0.0.1:{port}", "-e", "setInterval(()=>{}, 9e9)")
    assert watched.until("listener-new", port).pid == node.pid
    browser = tmp_path / "firefox"
    shutil.copy(program("socat"), browser)
    firefox = spawn(browser, "-", f"TCP:127.0.0.1:{port}")
    event = watched.until("browser-at-debugger", port)
    assert event.pid == firefox.pid and "Node's inspector" in event.says
    curl = tmp_path / "other"
    shutil.copy(program("socat"), curl)
    spawn(curl, "-", f"TCP:127.0.0.1:{port}")
    until(lambda: watched.connections(port) == 2, "second connection")
    for _ in range(10):
        watched.look()
    assert watched.kindsAt(port).count("browser-at-debugger") == 1


@pytest.mark.load
def test_tenThousandSockets(looking, listen, monkeypatch, needsRoot):
    """Among 10,000 sockets a look reads what is new, and does nothing where nothing is."""
    asked = []
    table = SocketDiag.table
    monkeypatch.setattr(SocketDiag, "table", lambda *those: asked.append(1) or table(*those))
    server = listen()
    crowd = Path(__file__).parents[2] / "benchmarks" / "crowd.py"
    with runpy.run_path(str(crowd))["crowd"]():
        watched = looking()
        there = watched.looks.watch.connections

        def isQuiet():
            """Whether one more look asks for the listeners alone."""
            before = there.rows
            asked.clear()
            watched.look()
            return there.rows is before and len(asked) == 1

        # Nobody is suspected: all processes need not be looked through.
        monkeypatch.setattr("loopbackd.watching.programs.findProcesses", None)
        for _ in range(20):
            until(isQuiet, "quiet look")
            before = there.rows
            with socket.create_connection(server.getsockname()), server.accept()[0]:
                watched.look()
            read = [row for key, row in there.rows.items() if row is not before.get(key)]
            assert len(read) == 2 and len(there.rows) > 10_000
            assert len(asked) == 3


def _chosenPort():
    """A free port outside those that the system hands out."""
    for port in range(20_000, 30_000):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("there is no free port")
