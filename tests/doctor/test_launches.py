"""VS Code's configurations, and how much of JSON they are."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.doctor.facts.configured import Configured
from loopbackd.doctor.facts.launches import Variables, launchesIn, parseJSONC

VARIABLES = Variables({"PORT": "7000", "JAVA_HOST": "::1"}, {"app.port": 7001, "app.on": True})


def read(entry: dict[str, Any]) -> list[Configured]:
    """The debuggers of one configuration."""
    text = json.dumps({"version": "0.2.0", "configurations": [{"name": "A", **entry}]})
    return launchesIn(text, "launch.json", VARIABLES)[0]


ATTACH = {"request": "attach"}


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        ({"type": "java", "hostName": "127.0.0.1", "port": 5005}, ("java", "127.0.0.1", 5005)),
        ({"type": "java", "port": "5005"}, ("java", "localhost", 5005)),
        ({"type": "java", "port": "${env:PORT}"}, ("java", "localhost", 7000)),
        ({"type": "java", "hostName": "${env:JAVA_HOST}", "port": 1}, ("java", "::1", 1)),
        ({"type": "debugpy", "connect": {"host": "::1", "port": 1}}, ("debugpy", "::1", 1)),
        ({"type": "python", "connect": {"port": 1}}, ("debugpy", "127.0.0.1", 1)),
        ({"type": "python", "host": "localhost", "port": 1}, ("debugpy", "localhost", 1)),
        ({"type": "node"}, ("node", "localhost", 9229)),
        ({"type": "pwa-node", "address": "::1", "port": 1}, ("node", "::1", 1)),
        ({"type": "go", "mode": "remote"}, ("delve", "127.0.0.1", 2345)),
        ({"type": "chrome", "port": 9222}, ("chrome", "localhost", 9222)),
        ({"type": "node", "port": "${config:app.port}"}, ("node", "localhost", 7001)),
        ({"type": "java", "port": 1, "linux": {"port": 2}}, ("java", "localhost", 2)),
    ],
)
def test_attaching(entry: dict[str, Any], wanted: tuple[str, str, int]) -> None:
    """Where each kind says its host and its port, and what it leaves out."""
    (found,) = read({**ATTACH, **entry})
    assert (found.kind, found.host, found.port) == wanted
    assert not found.isListening and not found.unknown


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        ({"type": "node", "request": "launch", "attachSimplePort": 1}, ("node", "localhost", 1)),
        ({"type": "go", "request": "launch", "port": 1}, ("delve", "127.0.0.1", 1)),
        (
            {"type": "cppdbg", "request": "launch", "miDebuggerServerAddress": "localhost:1234"},
            ("gdbserver", "localhost", 1234),
        ),
    ],
)
def test_launching(entry: dict[str, Any], wanted: tuple[str, str, int]) -> None:
    """Some that start a program go to a port all the same."""
    (found,) = read(entry)
    assert (found.kind, found.host, found.port) == wanted


def test_listening() -> None:
    """debugpy goes to the IDE."""
    (found,) = read({"type": "debugpy", **ATTACH, "listen": {"port": 5678}})
    assert found.isListening and (found.host, found.port) == ("127.0.0.1", 5678)


@pytest.mark.parametrize(
    ("port", "unknown"),
    [
        ("${command:pick}", "${command:pick}"),
        ("${env:NOBODY}", "${env:NOBODY}"),
        ("${config:app.on}", "${config:app.on}"),
        ("${input:port}", "${input:port}"),
        (None, "no port is given"),
        (True, "'True' is no port"),
        (0, "'0' is no port"),
        (65536, "'65536' is no port"),
        ("x", "'x' is no port"),
        ("9" * 5000, "is no port"),
        ([5005], "is no port"),
        (5005.5, "is no port"),
    ],
)
def test_ports_that_are_unknown(port: object, unknown: str) -> None:
    """It is said why."""
    (found,) = read({"type": "java", **ATTACH, "port": port})
    assert found.port is None and unknown in found.unknown


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "java", "request": "launch", "port": 5005},
        {"type": "node", "request": "launch", "port": 5005},
        {"type": "node", **ATTACH, "processId": "${command:PickProcess}"},
        {"type": "go", **ATTACH, "mode": "local"},
        {"type": "lldb", **ATTACH, "port": 5005},
        {"type": ["java"], **ATTACH},
        {"type": "cppdbg", "miDebuggerServerAddress": 5},
        {"serverReadyAction": {"action": "debugWithChrome"}, "type": "node", "request": "launch"},
    ],
)
def test_no_debugger_of_ours(entry: dict[str, Any]) -> None:
    """No port, or a kind that is not known."""
    assert read(entry) == []


def test_comments_and_lines() -> None:
    """Both kinds of comments, trailing commas, a byte order mark; the line is the name's."""
    text = """\ufeff// theirs
    {
      "configurations": [
        /* "name": "A" */
        {
          "name": "A // B",
          "type": "java", "request": "attach", "port": 5005,
        },
      ],
      "compounds": [{"name": "All", "configurations": ["A // B"]}],
    }"""
    ((found,), told) = launchesIn(text, "launch.json", VARIABLES)
    assert (found.name, found.port, found.where) == ("A // B", 5005, "launch.json:6")
    assert told == []


def test_a_workspace() -> None:
    """Its configurations are one level deeper."""
    entry = {"name": "A", "type": "java", "request": "attach", "port": 5005}
    text = json.dumps({"folders": [], "launch": {"configurations": [entry]}})
    assert [one.port for one in launchesIn(text, "a.code-workspace", VARIABLES)[0]] == [5005]


@pytest.mark.parametrize("args", ["{0} -Xmx1g", ["-Xmx1g", "{0}"]])
def test_what_java_is_told(args: Any) -> None:
    """An agent beside VS Code's own, as a text or a list, or in the environment."""
    option = "-agentlib:jdwp=transport=dt_socket,server=y,address=${env:PORT}"
    given = json.loads(json.dumps(args).replace("{0}", option))
    entry = {"name": "A", "type": "java", "request": "launch", "vmArgs": given}
    entry["env"] = {"JAVA_TOOL_OPTIONS": option}
    _, told = launchesIn(json.dumps({"configurations": [entry]}), "launch.json", VARIABLES)
    assert [(one.jdwp.port, one.jdwp.source) for one in told] == [
        (7000, "vmArgs"),
        (7000, "JAVA_TOOL_OPTIONS"),
    ]
    assert all(one.byIDE for one in told)


@pytest.mark.parametrize(
    "text",
    ["", "[", "[]", "1", '{"configurations": {}}', '{"launch": 1}', "[" * 100_000, '{"a":' * 5000],
)
def test_no_such_file(text: str) -> None:
    """Whatever it is, it is one error, and soon."""
    with pytest.raises(ValueError):
        launchesIn(text, "launch.json", VARIABLES)


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
NAMES = st.sampled_from(
    ["type", "request", "port", "hostName", "host", "connect", "listen", "name", "linux", "env",
     "vmArgs", "address", "attachSimplePort", "miDebuggerServerAddress", "mode"]
)  # fmt: skip
WORDS = st.sampled_from(["java", "attach", "launch", "python", "node", "go", "cppdbg", "remote"])


@given(st.lists(st.dictionaries(NAMES, WORDS | JSON) | JSON))
def test_any_configurations(entries: list[Any]) -> None:
    """Every value can be of every type."""
    found, _ = launchesIn(json.dumps({"configurations": entries}), "launch.json", VARIABLES)
    assert all(one.port is None or 0 < one.port < 65536 for one in found)


def test_where_it_is_wrong() -> None:
    """The line is named as such."""
    with pytest.raises(ValueError, match=r"^line 2 "):
        parseJSONC('{ // comment\n"a" 1}')


@given(st.text() | st.text(alphabet='{}[]",:/*\n\\ 1a'))
def test_any_text(text: str) -> None:
    """It is read, or is one error."""
    with suppress(ValueError):
        launchesIn(text, "launch.json", VARIABLES)


@given(JSON)
def test_json_is_json(value: Any) -> None:
    """What is JSON comes back as it was, with comments around it as well."""
    assert parseJSONC(json.dumps(value)) == value
    text = json.dumps(value, ensure_ascii=False)  # json5 leaves escaped surrogates apart
    assert parseJSONC(f"/**/ {text} //") == value


def test_letters_that_are_two_escapes() -> None:
    """They are one again, and half of one is none."""
    entry = {"type": "java", **ATTACH, "port": 1}
    for name, wanted in (("\\ud83d\\udc1b", "\U0001f41b"), ("\\ud83d", "\ufffd")):
        text = json.dumps({"configurations": [{**entry, "name": "?"}]}).replace("?", name)
        (found,) = launchesIn(f"// one\n{text}", "launch.json", VARIABLES)[0]
        assert found.name == wanted
