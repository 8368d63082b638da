"""What the operator says is all right, or not worth a word."""

from __future__ import annotations

import pwd
from collections.abc import Iterable
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import Any

import msgspec

from loopbackd.settings import SettingsError
from loopbackd.watching.events import Event
from loopbackd.watchsettings import WatchRule, WatchSettings, portsOf


class Rules:
    """
    Judges events by C{[[watch.allow]]} and C{[[watch.ignore]]}.

    @raise SettingsError: one of them names a user that there is not.
    """

    def __init__(self, settings: WatchSettings) -> None:
        self._allow = _compiled("allow", settings.allow)
        self._ignore = _compiled("ignore", settings.ignore)

    def judge(self, event: Event) -> Event | None:
        """
        The event as it is to be told: a note instead of a warning where it is allowed.

        @return: L{None} where it is ignored.
        """
        if any(rule.matches(event) for rule in self._ignore):
            return None
        if event.isWarning and any(rule.matches(event) for rule in self._allow):
            return msgspec.structs.replace(event, severity="note")
        return event


class _Rule:
    """One rule, with what it says understood."""

    def __init__(self, asked: WatchRule, uid: int | None) -> None:
        kind: Any = asked.kind
        self._kinds = None if kind is None else {kind} if isinstance(kind, str) else set(kind)
        self._ports = None if asked.port is None else portsOf(asked.port)
        self._network = None if asked.address is None else ip_network(asked.address, strict=False)
        self._uid = uid
        self._command = asked.command

    def matches(self, event: Event) -> bool:
        """Whether all of it holds."""
        if self._kinds is not None and event.kind not in self._kinds:
            return False
        if self._ports is not None:
            first, last = self._ports
            touched = event.ports or (() if event.port is None else (event.port,))
            if not touched or not all(first <= port <= last for port in touched):
                return False
        if self._network is not None and (
            event.host is None or ip_address(event.host) not in self._network
        ):
            return False
        if self._uid is not None and event.uid != self._uid:
            return False
        return self._command is None or self._isRun(event, self._command)

    def _isRun(self, event: Event, pattern: str) -> bool:
        if event.command is None:
            return False
        paths = (event.program or "", event.command.partition(" ")[0])
        names = [path.rpartition("/")[2] for path in paths if path]
        return any(fnmatchcase(word, pattern) for word in (*names, event.command))


def _compiled(table: str, rules: Iterable[WatchRule]) -> list[_Rule]:
    return [_Rule(rule, _uidOf(table, number, rule)) for number, rule in enumerate(rules, 1)]


def _uidOf(table: str, number: int, rule: WatchRule) -> int | None:
    if not isinstance(rule.user, str):
        return rule.user
    try:
        return pwd.getpwnam(rule.user).pw_uid
    except (KeyError, ValueError):
        raise SettingsError(
            f"watch: {table} {number}: there is no user {rule.user!r}; write a name of this"
            " machine's or a uid"
        ) from None
