"""
What a JVM is told about its debugger: the options of the JDWP agent, and where they can stand.

Shapes and rules are those of the JDK's "Connection and Invocation Details" (JPDA), C{libjdwp}, and
the C{java} launcher; measured with JDK 17 and 25.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

TOOL_OPTIONS: Final = "JAVA_TOOL_OPTIONS"
LAUNCHER_OPTIONS: Final = "JDK_JAVA_OPTIONS"
LAST_OPTIONS: Final = "_JAVA_OPTIONS"
VARIABLES: Final = (TOOL_OPTIONS, LAUNCHER_OPTIONS, LAST_OPTIONS)
"""The variables of the environment that a JVM takes options from, in its order."""

COMMAND_LINE: Final = "the command line"

_AGENT: Final = re.compile(
    r"-(?:agentlib:jdwp|Xrunjdwp|agentpath:[^=]*\blibjdwp\.(?:so|dylib))(?:[=:](?P<options>.*))?\Z",
    re.DOTALL,
)
_PORT: Final = re.compile("[0-9]{1,5}")
_YES_OR_NO: Final = {"y": True, "n": False}
_OPENED_LATER: Final = ("onthrow", "onuncaught", "onjcmd")
# Those of java(1) that take the next word; written with "=" they take it from themselves.
_WITH_VALUE: Final = frozenset(
    {
        "-cp", "-classpath", "--class-path", "-p", "--module-path", "--upgrade-module-path",
        "--add-modules", "--enable-native-access", "--limit-modules", "--add-exports",
        "--add-opens", "--add-reads", "--patch-module", "--source", "--describe-module", "-d",
        "--finalization",
    }
)  # fmt: skip
_THE_PROGRAM: Final = frozenset({"-jar", "-m", "--module"})

# A quote that is not closed ends with the text, and in an @argfile with the line.
_QUOTED: Final = re.compile(r"""(["'])(.*?)(?:\1|\Z)""", re.DOTALL)
_OPTION: Final = re.compile(
    r"""(?: [^\s"'] | "[^"]*(?:"|\Z) | '[^']*(?:'|\Z) )+""", re.VERBOSE | re.ASCII
)
_ESCAPING: Final = re.compile(r"""(["'])((?:\\(?:.|\Z)|(?!\1)[^\\])*)(?:\1|\Z)""", re.DOTALL)
_ARGUMENT: Final = re.compile(
    r"""
    (?P<word> (?: [^\s"'\#]
                | "(?:\\(?:\r\n|.) | [^"\\\r\n])*(?:"|(?=[\r\n])|\\?\Z)
                | '(?:\\(?:\r\n|.) | [^'\\\r\n])*(?:'|(?=[\r\n])|\\?\Z) )* )
    (?P<comment> \#[^\r\n]* )?
    """,
    re.VERBOSE | re.ASCII | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(?:(?:\r\n|[\r\n])[ \t\f]*|(?P<letter>.)|\Z)", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}


@dataclass(frozen=True, slots=True)
class JDWP:
    """
    How a JVM meets its debugger.

    @ivar option: the option, as it was written.
    @ivar host: as it was written, with no brackets; C{*} is every address; empty for none.
    @ivar port: L{None} for one that the system chooses, anew each time a debugger is waited for.
    @ivar server: it listens, and the debugger connects; otherwise the other way round.
    @ivar suspend: the program does not begin before a debugger lets it.
    @ivar transport: C{dt_socket}, unless it is Windows' shared memory.
    @ivar late: nothing of it happens until an exception, or C{jcmd}, asks for it.
    @ivar allow: the addresses that a debugger may come from; empty for any.
    @ivar source: where the option stands.
    @ivar error: why a JVM with this option does not start; empty if it does.
    """

    option: str
    host: str = ""
    port: int | None = None
    server: bool = False
    suspend: bool = True
    transport: str = "dt_socket"
    late: bool = False
    allow: str = ""
    source: str = COMMAND_LINE
    error: str = ""

    @property
    def isListening(self) -> bool:
        """Whether it makes the JVM listen on a TCP port."""
        return self.server and self.transport == "dt_socket" and not self.error

    def isEverywhere(self, isOld: bool | None) -> bool | None:
        """
        Whether it listens on all addresses of the machine; L{None} where that is unknown.

        @param isOld: whether the JDK is older than 9, which means all where a port stands alone.
        """
        if not self.host:
            return isOld
        return self.host == "*" or _isUnspecified(self.host)


def parseJDWP(option: str, source: str = COMMAND_LINE) -> JDWP | None:
    """Understand an option of C{java}; L{None} for one that is not about a debugger."""
    match = _AGENT.match(option)
    if match is None:
        return None
    parts: dict[str, str] = {}
    for part in (match["options"] or "").split(","):
        name, _, value = part.partition("=")
        parts[name] = value  # the last one counts
    host, port, error = _address(parts.get("address", ""))
    server = _YES_OR_NO.get(parts.get("server", "n"))
    suspend = _YES_OR_NO.get(parts.get("suspend", "y"))
    transport = parts.get("transport", "")
    if server is None or suspend is None:
        error = f"JDWP option syntax error: {option}"
    elif not transport:
        isLost = bool(parts.get("address"))
        error = (
            f"JDWP {'address specified without transport' if isLost else 'no transport specified'}"
        )
    elif not server and not parts.get("address"):
        error = f"JDWP non-server transport {transport} must have a connection address"
    if transport == "dt_shmem":
        host, port, error = "", None, ""
    return JDWP(
        option,
        host,
        port,
        bool(server),
        suspend is not False,
        transport or "dt_socket",
        any(parts.get(name) not in (None, "n") for name in _OPENED_LATER),
        parts.get("allow", ""),
        source,
        error,
    )


def _address(text: str) -> tuple[str, int | None, str]:
    """The host and the port of C{address=}, and what is wrong with it."""
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not text:
        return "", None, ""
    if not _PORT.fullmatch(port) or int(port) > 65535:
        return host, None, f"transport error 103: invalid port number specified ({port})"
    return host, int(port) or None, ""


def _isUnspecified(host: str) -> bool:
    return host in ("0.0.0.0", "::", "0", "::0", "0:0:0:0:0:0:0:0")


def jdwpsOf(words: Sequence[str], environ: Mapping[str, str]) -> tuple[JDWP, ...]:
    """
    All that a JVM is told of debuggers, in the order in which it reads it.

    A JVM that is told twice does not start ("Cannot load this JVM TI agent twice").

    @param words: the command line, C{@argfiles} put in already; the program's own arguments are
        none of the JVM's options.
    """
    found = [
        *_among(optionsIn(environ.get(TOOL_OPTIONS, "")), TOOL_OPTIONS),
        *_among(optionsIn(environ.get(LAUNCHER_OPTIONS, "")), LAUNCHER_OPTIONS),
        *_among(javaOptions(words), COMMAND_LINE),
        *_among(optionsIn(environ.get(LAST_OPTIONS, "")), LAST_OPTIONS),
    ]
    return tuple(found)


def jdwpsIn(text: str, source: str) -> tuple[JDWP, ...]:
    """The same of options that stand in one text, as in the environment's variables."""
    return tuple(_among(optionsIn(text), source))


def _among(words: Sequence[str], source: str) -> Iterator[JDWP]:
    for word in words:
        found = parseJDWP(word, source)
        if found is not None:
            yield found


def javaOptions(words: Sequence[str]) -> list[str]:
    """The JVM's own options of a command line: what is between C{java} and what it runs."""
    found: list[str] = []
    rest = iter(words[1:])
    for word in rest:
        if word in _THE_PROGRAM or not word.startswith(("-", "@")):
            break
        # The JDK's other tools hand these on: javac -J-agentlib:jdwp=...
        found.append(word[2:] if word.startswith("-J-") else word)
        if word in _WITH_VALUE:
            next(rest, None)
    return found


def optionsIn(text: str) -> list[str]:
    """
    The words of C{JAVA_TOOL_OPTIONS} and its like.

    White space divides them; quotes of either kind, anywhere, keep it; nothing else is special.
    """
    return [_QUOTED.sub(r"\2", word[0]) for word in _OPTION.finditer(text)]


def argumentsIn(text: str) -> list[str]:
    """The words of an C{@argfile}: comments, and escapes within quotes, besides (java(1))."""
    return [
        _ESCAPING.sub(lambda quote: _ESCAPE.sub(_escaped, quote[2]), match["word"])
        for match in _ARGUMENT.finditer(text)
        # The launcher forgets a word that a comment cuts off.
        if match["word"] and match["comment"] is None
    ]


def _escaped(match: re.Match[str]) -> str:
    letter: str = match["letter"] or ""
    return _ESCAPED.get(letter, letter)
