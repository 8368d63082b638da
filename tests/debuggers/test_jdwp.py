"""What JVMs are told of debuggers, by whatever way they are told."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.debuggers.jdwp import (
    COMMAND_LINE,
    JDWP,
    LAST_OPTIONS,
    LAUNCHER_OPTIONS,
    TOOL_OPTIONS,
    argumentsIn,
    javaOptions,
    jdwpsOf,
    optionsIn,
    parseJDWP,
)

SOCKET = "-agentlib:jdwp=transport=dt_socket"
SERVER = f"{SOCKET},server=y,address="


def parsed(option: str) -> JDWP:
    """It is one."""
    found = parseJDWP(option)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("5005", "", 5005),
        ("localhost:5005", "localhost", 5005),
        ("*:5005", "*", 5005),
        ("0.0.0.0:5005", "0.0.0.0", 5005),
        ("[::1]:5005", "::1", 5005),
        ("::1:5005", "::1", 5005),
        (":5005", "", 5005),
        ("", "", None),
        ("0", "", None),
        ("localhost:0", "localhost", None),
    ],
)
def test_addresses(address: str, host: str, port: int | None) -> None:
    """A port, a host and a port, or neither."""
    found = parsed(SERVER + address)
    assert (found.host, found.port, found.error) == (host, port, "")
    assert found.server and found.suspend and found.isListening


@pytest.mark.parametrize(
    ("address", "old", "new", "unknown"),
    [
        ("5005", True, False, None),
        ("", True, False, None),
        ("*:5005", True, True, True),
        ("0.0.0.0:5005", True, True, True),
        ("[::]:5005", True, True, True),
        ("localhost:5005", False, False, False),
        ("127.0.0.1:5005", False, False, False),
    ],
)
def test_all_addresses(address: str, old: bool, new: bool, unknown: bool | None) -> None:
    """A port alone meant every address before JDK 9, and means loopback since."""
    found = parsed(SERVER + address)
    assert found.isEverywhere(True) is old
    assert found.isEverywhere(False) is new
    assert found.isEverywhere(None) is unknown


@pytest.mark.parametrize(
    "option",
    [
        "-agentlib:jdwp=transport=dt_socket,server=y,suspend=n,address=5005",
        "-Xrunjdwp:transport=dt_socket,server=y,suspend=n,address=5005",
        "-agentpath:/jdk/lib/libjdwp.so=transport=dt_socket,server=y,suspend=n,address=5005",
        "-agentlib:jdwp=address=5005,suspend=n,server=n,server=y,transport=dt_socket,timeout=9",
    ],
)
def test_spellings(option: str) -> None:
    """Old and new, in any order; the last of the same name counts."""
    assert parsed(option) == JDWP(option, port=5005, server=True, suspend=False)


@pytest.mark.parametrize(
    "option",
    ["-Xdebug", "-agentlib:hprof", "-agentlib:jdwpx=a", "-Xrun", "-agentpath:/x/libjdwp.txt", "x"],
)
def test_other_options(option: str) -> None:
    """They are not about JDWP's agent; C{-Xdebug} alone does nothing."""
    assert parseJDWP(option) is None


@pytest.mark.parametrize(
    ("option", "error"),
    [
        ("-agentlib:jdwp", "no transport"),
        ("-agentlib:jdwp=server=y,address=1", "address specified without transport"),
        (f"{SOCKET},server=yes", "syntax error"),
        (f"{SOCKET},suspend=", "syntax error"),
        (SOCKET, "must have a connection address"),
        (f"{SERVER}65536", "invalid port"),
        (f"{SERVER}localhost", "invalid port"),
        (f"{SERVER}localhost:", "invalid port"),
    ],
)
def test_errors(option: str, error: str) -> None:
    """The JVM would not start, and listens nowhere."""
    found = parsed(option)
    assert error in found.error and not found.isListening


def test_the_rest() -> None:
    """Who may come, what comes late, and another transport."""
    assert parsed(f"{SERVER}5005,allow=127.0.0.1+::1").allow == "127.0.0.1+::1"
    assert parsed(f"{SERVER}5005,onthrow=java.lang.Error,launch=x").late
    assert not parsed(f"{SERVER}5005,onuncaught=n").late
    shared = parsed("-agentlib:jdwp=transport=dt_shmem,server=y,address=name")
    assert not shared.error and not shared.isListening and shared.port is None


def test_where_options_stand() -> None:
    """The environment first, then the launcher's and the command line, then the last word."""
    told = {
        TOOL_OPTIONS: f'-Dx="a b" "{SERVER}1"',
        LAUNCHER_OPTIONS: f"{SERVER}2",
        LAST_OPTIONS: "-agentlib:jdwp='transport=dt_socket,server=y,address=4'",
    }
    found = jdwpsOf(["java", "-cp", "-agentlib:jdwp=9", f"{SERVER}3", "Main", f"{SERVER}5"], told)
    assert [(one.port, one.source) for one in found] == [
        (1, TOOL_OPTIONS),
        (2, LAUNCHER_OPTIONS),
        (3, COMMAND_LINE),
        (4, LAST_OPTIONS),
    ]


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["java", "-Xmx1g", "-jar", "-x.jar", "-y"], ["-Xmx1g"]),
        (["java", "-p", "mods", "-m", "a/b", "-y"], ["-p"]),
        (["java", "--class-path=a", "Main", "-y"], ["--class-path=a"]),
        (["javac", "-J-Xmx1g", "A.java"], ["-Xmx1g"]),
        (["java", "-cp"], ["-cp"]),
        (["java"], []),
        ([], []),
    ],
)
def test_what_is_the_programs_own(words: list[str], options: list[str]) -> None:
    """Options end where the program begins."""
    assert javaOptions(words) == options


def test_an_argfile() -> None:
    """As java itself reads it: measured with JDK 17."""
    text = 'Main a#b "c d"\n"g\\nh\\\\i" j\\k "con\\\n   tinued" un"quo ted"end\n"open\nnext \'\' e'
    assert argumentsIn(text) == [
        "Main", "g\nh\\i", "j\\k", "continued", "unquo tedend", "open", "next", "", "e",
    ]  # fmt: skip


@given(st.text() | st.text(alphabet="\"'\\ \n\r\t#ab"))
def test_any_text(text: str) -> None:
    """It is divided, and no letter is made up."""
    for divided in (optionsIn(text), argumentsIn(text)):
        assert len("".join(divided)) <= len(text)


@given(st.lists(st.text(alphabet="ab ,=:\t-", min_size=1)))
def test_quoted_words_come_back(words: list[str]) -> None:
    """White space within quotes is kept."""
    text = " ".join(f'"{word}"' for word in words)
    assert optionsIn(text) == words == shlex.split(text) == argumentsIn(text)


@given(st.text() | st.text(alphabet="serv=y,addtnpo:[]0123456789*"))
def test_any_option(rest: str) -> None:
    """It is understood, or has an error."""
    found = parsed(f"-agentlib:jdwp={rest}")
    assert found.port is None or 0 < found.port < 65536
    assert found.isEverywhere(None) in (True, False, None)


@given(st.lists(st.text()), st.text())
def test_any_command_line(words: list[str], text: str) -> None:
    """Nothing is too odd."""
    jdwpsOf(words, {TOOL_OPTIONS: text})
