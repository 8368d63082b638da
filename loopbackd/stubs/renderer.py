"""
Renders templates, in a process of its own (C{python -m loopbackd.stubs.renderer}).

A template that takes too long cannot be stopped from within, and its memory cannot be bounded; a
process can.  The kernel ends it where a rendering takes too much processor time, whatever it does
just then, and refuses it memory beyond a bound; the daemon starts another one.

What is asked comes on standard input, a socket, and what comes of it goes back there: messages in
MessagePack behind their length.
"""

from __future__ import annotations

import resource
import signal
import socket
import struct
from contextlib import suppress
from functools import lru_cache
from random import Random
from typing import Any, Final
from uuid import UUID

import jinja2
import jinja2.sandbox
import msgspec

SECONDS: Final = 1.0
"""Of processor time a template may take."""

MEMORY: Final = 512 << 20
"""Bytes of address space this process may have."""

OUTPUT: Final = 4 << 20
"""Characters a template may come to."""

LENGTH: Final = struct.Struct("!I")


class Task(msgspec.Struct, array_like=True):
    """
    What is to be rendered.

    @ivar source: the template.
    @ivar escape: whether values are escaped for HTML.
    @ivar names: what it can speak of.
    @ivar seed: of its chance.
    """

    source: str
    escape: bool
    names: dict[str, Any]
    seed: int


class Done(msgspec.Struct, array_like=True):
    """
    What came of it.

    @ivar isGood: whether C{text} is the result, not what was wrong.
    """

    isGood: bool
    text: str


@jinja2.pass_context
def _asItIs(context: jinja2.runtime.Context, value: Any) -> Any:
    return value


def environment(escape: bool) -> jinja2.sandbox.SandboxedEnvironment:
    """
    Jinja2 as templates have it here.

    Nothing is computed while a template is only compiled, so that compiling is quick whatever it
    says.  A name that is not there is an error, unless C{default} stands behind it.
    """
    return jinja2.sandbox.SandboxedEnvironment(
        autoescape=escape,
        optimized=False,
        # What wants to know the context cannot be called beforehand, and so nothing is.
        finalize=_asItIs,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )


@lru_cache(256)
def _template(source: str, escape: bool) -> jinja2.Template:
    return environment(escape).from_string(source)


def render(task: Task) -> Done:
    """Render it; what is wrong with it is said in a line."""
    chance = Random(task.seed)
    functions = {
        "random": chance.random,
        "randint": chance.randint,
        "choice": chance.choice,
        "uuid": lambda: str(UUID(int=chance.getrandbits(128), version=4)),
    }
    parts, size = [], 0
    try:
        for part in _template(task.source, task.escape).generate({**functions, **task.names}):
            size += len(part)
            if size > OUTPUT:
                return Done(False, f"it comes to more than {OUTPUT} characters")
            parts.append(part)
        # What cannot be encoded is found here, not when it is sent.
        return Done(True, "".join(parts).encode().decode())
    except MemoryError:
        return Done(False, "it needs too much memory")
    except Exception as error:
        line = getattr(error, "lineno", None)
        where = f"line {line}: " if line else ""
        what = f"{type(error).__name__}: {error}"[:500]
        return Done(False, where + " ".join(what.split()))


def read(stream: socket.socket, size: int) -> bytes:
    """So many bytes; nothing at the end of the stream."""
    parts = bytearray()
    while len(parts) < size:
        part = stream.recv(size - len(parts))
        if not part:
            return b""
        parts += part
    return bytes(parts)


def main() -> None:
    """Render what is asked for, until nobody asks any more."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    stream = socket.socket(fileno=0)
    decoder, encoder = msgspec.msgpack.Decoder(Task), msgspec.msgpack.Encoder()
    while head := read(stream, LENGTH.size):
        task = decoder.decode(read(stream, LENGTH.unpack(head)[0]))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        done = render(task)
        signal.setitimer(signal.ITIMER_PROF, 0)
        answer = encoder.encode(done)
        with suppress(OSError):
            stream.sendall(LENGTH.pack(len(answer)) + answer)


if __name__ == "__main__":
    main()
