"""The files of a project's directory, and those that are none."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.doctor.facts.project import _gradle, readProject

OPTION = "-agentlib:jdwp=transport=dt_socket,server=y,suspend=n,address=5005"


def attach(port: Any) -> dict[str, Any]:
    """A file that attaches to Java."""
    entry = {"name": f"at {port}", "type": "java", "request": "attach", "port": port}
    return {"configurations": [entry]}


def write(directory: Path, name: str, content: str) -> None:
    """A file of the project."""
    (directory / name).parent.mkdir(parents=True, exist_ok=True)
    (directory / name).write_text(content)


def test_all_files(tmp_path: Path) -> None:
    """Every file that is looked for is found, and each once."""
    write(tmp_path, ".vscode/launch.json", json.dumps(attach(1)))
    write(tmp_path, ".vscode/settings.json", '{"a.port": 7, // ours\n}')
    whole = {
        "folders": [{"path": "."}, {"path": "sub"}, {"name": 5}, 6],
        "launch": attach("${config:b.port}"),
        "settings": {"b.port": 2},
    }
    write(tmp_path, "all.code-workspace", json.dumps(whole))
    write(tmp_path, "sub/.vscode/launch.json", json.dumps(attach("${config:b.port}")))
    option = '<option name="PORT" value="{0}"/>'
    text = f'<configuration name="{{0}}" type="Remote">{option}</configuration>'
    write(tmp_path, ".idea/runConfigurations/a.xml", text.format(4))
    write(tmp_path, ".idea/workspace.xml", text.format(5))
    write(tmp_path, ".run/a.run.xml", text.format(6))
    found = readProject(str(tmp_path), {})
    assert [(one.file, one.port) for one in found.configured] == [
        (".vscode/launch.json", 1),
        ("all.code-workspace", 2),
        ("sub/.vscode/launch.json", 2),
        (".idea/runConfigurations/a.xml", 4),
        (".idea/workspace.xml", 5),
        (".run/a.run.xml", 6),
    ]
    assert found.javaPorts == {1, 2, 4, 5, 6} and found.missing == ()


def test_what_jvms_are_told(tmp_path: Path) -> None:
    """Build tools' files, and the environment."""
    write(tmp_path, "gradle.properties", f"# ours\na=b\norg.gradle.jvmargs=-Xmx1g \\\n  {OPTION}\n")
    write(tmp_path, ".mvn/jvm.config", f"-Xmx1g\n{OPTION}\n")
    environ = {"MAVEN_OPTS": OPTION, "JAVA_TOOL_OPTIONS": f'"{OPTION}"', "OTHER": OPTION}
    found = readProject(str(tmp_path), environ)
    assert {one.where: one.jdwp.port for one in found.told} == {
        "JAVA_TOOL_OPTIONS in the environment": 5005,
        "MAVEN_OPTS in the environment": 5005,
        "gradle.properties:3": 5005,
        ".mvn/jvm.config": 5005,
    }


def test_nothing_there(tmp_path: Path) -> None:
    """No files, no directory, no such name: nothing is configured, and nothing missing."""
    for directory in (str(tmp_path), str(tmp_path / "none"), "\0", ""):
        found = readProject(directory, {})
        assert (found.configured, found.told, found.missing) == ((), (), ())


def test_files_that_are_none(tmp_path: Path) -> None:
    """A pipe, a device, a directory: nobody waits for them."""
    (tmp_path / ".vscode").mkdir()
    os.mkfifo(tmp_path / ".vscode" / "launch.json")
    (tmp_path / ".idea").mkdir()
    (tmp_path / ".idea" / "workspace.xml").symlink_to("/dev/zero")
    (tmp_path / "gradle.properties").mkdir()
    assert readProject(str(tmp_path), {}).configured == ()


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        (".vscode/launch.json", "{", "launch.json"),
        (".vscode/launch.json", " " * 200_000, "larger than 131072 bytes"),
        (".vscode/settings.json", "{", "settings.json"),
        ("a.code-workspace", "{", "a.code-workspace"),
        (".idea/workspace.xml", "<!DOCTYPE a><a/>", "document type"),
        (".idea/workspace.xml", "<a>" + " " * 5_000_000 + "</a>", "larger than"),
    ],
)
def test_what_is_missing(tmp_path: Path, name: str, content: str, word: str) -> None:
    """Files that cannot be read are named, and the rest is read."""
    write(tmp_path, ".run/a.run.xml", '<configuration name="A" type="ChromiumRemoteDebugType"/>')
    write(tmp_path, name, content)
    found = readProject(str(tmp_path), {})
    assert len(found.configured) == 1
    assert word in found.missing[0] and found.missing[0].startswith(name)


def test_a_file_of_another_encoding(tmp_path: Path) -> None:
    """It is named, too."""
    (tmp_path / ".vscode").mkdir()
    (tmp_path / ".vscode" / "launch.json").write_bytes(b"\xff\xfe{\x00")
    assert "launch.json" in readProject(str(tmp_path), {}).missing[0]


@given(st.text() | st.text(alphabet="org.gradle.jvmargs=\\\n :-x"))
def test_any_properties(text: str) -> None:
    """They are read somehow."""
    _gradle(f"org.gradle.jvmargs={text}".encode("utf-8", "replace"), "gradle.properties")
