"""From the name of a protocol to a factory: built in, installed, or in the user's own file."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
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

from loopbackd.loglines import oneLine, reasonOf

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
    "http": ("httpbin.factory", "HTTPServiceFactory", "a test service for HTTP clients (RFC 9112)"),
    "http2": ("http2", "HTTP2Factory", "tells HTTP/2 clients to use HTTP/1.1 (RFC 9113)"),
    "relay": ("relay.factory", "RelayFactory", "connects each client with a target of yours"),
    "tripwire": ("tripwire", "TripwireFactory", "names whoever touches a port that nobody should"),
    "sinkhole": (
        "sinkhole.factory",
        "SinkholeFactory",
        "answers for names that are led to this machine, and says who asked for them",
    ),
    "refuse": ("refuse", "RefuseFactory", "closes cleanly and says so in the log"),
}
# These never wait for the client to say anything.
SPEAK_ONLY = frozenset(["hello", "chargen", "qotd", "daytime", "time"])


_IMPORTING = re.compile(r"^<frozen importlib|[/\\]importlib[/\\](__init__|metadata[/\\]\w+)\.py$")


class ProtocolError(Exception):
    """There is no such protocol, or it cannot be had; one line that says why and what to do."""


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
        if point.name in _BUILT_IN:
            continue
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
        loaded = _loadFile(module, directory, protocol)
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
    if protocol.endswith(".py"):
        raise ProtocolError(f"protocol {protocol!r}: say what of it is meant: {protocol}:Name")
    names = [*_BUILT_IN, *sorted(found)]
    near = [f"did you mean {name!r}? " for name in difflib.get_close_matches(protocol, names, 1)]
    raise ProtocolError(
        f"there is no protocol {protocol!r}; {''.join(near)}there are {', '.join(names)}; your own"
        " is named package.module:Name or path/file.py:Name"
    )


def _candidates(module: ModuleType) -> list[str]:
    return [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and getattr(thing, "__module__", None) == module.__name__
        and (callable(thing) or IProtocolFactory.providedBy(thing))
    ]


def _loadFile(given: str, directory: Path, protocol: str) -> ModuleType:
    try:
        path = (directory / Path(given).expanduser()).resolve()
        source = path.read_bytes()
    except (OSError, ValueError, RuntimeError) as error:
        why = reasonOf(error)
        raise ProtocolError(f"protocol {protocol!r}: {directory / given}: {oneLine(why)}") from None
    module = ModuleType(f"loopbackd_file_{path.stem}")
    module.__file__ = str(path)
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    try:
        # Not by a loader of Python's: it would take an edit within the same second, of the same
        # length, for what it has compiled before.
        _loading(
            lambda: exec(compile(source, path, "exec", dont_inherit=True), vars(module)), protocol
        )
    except ProtocolError:
        if before is None:
            del sys.modules[module.__name__]
        else:
            sys.modules[module.__name__] = before
        raise
    return module


def _loading(load: Callable[[], Any], protocol: str) -> Any:
    """Run the user's code; what it raises is told with the place it was raised at."""
    try:
        return load()
    except SyntaxError as error:
        place = f"{error.filename} line {error.lineno}"
        raise ProtocolError(f"protocol {protocol!r}: {place}: {error.msg}") from error
    except ProtocolError:
        raise
    except (Exception, SystemExit) as error:
        what = oneLine(f"{type(error).__name__}: {error}".rstrip(": "))
        raise ProtocolError(f"protocol {protocol!r}: {_placeOf(error)}{what}") from error


def _placeOf(error: BaseException) -> str:
    """Where it was raised, as deep as the first file of somebody else's code goes."""
    frames = [
        frame
        for frame in extract_tb(error.__traceback__)
        if frame.filename != __file__ and not _IMPORTING.search(frame.filename)
    ]
    if not frames:
        return ""
    last = [frame for frame in frames if frame.filename == frames[0].filename][-1]
    return f"{last.filename} line {last.lineno}: "


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
    made = _loading(lambda: _call(target, options, protocol), protocol)
    if _isProtocolClass(made):
        return _forProtocol(made, {})
    if not IProtocolFactory.providedBy(made):
        raise ProtocolError(
            f"protocol {protocol!r} returned {type(made).__name__}; wanted is an"
            " IProtocolFactory or a Protocol class"
        )
    return made


def _call(target: Any, options: Mapping[str, Any], protocol: str) -> Any:
    try:
        return target(**options)
    except ValueError as error:
        # Its way to say that an option is wrong.
        raise ProtocolError(f"protocol {protocol!r}: {oneLine(str(error))}") from error


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
