"""Tests for `loopbackd.options`: what can be written behind ``twistd loopbackd``."""

from __future__ import annotations

import shlex
from importlib.metadata import version
from pathlib import Path

import pytest
from twisted.python.usage import UsageError

from loopbackd.options import Options, splitRelay
from loopbackd.settings import DEFAULT_ENDPOINT, Settings, SettingsError


def parsed(line: str) -> Options:
    """The options of a command line."""
    options = Options()
    options.parseOptions(shlex.split(line))
    return options


def services(line: str) -> list[tuple[str, str, str]]:
    """Name, protocol and endpoint of each service that a command line asks for."""
    asked = parsed(line).settings.service
    return [(service.name, service.protocol, service.endpoint) for service in asked]


def refusal(line: str) -> str:
    """The one line that an impossible command line ends with."""
    with pytest.raises(SystemExit) as caught:
        parsed(line)
    message = caught.value.code
    assert isinstance(message, str)
    assert message.startswith("loopbackd: ")
    assert len(message.splitlines()) == 1
    return message


ONE = "tcp:7007:interface=127.0.0.1"
TWO = "tcp:7008:interface=127.0.0.1"


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("", [("auto", "auto", DEFAULT_ENDPOINT)]),
        ("--protocol echo", [("echo", "echo", DEFAULT_ENDPOINT)]),
        (f"--listen {ONE}", [("auto", "auto", ONE)]),
        (f"-l {ONE} -p echo", [("echo", "echo", ONE)]),
        (f"--serve echo@{ONE}", [("echo", "echo", ONE)]),
        (f"-s echo@{ONE} -s echo@{TWO}", [("echo", "echo", ONE), ("echo-2", "echo", TWO)]),
        (
            f"--protocol hello --serve echo@{ONE}",
            [("hello", "hello", DEFAULT_ENDPOINT), ("echo", "echo", ONE)],
        ),
        (
            f"--serve echo@{ONE} --listen {TWO}",
            [("auto", "auto", TWO), ("echo", "echo", ONE)],
        ),
        ("--relay 7009=127.0.0.1:1", [("relay", "relay", "tcp:7009:interface=127.0.0.1")]),
        (
            "--relay localhost:7009=127.0.0.1:1",
            [("relay", "relay", "tcp:7009:interface=127.0.0.1")],
        ),
        (
            f"-r 7009=127.0.0.1:1 --serve echo@{ONE} -r {TWO}=unix:/run/redis.sock",
            [
                ("echo", "echo", ONE),
                ("relay", "relay", "tcp:7009:interface=127.0.0.1"),
                ("relay-2", "relay", TWO),
            ],
        ),
        ("--serve echo@unix:/tmp/a@b.sock", [("echo", "echo", "unix:/tmp/a@b.sock")]),
    ],
)
def test_services(line: str, asked: list[tuple[str, str, str]]) -> None:
    """--listen and --protocol are one service, and each --serve is another."""
    assert services(line) == asked


def test_no_options_are_the_settings_of_an_empty_file() -> None:
    """Save for the name of the service, which is the protocol's."""
    (service,) = parsed("").settings.service
    assert parsed("").settings == Settings(service=(service,))
    assert service.twin
    assert not service.allow_remote


def test_flags_are_for_every_service() -> None:
    """--no-twin, --allow-remote, --allow-address (where there are any) and --drain."""
    line = "--no-twin --allow-remote --allow-address 192.0.2.0/24 --allow-address 2001:db8::1"
    settings = parsed(f"{line} --drain 2.5 -s echo@tcp:1 -s echo@{ONE} -s echo@unix:/x").settings
    networks = [service.allow_addresses for service in settings.service]
    assert networks == [("192.0.2.0/24", "2001:db8::1")] * 2 + [()]
    assert settings.drain == 2.5
    assert all(not service.twin and service.allow_remote for service in settings.service)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--protocol ecco", "service 'ecco': there is no protocol 'ecco'; did you mean 'echo'?"),
        ("--protocol ./none.py:P", "none.py: No such file"),
        ("--listen tcp:http", "port 'http' is not a number"),
        ("--listen tcp:7007", "which other machines can reach"),
        ("--serve echo@tcp:7007", "(--allow-remote --allow-address 192.0.2.0/24)"),
        ("--serve echo@tcp:7007 --allow-remote", "(--allow-address 192.0.2.0/24)"),
        ("--listen tcp:7 --allow-remote --allow-address x", "allow_addresses: 'x' is no network"),
        ("--drain=-1", "options: drain = -1.0: expected a number >= 0.0"),
        ("--drain soon", "--drain 'soon': write seconds, for example --drain 5"),
        ("--drain nan", "options: drain = nan"),
        (f"-s echo@{ONE} -s hello@{ONE}", "services 'echo' and 'hello' have the same endpoint"),
        ("--config no-such.toml", "no-such.toml: No such file or directory"),
        ("--listen ''", "endpoint = '': expected a text of length >= 1"),
    ],
)
def test_what_cannot_be_had_is_one_line(line: str, said: str) -> None:
    """No usage text and no traceback: the operator wrote well what there is not."""
    assert said in refusal(line)


@pytest.mark.parametrize(
    ("line", "name", "remedy"),
    [
        (f"--listen {ONE}", "auto", "--listen tcp:PORT:interface=127.0.0.1"),
        (f"-s echo@{ONE}", "echo", "--serve echo@tcp:PORT:interface=127.0.0.1"),
        ("-r db@7009=127.0.0.1:1", "db", "--relay db@PORT=127.0.0.1:1"),
    ],
)
def test_the_remedy_is_what_was_written(line: str, name: str, remedy: str) -> None:
    """Who wrote --relay is not told of --listen, which would add a service."""
    why = f"service {name!r} cannot listen on it: held; choose another port: "
    said = parsed(line).inOurWords(f"{why}--listen tcp:PORT:interface=127.0.0.1; or not")
    assert said == f"{why}{remedy}; or not"


def test_the_remedy_in_a_file(tmp_path: Path) -> None:
    """Who has a configuration is told of its key."""
    (tmp_path / "it.toml").write_text(f'[[service]]\nprotocol = "echo"\nendpoint = "{ONE}"\n')
    options = parsed(f"--config {tmp_path}/it.toml")
    said = options.inOurWords(r"no: --listen 'tcp:PORT:interface=\:\:1'; or not")
    assert said == r"no: endpoint = 'tcp:PORT:interface=\:\:1'; or not"


@pytest.mark.parametrize("written", ["8475", "127.0.0.1:8475", "tcp:8475:interface=127.0.0.1"])
def test_control(written: str) -> None:
    """A port is enough, as it is for those who ask it."""
    assert parsed(f"--control {written}").settings.control.endpoint == (
        "tcp:8475:interface=127.0.0.1"
    )


@pytest.mark.parametrize(
    "line",
    [
        "--serve echo",
        f"--serve @{ONE}",
        "--serve echo@",
        "--no-such-option",
        "echo",
        "--listen",
    ],
)
def test_what_cannot_be_understood_is_a_usage_error(line: str) -> None:
    """Options that are not written as options are."""
    with pytest.raises(UsageError):
        parsed(line)


def test_a_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read, relative to where the daemon was started, and again at a reload."""
    monkeypatch.chdir(tmp_path)
    Path("it.toml").write_text("drain = 1")
    options = parsed("--config it.toml")
    assert options.settings.drain == 1
    Path("it.toml").write_text("drain = 2")
    monkeypatch.chdir("/")
    assert options.read()[0].drain == 2


def test_a_file_of_protocols_is_relative_to_where_we_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when twistd has gone elsewhere since."""
    monkeypatch.chdir(tmp_path)
    text = "from twisted.internet.protocol import Protocol\nclass P(Protocol): pass"
    Path("mine.py").write_text(text)
    options = parsed("--protocol ./mine.py:P")
    monkeypatch.chdir("/")
    assert options.read()[1].keys() == options.prepared.keys()


def test_a_reload_that_fails_names_the_file(tmp_path: Path) -> None:
    """Whichever part of it is wrong."""
    path = tmp_path / "it.toml"
    path.write_text("drain = 1")
    options = parsed(f"--config {path}")
    for text in ("drain = ", "drain = -1", "[[service]]\nprotocol = 'no-such'"):
        path.write_text(text)
        with pytest.raises(SettingsError, match=r"it\.toml: "):
            options.read()


@pytest.mark.parametrize(
    "other",
    [
        f"--listen {ONE}",
        "--protocol echo",
        f"--serve echo@{ONE}",
        "--relay 1=a:1",
        "--no-twin",
        "--allow-remote",
        "--allow-address 192.0.2.1",
        "--drain 5",
    ],
)
def test_a_configuration_goes_with_no_other_option(tmp_path: Path, other: str) -> None:
    """The other one is named, and where to write it instead."""
    path = tmp_path / "it.toml"
    path.write_text("")
    message = refusal(f"--config {path} {other}")
    assert message == f"loopbackd: {other.split()[0]} and --config: write it into {path}"


@pytest.mark.parametrize(
    ("text", "endpoint", "target"),
    [
        ("26379=redis:6379", "tcp:26379:interface=127.0.0.1", "redis:6379"),
        ("0=[::1]:80", "tcp:0:interface=127.0.0.1", "[::1]:80"),
        (f"{ONE}=127.0.0.1:80", ONE, "127.0.0.1:80"),
        (f"{ONE}=tcp:host=a:port=80", ONE, "tcp:host=a:port=80"),
        ("unix:/tmp/a.sock=unix:/tmp/b.sock", "unix:/tmp/a.sock", "unix:/tmp/b.sock"),
    ],
)
def test_relays(text: str, endpoint: str, target: str) -> None:
    """A port or an endpoint, and where it leads to."""
    assert splitRelay(text) == (endpoint, target)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("26379", "write PORT=HOST:PORT, for example 26379=127.0.0.1:6379"),
        ("26379=redis", "target 'redis' is no address"),
        ("99999=redis:6379", "port '99999' is not a number from 0 to 65535"),
        ("unix:address=unix:path=unix:c", "it can be read in more than one way"),
    ],
)
def test_relays_that_cannot_be(text: str, said: str) -> None:
    """The reason is one line."""
    with pytest.raises(UsageError) as caught:
        splitRelay(text)
    message = str(caught.value)
    assert message.startswith(f"--relay {text!r}: ") and said in message
    assert len(message.splitlines()) == 1


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    """It is loopbackd's, not Twisted's."""
    with pytest.raises(SystemExit) as caught:
        parsed("--version")
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"loopbackd {version('loopbackd')}\n"


def test_the_help_names_every_option() -> None:
    """And what is the default of each."""
    text = " ".join(str(Options()).split())
    for option in (
        "config",
        "listen",
        "protocol",
        "serve",
        "relay",
        "drain",
        "no-twin",
        "allow-remote",
        "allow-address",
    ):
        assert f"--{option}" in text
    assert DEFAULT_ENDPOINT in text
    assert "PROTOCOL@ENDPOINT" in text
