"""Asking the control API of a running daemon, from another process, one request at a time."""

from __future__ import annotations

import http.client
import json
import re
import socket
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

import msgspec

from loopbackd.loglines import escape

DEFAULT: Final = "http://127.0.0.1:8474"
"""Where the daemon's control API is if nobody says otherwise."""

VARIABLE: Final = "LOOPBACKD_CONTROL"
"""The environment variable that says otherwise."""

_TIMEOUT: Final = 30.0
_LONGEST: Final = 1 << 27
"""Bytes of an answer."""
_ENDPOINT: Final = re.compile(r"tcp6?:([0-9]+)(?::interface=(.+))?")


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
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


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
        text = f"[{host}]:{endpoint[1]}" if ":" in host else f"{host}:{endpoint[1]}"
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


class ControlClient:
    """
    Asks one daemon.

    No proxy is ever used, whatever the environment says.
    """

    def __init__(self, address: Address, timeout: float = _TIMEOUT) -> None:
        self.address = address
        self._timeout = timeout

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
        connection = self._connection()
        fields = {} if body is None else {"Content-Type": "application/json"}
        sent = None if body is None else json.dumps(body).encode()
        try:
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
            raise ControlError(f"{self.address}: {error.strerror or error}") from None
        except http.client.HTTPException as error:
            raise ControlError(
                f"{self.address} does not speak HTTP as loopbackd does: {error!r:.200}"
            ) from None
        finally:
            connection.close()

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
