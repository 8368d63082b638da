"""
A real systemd, process 1 of namespaces of its own, for tests of what nothing else does.

Needs root. It has a network of its own, whose ports are all free, and sees the machine's files, but
none that it could write to: nothing that it does is seen outside.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from ctypes import CDLL
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest
from asuser import become, inChild
from running import CI, PATIENCE, until

from loopbackd.doctor.facts.cgroups import rootIn
from loopbackd.peer.process import stateOf

T = TypeVar("T")

NOBODY = 65534
"""A uid that has a name: the system's D-Bus, by which users ask systemd, lets no other in."""

_PROGRAM = "/lib/systemd/systemd"
_UNITS = "/etc/systemd/system"
_HIDDEN = ("/tmp", "/var/tmp", "/run")
_NAMESPACES = ("mnt", "uts", "ipc", "net", "pid", "cgroup")
_SESSION = "user.slice/user-0.slice/session-1.scope"
"""Where L{Systemd.run} runs what it runs: nobody's service."""

_LINKED = (
    *("basic.target", "sysinit.target", "sockets.target", "shutdown.target"),
    *("dbus.socket", "dbus.service", "sockets.target.wants/dbus.socket"),
)
"""The machine's own units that there are. It gets no others, nor its generators: among them are
those that would empty /tmp, load modules and mount disks."""

# All this is done before there is a systemd: what it writes to, mounts on or empties is by then
# another thing than the machine's. $1 is ours and may be written to, the others are to be seen.
_PREPARE = f"""
ours=$1
mount -t tmpfs -o mode=755 tmpfs /run
for path; do
    mkdir -p "/run/kept$path"
    mount --rbind "$path" "/run/kept$path"
done
mkdir /run/dev
mount -t tmpfs -o mode=755 tmpfs /run/dev
for node in null zero full random urandom tty; do
    : > "/run/dev/$node"
    mount --bind "/dev/$node" "/run/dev/$node"
done
mkdir /run/dev/pts /run/dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts /run/dev/pts
ln -s pts/ptmx /run/dev/ptmx
ln -s /proc/self/fd /run/dev/fd
mount --bind "$ours/units" {_UNITS}
mount -o remount,bind,ro /
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /var/tmp
for path; do
    mkdir -p "$path"
    mount --rbind "/run/kept$path" "$path"
    if [ "$path" != "$ours" ]; then mount -o remount,bind,ro "$path"; fi
done
mount --move /run/dev /dev
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
exec env -i container=tests PATH="$PATH" SYSTEMD_UNIT_PATH={_UNITS} SYSTEMD_GENERATOR_PATH= \\
    {_PROGRAM} --system --unit=basic.target
"""


class Systemd:
    """
    One that runs.

    @ivar pid: as it is seen from outside.
    @ivar directory: the same inside as outside, and everybody's to read.
    """

    def __init__(self, pid: int, group: Path, directory: Path) -> None:
        self.pid = pid
        self.directory = directory
        self._session = group / _SESSION
        self._session.mkdir(parents=True)
        self._started: list[subprocess.Popen[bytes]] = []

    def write(self, name: str, text: str) -> None:
        """Have a unit of that name; its file says that."""
        (self.directory / "units" / name).write_text(text)

    def ctl(self, *words: str) -> str:
        """What C{systemctl} says, which must succeed."""
        done = self.run("systemctl", "--no-pager", *words)
        assert done.returncode == 0, f"systemctl {' '.join(words)}: {done.stderr}"
        return done.stdout

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a program inside, to its end, as from a terminal of root's."""
        return subprocess.run(
            self._entering(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            preexec_fn=self._join,
        )

    def start(self, *argv: str) -> subprocess.Popen[bytes]:
        """Start one that is ended with this systemd, at the latest; nobody hears what it says."""
        process = subprocess.Popen(
            self._entering(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=self._join,
        )
        self._started.append(process)
        return process

    def within(self, call: Callable[[], T], uid: int = 0) -> T:
        """
        What that returns inside, in a process of that user's.

        All that it needs must be imported before, where it is not root's: others may not be let to
        where the project is.
        """

        def enter() -> None:
            self._join()
            there = [os.open(f"/proc/{self.pid}/ns/{one}", os.O_RDONLY) for one in _NAMESPACES]
            for namespace in there:
                assert CDLL(None).setns(namespace, 0) == 0
                os.close(namespace)
            os.chdir("/")

        # Only children are in the other namespace of pids.
        return inChild(enter, lambda: inChild(lambda: become(uid), call))

    def close(self) -> None:
        """Kill it, and with it all that runs inside; that takes no word of systemd's."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        for process in self._started:
            process.wait(PATIENCE)

    def _entering(self, argv: Sequence[str]) -> list[str]:
        namespaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")
        return ["nsenter", "--target", str(self.pid), "--wd=/", *namespaces, "--", *argv]

    def _join(self) -> None:
        (self._session / "cgroup.procs").write_text("0")


@contextmanager
def running() -> Iterator[Systemd]:
    """Start one; it ends with whoever has started it, too."""
    root = _needed()
    directory = Path(tempfile.mkdtemp(prefix="loopbackd-systemd-"))
    directory.chmod(0o755)
    _link(directory / "units")
    group = Path(root) / directory.name
    group.mkdir()
    with (directory / "console").open("w+") as console:
        process = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "KILL", "unshare", "--fork", "--kill-child"),
                *("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"),
                *("--propagation", "private", "sh", "-euc", _PREPARE, "sh"),
                *dict.fromkeys((str(directory), *_seen())),
            ],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            preexec_fn=lambda: (group / "cgroup.procs").write_text("0"),
        )
        try:
            found = until(lambda: _childOf(process), "process in new namespaces")
            systemd = Systemd(found, group, directory)
            try:
                until(lambda: _isUp(systemd, process), lambda: f"systemd: {_read(directory)}")
                yield systemd
            finally:
                systemd.close()
        finally:
            process.kill()
            process.wait(PATIENCE)
            until(lambda: _emptied(group), "end of its control groups")
            shutil.rmtree(directory)


@pytest.fixture(scope="module")
def realSystemd() -> Iterator[Systemd]:
    """One for all tests of a file; each has units, and ports, of its own."""
    with running() as systemd:
        yield systemd


def _needed() -> str:
    """Where the control groups of version 2 are; all that is missing skips, or fails in CI."""
    if os.geteuid() != 0:
        _missing("not run as root: cannot run systemd")
    for name in (_PROGRAM, "systemctl", "dbus-daemon", "unshare", "nsenter", "setpriv"):
        if shutil.which(name) is None:
            _missing(f"{name} is not installed")
    if not Path("/lib/systemd/system/dbus.socket").exists():
        _missing("the units of D-Bus are not installed")
    root = rootIn(Path("/proc/self/mounts").read_text())
    if not root or not os.access(f"{root}/cgroup.procs", os.W_OK):
        _missing("no cgroups of version 2 that could be written to")
    return root


def _missing(what: str) -> NoReturn:
    if CI:
        pytest.fail(what)
    pytest.skip(what)


def _seen() -> Iterator[str]:
    """What runs Python programs and the project, where it is in a directory that is hidden."""
    for path in (sys.base_prefix, sys.prefix, str(Path(__file__).parents[1])):
        if any(Path(path).is_relative_to(hidden) for hidden in _HIDDEN):
            yield path


def _link(units: Path) -> None:
    for name in _LINKED:
        link = units / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"/lib/systemd/system/{link.name}")


def _childOf(process: subprocess.Popen[bytes]) -> int:
    assert process.poll() is None, "no namespaces could be made"
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return next((pid for pid in pids if stateOf(pid).parent == process.pid), 0)


def _isUp(systemd: Systemd, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, _read(systemd.directory)
    return systemd.run("systemctl", "is-system-running").stdout == "running\n"


def _read(directory: Path) -> str:
    return (directory / "console").read_text()


def _emptied(group: Path) -> bool:
    """Whether it is gone, once it may: the kernel takes its time with processes."""
    try:
        for path, _, _ in os.walk(group, topdown=False):
            os.rmdir(path)
    except OSError:
        return False
    return True
