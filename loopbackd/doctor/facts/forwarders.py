"""Programs that listen for a server that is somewhere else: proxies of containers, and tunnels."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from loopbackd.hostport import bracketed

_DOCKER: Final = "docker stop $(docker ps -q --filter publish={port})"
_PODMAN: Final = "podman ps, and podman stop the container that publishes the port"
_ROOTLESS: Final = "docker ps, and docker stop the container that publishes the port"
_STOPPING: Final = {
    "docker-proxy": _DOCKER,
    "rootlesskit": _ROOTLESS,
    "rootlessport": _PODMAN,
    "rootlessport-child": _PODMAN,
    "containers-rootlessport": _PODMAN,
    "slirp4netns": _PODMAN,
    "pasta": _PODMAN,
    "pasta.avx2": _PODMAN,
    "conmon": _PODMAN,
}
"""What to do instead of ending those that have a port for a container."""

_PROGRAMS: Final = {
    "rootlessport-child": ("rootlessport", "podman"),
    "containers-rootlessport": ("podman",),
    "rootlessport": ("rootlessport", "podman"),
    "pasta": ("pasta", "passt", "pasta.avx2", "passt.avx2"),
    "pasta.avx2": ("pasta.avx2", "passt.avx2"),
}
"""The files that they are, where those have other names."""

_TUNNEL: Final = re.compile("-[46AaCfGgKkMNnqsTtvXxYy]*[LD](.*)")
"""An option of ssh(1) that has it listen here; behind it, or in the next word, is where."""

_PORTS: Final = re.compile(r"\d*:?\d+")
_FROM_OUTSIDE: Final = re.compile(r"(?:TCP|TCP4|TCP6|OPENSSL|SSL)-L(?:ISTEN)?:", re.I)


@dataclass(frozen=True, slots=True)
class Forwarder:
    """
    What a program that forwards says of itself on its command line.

    @ivar name: of the program.
    @ivar target: where it leads; empty where that is not said.
    @ivar stopping: how to stop what it listens for, where ending the program itself would be wrong:
        the container would have no port any more and go on.
    @ivar isSaidOnly: it is called like such a program, and runs another one.
    """

    name: str
    target: str = ""
    stopping: str = ""
    isSaidOnly: bool = False


def forwarderIn(command: str, program: str = "") -> Forwarder | None:
    """
    Understand a command line; L{None} for a program that is a server of its own.

    @param program: the file that it runs, as
        L{rootsProgram <loopbackd.doctor.facts.executable.rootsProgram>} has it. Without that, no
        command line keeps a process from being ended: anybody can choose theirs.
    """
    words = command.split()
    name = os.path.basename(words[0]) if words else ""
    if name in _STOPPING:
        isOne = program in _PROGRAMS.get(name, (name,))
        stopping = _STOPPING[name].format(port=_publishedPort(words)) if isOne else ""
        return Forwarder(name, _containerOf(words), stopping, isSaidOnly=not isOne)
    if name in ("ssh", "autossh"):
        for word, following in zip(words, [*words[1:], ""], strict=True):
            if found := _TUNNEL.fullmatch(word):
                return Forwarder(name, found[1] or following)
    if name in ("kubectl", "oc") and "port-forward" in words:
        rest = words[words.index("port-forward") + 1 :]
        # TYPE/NAME or the name of a pod is right before the ports.
        ports = next((at for at, word in enumerate(rest) if _PORTS.fullmatch(word)), 0)
        return Forwarder(name, rest[ports - 1] if ports else "")
    if name == "socat" and any(map(_FROM_OUTSIDE.match, words[1:])):
        ends = [word for word in words[1:] if ":" in word and not _FROM_OUTSIDE.match(word)]
        return Forwarder(name, ends[-1] if ends else "")
    return None


def _containerOf(words: Sequence[str]) -> str:
    """Where docker-proxy leads."""
    host, port = _option(words, "-container-ip"), _option(words, "-container-port")
    return f"{bracketed(host)}:{port}" if host and port else ""


def _publishedPort(words: Sequence[str]) -> str:
    published = _option(words, "-host-port")
    # Somebody may run what we say, and anybody can be called like that.
    return published if re.fullmatch("[0-9]{1,5}", published) else "PORT"


def _option(words: Sequence[str], name: str) -> str:
    """The word behind an option; empty for none."""
    following = words[words.index(name) + 1 :] if name in words else ()
    return following[0] if following else ""
