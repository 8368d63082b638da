"""Real programs that nobody here wrote, against real services."""

from __future__ import annotations

import functools
import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from programs import Program, netcat, run, untilGreeted, where
from running import PATIENCE
from twisted.internet import reactor as realReactor
from twisted.internet.threads import deferToThread

from loopbackd.net.endpoint import hasIPv6
from loopbackd.settings import TLSSettings
from loopbackd.testing import serving

reactor: Any = realReactor

GREETING = re.compile(rb"Hello from (127\.0\.0\.1|\[::1\]):\d+!\nThis is loopbackd\..*\n")


class TestGreeting:
    """A default C{auto} service has a word for every client."""

    @pytest_twisted.ensureDeferred
    async def test_nc(self, program: Program) -> None:
        """A person with nc is greeted without typing anything."""
        nc = netcat(program)
        async with serving(reactor, "auto") as loopback:
            assert GREETING.fullmatch(await untilGreeted([nc, *where(loopback)]))

    @pytest_twisted.ensureDeferred
    async def test_ncWithNothingToSay(self, program: Program) -> None:
        """Input that is at its end at once: the greeting, and the end."""
        nc = netcat(program)
        async with serving(reactor, "auto") as loopback:
            ran = await run(nc, "-N", *where(loopback))
            assert ran.code == 0
            assert GREETING.fullmatch(ran.out)

    @pytest_twisted.ensureDeferred
    async def test_ncat(self, program: Program) -> None:
        """So is ncat, which only listens."""
        ncat = program("ncat")
        async with serving(reactor, "auto") as loopback:
            heard = await untilGreeted([ncat, "--recv-only", *where(loopback)])
            assert GREETING.fullmatch(heard)

    @pytest_twisted.ensureDeferred
    async def test_socat(self, program: Program) -> None:
        """And socat, both ways, or with only one."""
        socat = program("socat")
        async with serving(reactor, "auto") as loopback:
            to = ":".join(("TCP", *where(loopback)))
            assert GREETING.fullmatch(await untilGreeted([socat, "-", to]))
            ran = await run(socat, "-t5", "-", to)
            assert ran.code == 0
            assert GREETING.fullmatch(ran.out)
            assert GREETING.fullmatch(await untilGreeted([socat, "-u", to, "-"]))

    @pytest_twisted.ensureDeferred
    async def test_pythonSocket(self) -> None:
        """Python's socket, which only reads."""
        async with serving(reactor, "auto") as loopback:
            host, port = where(loopback)

            def read() -> bytes:
                to = (host, int(port))
                with socket.create_connection(to, PATIENCE) as sock, sock.makefile("rb") as lines:
                    return lines.readline() + lines.readline()

            assert GREETING.fullmatch(await deferToThread(read))

    @pytest_twisted.ensureDeferred
    async def test_openssl(self, program: Program) -> None:
        """A handshake, the greeting, and an end that openssl calls one (closed, not cut)."""
        openssl = program("openssl")
        async with serving(reactor, "hello", tls=TLSSettings()) as loopback:
            address = ":".join(where(loopback))
            words = ("s_client", "-connect", address, "-servername", "localhost", "-ign_eof")
            ran = await run(openssl, *words)
            assert ran.code == 0
            assert f"Hello from {address}!".encode() in ran.out
            assert b"\nclosed\n" in ran.out
            assert b"unexpected eof" not in ran.out + ran.err

    @pytest_twisted.ensureDeferred
    async def test_theTwin(self, program: Program) -> None:
        """The same port on ::1 is ours as well."""
        ncat = program("ncat")
        if not hasIPv6():
            pytest.skip("no IPv6 on this machine")
        async with serving(reactor, "auto", twin=True) as loopback:
            _, port = where(loopback)
            heard = await untilGreeted([ncat, "--recv-only", "::1", port])
            assert GREETING.fullmatch(heard)
            assert heard.startswith(f"Hello from [::1]:{port}!".encode())


class TestHalfClose:
    """Clients that have said all and wait for their answer."""

    @pytest.mark.parametrize("protocol", ["echo", "auto"])
    @pytest_twisted.ensureDeferred
    async def test_printf(self, program: Program, protocol: str) -> None:
        """C{printf x | nc -N} gets its x."""
        nc = netcat(program)
        async with serving(reactor, protocol) as loopback:
            ran = await run(nc, "-N", *where(loopback), stdin=b"x")
            assert (ran.code, ran.out) == (0, b"x")

    @pytest.mark.parametrize("protocol", ["echo", "auto"])
    @pytest_twisted.ensureDeferred
    async def test_aBigFile(self, program: Program, tmp_path: Path, protocol: str) -> None:
        """Three megabytes come back as they went, says cmp."""
        nc, cmp = netcat(program), program("cmp")
        data = os.urandom(3_000_000)
        (tmp_path / "went").write_bytes(b"\x00" + data)
        async with serving(reactor, protocol) as loopback:
            ran = await run(nc, "-N", *where(loopback), stdin=b"\x00" + data)
            assert ran.code == 0
            (tmp_path / "came").write_bytes(ran.out)
            same = await run(cmp, f"{tmp_path}/went", f"{tmp_path}/came")
            assert (same.code, same.out, same.err) == (0, b"", b"")

    @pytest_twisted.ensureDeferred
    async def test_socat(self, program: Program) -> None:
        """socat closes its side by itself."""
        socat = program("socat")
        async with serving(reactor, "echo") as loopback:
            data = os.urandom(300_000)
            to = ":".join(("TCP", *where(loopback)))
            ran = await run(socat, "-t5", "-", to, stdin=data)
            assert (ran.code, ran.out) == (0, data)

    @pytest_twisted.ensureDeferred
    async def test_ncat(self, program: Program) -> None:
        """So does ncat, where it is asked to."""
        ncat = program("ncat")
        async with serving(reactor, "echo") as loopback:
            data = os.urandom(300_000)
            ran = await run(ncat, *where(loopback), stdin=data)
            assert (ran.code, ran.out) == (0, data)

    @pytest_twisted.ensureDeferred
    async def test_talk(self, program: Program) -> None:
        """Both answers, in order, though the first takes a look around the machine."""
        nc = netcat(program)
        async with serving(reactor, "talk") as loopback:
            ran = await run(nc, "-N", *where(loopback), stdin=b"whoami\nhelp\n")
            assert ran.code == 0
            first, second, who, rest = ran.out.split(b"\n", 3)
            assert GREETING.fullmatch(first + b"\n" + second + b"\n")
            assert f", uid {os.geteuid()}, ".encode() in who
            assert re.search(rb", pid \d+, command \S*nc\S* -N 127\.0\.0\.1 \d+\.$", who)
            assert rest.startswith(b"help ")
            assert rest.endswith(b"as it is.\n")

    @pytest_twisted.ensureDeferred
    async def test_unixSocket(self, program: Program, tmp_path: Path) -> None:
        """C{nc -U} on a unix service, which knows who it is."""
        nc = netcat(program)
        path = f"{tmp_path}/s"
        async with serving(reactor, "auto", endpoint=f"unix:{path}") as loopback:
            ran = await run(nc, "-N", "-U", path, stdin=b"\x00x")
            assert (ran.code, ran.out) == (0, b"\x00x")
            assert len(loopback.connections) == 0
        async with serving(reactor, "talk", endpoint=f"unix:{path}"):
            ran = await run(nc, "-N", "-U", path, stdin=b"whoami\n")
            assert ran.code == 0
            assert f"You are unix, uid {os.geteuid()}, pid ".encode() in ran.out
            assert b"command " in ran.out


class TestClassics:
    """nc and the services of 1983."""

    @pytest.mark.parametrize(
        ("protocol", "answer"),
        [
            ("hello", rb"Hello from 127\.0\.0\.1:\d+!\n"),
            ("qotd", rb"[ -~]+\r\n"),
            ("daytime", rb"\w+day, \w+ \d+, 20\d\d \d\d:\d\d:\d\d-UTC\r\n"),
            ("time", rb"(?s)...."),
            ("discard", rb""),
        ],
    )
    @pytest.mark.parametrize("stdin", [b"", b"x" * 100_000])
    @pytest_twisted.ensureDeferred
    async def test_answers(
        self, program: Program, protocol: str, answer: bytes, stdin: bytes
    ) -> None:
        """Each gives its answer and the end, also to a client that has much to say."""
        nc = netcat(program)
        async with serving(reactor, protocol) as loopback:
            ran = await run(nc, "-N", *where(loopback), stdin=stdin)
            assert re.fullmatch(answer, ran.out)
            if protocol == "discard" or not stdin:
                assert ran.code == 0

    @pytest.mark.parametrize("protocol", ["hello", "qotd", "daytime", "time"])
    @pytest_twisted.ensureDeferred
    async def test_doNotWaitForTheClient(self, program: Program, protocol: str) -> None:
        """Who says nothing and does not close is answered and left."""
        nc = netcat(program)
        async with serving(reactor, protocol) as loopback:
            ran = await run(nc, "-d", *where(loopback), stdin=None)
            assert ran.code == 0
            assert ran.out

    @pytest_twisted.ensureDeferred
    async def test_chargen(self, program: Program) -> None:
        """As much as head wants; then the pipe breaks, and the connection is gone."""
        nc, head, shell = netcat(program), program("head"), program("sh")
        async with serving(reactor, "chargen") as loopback:
            line = '"$0" -d "$2" "$3" | "$1" -c 100000'
            ran = await run(shell, "-c", line, nc, head, *where(loopback))
            assert len(ran.out) == 100_000
            first, second = ran.out.split(b"\r\n")[:2]
            assert first == bytes(range(0x20, 0x20 + 72))
            assert second == bytes(range(0x21, 0x21 + 72))


@pytest.mark.usefixtures("needsRoot")
class TestOtherUsers:
    """Who is at the other end, and whether they may come in."""

    @functools.cached_property
    def other(self) -> tuple[str, ...]:
        """The words before a command that another user runs; setpriv(1) needs no account."""
        return ("--reuid", "12345", "--regid", "12345", "--clear-groups")

    @pytest_twisted.ensureDeferred
    async def test_whoami(self, program: Program) -> None:
        """talk tells a client of another user its uid."""
        nc, setpriv = netcat(program), program("setpriv")
        async with serving(reactor, "talk") as loopback:
            argv = (setpriv, *self.other, nc, "-N", *where(loopback))
            ran = await run(*argv, stdin=b"whoami\n")
            assert ran.code == 0
            assert re.search(rb", uid 12345, pid \d+, command .*nc", ran.out)

    @pytest.mark.parametrize("unix", [False, True])
    @pytest_twisted.ensureDeferred
    async def test_allowUids(self, program: Program, tmp_path: Path, unix: bool) -> None:
        """allow_uids lets root in and resets everybody else."""
        nc, setpriv = netcat(program), program("setpriv")
        # tmp_path's parents are root's alone; an abstract socket has no path to be kept from.
        name = f"loopbackd-test-{os.getpid()}-{tmp_path.name}"
        endpoint = f"unix:\0{name}:lockfile=0" if unix else "tcp:0:interface=127.0.0.1"
        async with serving(reactor, "echo", endpoint=endpoint, allow_uids=(0,)) as loopback:
            if unix:
                socat = program("socat")
                argv: tuple[str, ...] = (socat, "-t5", "-", f"ABSTRACT-CONNECT:{name}")
            else:
                argv = (nc, "-N", *where(loopback))
            ran = await run(*argv, stdin=b"x")
            assert (ran.code, ran.out) == (0, b"x")
            ran = await run(setpriv, *self.other, *argv, stdin=b"x")
            assert ran.out == b""
            totals = loopback.connections.totals("test")
            assert (totals.opened, totals.refused) == (1, 1)

    @pytest_twisted.ensureDeferred
    async def test_refusedIsReset(self, program: Program) -> None:
        """The other user's client sees a reset, not an end it could take for an answer."""
        setpriv, ncat = program("setpriv"), program("ncat")
        async with serving(reactor, "hello", allow_uids=(0,)) as loopback:
            argv = (ncat, "--recv-only", *where(loopback))
            ran = await run(setpriv, *self.other, *argv)
            assert (ran.code, ran.out) == (1, b"")
            assert b"Connection reset by peer" in ran.err
            ran = await run(*argv)
            assert ran.code == 0
            assert ran.out.startswith(b"Hello from")
