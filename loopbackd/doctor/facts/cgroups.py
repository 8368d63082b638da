"""Where a process belongs, by its control group (cgroups(7)): a unit of systemd's, a container."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_MOUNTS: Final = "/proc/self/mounts"
_MOST_GROUPS: Final = 10_000

_ID: Final = r"(?P<id>[0-9a-f]{12,64})"
_CONTAINERS: Final = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("docker", rf"docker-{_ID}\.scope"),
        ("podman", rf"libpod-(?:conmon-)?{_ID}\.scope"),
        ("containerd", rf"cri-containerd-{_ID}\.scope"),
        ("cri-o", rf"crio-{_ID}\.scope"),
        ("lxc", r"lxc\.payload\.(?P<id>[\w.-]+)"),
        ("machine", r"machine-(?P<id>[\w.\\-]+)\.scope"),
    )
)
_BARE: Final = re.compile(rf"/(?:(?P<kind>docker|lxc|libpod)|kubepods[^/]*(?:/[^/]+)*)/{_ID}$")
_UNIT: Final = re.compile(r"(?!-)[A-Za-z0-9:_.@\\-]+\.(?:service|scope|socket)")
"""What systemd calls units (systemd.unit(5)): users can call groups of theirs anything."""


@dataclass(frozen=True, slots=True)
class Belonging:
    """
    What a control group says.

    @ivar unit: of systemd's: a service, the scope of a desktop application, or a socket unit, in
        whose group systemd makes the sockets that it keeps; empty for none.
    @ivar isUsers: the unit is one of a user's own systemd.
    @ivar container: the kind of the container and its id in twelve letters; empty for none.
    """

    unit: str = ""
    isUsers: bool = False
    container: str = ""


def belongingOf(group: str) -> Belonging:
    """Understand the path of a control group, for example C{/system.slice/nginx.service}."""
    parts = group.strip("/").split("/")
    container = ""
    for part in parts:
        for kind, pattern in _CONTAINERS:
            found = pattern.fullmatch(part)
            if found:
                container = f"{kind} {found['id'][:12]}"
    bare = _BARE.search(group)
    if not container and bare:
        container = f"{bare['kind'] or 'kubernetes'} {bare['id'][:12]}"
    isUsers = any(re.fullmatch(r"user@\d+\.service", part) for part in parts)
    units = [
        part for part in parts if _UNIT.fullmatch(part) and not re.match(r"user@|init\.scope", part)
    ]
    unit = units[-1] if units and not container else ""
    return Belonging(unit, isUsers and bool(unit), container)


def isUnitName(name: str) -> bool:
    """Whether systemd would call a service, scope or socket like that."""
    return _UNIT.fullmatch(name) is not None


def groupIn(text: str) -> str:
    """
    The path in what C{/proc/PID/cgroup} says: that of version 2 or of systemd's hierarchy,
    whichever says more where there are both.
    """
    found = ""
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if (number == "0" or controllers == "name=systemd") and len(path) > len(found):
            found = path
    return found


def groupOf(pid: int) -> str:
    """The control group of a process; empty where that is not told."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="backslashreplace") as file:
            return groupIn(file.read(65536))
    except OSError:
        return ""


def groupWith(inode: int, root: str | None = None) -> str:
    """
    The control group whose directory has that inode, as sockets name theirs; empty for none.

    This is known of processes that cannot be seen, too.

    @param root: where version 2 is mounted; by default it is looked for.
    """
    root = _unifiedRoot() if root is None else root
    if not root:
        return ""
    for number, path in enumerate(_directories(root)):
        if number > _MOST_GROUPS:
            break
        try:
            if os.stat(path).st_ino == inode:
                return path.removeprefix(root) or "/"
        except OSError:
            continue
    return ""


def rootIn(mounts: str) -> str:
    """
    Where cgroups version 2 are mounted, from what C{/proc/self/mounts} says; empty for nowhere.

    Sockets know no other version, and each hierarchy has the same inodes as the others.
    """
    for line in mounts.splitlines():
        words = line.split(" ")
        if len(words) > 2 and words[2] == "cgroup2":
            return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), words[1])
    return ""


def _unifiedRoot() -> str:
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
            return rootIn(file.read())
    except OSError:
        return ""


def _directories(root: str) -> Iterator[str]:
    for path, names, _ in os.walk(root):
        yield from (os.path.join(path, name) for name in names)
