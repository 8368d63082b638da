"""``loopbackd new``: a small package with a protocol, ready to be run and tested."""

from __future__ import annotations

import keyword
import os
import re
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

from loopbackd.protocols.registry import known

# The files of the package, by the names they get.
_FILES = {
    "setup.cfg": "setup.cfg.in",
    "pyproject.toml": "pyproject.toml.in",
    "README.md": "README.md.in",
    "$name/__init__.py": "init.py.in",
    "$name/protocol.py": "protocol.py.in",
    "tests/test_$name.py": "test_protocol.py.in",
}


class NameTaken(Exception):
    """Something of that name is there already."""


def write(name: str, directory: Path) -> list[Path]:
    """
    Write the package C{directory/name}.

    @param name: of the package and of the protocol; a lower-case Python identifier.
    @return: the files written.
    @raise ValueError: the name cannot be a package's, or would hide another's.
    @raise NameTaken: the directory exists; nothing is overwritten.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or len(name) > 40:
        raise ValueError(
            f"{name!r} cannot be a package; write small letters, digits and _, for example shout"
        )
    root = directory / name
    if os.path.lexists(root):
        raise NameTaken(f"{root} exists; take another name, or remove it first")
    # Factory is a class in the skeleton.
    if name in ("tests", "test", "factory") or find_spec(name) is not None:
        raise ValueError(f"{name!r} would hide what has that name already; take another")
    if any(name == protocol.name for protocol in known()):
        raise ValueError(f"there is a protocol {name!r} already; take another name")
    words = {"name": name, "Name": "".join(part.capitalize() for part in name.split("_"))}
    written = []
    for target, source in _FILES.items():
        path = root / Template(target).substitute(words)
        text = files("loopbackd.skeleton").joinpath(source).read_text("utf-8")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(text).substitute(words), "utf-8")
        written.append(path)
    return written
