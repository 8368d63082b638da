"""From the name of a protocol to a factory: built in, installed, or in the user's own file."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any

from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.internet.protocol import Factory

from loopbackd.connection import Connections

GROUP = "loopbackd.protocols"

# Name -> module, factory and what it is.  Modules are imported when a service first needs one.
_BUILT_IN = {
    "auto": ("auto", "AutoFactory", "looks at the first bytes and hands over to one of the others"),
    "hello": ("hello", "HelloFactory", "says hello from its own address, and closes"),
    "talk": (
        "talk",
        "TalkFactory",
        "a greeting, then a conversation in lines: help, whoami, stats",
    ),
    "echo": ("classic", "EchoFactory", "everything comes back (RFC 862)"),
    "discard": ("classic", "DiscardFactory", "everything is thrown away (RFC 863)"),
    "chargen": ("classic", "ChargenFactory", "characters without end (RFC 864)"),
    "qotd": ("classic", "QotdFactory", "a quote of the day, and closes (RFC 865)"),
    "daytime": ("classic", "DaytimeFactory", "date and time in words, and closes (RFC 867)"),
    "time": ("classic", "TimeFactory", "seconds since 1900 in four bytes, and closes (RFC 868)"),
    "page": ("page", "PageFactory", "one plain page for any HTTP/1 request"),
    "refuse": ("refuse", "RefuseFactory", "closes cleanly and says so in the log"),
}
# These never wait for the client to say anything.
SPEAK_ONLY = frozenset(["hello", "chargen", "qotd", "daytime", "time", "refuse"])


class ProtocolError(Exception):
    """There is no such protocol, or it cannot be had; one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """
    What a factory that provides L{loopbackd.iloopbackd.IServedFactory} is told.

    @ivar service: the name of the service.
    @ivar reactor: provides C{IReactorTime}, C{IReactorThreads} and the streams.
    @ivar connections: the live table of the whole daemon.
    """

    service: str
    reactor: Any
    connections: Connections


@dataclass(frozen=True, slots=True)
class Known:
    """A protocol that can be named in a configuration, and where it comes from."""

    name: str
    what: str
    origin: str


def known() -> Iterator[Known]:
    """All protocols that have a name: built in, then installed, by name."""
    for name, (_, _, what) in _BUILT_IN.items():
        yield Known(name, what, "loopbackd")
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        distribution = point.dist.name if point.dist else "?"
        yield Known(point.name, point.value, distribution)


def makeFactory(
    protocol: str, options: Mapping[str, Any], directory: Path | None = None
) -> IProtocolFactory:
    """
    The factory for a protocol.

    @param protocol: a built-in or installed name, C{package.module:Name} or C{path/file.py:Name}.
    @param options: keyword arguments for it.
    @param directory: what a relative path is relative to; by default the working directory.
    @raise ProtocolError: it is not there, does not load, or does not take these options.
    """
    if protocol in _BUILT_IN:
        module, name, _ = _BUILT_IN[protocol]
        target = getattr(importlib.import_module(f"loopbackd.protocols.{module}"), name)
    else:
        target = _find(protocol, directory or Path())
    return _factoryFrom(target, options, protocol)


def isFile(protocol: str) -> bool:
    """Whether the protocol is in a file of the user's, to be read again at a reload."""
    path, colon, _ = protocol.rpartition(":")
    return bool(colon) and ("/" in path or path.endswith(".py"))


def _find(protocol: str, directory: Path) -> Any:
    module, colon, name = protocol.rpartition(":")
    if not colon:
        return _installed(protocol)
    if not module or not name:
        raise ProtocolError(
            f"protocol {protocol!r}: write package.module:Name or path/file.py:Name"
        )
    if isFile(protocol):
        loaded = _loadFile((directory / Path(module).expanduser()).resolve(), protocol)
    else:
        loaded = _loading(lambda: importlib.import_module(module), protocol)
    target = loaded
    for part in name.split("."):
        if not hasattr(target, part):
            raise ProtocolError(
                f"protocol {protocol!r}: there is no {part} in {module};"
                f" it has {', '.join(_candidates(loaded)) or 'nothing that could be a protocol'}"
            )
        target = getattr(target, part)
    return target


def _installed(protocol: str) -> Any:
    found: dict[str, EntryPoint] = {point.name: point for point in entry_points(group=GROUP)}
    if protocol in found:
        return _loading(found[protocol].load, protocol)
    names = [*_BUILT_IN, *sorted(found)]
    raise ProtocolError(
        f"there is no protocol {protocol!r}; there are {', '.join(names)}; your own is named"
        " package.module:Name or path/file.py:Name"
    )


def _candidates(module: ModuleType) -> list[str]:
    return [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and getattr(thing, "__module__", None) == module.__name__
        and (callable(thing) or IProtocolFactory.providedBy(thing))
    ]


def _loadFile(path: Path, protocol: str) -> ModuleType:
    if not path.is_file():
        raise ProtocolError(f"protocol {protocol!r}: there is no file {path}")
    name = f"loopbackd_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ProtocolError(f"protocol {protocol!r}: {path} is not a Python file; name it .py")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        _loading(lambda: spec.loader.exec_module(module), protocol)  # type: ignore[union-attr]
    except ProtocolError:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        raise
    return module


def _loading(load: Callable[[], Any], protocol: str) -> Any:
    """Load the user's code; what it raises is told with the place it was raised at."""
    try:
        return load()
    except SyntaxError as error:
        place = f"{error.filename} line {error.lineno}"
        raise ProtocolError(f"protocol {protocol!r}: {place}: {error.msg}") from error
    except Exception as error:
        frame = extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__}: {error}"
        inside = "importlib" in frame.filename or frame.filename == __file__
        place = "" if inside else f"{frame.filename} line {frame.lineno}: "
        raise ProtocolError(f"protocol {protocol!r}: {place}{what}") from error


def _factoryFrom(target: Any, options: Mapping[str, Any], protocol: str) -> IProtocolFactory:
    if IProtocolFactory.providedBy(target):
        if options:
            raise ProtocolError(f"protocol {protocol!r} takes no options: it is a ready factory")
        return target
    if not callable(target):
        raise ProtocolError(
            f"protocol {protocol!r} is {type(target).__name__}; wanted is a Protocol class,"
            " an IProtocolFactory, or a callable that returns one"
        )
    _checkOptions(target, options, protocol)
    if _isProtocolClass(target):
        return _forProtocol(target, options)
    try:
        made = target(**options)
    except (ValueError, TypeError) as error:
        raise ProtocolError(f"protocol {protocol!r}: {error}") from error
    except Exception as error:
        raise ProtocolError(f"protocol {protocol!r}: {type(error).__name__}: {error}") from error
    if _isProtocolClass(made):
        return _forProtocol(made, {})
    if not IProtocolFactory.providedBy(made):
        raise ProtocolError(
            f"protocol {protocol!r} returned {type(made).__name__}; wanted is an"
            " IProtocolFactory or a Protocol class"
        )
    return made


def _isProtocolClass(target: Any) -> bool:
    return inspect.isclass(target) and IProtocol.implementedBy(target)


def _forProtocol(protocol: Any, options: Mapping[str, Any]) -> IProtocolFactory:
    factory = Factory()
    factory.noisy = False
    # The class is not set as factory.protocol: that would hide the options.
    factory.protocol = lambda: protocol(**options)
    return factory


def _checkOptions(target: Any, options: Mapping[str, Any], protocol: str) -> None:
    try:
        signature = inspect.signature(target)
    except (ValueError, TypeError):
        return
    try:
        signature.bind(**options)
    except TypeError as error:
        takes = ", ".join(signature.parameters) or "none"
        raise ProtocolError(f"protocol {protocol!r}: {error}; its options are: {takes}") from None
