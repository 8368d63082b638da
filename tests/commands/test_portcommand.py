"""C{loopbackd port}: who has a port, and ending whoever listens there and nobody else."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from asuser import STRANGER, asUser
from click.testing import CliRunner, Result
from portservers import Serve
from portservers import serve as serve
from running import PATIENCE, until

from loopbackd.cli import main
from loopbackd.doctor.facts import holder as holderModule
from loopbackd.doctor.facts.binding import bindError
from loopbackd.net.endpoint import hasIPv6
from loopbackd.peer.netlink import SocketDiag

needsIPv6 = pytest.mark.skipif(not hasIPv6(), reason="there is no ::1 here")


def run(port: int, *words: str) -> Result:
    """Runs the command."""
    return CliRunner().invoke(main, ["port", str(port), *words])


def told(port: int, *words: str) -> Any:
    """What it tells a program."""
    return json.loads(run(port, "--json", *words).stdout)


def kinds(port: int, *words: str) -> list[str]:
    """The kinds of its findings."""
    return [one["kind"] for one in told(port, *words)["findings"]]


def freed(port: int, *words: str) -> Result:
    """Frees it, which must succeed."""
    ended = run(port, "--free", "--yes", *words)
    assert ended.exit_code == 0, ended.output
    return ended


def freePort() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def test_who_has_it(serve: Serve, tmp_path: Path) -> None:
    """The holder, where it runs, what has started it, and the nearest port that is free."""
    server, port = serve(cwd=str(tmp_path))
    shown = run(port)
    assert shown.exit_code == 1
    assert f"held by pid {server.pid} (" in shown.output
    assert f"kill {server.pid}" in shown.output
    assert f"pid {server.pid} runs in {tmp_path}, for " in shown.output
    assert f"it was started by pid {os.getpid()} (" in shown.output
    free = told(port)["next_free"]
    assert f"use another port: {free} is free" in shown.output
    assert bindError("127.0.0.1", free) == 0


def test_for_programs(serve: Serve, tmp_path: Path) -> None:
    """The same in JSON, with what a script wants to know."""
    server, port = serve(cwd=str(tmp_path))
    (one,) = told(port)["sockets"]
    assert one["address"] == f"127.0.0.1:{port}" and one["state"] == "listen"
    assert one["pids"] == [server.pid] and one["uid"] == os.geteuid()
    assert one["directory"] == str(tmp_path)
    assert 0 <= one["seconds"] < PATIENCE


def test_nobody_has_it(diag: SocketDiag) -> None:
    """That is no failure, and nothing has to be done for it to be free."""
    # One that no client gets by chance, from some other address.
    port = next(one for one in range(61000, 65536) if not diag.rows(one))
    shown = run(port)
    assert shown.exit_code == 0 and "Nobody has port" in shown.output
    shown = run(port, "--free", "--yes")
    assert shown.exit_code == 0 and "Nobody has port" in shown.output


def test_a_port_that_only_root_may_use(needsRoot: None) -> None:
    """An ordinary user is told so, and that root is somebody who may."""
    first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    port = next((one for one in range(1, first) if not bindError("0.0.0.0", one)), 0)
    if not port:
        pytest.skip("here everybody may use every port")
    shown = asUser(STRANGER, lambda: run(port).output)
    assert "(port-privileged)" in shown and f"take one above {first - 1}" in shown
    assert kinds(port) == []


def test_an_address_of_another_machine() -> None:
    """One that is kept for documentation (RFC 5737)."""
    assert kinds(freePort(), "--host", "192.0.2.1") == ["address-not-here"]
    assert run(80, "--host", "example").exit_code == 2


def test_the_listener_ends_and_clients_stay(serve: Serve, stack: ExitStack) -> None:
    """A client that is connected to the port is nobody to be ended, and it is said that it is."""
    server, port = serve()
    script = (
        f"import socket, sys; s = socket.create_connection(('127.0.0.1', {port}));"
        "print(1, flush=True); sys.stdin.read()"
    )
    client = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    stack.callback(client.communicate)
    assert client.stdout is not None and client.stdout.readline()
    until(lambda: "port-connections" in kinds(port), "connection that was accepted")
    ended = freed(port)
    assert f"127.0.0.1:{port} is free" in ended.output
    assert server.wait(PATIENCE) == -signal.SIGTERM
    assert client.poll() is None


def test_a_stubborn_server_is_killed(serve: Serve) -> None:
    """After a while, and that is said."""
    server, port = serve("stubborn")
    ended = freed(port, "--kill-after", "0.2")
    assert f"killed: {server.pid}" in ended.output
    assert server.wait(PATIENCE) == -signal.SIGKILL


def test_a_stopped_server_has_it(serve: Serve) -> None:
    """It is said to be stopped, and hears that it is to end."""
    server, port = serve()
    server.send_signal(signal.SIGSTOP)
    os.waitpid(server.pid, os.WUNTRACED)
    assert f"pid {server.pid} is stopped (state T)" in run(port).output
    freed(port, "--kill-after", str(PATIENCE))
    assert server.wait(PATIENCE) == -signal.SIGTERM


def test_a_server_that_finishes_its_work(serve: Serve) -> None:
    """Who listens no more is not killed for being there still: the port is free."""
    server, port = serve("draining")
    ended = told(port, "--free", "--yes", "--kill-after", str(PATIENCE))
    assert ended["finishing"] == [server.pid] and ended["killed"] == []
    assert ended["free"] == [f"127.0.0.1:{port}"]
    assert server.poll() is None


def test_all_who_share_the_socket(serve: Serve) -> None:
    """A server that has forked is one holder, named by the first of them, and ends as one."""
    server, port = serve("forking")
    (one,) = until(
        lambda: [one for one in told(port)["sockets"] if len(one["pids"]) == 2], "second process"
    )
    assert one["pids"][0] == server.pid
    assert "and 1 more" in run(port).output
    assert set(told(port, "--free", "--yes")["ended"]) == set(one["pids"])
    assert server.wait(PATIENCE) == -signal.SIGTERM


def test_one_who_belongs_to_something_else(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has the socket, too, is named; and where a service would start it again, nobody ends."""
    server, port = serve("forking")
    pids = until(
        lambda: len(found := told(port)["sockets"][0]["pids"]) == 2 and found, "second process"
    )
    groups = {pids[1]: "/system.slice/other.service"}
    monkeypatch.setattr(holderModule, "groupOf", lambda pid: groups.get(pid, "/"))
    ended = run(port, "--free", "--yes")
    assert ended.exit_code == 1 and "systemctl stop other.service" in ended.output
    assert server.poll() is None
    groups[pids[1]] = "/system.slice/other.scope"
    shown = run(port)
    assert f"pid {pids[1]} (" in shown.output and "has the socket, too" in shown.output
    ended = freed(port)
    assert f", with pid {pids[1]} (" in ended.output and "unit other.scope" in ended.output
    assert server.wait(PATIENCE) == -signal.SIGTERM


def test_a_server_that_leaves_an_heir(serve: Serve) -> None:
    """Who gets the socket while its parent is being ended is ended, too."""
    server, port = serve("heir")
    freed(port)
    assert server.wait(PATIENCE) == 0
    assert run(port).exit_code == 0


def test_all_of_a_group(serve: Serve) -> None:
    """Servers that share the port by SO_REUSEPORT are several holders, asked about once."""
    first, port = serve("group")
    second, _ = serve("group", port=port)
    shown = run(port)
    assert f"pid {first.pid} (" in shown.output and f"pid {second.pid} (" in shown.output
    freed(port)
    assert first.wait(PATIENCE) == second.wait(PATIENCE) == -signal.SIGTERM


def test_a_server_that_is_started_again(serve: Serve) -> None:
    """It is not said to be free; who has it now is, and what has started that."""
    supervisor, port = serve("supervised")
    (before,) = told(port)["sockets"][0]["pids"]
    ended = run(port, "--free", "--yes")
    assert ended.exit_code == 1, ended.output
    (after,) = told(port)["sockets"][0]["pids"]
    assert after != before
    assert f"pid {after} (" in ended.output
    assert f"stop pid {supervisor.pid} (" in ended.output


def test_only_one_address(serve: Serve) -> None:
    """Who has another address of the same port is not ended, and not mentioned."""
    one, port = serve()
    other, _ = serve(host="127.0.0.2", port=port)
    assert f"pid {other.pid} (" not in run(port, "--host", "127.0.0.1").output
    freed(port, "--host", "127.0.0.1")
    assert one.wait(PATIENCE) == -signal.SIGTERM and other.poll() is None
    assert told(port)["sockets"][0]["pids"] == [other.pid]


def test_all_addresses_are_in_the_way_of_one(serve: Serve) -> None:
    """Who listens on 0.0.0.0 has 127.0.0.1, too, and is who to end for it."""
    server, port = serve(host="0.0.0.0")
    assert "on every address" in run(port, "--host", "127.0.0.1").output
    freed(port, "--host", "127.0.0.1")
    assert server.wait(PATIENCE) == -signal.SIGTERM


@needsIPv6
def test_both_families(serve: Serve) -> None:
    """Those of IPv6 alone are not in the way of IPv4; those with both families are."""
    six, port = serve(host="::1")
    assert kinds(port) == ["port-taken"] and kinds(port, "--host", "127.0.0.1") == []
    all6, other = serve(host="::")
    assert kinds(other, "--host", "127.0.0.1") == [] and kinds(other, "--host", "::1") != []
    dual, both = serve("dual", host="::")
    assert kinds(both, "--host", "127.0.0.1") == ["port-taken"]
    freed(both)
    assert dual.wait(PATIENCE) == -signal.SIGTERM
    assert six.poll() is None and all6.poll() is None


def test_bound_and_not_listening(serve: Serve) -> None:
    """It is told, and not ended: nobody listens."""
    server, port = serve("bound")
    assert kinds(port) == ["port-bound"]
    ended = run(port, "--free", "--yes")
    assert ended.exit_code == 1 and "nobody listens there" in ended.output
    assert server.poll() is None


def test_an_outgoing_connection(stack: ExitStack) -> None:
    """A client has got the port as its own: it is named, and not ended."""
    server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    client = stack.enter_context(socket.socket())
    # An address of its own, so that nobody else's client has the same port.
    client.bind(("127.0.91.1", 0))
    client.connect(server.getsockname())
    port = client.getsockname()[1]
    (one,) = told(port, "--host", "127.0.91.1")["findings"]
    assert one["kind"] == "port-outgoing"
    assert f"outgoing connection of pid {os.getpid()} (" in one["says"]
    assert f"to 127.0.0.1:{server.getsockname()[1]}" in one["says"]
    ended = run(port, "--host", "127.0.91.1", "--free", "--yes")
    assert ended.exit_code == 1 and "nobody is ended" in ended.output


@pytest.mark.parametrize("reuse", [False, True])
def test_time_wait_in_the_way(stack: ExitStack, reuse: bool) -> None:
    """It is in the way of all where its socket had not SO_REUSEADDR, else only of who has not."""
    server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
    client.bind(("127.0.92.1", 0))
    client.connect(server.getsockname())
    port = client.getsockname()[1]
    accepted = stack.enter_context(server.accept()[0])
    client.close()
    assert accepted.recv(1) == b""
    accepted.close()
    shown = run(port, "--host", "127.0.92.1")
    assert " s left" in shown.output
    assert ("(port-lingers)" if reuse else "TIME_WAIT, free in ") in shown.output
    assert shown.exit_code == (0 if reuse else 1)


def test_another_users(serve: Serve, needsRoot: None) -> None:
    """It is said whose it is, and how to end it; root sees and ends it."""
    server, port = serve()
    ended = asUser(STRANGER, lambda: run(port, "--free", "--yes").output)
    assert "another user's (root)" in ended and "sudo" in ended
    assert server.poll() is None
    theirs, port = serve("as", str(STRANGER))
    assert f"pid {theirs.pid} (" in run(port).output and f"uid {STRANGER}" in run(port).output
    freed(port)
    assert theirs.wait(PATIENCE) == -signal.SIGTERM


def test_a_socket_of_systemds(stack: ExitStack, program: Callable[..., str]) -> None:
    """Nothing that systemd would start again is ended: its unit is what to stop."""
    port = freePort()
    process = subprocess.Popen(
        [program("systemd-socket-activate"), "-l", f"127.0.0.1:{port}", "cat"],
        stderr=subprocess.PIPE,
    )
    stack.callback(process.communicate)
    stack.callback(process.kill)
    assert process.stderr is not None and b"Listening on" in process.stderr.readline()
    shown = run(port)
    assert f"pid {process.pid} (" in shown.output and "socket-activate" in shown.output
    freed(port)
    assert process.wait(PATIENCE) == -signal.SIGTERM


def test_nobody_is_ended_unasked(serve: Serve) -> None:
    """Without a terminal somebody must have said yes before."""
    server, port = serve()
    ended = run(port, "--free")
    assert ended.exit_code == 2 and "--yes" in ended.output
    assert server.poll() is None


def test_a_question_on_a_terminal(serve: Serve, stack: ExitStack) -> None:
    """The answer no ends nobody, yes does."""
    server, port = serve()
    script = Path(sys.executable).with_name("loopbackd")
    for answer, code in ((b"n\n", 1), (b"y\n", 0)):
        ours, theirs = os.openpty()
        stack.callback(os.close, ours)
        os.write(ours, answer)
        done = subprocess.run(
            [script, "port", str(port), "--free"],
            stdin=theirs,
            capture_output=True,
            timeout=PATIENCE,
        )
        os.close(theirs)
        assert done.returncode == code, done.stderr
        assert f"pid {server.pid} (".encode() in done.stderr and b"End it?" in done.stderr
        assert (server.poll() is None) is (code == 1)


def test_whoever_runs_it_is_not_ended(serve: Serve) -> None:
    """A command that was started by the server would end itself."""
    with socket.create_server(("127.0.0.1", 0)) as mine:
        ended = run(mine.getsockname()[1], "--free", "--yes")
    assert ended.exit_code == 1 and "what this command runs in" in ended.output


def test_our_own_daemon(daemon: Any) -> None:
    """It is said to be ours."""
    running = daemon("--listen", "tcp:0:interface=127.0.0.1", "--protocol", "echo", "--no-twin")
    port = int(running.says(r"on 127\.0\.0\.1:(\d+)")[1])
    assert "it is loopbackd itself" in run(port).output
    freed(port)
    running.end()
