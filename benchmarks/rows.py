"""The rows of the tables: who is compared with whom, at what."""

from collections.abc import Callable
from dataclasses import dataclass

from autobahn import underKosoku
from handshakes import CLIENTS as TLS_CLIENTS
from handshakes import underHandshakes
from measuring import (
    IDLE_CONNECTIONS,
    Entry,
    Plan,
    freshEachTime,
    memoryRound,
    startRound,
    underLoad,
)
from relaying import underIperf, underRelayed
from relays import DELAYED
from servers import (
    AIOHTTP,
    AIOHTTP_DUMPS,
    ASYNCIO,
    BLOCKING,
    EPOLL,
    HTTPBIN,
    LOOPBACKD,
    LOOPBACKD_SOCKET,
    LOOPBACKD_TLS,
    NGINX,
    PORTFORWARD,
    SOCAT,
    STOCK,
    TWISTED_WEB,
    UVICORN,
    UVICORN_DUMPS,
    UVLOOP,
    WSPROTO,
)
from web import CONNECTIONS as WEB_CONNECTIONS
from web import underWrk


@dataclass(frozen=True)
class Column:
    """A figure of each round: its key there, its unit in the table, and which way is better."""

    key: str
    unit: str
    moreIsBetter: bool
    digits: int = 0
    scale: float = 1.0


@dataclass(frozen=True)
class Row:
    """One comparison: its name on the command line, its words in the tables, its measurement."""

    key: str
    title: str
    columns: tuple[Column, ...]
    measure: Callable[[Plan], list[Entry]]
    needsLoad: bool = True


PER_MESSAGE = Column("cpu_per_message", "server CPU µs per message", False, 2, 1e6)
PER_CONNECTION = Column("cpu_per_message", "server CPU µs per connection", False, 1, 1e6)
MESSAGES = Column("messages_per_second", "messages/s", True)
MEGABYTES = Column("megabytes_per_second", "MB/s", True)
PER_MEGABYTE = Column("cpu_per_message", "server CPU µs per MB", False, 0, 1e6)
REQUESTS = Column("requests_per_second", "requests/s", True)
PER_REQUEST = Column("cpu_per_message", "server CPU µs per request", False, 1, 1e6)
CONNECTIONS = Column("connections_per_second", "connections/s", True)

ECHO = (LOOPBACKD, EPOLL, UVLOOP, ASYNCIO, STOCK, SOCAT)
HELLO = (LOOPBACKD, EPOLL, UVLOOP, ASYNCIO, STOCK, BLOCKING, SOCAT)
WEB = (LOOPBACKD, HTTPBIN, TWISTED_WEB, AIOHTTP, UVICORN, AIOHTTP_DUMPS, UVICORN_DUMPS)

ROWS = (
    Row(
        "echo64",
        "Echo, 64 connections, 64 B messages",
        (MESSAGES, PER_MESSAGE),
        underLoad(ECHO, "echo", "echo", "64", "64"),
    ),
    Row(
        "echo16k",
        "Echo, 64 connections, 16 KiB messages",
        (MEGABYTES, PER_MESSAGE),
        underLoad(ECHO, "echo", "echo", "64", "16384"),
    ),
    Row(
        "echo1",
        "Echo, 1 connection, 64 B messages (round trips)",
        (MESSAGES, PER_MESSAGE),
        underLoad(ECHO, "echo", "echo", "1", "64"),
    ),
    Row(
        "hello",
        "Hello: connect, be greeted, be closed; 64 at a time",
        (CONNECTIONS, PER_CONNECTION),
        underLoad(HELLO, "hello", "connect", "64"),
    ),
    Row(
        "memory",
        f"Memory per idle connection, {IDLE_CONNECTIONS} connections",
        (Column("vmrss_per_connection", "bytes per connection (RSS growth)", False),),
        freshEachTime((LOOPBACKD, STOCK, ASYNCIO, UVLOOP), memoryRound),
    ),
    Row(
        "start",
        "From starting the process to accepting a connection",
        (Column("seconds_to_listening", "ms", False, 0, 1e3),),
        freshEachTime((LOOPBACKD, PORTFORWARD), startRound, startRounds=True, warmUp=True),
        needsLoad=False,
    ),
    Row(
        "http",
        f"HTTP: GET /get, {WEB_CONNECTIONS} connections that stay",
        (REQUESTS, PER_REQUEST),
        underWrk(WEB),
        needsLoad=False,
    ),
    Row(
        "httpclose",
        f"HTTP: connect, GET /get, be closed; {WEB_CONNECTIONS} at a time",
        (REQUESTS, PER_REQUEST),
        underWrk(WEB, "-H", "Connection: close"),
        needsLoad=False,
    ),
    Row(
        "websocket",
        "WebSocket echo, 64 connections, 64 B messages",
        (MESSAGES, PER_MESSAGE),
        underLoad((LOOPBACKD_SOCKET, WSPROTO), "websocket", "websocket", "64", "64"),
    ),
    Row(
        "tls",
        f"TLS: connect, full handshake, GET /get, be closed; {TLS_CLIENTS} at a time",
        (
            Column("handshakes_per_second", "handshakes/s", True),
            Column("cpu_per_message", "server CPU µs per connection", False, 0, 1e6),
        ),
        underHandshakes((LOOPBACKD_TLS, NGINX)),
        needsLoad=False,
    ),
    Row(
        "autobahn",
        "WebSocket: Autobahn's cases 1 to 10, one after the other",
        (
            Column("seconds", "s in all", False, 2),
            Column("cpu_seconds", "server CPU s", False, 2),
        ),
        underKosoku({LOOPBACKD: "/websocket/echo", WSPROTO: "/"}),
        needsLoad=False,
    ),
    Row(
        "relaybulk",
        "Relay, 1 stream from the target to the client",
        (MEGABYTES, PER_MEGABYTE),
        underRelayed("source", "bulk", "1"),
    ),
    Row(
        "relayiperf",
        "Relay, 1 stream from the client to the target, by iperf3",
        (MEGABYTES, PER_MEGABYTE),
        underIperf(),
        needsLoad=False,
    ),
    Row(
        "relay64",
        "Relay to an echo, 64 connections, 64 B messages",
        (MESSAGES, PER_MESSAGE),
        underRelayed("echo", "echo", "64", "64"),
    ),
    Row(
        "relay16k",
        "Relay to an echo, 64 connections, 16 KiB messages",
        (MEGABYTES, PER_MESSAGE),
        underRelayed("echo", "echo", "64", "16384"),
    ),
    Row(
        "relay1",
        "Relay to an echo, 1 connection, 64 B messages (round trips)",
        (MESSAGES, PER_MESSAGE),
        underRelayed("echo", "echo", "1", "64"),
    ),
    Row(
        "relayconnect",
        "Relay: connect, 64 B there and back, be closed; 64 at a time",
        (CONNECTIONS, PER_CONNECTION),
        underRelayed("once", "exchange", "64"),
    ),
    Row(
        "relaylatency",
        "Relay to an echo with a latency toxic downstream, 64 connections, 64 B messages",
        (MESSAGES, PER_MESSAGE),
        underRelayed("echo", "echo", "64", "64", relays=DELAYED),
    ),
)
