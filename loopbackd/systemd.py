"""
What a daemon says to systemd, and what systemd hands to it: sd_notify(3), watchdog, sockets.

Adopting the sockets is Twisted's: its C{systemd:} endpoint does it, and L{explainSystemd} says in
words why it is not going to.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Mapping, Sequence

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from loopbackd.net.endpoint import split

_log = Logger()

FIRST_DESCRIPTOR = 3
"""SD_LISTEN_FDS_START of sd_listen_fds(3)."""

# systemd ignores a datagram of more than 4096 bytes; a character takes four at most.
STATUS_LIMIT = 500


class Notifier:
    """
    Tells systemd how the daemon is, as sd_notify(3) does; it never waits and never raises.

    One descriptor is held until L{close}, so that a flood of connections cannot silence it.

    @param address: a path, or C{@} and the name of an abstract socket.
    """

    def __init__(self, address: str) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket = socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        )
        self._owed = ""
        self._failed = False

    @classmethod
    def fromEnvironment(cls, environ: Mapping[str, str]) -> Notifier | None:
        """
        The notifier for C{NOTIFY_SOCKET}, or L{None} where nobody wants to know.

        A socket of a kind we do not speak (C{vsock:}) is nobody, with a warning.
        """
        address = environ.get("NOTIFY_SOCKET", "")
        if address[:1] in ("/", "@") and len(address) > 1:
            return cls(address)
        if address:
            _log.warn("NOTIFY_SOCKET is {address!r}: neither a path nor abstract", address=address)
        return None

    def ready(self, status: str = "") -> None:
        """
        Say that everything listens, at the start or after L{reloading}.

        @param status: what C{systemctl status} shows.
        """
        self._tell(f"READY=1\n{_statusLine(status)}" if status else "READY=1")

    def reloading(self) -> None:
        """Say that the configuration is being read again; L{ready} must follow, failed or not."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._tell("STOPPING=1")

    def watchdog(self) -> None:
        """Say that the daemon is alive."""
        self._send("WATCHDOG=1")

    def close(self) -> None:
        """Give the descriptor back; whatever is said from now on is not heard."""
        self._socket.close()

    def _tell(self, state: str) -> None:
        # systemd waits for these, and would kill us for one that was lost in a full queue: it goes
        # out before whatever is said next, a sign of life if nothing else.
        self._owed = state
        self._send("")

    def _send(self, message: str) -> None:
        try:
            if self._owed:
                self._socket.sendto(self._owed.encode("utf-8"), self._address)
                self._owed = ""
            if message:
                self._socket.sendto(message.encode("utf-8"), self._address)
        except BlockingIOError:
            pass
        except OSError as error:
            if not self._failed:
                self._failed = True
                _log.warn("systemd cannot be told how we are: {error}", error=error)


def _statusLine(text: str) -> str:
    # isprintable is false for newlines, controls and lone surrogates.
    printable = "".join(character if character.isprintable() else " " for character in text)
    return f"STATUS={printable.strip()[:STATUS_LIMIT]}"


def watchdogInterval(environ: Mapping[str, str], pid: int) -> float | None:
    """
    How often systemd wants a sign of life, in seconds: half of what it would wait for one
    (sd_watchdog_enabled(3)); L{None} where it does not, or wants it of another process.

    @raise ValueError: naming the variable that makes no sense.
    """
    patience = environ.get("WATCHDOG_USEC")
    if patience is None:
        return None
    microseconds = _number("WATCHDOG_USEC", patience)
    if "WATCHDOG_PID" in environ and _number("WATCHDOG_PID", environ["WATCHDOG_PID"]) != pid:
        return None
    return microseconds / 2_000_000


def _number(variable: str, value: str) -> int:
    if re.fullmatch("[0-9]{1,19}", value) is None or int(value) == 0:
        raise ValueError(f"{variable} is {value!r}, and not a number above 0")
    return int(value)


class Watchdog(Service):
    """
    Gives a sign of life from the reactor, so that systemd ends a daemon whose reactor is stuck.

    @param interval: seconds, of L{watchdogInterval}.
    """

    def __init__(self, notifier: Notifier, interval: float, clock: IReactorTime) -> None:
        self._interval = interval
        self._pings = LoopingCall(notifier.watchdog)
        self._pings.clock = clock

    def startService(self) -> None:
        """Give the first sign at once, and then one every interval."""
        super().startService()
        ended = self._pings.start(self._interval)
        ended.addErrback(lambda failure: _log.failure("no more signs of life", failure))

    def stopService(self) -> None:
        """Give no more signs."""
        super().stopService()
        if self._pings.running:
            self._pings.stop()


def explainSystemd(description: str, environ: Mapping[str, str]) -> str | None:
    """
    Say in one line why Twisted would fail on a C{systemd:} endpoint string, or adopt the wrong
    socket; L{None} if it would do what is meant, and for endpoints of other kinds.

    Works before and after L{twisted.internet.endpoints} is imported, which takes C{LISTEN_PID} and
    C{LISTEN_FDS} out of the environment if they are meant for this process, and leaves
    C{LISTEN_FDNAMES}.
    """
    (_, kind), *words = split(description)
    if kind != "systemd":
        return None
    # Twisted takes the options by their places, too.
    places = ("domain", "index", "name")
    given = {name or place: value for place, (name, value) in zip(places, words, strict=False)}
    wrong = set(given) - set(places)
    if wrong or len(words) > 3:
        return f'"{", ".join(sorted(wrong)) or words[3][1]}" is no option of a systemd: endpoint'
    if given.get("domain") not in ("INET", "INET6", "UNIX"):
        return "a systemd: endpoint says which family its socket is of: domain=INET, INET6 or UNIX"
    if ("name" in given) == ("index" in given):
        return "a systemd: endpoint has either name= or index=: name=loopbackd"
    names = _passedNames(environ)
    if isinstance(names, str):
        return names
    chosen = _chosen(names, given.get("name"), given.get("index", ""))
    if isinstance(chosen, str):
        return chosen
    return _unfit(FIRST_DESCRIPTOR + chosen, names[chosen], given["domain"])


def _passedNames(environ: Mapping[str, str]) -> Sequence[str] | str:
    pid, names = environ.get("LISTEN_PID"), environ.get("LISTEN_FDNAMES", "")
    if pid is not None and pid != str(os.getpid()):
        return (
            f"systemd passed its sockets to process {pid}, and this is {os.getpid()}: "
            "start twistd without a shell around it, or by exec"
        )
    if not names and "LISTEN_FDS" in environ:
        return (
            "the sockets that were passed have no names (LISTEN_FDNAMES is not set): "
            "systemd-socket-activate wants --fdname=loopbackd"
        )
    if not names:
        return (
            "no sockets were passed (LISTEN_FDS is not set, or LISTEN_FDNAMES): "
            "start loopbackd.socket, or use a tcp: endpoint"
        )
    found = names.split(":")
    if "LISTEN_FDS" in environ and environ["LISTEN_FDS"] != str(len(found)):
        return f"LISTEN_FDS is {environ['LISTEN_FDS']}, but LISTEN_FDNAMES has {len(found)} names"
    return found


def _chosen(names: Sequence[str], name: str | None, index: str) -> int | str:
    if name is None:
        if re.fullmatch("[0-9]{1,9}", index) is None:
            return f"index={index} is not a number: the first socket of systemd's is index=0"
        if int(index) < len(names):
            return int(index)
        return f"systemd gave {_these(names)}; wanted number {index}, counted from 0"
    if name not in names:
        return f'systemd gave {_these(names)}; wanted "{name}"'
    if names.count(name) > 1:
        return (
            f'systemd gave {names.count(name)} sockets named "{name}", and only the last would be '
            "used: give each a .socket unit and FileDescriptorName= of its own, or write index="
        )
    return names.index(name)


def _these(names: Sequence[str]) -> str:
    return f"{len(names)} socket{'s' if len(names) > 1 else ''} named {', '.join(names)}"


def _unfit(descriptor: int, name: str, domain: str) -> str | None:
    try:
        found = socket.socket(fileno=descriptor)
    except OSError:
        return (
            f'there is no socket at descriptor {descriptor}, where "{name}" should be: '
            "a service had it before, or LISTEN_FDNAMES is from another process"
        )
    try:
        listens = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        family = getattr(found.family, "name", str(found.family)).removeprefix("AF_")
        isStream = found.type == socket.SOCK_STREAM
    finally:
        found.detach()
    if not (listens and isStream):
        return f'the socket "{name}" does not listen: its unit wants ListenStream= and Accept=no'
    if family != domain:
        return f'the socket "{name}" is of domain={family}, and not {domain}'
    return None
