"""
One examination: the facts about an address are collected, and every check is asked what they mean.

Reading takes as long as the slowest answer, at most about two seconds and a half where something
does not answer at all.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from loopbackd.controlclient import Address
from loopbackd.doctor.asked import Asked
from loopbackd.doctor.busy import looker
from loopbackd.doctor.checks.accepting import checkAccepting, checkHangingUp
from loopbackd.doctor.checks.activation import checkActivation, checkResting
from loopbackd.doctor.checks.authority import checkAuthority
from loopbackd.doctor.checks.daemon import checkDaemon, checkItsPort
from loopbackd.doctor.checks.hostsfile import checkHosts
from loopbackd.doctor.checks.listening import (
    checkFamilies,
    checkListening,
    checkReach,
    checkShadows,
)
from loopbackd.doctor.checks.naming import checkName
from loopbackd.doctor.checks.plugins import checkPlugins
from loopbackd.doctor.checks.proxies import checkProxies
from loopbackd.doctor.checks.taken import anotherPort, checkTaken
from loopbackd.doctor.checks.units import checkUnits
from loopbackd.doctor.debugged import aboutAddress, aboutNobody, sparedHosts
from loopbackd.doctor.facts.attempt import Attempt, attempt
from loopbackd.doctor.facts.binding import bindError
from loopbackd.doctor.facts.daemon import daemon
from loopbackd.doctor.facts.debugging import lookAtDebuggers
from loopbackd.doctor.facts.holder import Holder, Holders, holdersOf
from loopbackd.doctor.facts.hostsfile import readHosts
from loopbackd.doctor.facts.keepers import asSystemdSays, restingAt
from loopbackd.doctor.facts.names import Resolved, isOwn, resolve
from loopbackd.doctor.facts.nameservice import readSwitch
from loopbackd.doctor.facts.proxies import Target, readProxies
from loopbackd.doctor.facts.sockets import Sockets, freeNear, sockets
from loopbackd.doctor.finding import Finding, Severity, inOrder
from loopbackd.doctor.speaking import speaking
from loopbackd.doctor.ways import examineWays
from loopbackd.hostport import joined
from loopbackd.net.endpoint import hasIPv6
from loopbackd.peer.netlink import SocketDiag
from loopbackd.tls.store import wallClock

_MOST_ADDRESSES: Final = 4
"""Of a name; each is tried."""


def examine(asked: Asked) -> list[Finding]:
    """Say what is to be found about connecting to an address, the worst first."""
    resolved = resolve(asked.host) if asked.isName else Resolved(asked.host, (asked.host,))
    return inOrder(
        [
            *checkName(resolved),
            *_connecting(asked, resolved),
            *_names(asked, resolved),
            *_proxies(asked, resolved),
        ]
    )


def examineDaemon(
    asked: Asked, control: Address, directory: Path, otherwise: Address | None = None
) -> list[Finding]:
    """
    Say what is to be found about the daemon itself.

    @param asked: where it should be.
    @param control: where its control API should be.
    @param directory: where C{twistd} would be run.
    @param otherwise: where the control API is asked if nobody listens at the first address.
    """
    there = sockets(SocketDiag(), asked.port)
    row = there.reachedAt(asked.host)
    holder = None if row is None else holdersOf([row]).get(row.inode)
    itself = daemon(control, os.environ, directory, otherwise)
    own = []
    if not there.missing:
        own = list(checkItsPort(itself, str(asked), asked.port, holder, row is not None))
    # That nobody listens has been said then, and how to start the daemon on this very port.
    said = {"nothing-listens", "port-of-chance"} if own and row is None else set[str]()
    # And of a unit that has failed more is said than of its address.
    if any(unit.active == "failed" for unit in itself.units):
        said |= {"activation-fails", "socket-unit-rests"}
    return inOrder(
        [
            *own,
            *(one for one in examine(asked) if one.kind not in said),
            *checkDaemon(itself),
            *checkUnits(itself.units),
            *checkPlugins(itself.caches, itself.twistd),
            *checkAuthority(itself.authority, wallClock()),
        ]
    )


def _names(asked: Asked, resolved: Resolved) -> Iterator[Finding]:
    """Of the hosts file, where a name was asked for."""
    if asked.isName:
        localhost = resolved if asked.host == "localhost" else resolve("localhost")
        yield from checkHosts(readHosts(), readSwitch(), localhost, hasIPv6(), socket.gethostname())


def _proxies(asked: Asked, resolved: Resolved) -> Iterator[Finding]:
    """Whether a client asks a proxy for what is on this machine."""
    if (asked.isTLS and not asked.isHTTP) or not any(map(isOwn, resolved.addresses)):
        return
    schemes = (asked.scheme,) if asked.isHTTP else ("http", "https")
    targets = [Target(scheme, asked.host, asked.port) for scheme in schemes]
    yield from checkProxies(readProxies(), targets)


def _connecting(asked: Asked, resolved: Resolved) -> Iterator[Finding]:
    hosts = resolved.addresses[:_MOST_ADDRESSES]
    if not hosts:
        return
    own = frozenset(host for host in hosts if isOwn(host))
    there = sockets(SocketDiag(), asked.port)
    holders = holdersOf(there.rows)
    debugging = lookAtDebuggers(SocketDiag())
    spared = sparedHosts(hosts, there, holders, debugging, os.getcwd())
    attempts = _attempts([host for host in hosts if host not in spared], asked.port)
    holders = asSystemdSays(_startedFor(attempts, there, holders), there.rows)
    stuck = list(checkAccepting(there, attempts, holders))
    reach = checkReach(there, attempts, holders, own)
    found = [
        *aboutAddress(asked, debugging, spared),
        *examineWays(there, attempts, own),
        *checkActivation(there, attempts, holders),
        *stuck,
        *checkListening(there, attempts, holders, own),
        *_taken(there, next((host for host in hosts if host in own), ""), holders),
        *checkFamilies(asked, attempts, there),
        *checkShadows(there, attempts, holders),
        *checkHangingUp(there, attempts, holders),
        # Who it is has been said then, and that they do not answer.
        *(one for one in reach if not (stuck and one.kind == "answers")),
    ]
    yield from found
    if own and not (there.listeners or there.missing):
        yield from aboutNobody(asked, debugging, os.getcwd())
        yield from checkResting(restingAt([host for host in hosts if host in own], asked.port))
    yield from _speaking(asked, attempts)
    if not any(one.severity is Severity.PROBLEM for one in found):
        yield from unexplained(attempts)


def _startedFor(attempts: Sequence[Attempt], there: Sockets, holders: Holders) -> dict[int, Holder]:
    """The same holders, with the service that systemd has started for whoever connected: us."""
    reached = [row for one in attempts if (row := there.reachedAt(one.host)) is not None]
    kept = [row for row in reached if row.inode in holders and holders[row.inode].isKept]
    started = {inode: one for inode, one in holdersOf(kept).items() if one.pids and not one.isKept}
    return {**holders, **started}


def _speaking(asked: Asked, attempts: Sequence[Attempt]) -> Iterator[Finding]:
    """What the server says, where a URL asks for TLS or HTTP."""
    works = (one for one in attempts if not (one.error or one.ended or one.accepted is False))
    for one in works:
        yield from speaking(asked, one.host, os.environ)
        return


def _taken(there: Sockets, host: str, holders: Holders) -> Iterator[Finding]:
    """Who is in the way of a server that is to be started there; nobody where one is running."""
    if host and there.rows and not there.listeners:
        another = anotherPort(freeNear(SocketDiag(), there.port))
        error = bindError(host, there.port)
        yield from checkTaken(there, host, holders, looker(), error, another)


def _attempts(hosts: Sequence[str], port: int) -> list[Attempt]:
    if not hosts:
        return []
    with ThreadPoolExecutor(len(hosts)) as pool:
        return list(pool.map(lambda host: attempt(SocketDiag(), host, port), hosts))


def unexplained(attempts: Sequence[Attempt]) -> Iterator[Finding]:
    """Nobody is sent away with a failure and no word about it."""
    failed = [one for one in attempts if one.error]
    if failed and len(failed) == len(attempts):
        yield Finding(
            "cannot-connect",
            Severity.PROBLEM,
            f"No connection to {' or '.join(joined(one.host, one.port) for one in failed)}.",
            tuple(f"{joined(one.host, one.port)}: {one.reason}" for one in failed),
            ("it is not known why: look at the way there, and at the other machine",),
            10,
        )
