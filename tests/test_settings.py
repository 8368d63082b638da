"""Tests for `loopbackd.settings`: one schema, and errors an operator can act on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.httpsettings import HTTPSettings, StubSettings
from loopbackd.settings import (
    DEFAULT_ENDPOINT,
    LogSettings,
    Route,
    Routes,
    ServiceSettings,
    Settings,
    SettingsError,
    convert,
    freeName,
    parse,
    read,
)


def refusal(text: str) -> str:
    """What is said about a wrong configuration."""
    with pytest.raises(SettingsError) as caught:
        parse(text, "it.toml")
    return str(caught.value)


def test_nothing_asked_is_one_auto_on_the_default_address() -> None:
    """An empty file is the daemon that is started without options."""
    settings = parse("", "it.toml")
    assert settings == Settings()
    (service,) = settings.service
    assert (service.protocol, service.endpoint) == ("auto", DEFAULT_ENDPOINT)
    assert DEFAULT_ENDPOINT == "tcp:62893:interface=127.0.0.1"


def test_every_key_is_read() -> None:
    """Each key ends in the field of its name."""
    text = """
        drain = 1
        max_connections = 500
        [log]
        level = "warn"
        levels = { "loopbackd.net" = "debug" }
        format = "json"
        [[service]]
        name = "one"
        endpoint = "tcp:7:interface=127.0.0.1"
        protocol = "auto"
        options = { greeting_delay = 0.5 }
        routes = { http = "echo", silent = { protocol = "hello", options = { a = 1 } } }
        twin = false
        allow_remote = true
        allow_addresses = ["192.0.2.0/24", "2001:db8::1"]
        allow_uids = [0, "nobody"]
        max_connections = 5
        max_connections_per_uid = 2
        first_byte_timeout = 3
        idle_timeout = 4.5
    """
    assert parse(text, "it.toml") == Settings(
        drain=1.0,
        max_connections=500,
        log=LogSettings(level="warn", levels={"loopbackd.net": "debug"}, format="json"),
        service=(
            ServiceSettings(
                name="one",
                endpoint="tcp:7:interface=127.0.0.1",
                protocol="auto",
                options={"greeting_delay": 0.5},
                routes=Routes(http="echo", silent=Route(protocol="hello", options={"a": 1})),
                twin=False,
                allow_remote=True,
                allow_addresses=("192.0.2.0/24", "2001:db8::1"),
                allow_uids=(0, "nobody"),
                max_connections=5,
                max_connections_per_uid=2,
                first_byte_timeout=3.0,
                idle_timeout=4.5,
            ),
        ),
    )


def test_services_without_a_name_are_called_after_their_protocol() -> None:
    """Names that were given are never taken; those that were not are numbered."""
    services = [
        'endpoint = "tcp:1"\nprotocol = "echo"',
        'endpoint = "tcp:2"\nprotocol = "echo"',
        'endpoint = "tcp:3"\nprotocol = "./mine.py:Shout"',
        'endpoint = "tcp:4"\nname = "echo"',
        'endpoint = "tcp:5"',
    ]
    settings = parse("".join(f"[[service]]\n{text}\n" for text in services), "it.toml")
    names = [service.name for service in settings.service]
    assert names == ["echo-2", "echo-3", "Shout", "echo", "auto"]


@given(st.text(), st.sets(st.sampled_from(["auto", "auto-2", "echo", "service"])))
def test_a_free_name_is_free_and_fits(protocol: str, taken: set[Any]) -> None:
    """Whatever the protocol is called, the name can be a service's."""
    name = freeName(protocol, taken)
    assert name not in taken
    convert({"service": [{"name": name}]}, "it")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[[service]]\nprotocol = 'relay'",
            "service 'relay': a relay leads to a target; write target = \"127.0.0.1:6379\"",
        ),
        (
            "[[service]]\ntarget = 'a:1'",
            "target is for protocol 'relay', not for 'auto'; write protocol = \"relay\", or"
            " remove target",
        ),
        (
            "[[service]]\nprotocol = 'echo'\n[service.relay]",
            "relay is for protocol 'relay', not for 'echo'; write protocol = \"relay\", or"
            " remove [service.relay]",
        ),
        (
            "[[service]]\nprotocol = 'relay'\ntarget = 'a:1'\nrelay.refused = 'rst'",
            "service 'relay': relay: refused = 'rst': write 'reset' or 'close'",
        ),
        (
            "[[service]]\nprotocol = 'relay'\ntarget = 'a:1'\nrelay.connect_timeout = 0",
            "connect_timeout = 0: expected a number > 0.0",
        ),
        (
            "[[service]]\nprotocol = 'relay'\ntarget = 'a:1'\nrelay.timeout = 1",
            "unknown key 'timeout'; did you mean 'connect_timeout'?",
        ),
        ("drain = -1", "drain = -1: expected a number >= 0.0"),
        ("drain = 'soon'", "drain = 'soon': expected a number, got a text"),
        ("drain = nan", "drain = nan: expected a number >= 0.0"),
        ("drain = 1979-05-27", "expected a number, got a date"),
        ("max_connections = 1.5", "max_connections = 1.5: expected a whole number, got a number"),
        ("drian = 1", "unknown key 'drian'; did you mean 'drain'?"),
        (
            "colour = 1",
            "unknown key 'colour'; known are service, drain, max_connections, ",
        ),
        (
            "'' = 1",
            "unknown key ''; known are service, drain, max_connections, ",
        ),
        (
            "'a`b' = 1",
            "unknown key 'a`b'; known are service, drain, max_connections, ",
        ),
        ("service = []", "there is no service; write at least one [[service]]"),
        ("service = 3", "service = 3: expected a list, got a whole number"),
        ("[service]\nname = 'a'", "service: there can be more than one; write [[service]]"),
        (
            "[[service]]\nprotocl = 'echo'",
            "service 'auto': unknown key 'protocl'; did you mean 'protocol'?",
        ),
        (
            "[[service]]\nname = 'a b'",
            "service 'a b': name = 'a b': expected letters, digits, '.', '_' and '-' only",
        ),
        ("[[service]]\nname = 3", "name = 3: expected a text, got a whole number"),
        ("[[service]]\ntwin = 'no'", "twin = 'no': expected true or false, got a text"),
        (
            "[[service]]\nallow_uids = ['root', 1.5]",
            "service 'auto': allow_uids = 1.5: expected a uid or a user name, got a number",
        ),
        ("[[service]]\nallow_uids = 5", "allow_uids = 5: expected a list, got a whole number"),
        ("[[service]]\nroutes = 5", "routes = 5: expected a table, got a whole number"),
        (
            "[[service]]\nroutes = { htp = 'http' }",
            "routes: unknown key 'htp'; did you mean 'http'?",
        ),
        (
            "[[service]]\nroutes = { http = 5 }",
            "routes: http = 5: expected the name of a protocol or a table, got a whole number",
        ),
        (
            "[[service]]\nroutes = { http = { protocol = 'http', option = {} } }",
            "routes: http: unknown key 'option'; did you mean 'options'?",
        ),
        (
            "[[service]]\nroutes = { http = {} }",
            "routes: http: the key 'protocol' is missing; write protocol = ...",
        ),
        (
            "[[service]]\nprotocol = 'echo'\nroutes = {}",
            "service 'echo': routes belong to protocol 'auto', not to 'echo'; remove",
        ),
        ("[log]\nlevels = { a = 3 }", "log: levels = {'a': 3}: expected a text"),
        ("[log]\nlvel = 'x'", "log: unknown key 'lvel'; did you mean 'level'?"),
        ("log = 3", "log = 3: expected a table, got a whole number"),
        (
            "[[service]]\nname = 'a'\n[[service]]\nname = 'a'\nendpoint = 'tcp:1'",
            "two services are named 'a'; give each its own name",
        ),
        ("drain = ", "not TOML: Invalid value (at end of document)"),
        ("drain = " + "1" * 5000, "not TOML: "),
    ],
)
def test_an_error_names_the_key_the_value_and_the_remedy(text: str, said: str) -> None:
    """One line, beginning with the file."""
    message = refusal(text)
    assert message.startswith("it.toml: ")
    assert said in message
    assert "\n" not in message
    assert "`" not in message.replace("'a`b'", "")


def test_a_long_value_is_not_repeated_in_full() -> None:
    """A message is one line that can be read."""
    assert len(refusal(f"[[service]]\nname = '{'x' * 5000}'")) < 400
    assert len(refusal(f"{'x' * 5000} = 1")) < 400


def test_a_port_that_is_chosen_can_be_asked_for_twice() -> None:
    """Each service gets one of its own."""
    text = "[[service]]\nendpoint = 'tcp:0:interface=127.0.0.1'\n"
    assert len(parse(text * 2, "it.toml").service) == 2


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """It is named, with the reason."""
    for path, said in [
        (tmp_path / "none.toml", "No such file"),
        (tmp_path, "Is a directory"),
    ]:
        with pytest.raises(SettingsError, match=said) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: ")


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    """The byte is named, and what to do."""
    (tmp_path / "it.toml").write_bytes(b"# \xff")
    with pytest.raises(SettingsError, match=r"it.toml: not UTF-8 at byte 2; save it as UTF-8"):
        read(tmp_path / "it.toml")


def test_a_file_is_read(tmp_path: Path) -> None:
    """The message of an error has the path as it was given."""
    path = tmp_path / "it.toml"
    path.write_text("drain = 2.5")
    assert read(path).drain == 2.5
    path.write_text("drain = true")
    with pytest.raises(SettingsError) as caught:
        read(path)
    assert str(caught.value) == f"{path}: drain = True: expected a number, got true or false"


keys = st.sampled_from(
    [
        *Settings.__struct_fields__,
        *ServiceSettings.__struct_fields__,
        *Routes.__struct_fields__,
        *LogSettings.__struct_fields__,
        *HTTPSettings.__struct_fields__,
        *StubSettings.__struct_fields__,
        "options",
        "",
    ]
)
values = st.recursive(
    st.one_of(
        st.integers(), st.floats(), st.booleans(), st.text(max_size=20), st.dates(), st.datetimes()
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(keys | st.text(), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(
    st.dictionaries(keys, values, max_size=4),
    st.none() | st.lists(st.dictionaries(keys, values, max_size=4), max_size=3),
)
def test_whatever_is_asked_is_settings_or_one_line(
    asked: dict[str, Any], services: list[Any] | None
) -> None:
    """No table of values raises anything but SettingsError."""
    if services is not None:
        asked["service"] = services
    try:
        settings = convert(asked, "it.toml")
    except SettingsError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert len({service.name for service in settings.service}) == len(settings.service)


def toml(value: Any) -> str:
    """A value in TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{toml(key)} = {toml(each)}' for key, each in value.items())}}}"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(character):08x}" for character in value) + '"'
    return repr(value)


simple = st.recursive(
    st.one_of(
        st.integers(), st.floats(), st.booleans(), st.text(st.characters(codec="utf-8"), max_size=9)
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(keys | st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(st.dictionaries(keys, simple, max_size=5), st.lists(st.dictionaries(keys, simple)))
def test_any_toml_is_settings_or_one_line(
    asked: dict[str, Any], services: list[dict[str, Any]]
) -> None:
    """Services without names, too, and with names of any kind."""
    asked = {key: value for key, value in asked.items() if key != "service"}
    text = "".join(f"{toml(key)} = {toml(value)}\n" for key, value in asked.items())
    for service in services:
        text += "[[service]]\n"
        text += "".join(f"{toml(key)} = {toml(value)}\n" for key, value in service.items())
    try:
        parse(text, "it.toml")
    except SettingsError as error:
        assert "not TOML" not in str(error)
        assert len(str(error).splitlines()) == 1


@given(st.text())
def test_any_text_is_settings_or_one_line(text: str) -> None:
    """What is not TOML is said to be none."""
    try:
        parse(text, "it.toml")
    except SettingsError as error:
        assert len(str(error).splitlines()) == 1
