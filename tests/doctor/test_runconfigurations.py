"""IntelliJ's run configurations, and XML that means harm."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.doctor.facts.configured import Configured
from loopbackd.doctor.facts.runconfigurations import runConfigurationsIn

REMOTE = """<component name="ProjectRunConfigurationManager">
  <configuration default="false" name="Remote" type="Remote" factoryName="Remote">
    <option name="USE_SOCKET_TRANSPORT" value="true" />
    <option name="SERVER_MODE" value="{mode}" />
    <option name="SHMEM_ADDRESS" />
    <option name="HOST" value="localhost" />
    <option name="PORT" value="{port}" />
    <option name="AUTO_RESTART" value="false" />
    <method v="2"><option name="PORT" value="1" /></method>
  </configuration>
</component>
"""


def read(text: str) -> list[Configured]:
    """The debuggers of a file."""
    return runConfigurationsIn(text.encode(), "a.xml")[0]


@pytest.mark.parametrize(("mode", "isListening"), [("false", False), ("true", True)])
def test_remote_java(mode: str, isListening: bool) -> None:
    """It attaches, or it listens; with the line of its port."""
    wanted = Configured("java", "Remote", "localhost", 5005, isListening, "a.xml", 7)
    assert read(REMOTE.format(mode=mode, port=5005)) == [wanted]


def test_a_port_that_is_none() -> None:
    """It is said what stands there."""
    (found,) = read(REMOTE.format(mode="false", port="$PORT$"))
    assert found.port is None and "$PORT$" in found.unknown


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('type="ChromiumRemoteDebugType" port="9230"', ("node", "localhost", 9230, False)),
        ('type="ChromiumRemoteDebugType"', ("node", "localhost", 9229, False)),
        ('type="GoRemoteDebugConfigurationType" host="::1"', ("delve", "::1", 2345, False)),
    ],
)
def test_others(text: str, wanted: tuple[str, str, int, bool]) -> None:
    """Node and Go have theirs as attributes."""
    (found,) = read(f'<a><configuration name="A" {text} /></a>')
    assert (found.kind, found.host, found.port, found.isListening) == wanted


def test_a_python_server() -> None:
    """PyCharm listens."""
    text = '<configuration name="A" type="PyRemoteDebugConfigurationType">'
    (found,) = read(f'{text}<option name="PORT" value="5678" /></configuration>')
    assert found.isListening and found.port == 5678


def test_templates_do_not_count() -> None:
    """What new configurations are made from is nobody's."""
    assert (
        read(REMOTE.format(mode="false", port=1).replace('default="false"', 'default="true"')) == []
    )


def test_what_java_is_told() -> None:
    """An agent beside the IDE's own."""
    text = """<a><configuration name="Main" type="Application">
      <option name="VM_PARAMETERS" value="-Xmx1g &quot;-agentlib:jdwp=transport=dt_socket,server=y,address=5005&quot;" />
    </configuration></a>"""  # noqa: E501
    configured, (told,) = runConfigurationsIn(text.encode(), "a.xml")
    assert configured == [] and told.byIDE
    assert (told.jdwp.port, told.where) == (5005, "a.xml:2")


LAUGHS = (
    '<!DOCTYPE a [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(20))
    + "]><a>&u;</a>"
)


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd"><a/>',
        "<!DOCTYPE a><a/>",
        "<a>&b;</a>",
        "",
        "<a>",
        "\x00",
        '<?xml version="1.0" encoding="nobody-knows"?><a/>',
        '<?xml version="1.0" encoding="base64"?><a/>',
    ],
    ids=["laughs", "file", "fetched", "type", "entity", "empty", "open", "nul", "unknown", "coded"],
)
def test_harm(text: str) -> None:
    """No document type, so no entity; and no file that is not one."""
    with pytest.raises(ValueError):
        runConfigurationsIn(text.encode(), "a.xml")


def test_deep_nesting() -> None:
    """It costs what it is long."""
    assert read("<a>" * 100_000 + "</a>" * 100_000) == []


@given(st.text(), st.text())
def test_any_values(mode: str, port: str) -> None:
    """Whatever is quoted rightly is a value."""
    try:
        (found,) = read(REMOTE.format(mode=quoted(mode), port=quoted(port)))
    except ValueError:
        return
    assert found.port is None or 0 < found.port < 65536


def quoted(text: str) -> str:
    """A value of an attribute."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


@given(st.binary() | st.text(alphabet='<>/="& aconfigurt').map(str.encode))
def test_any_bytes(content: bytes) -> None:
    """They are read, or are one error."""
    with suppress(ValueError):
        runConfigurationsIn(content, "a.xml")
