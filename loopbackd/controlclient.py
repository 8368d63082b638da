"""Asking the control API of a running daemon, from another process, one request at a time."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

import msgspec

from loopbackd.hostport import joined
from loopbackd.loglines import escape, reasonOf
from loopbackd.peer.identity import PeerIdentity
from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.process import findProcess, processOf, userName
from loopbackd.peer.server import whoServes

DEFAULT: Final = "http://127.0.0.1:8474"
"""Where the daemon's control API is if nobody says otherwise."""

VARIABLE: Final = "LOOPBACKD_CONTROL"
"""The environment variable that says otherwise."""

UID_VARIABLE: Final = "LOOPBACKD_CONTROL_UID"
"""Names whose the daemon may be besides one's own and root's."""

UNCHECKED_VARIABLE: Final = "LOOPBACKD_CONTROL_UNCHECKED"
"""Says with C{1} that a daemon is asked, too, of which it cannot be found out whose it is."""

_ROOT: Final = 0

_TIMEOUT: Final = 30.0
_LONGEST: Final = 1 << 27
"""Bytes of an answer."""
_ENDPOINT: Final = re.compile(r"tcp6?:([0-9]{1,5})(?::interface=(.+))?")


class ControlError(Exception):
    """
    What was asked was not done; one line that says why and what to do.

    @ivar status: the HTTP status of the answer; 0 where there was none.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Address:
    """Where a control API is: a host and a port, or the path of a unix socket."""

    host: str
    port: int
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"http://{joined(self.host, self.port)}"


def addressOf(text: str) -> Address:
    """
    The address that somebody wrote: C{http://host:port}, C{host:port}, a port, C{unix:/path}, or
    the endpoint string that the daemon was given.

    @raise ControlError: it is none of these.
    """
    if text.startswith("unix:"):
        if text == "unix:":
            raise ControlError("unix: has no path; write unix:/path/to/control.sock")
        return Address("localhost", 0, text.removeprefix("unix:"))
    endpoint = _ENDPOINT.fullmatch(text)
    if endpoint is not None:
        host = (endpoint[2] or "127.0.0.1").replace("\\", "")
        text = joined(host, int(endpoint[1]))
    if text.isascii() and text.isdigit():
        text = f"127.0.0.1:{text}"
    try:
        found = urlsplit(text if "://" in text else f"http://{text}")
        host, port = found.hostname, found.port
    except ValueError:
        found, host, port = None, None, None
    if found is None or found.scheme != "http" or not host or found.path not in ("", "/"):
        raise ControlError(
            f"{text!r} is no address of a control API; write {DEFAULT} or unix:/path/to.sock"
        )
    return Address(host, 8474 if port is None else port)


def path(*names: str) -> str:
    """The path of a thing by its names, whatever they consist of."""
    return "".join(f"/{quote(name, safe='')}" for name in names)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, address: Address, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = address.path

    def connect(self) -> None:
        """Connect to the path."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self._path)
        except OSError:
            self.sock.close()
            raise


@dataclass(frozen=True, slots=True)
class Trust:
    """
    Who is believed to be our daemon, and not somebody who has taken its address.

    @ivar uids: whose it may be besides one's own and root's.
    @ivar unchecked: ask it, too, where it cannot be found out whose it is.
    """

    uids: frozenset[int] = frozenset()
    unchecked: bool = False

    def doubt(self, who: PeerIdentity) -> str:
        """Why that is not our daemon; empty if it is, as far as that can be known."""
        if who.uid is None:
            if self.unchecked:
                return ""
            return (
                f"whose it is cannot be found out ({who.reason}); use its unix socket, or"
                f" {UNCHECKED_VARIABLE}=1 if nobody else can have taken its port"
            )
        if who.uid in (_ROOT, os.geteuid()) or who.uid in self.uids:
            return ""
        process = findProcess(who.inode, who.uid) or (processOf(who.pid) if who.pid else None)
        name = userName(who.uid)
        seen = f"{escape(name)} ({who.uid})" if name != f"uid {who.uid}" else name
        what = f", pid {process.pid} ({escape(process.command)})" if process else ""
        return (
            f"it is of user {seen}{what}, who is neither you nor root;"
            f" --control-uid {who.uid} if your daemon is that user's"
        )


@contextmanager
def _inTime(sock: socket.socket, seconds: float) -> Iterator[None]:
    """
    Hang up after some time, even on somebody who says a byte now and then.

    @raise TimeoutError: that was done.
    """
    isLate = threading.Event()

    def hangUp() -> None:
        isLate.set()
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, hangUp)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException):
        if isLate.is_set():
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()
        timer.join()
    if isLate.is_set():
        # What came until then looks like all of it.
        raise TimeoutError


class ControlClient:
    """
    Asks one daemon, once it is known whose it is; until then nothing is said.

    No proxy is ever used, whatever the environment says.

    @ivar address: where it is asked.
    @ivar otherwise: where it is asked if nobody listens at the first address; L{None} for nowhere.
    """

    def __init__(
        self,
        address: Address,
        timeout: float = _TIMEOUT,
        trust: Trust | None = None,
        otherwise: Address | None = None,
    ) -> None:
        self.address = address
        self._timeout = timeout
        self._trust = trust or Trust()
        self.otherwise = otherwise

    def within(self, timeout: float) -> ControlClient:
        """One that asks the same daemon, and waits for another time."""
        return ControlClient(self.address, timeout, self._trust, self.otherwise)

    def ask(self, method: str, path: str, body: Any = None, answered: Any = None) -> Any:
        """
        Ask and wait for the answer.

        @param body: what is sent as JSON; L{None} for nothing.
        @param answered: what the answer is to look like, a type; L{None} for anything.
        @return: the JSON of the answer; L{None} where it has no body.
        @raise ControlError: nobody answers there, or the answer is an error.
        """
        status, said = self._exchange(method, path, body)
        isOdd = not 200 <= status < 300
        found = None
        try:
            found = json.loads(said) if said else None
            if answered is not None and not isOdd:
                msgspec.convert(found, answered)
        except (ValueError, RecursionError, msgspec.ValidationError):
            isOdd = True
        if status >= 400:
            raise ControlError(_reason(found, said, status), status)
        if isOdd:
            raise ControlError(
                f"{self.address} does not answer as loopbackd does; is that its control API?"
            )
        return found

    def _exchange(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        fields = {} if body is None else {"Content-Type": "application/json"}
        sent = None if body is None else json.dumps(body).encode()
        connection = None
        try:
            connection = self._connected()
            with _inTime(connection.sock, self._timeout):
                connection.request(method, path, sent, fields)
                answer = connection.getresponse()
                said = answer.read(_LONGEST)
            if len(said) == _LONGEST:
                raise ControlError(f"{self.address} answers without end")
            return answer.status, said
        except TimeoutError:
            raise ControlError(
                f"{self.address} did not answer within {self._timeout:g} s"
            ) from None
        except ConnectionRefusedError:
            raise ControlError(self._nobody("nothing listens there")) from None
        except FileNotFoundError:
            raise ControlError(self._nobody("there is no such socket")) from None
        except http.client.RemoteDisconnected:
            raise ControlError(f"{self.address} does not answer; is that a control API?") from None
        except OSError as error:
            raise ControlError(f"{self.address}: {reasonOf(error)}") from None
        except http.client.HTTPException as error:
            raise ControlError(
                f"{self.address} does not speak HTTP as loopbackd does: {error!r:.200}"
            ) from None
        finally:
            if connection is not None:
                connection.close()

    def _connected(self) -> http.client.HTTPConnection:
        """
        A connection to a daemon that is believed.

        @raise ControlError: it is somebody else's.
        @raise OSError: nobody is there.
        """
        connection = self._connection()
        try:
            connection.connect()
        except OSError as error:
            if self.otherwise is None or not isinstance(
                error, ConnectionRefusedError | FileNotFoundError
            ):
                raise
            # A socket that a dead daemon left.
            self.address, self.otherwise = self.otherwise, None
            return self._connected()
        try:
            self._check(connection.sock)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, sock: socket.socket) -> None:
        diag = SocketDiag()
        try:
            who = whoServes(diag, sock, self._timeout)
        finally:
            diag.close()
        if who.state == "WAITING":
            raise TimeoutError
        doubt = self._trust.doubt(who)
        if doubt:
            raise ControlError(f"{self.address} was told nothing: {doubt}")

    def _connection(self) -> http.client.HTTPConnection:
        if self.address.path:
            return _UnixConnection(self.address, self._timeout)
        return http.client.HTTPConnection(
            self.address.host, self.address.port, timeout=self._timeout
        )

    def _nobody(self, why: str) -> str:
        return (
            f"no loopbackd at {self.address}: {why}; start it with twistd -n loopbackd,"
            f" or say where it is with --control (or {VARIABLE})"
        )


def _reason(found: Any, answered: bytes, status: int) -> str:
    """What an answer says of its error, on one line."""
    said = found.get("error") if isinstance(found, dict) else None
    if not isinstance(said, str):
        said = answered[:200].decode("utf-8", "replace").strip() or f"HTTP {status}"
    return escape(re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", said))
