"""Tests for `loopbackd.protocols.registry`: every way to name a protocol, and what can go wrong."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.testing import StringTransport

from loopbackd.protocols import registry
from loopbackd.protocols.registry import ProtocolError, isFile, known, makeFactory

MINE = """
from twisted.internet.protocol import Factory, Protocol

class Plain(Protocol):
    def connectionMade(self):
        self.transport.write(b"plain")

class Suffixed(Protocol):
    def __init__(self, suffix="!"):
        self.suffix = suffix
    def connectionMade(self):
        self.transport.write(self.suffix.encode())

class Made(Factory):
    protocol = Plain
    def __init__(self, *, size: int = 1):
        if size < 1:
            raise ValueError(f"size = {size}: write a number above 0")
        self.size = size

ready = Made()

def returnsFactory(size=1):
    return Made(size=size)

def returnsClass():
    return Plain

def returnsJunk():
    return 42

def breaks():
    raise KeyError("on purpose")

junk = 42
_hidden = Plain

class Outer:
    Inner = Plain
"""


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[Path]:
    """A file with protocols, gone from the modules afterwards."""
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    before = set(sys.modules)
    yield path
    for name in set(sys.modules) - before:
        if name.startswith("loopbackd_file_"):
            del sys.modules[name]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend that a distribution has these entry points."""

    def install(**values: str) -> None:
        points = [EntryPoint(name, value, registry.GROUP) for name, value in values.items()]

        def entryPoints(*, group: str) -> list[EntryPoint]:
            assert group == "loopbackd.protocols"
            return points

        monkeypatch.setattr(registry, "entry_points", entryPoints)

    return install


def refusal(protocol: str, options: dict[str, Any] | None = None, directory: Any = None) -> str:
    """Why a protocol cannot be had; always one line that names it."""
    with pytest.raises(ProtocolError) as caught:
        makeFactory(protocol, options or {}, directory)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert repr(protocol) in message
    return message


def greeting(factory: IProtocolFactory) -> bytes:
    """What a protocol of the factory's says first."""
    protocol: Any = factory.buildProtocol(None)  # type: ignore[arg-type]
    transport = StringTransport()
    protocol.makeConnection(transport)
    written: bytes = transport.value()
    return written


@pytest.mark.parametrize("name", registry._BUILT_IN)
def test_every_built_in_protocol_is_there(name: str) -> None:
    """Each has a factory that needs no options, and refuses one it does not know."""
    assert IProtocolFactory.providedBy(makeFactory(name, {}))
    assert "'no_such_option'" in refusal(name, {"no_such_option": 1})


def test_what_speaks_only_is_built_in() -> None:
    """The list has no other names."""
    assert set(registry._BUILT_IN) >= registry.SPEAK_ONLY


def test_an_option_of_a_built_in_protocol() -> None:
    """It is checked when the factory is made."""
    assert IProtocolFactory.providedBy(makeFactory("auto", {"greeting_delay": 0.5}))
    message = refusal("auto", {"greeting_delay": -1})
    assert "greeting_delay = -1: write seconds" in message
    assert "its options are: greeting_delay, detect_timeout" in refusal("auto", {"delay": 1})


@pytest.mark.parametrize("name", ["Plain", "Made", "ready", "returnsFactory", "returnsClass"])
def test_what_may_stand_behind_the_colon(mine: Path, name: str) -> None:
    """A class of protocols, of factories, a ready factory, a callable that returns either."""
    assert greeting(makeFactory(f"{mine}:{name}", {})) == b"plain"


def test_a_name_may_have_dots(mine: Path) -> None:
    """What is inside a class can be named, too."""
    assert greeting(makeFactory(f"{mine}:Outer.Inner", {})) == b"plain"


def test_each_connection_has_a_protocol_of_its_own(mine: Path) -> None:
    """With its factory, and without a line in the log when that starts."""
    factory: Any = makeFactory(f"{mine}:Plain", {})
    one, other = factory.buildProtocol(None), factory.buildProtocol(None)
    assert one is not other
    assert one.factory is factory
    assert not factory.noisy


def test_options_are_keyword_arguments(mine: Path) -> None:
    """They go to the class, the factory or the callable."""
    assert greeting(makeFactory(f"{mine}:Suffixed", {"suffix": "?"})) == b"?"
    made: Any = makeFactory(f"{mine}:Made", {"size": 3})
    assert made.size == 3
    made = makeFactory(f"{mine}:returnsFactory", {"size": 4})
    assert made.size == 4


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (
            "Suffixed",
            {"sufix": "?"},
            "got an unexpected keyword argument 'sufix'; its options are: suffix",
        ),
        ("Plain", {"a b": 1}, "got an unexpected keyword argument 'a b'; its options are: none"),
        ("ready", {"size": 3}, "takes no options: it is a ready factory"),
        ("Made", {"size": 0}, ": size = 0: write a number above 0"),
        ("returnsClass", {"size": 3}, "its options are: none"),
        ("returnsJunk", {}, "returned int; wanted is an IProtocolFactory or a Protocol class"),
        ("junk", {}, "is int; wanted is a Protocol class, an IProtocolFactory, or a callable"),
        ("breaks", {}, "mine.py line 33: KeyError: 'on purpose'"),
        ("Made", {"size": "x"}, "mine.py line 17: TypeError: '<' not supported"),
    ],
)
def test_what_is_wrong_is_told(mine: Path, name: str, options: dict[str, Any], said: str) -> None:
    """A wrong option, a wrong kind of thing, a callable that raises."""
    assert said in refusal(f"{mine}:{name}", options)


def test_a_missing_name_is_told_with_those_there_are(mine: Path) -> None:
    """What could not be meant is left out."""
    message = refusal(f"{mine}:Plan")
    listed = message.partition(" it has ")[2].split(", ")
    assert {"Plain", "Suffixed", "Made", "ready", "returnsFactory", "returnsClass"} <= set(listed)
    assert not {"_hidden", "junk", "Protocol", "Factory"} & set(listed)


def test_a_missing_argument_is_told(mine: Path) -> None:
    """An option without a default must be given."""
    mine.write_text(MINE + "\ndef needs(size): return Plain\n")
    assert "missing a required argument: 'size'" in refusal(f"{mine}:needs")


def test_a_relative_path_is_relative_to_the_configuration(mine: Path) -> None:
    """With or without a ./ before it."""
    for path in ("mine.py:Plain", "./mine.py:Plain"):
        assert greeting(makeFactory(path, {}, mine.parent)) == b"plain"
        assert isFile(path)


def test_a_path_from_home(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tilde is the user's home; one of nobody's is told."""
    monkeypatch.setenv("HOME", str(mine.parent))
    assert greeting(makeFactory("~/mine.py:Plain", {}, Path("/"))) == b"plain"
    refusal("~nobody-of-that-name/mine.py:Plain")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("none.py", "none.py: No such file or directory"),
        ("./", "Is a directory"),
        ("a\0b.py", "null"),
        ("x" * 5000 + ".py", "File name too long"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, path: str, said: str) -> None:
    """One line, whatever the path."""
    assert said in refusal(f"{path}:Name", directory=tmp_path)


def test_a_file_that_is_not_python_is_told_with_its_line(mine: Path) -> None:
    """The place of a syntax error is that of the user's file."""
    mine.write_text("x = 1\ndef broken(:\n")
    assert f"{mine} line 2: invalid syntax" in refusal(f"{mine}:Plain")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\nraise ValueError('two\\nlines')", "line 2: ValueError: two\\nlines"),
        ("import json\n\njson.loads('{')", "line 3: JSONDecodeError: "),
        ("def f():\n    1 / 0\nf()", "line 2: ZeroDivisionError: division by zero"),
        ("import no_such_module_here", "line 1: ModuleNotFoundError: No module named"),
        ("import sys\nsys.exit(3)", "line 2: SystemExit: 3"),
        ("raise KeyError", "line 1: KeyError"),
    ],
)
def test_a_file_that_raises_is_told_with_its_line(mine: Path, text: str, said: str) -> None:
    """The line is one of the user's file, not of what it called."""
    mine.write_text(text)
    assert f"{mine} {said}" in refusal(f"{mine}:Plain")


def test_a_file_is_read_each_time(mine: Path) -> None:
    """Also where it was changed within a second, and to the same length; nothing is left beside."""
    mine.write_text(MINE)
    status = mine.stat()
    assert greeting(makeFactory(f"{mine}:Plain", {})) == b"plain"
    mine.write_text(MINE.replace('b"plain"', 'b"fancy"'))
    os.utime(mine, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert greeting(makeFactory(f"{mine}:Plain", {})) == b"fancy"
    assert os.listdir(mine.parent) == ["mine.py"]


def test_a_file_that_fails_leaves_the_module_before_it(mine: Path) -> None:
    """What is loaded goes on with its own module."""
    makeFactory(f"{mine}:Plain", {})
    before = sys.modules["loopbackd_file_mine"]
    mine.write_text("1 / 0")
    refusal(f"{mine}:Plain")
    assert sys.modules["loopbackd_file_mine"] is before


def test_a_file_does_not_inherit_our_future(mine: Path) -> None:
    """Annotations in it are what they are in any module; a dataclass finds its own."""
    mine.write_text(
        MINE
        + textwrap.dedent(
            """
            from dataclasses import dataclass
            @dataclass
            class Config:
                size: int
            assert Config.__annotations__ == {"size": int}, Config.__annotations__
            """
        )
    )
    makeFactory(f"{mine}:Plain", {})


def test_a_module_by_its_name() -> None:
    """Anything that can be imported."""
    factory = makeFactory("loopbackd.protocols.classic:EchoFactory", {})
    assert type(factory).__name__ == "EchoFactory"
    assert not isFile("loopbackd.protocols.classic:EchoFactory")
    twisteds: Any = makeFactory("twisted.protocols.wire:Echo", {})
    assert type(twisteds.buildProtocol(None)).__module__ == "twisted.protocols.wire"


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        ("no_such_package.thing:Name", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("loopbackd.protocols.classic:Ecko", "there is no Ecko in loopbackd.protocols.classic"),
        ("loopbackd.skeleton:Nothing", "it has nothing that could be a protocol"),
        (":Name", "write package.module:Name or path/file.py:Name"),
        ("package.module:", "write package.module:Name or path/file.py:Name"),
        (".relative:Name", "TypeError: "),
        ("a\0b:Name", "Error: "),
    ],
)
def test_a_module_that_is_not_there(protocol: str, said: str) -> None:
    """The reason is Python's."""
    assert said in refusal(protocol)


def test_a_module_that_fails_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line is in the module, not in what imports it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "fails_at_import.py").write_text("\n1 / 0\n")
    place = f"{tmp_path}/fails_at_import.py line 2: ZeroDivisionError: "
    assert place in refusal("fails_at_import:Name")


def test_an_installed_protocol(installed: Callable[..., None]) -> None:
    """It is had by the name of its entry point, and listed after those built in."""
    installed(shout="twisted.protocols.wire:Echo", echo="nowhere:Nothing")
    made: Any = makeFactory("shout", {})
    assert type(made.buildProtocol(None)).__name__ == "Echo"
    listed = list(known())
    assert [one.name for one in listed] == [*registry._BUILT_IN, "shout"]
    assert (listed[-1].what, listed[-1].origin) == ("twisted.protocols.wire:Echo", "?")
    assert {one.origin for one in listed[:-1]} == {"loopbackd"}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("no_such_package:Name", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("loopbackd.iloopbackd:Name", "AttributeError: module 'loopbackd.iloopbackd' has no"),
    ],
)
def test_an_installed_protocol_that_does_not_load(
    installed: Callable[..., None], value: str, said: str
) -> None:
    """The reason is told without the place in Python's own files."""
    installed(shout=value)
    assert refusal("shout").startswith(f"protocol 'shout': {said}")


def test_an_unknown_protocol_is_told_with_all_there_are(installed: Callable[..., None]) -> None:
    """Those built in, those installed, and how to name one's own."""
    installed(shout="a:B")
    message = refusal("ecco")
    names = message.partition("there are ")[2].partition(";")[0].split(", ")
    assert names == [*registry._BUILT_IN, "shout"]
    assert "package.module:Name or path/file.py:Name" in message


def test_a_factory_that_is_no_subclass_of_Twisteds(mine: Path) -> None:
    """The interface is what counts."""
    mine.write_text(
        textwrap.dedent(
            """
            from twisted.internet.interfaces import IProtocolFactory
            from zope.interface import implementer, provider

            @implementer(IProtocolFactory)
            class Own:
                pass

            @provider(IProtocolFactory)
            class ByClass:
                pass
            """
        )
    )
    assert IProtocolFactory.providedBy(makeFactory(f"{mine}:Own", {}))
    assert isinstance(makeFactory(f"{mine}:ByClass", {}), type)


def test_the_list_has_a_line_for_each() -> None:
    """What a protocol is for fits behind its name."""
    for one in known():
        assert one.what
        assert not re.search(r"[\n\t]", one.what)


def test_isFile_is_what_is_read_again() -> None:
    """By a slash or by its ending, before a colon."""
    assert isFile("dir/mine:Name")
    assert not isFile("mine.py")
    assert not isFile("echo")


def test_a_class_that_is_no_protocol(mine: Path) -> None:
    """A class that does not say it is a protocol is called, and what comes back refused."""
    mine.write_text("class Bare: pass")
    assert "returned Bare; wanted is" in refusal(f"{mine}:Bare")
