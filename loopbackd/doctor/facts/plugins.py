"""
Whether C{twistd} knows loopbackd: its cache of plugins, and the environment it is of.

Twisted keeps what it found in a directory of plugins in C{dropin.cache} there. A module is looked
at again if it is not in the cache, or not older than it; otherwise the cache is believed.
"""

from __future__ import annotations

import os
import pickle
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

MODULE: Final = "loopbackd_plugin"
"""The module of ours in C{twisted/plugins}, which has one plugin."""

NAME: Final = "loopbackd"
"""What that plugin is called in its module."""

_LARGEST: Final = 1 << 22
_SHEBANG: Final = re.compile(rb"#!\s*(\S+)(?:[ \t]+(\S+))?")
_EXEC: Final = re.compile(rb"'''exec' (\"[^\"\n]+\"|\S+)")


@dataclass(frozen=True, slots=True)
class Cache:
    """
    What C{twistd} remembers of a directory where our plugin is.

    @ivar exists: whether there is a file.
    @ivar isBelieved: it has our module, and is younger: that is not looked at again.
    @ivar knows: it has our plugin.
    @ivar isFixed: we may not write there, so C{twistd} run by us cannot either.
    """

    path: str
    exists: bool = True
    isBelieved: bool = False
    knows: bool = False
    isFixed: bool = False


@dataclass(frozen=True, slots=True)
class Twistd:
    """
    The C{twistd} that a shell finds.

    @ivar path: where; empty for none.
    @ivar python: what runs it.
    @ivar isHere: whether that is of the environment that this program is of.
    @ivar isAble: whether there is a loopbackd in the environment it is of.
    @ivar ours: the one of this program's environment; empty for none.
    """

    path: str = ""
    python: str = ""
    isHere: bool = False
    isAble: bool = False
    ours: str = ""


def caches(directories: Sequence[str] | None = None) -> tuple[Cache, ...]:
    """
    What is remembered of our plugin.

    @param directories: those of plugins; by default Twisted's.
    """
    if directories is None:
        import twisted.plugins

        directories = list(dict.fromkeys(twisted.plugins.__path__))
    found = []
    for directory in directories:
        try:
            changed = os.stat(f"{directory}/{MODULE}.py").st_mtime
        except OSError:
            continue
        found.append(_cache(directory, changed))
    return tuple(found)


def _cache(directory: str, changed: float) -> Cache:
    path = f"{directory}/dropin.cache"
    isFixed = not os.access(directory, os.W_OK)
    try:
        with open(path, "rb") as file:
            isYounger = changed < os.fstat(file.fileno()).st_mtime
            names = rememberedIn(file.read(_LARGEST))
    except OSError:
        return Cache(path, exists=os.path.lexists(path), isFixed=isFixed)
    known = names.get(MODULE)
    return Cache(path, True, known is not None and isYounger, NAME in (known or ()), isFixed)


class _Inert:
    """In the place of whatever was pickled: keeps what it is given, and does nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        pass


class _Reader(pickle.Unpickler):
    """Reads a pickle of somebody else's, and runs nothing of it."""

    def find_class(self, module: str, name: str) -> Any:
        return type(name, (_Inert,), {})


def rememberedIn(content: bytes) -> dict[str, frozenset[str]]:
    """
    The names of the plugins in a C{dropin.cache}, by module; nothing where it cannot be read,
    which is what Twisted takes it for, too.
    """
    try:
        said = _Reader(BytesIO(content)).load()
        return {
            str(module): frozenset(str(plugin.name) for plugin in dropin.plugins)
            for module, dropin in said.items()
        }
    except Exception:
        # A broken pickle can raise anything.
        return {}


def twistd(environ: Mapping[str, str], executable: str = sys.executable) -> Twistd:
    """
    Look for it as a shell does; nothing is run.

    @param executable: the Python that runs this program.
    """
    here = Path(executable).parent
    own = here / "twistd"
    ours = str(own) if os.path.exists(own) else ""
    path = shutil.which("twistd", path=environ.get("PATH", ""))
    if path is None:
        return Twistd(ours=ours)
    python = interpreterOf(path, environ)
    if not python:
        return Twistd(path, ours=ours)
    place = Path(python).parent
    isHere = _isSame(place, here)
    return Twistd(path, python, isHere, isHere or _hasPackage(place.parent, environ), ours)


def interpreterOf(path: str, environ: Mapping[str, str]) -> str:
    """What runs a script, by its first lines; empty where that cannot be seen."""
    try:
        with open(path, "rb") as file:
            head = file.read(1024)
    except OSError:
        return ""
    first = _SHEBANG.match(head)
    if first is None:
        return ""
    program, argument = os.fsdecode(first[1]), os.fsdecode(first[2] or b"")
    if os.path.basename(program) == "sh":
        # How pip writes paths that are too long for the first line, or have a blank.
        real = _EXEC.search(head)
        return os.fsdecode(real[1]).strip('"') if real else ""
    if os.path.basename(program) == "env":
        return shutil.which(argument, path=environ.get("PATH", "")) or ""
    return program


def _isSame(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _hasPackage(prefix: Path, environ: Mapping[str, str]) -> bool:
    """Whether loopbackd is installed below a prefix, or for the user where that is the system's."""
    prefixes = [prefix]
    if not os.path.exists(prefix / "pyvenv.cfg"):
        home = environ.get("HOME", "")
        prefixes += [prefix / "local", *([Path(home) / ".local"] if home else [])]
    patterns = [
        f"lib*/python3*/{packages}/loopbackd-*.{kind}"
        for packages in ("site-packages", "dist-packages")
        for kind in ("dist-info", "egg-info", "egg-link")
    ]
    return any(any(place.glob(pattern)) for place in prefixes for pattern in patterns)
