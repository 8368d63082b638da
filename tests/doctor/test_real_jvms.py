"""JVMs of a real JDK, told of debuggers, and what the doctor says of them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from asuser import STRANGER, asUser
from javas import JVM, attach, greet, jdwp, resume
from running import PATIENCE
from tlsserving import wrong

from loopbackd.debuggers.jdwp import TOOL_OPTIONS, javaOptions
from loopbackd.doctor.asked import Asked
from loopbackd.doctor.debugged import examineDebuggers, examineProject
from loopbackd.doctor.examination import examine
from loopbackd.doctor.facts.debugging import lookAtDebuggers
from loopbackd.doctor.facts.jvms import Phase, findJVMs
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.net.endpoint import hasIPv6
from loopbackd.peer.netlink import SocketDiag

Java = Callable[..., JVM]
Look = Callable[[str, int], list[Finding]]

needsIPv6 = pytest.mark.skipif(not hasIPv6(), reason="there is no ::1 here")


def named(kind: str, findings: Sequence[Finding]) -> Finding:
    """The one of that kind."""
    (one,) = [one for one in findings if one.kind == kind]
    return one


def freePort() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def staysUntouched(jvm: JVM, host: str = "127.0.0.1") -> None:
    """Nobody has connected to a JVM's port: a debugger attaches, and the JVM complains of none."""
    with ExitStack() as stack:
        session = attach(stack, jvm.port, host)
        jvm.reached(Phase.ATTACHED)
        resume(session)
    assert jvm.process.stdin is not None
    jvm.process.stdin.close()
    jvm.process.stdin = None
    jvm.ended()
    assert not [line for line in jvm.lines if "handshake failed" in line], jvm.lines


@pytest.mark.parametrize("suspend", ["n", "y"])
def test_a_jvm_that_waits_is_not_connected_to(java: Java, look: Look, suspend: str) -> None:
    """Whoever examines its port leaves it as it was, and says why."""
    jvm = java(jdwp(server="y", suspend=suspend, address=0)).listening()
    findings = look("127.0.0.1", jvm.port)
    assert wrong(findings) == []
    said = named("debugger-waits", findings)
    assert f"127.0.0.1:{jvm.port}" in said.says and f"JVM {jvm.pid}" in said.says
    assert ("does not begin" in said.says) is (suspend == "y")
    assert "answers" not in [one.kind for one in findings]
    staysUntouched(jvm)


def test_a_port_of_its_own_choice_is_not_connected_to(java: Java, look: Look) -> None:
    """No option names the port; the JVM's own sockets, or their shortest of queues, tell."""
    jvm = java(jdwp(server="y", suspend="n")).listening()
    assert named("debugger-waits", look("localhost", jvm.port)).severity is Severity.NOTE
    staysUntouched(jvm)


def test_options_from_the_environment(java: Java, look: Look) -> None:
    """Another user does not see the variable, but the threads' names."""
    told = {TOOL_OPTIONS: '-Dx="a b" ' + jdwp(server="y", suspend="n", address=0)}
    jvm = java(environ=told).listening()
    (found,) = [one for one in findJVMs() if one.process.pid == jvm.pid]
    assert found.jdwp.source == TOOL_OPTIONS
    assert wrong(look("127.0.0.1", jvm.port)) == []
    staysUntouched(jvm)


def test_options_from_an_argfile(java: Java, tmp_path: Path) -> None:
    """They are read from where the JVM runs, quotes and comments and all."""
    option = jdwp(server="y", suspend="n", address=0).replace("jdwp=", 'jdwp="') + '"'
    (tmp_path / "options").write_text(f"# ours\n-Dx='a b' {option} # theirs\n")
    jvm = java("@options").listening()
    (found,) = [one for one in findJVMs() if one.process.pid == jvm.pid]
    assert found.jdwp.server and found.jdwp.port is None and not found.jdwp.error
    staysUntouched(jvm)


def test_a_jvm_on_all_addresses(java: Java, look: Look) -> None:
    """Anybody on the network could have the JVM run anything."""
    jvm = java(jdwp(server="y", suspend="n", address="*:0")).listening()
    findings = look("127.0.0.1", jvm.port)
    assert wrong(findings) == ["debugger-everywhere"]
    assert f"address=127.0.0.1:{jvm.port}" in named("debugger-everywhere", findings).remedy[0]
    staysUntouched(jvm)


@needsIPv6
def test_ipv6_alone(java: Java, look: Look) -> None:
    """A client at 127.0.0.1 gets nowhere, and no JVM is touched."""
    jvm = java(jdwp(server="y", suspend="n", address="[::1]:0")).listening()
    findings = look("127.0.0.1", jvm.port)
    assert wrong(findings) == ["listens-elsewhere"]
    assert named("debugger-waits", findings).remedy == (f"attach to [::1]:{jvm.port}",)
    assert wrong(look("::1", jvm.port)) == []
    staysUntouched(jvm, "::1")


def test_a_debugger_is_there_already(java: Java, look: Look) -> None:
    """The JVM listens for no other, who gets refused."""
    port = freePort()
    jvm = java(jdwp(server="y", suspend="n", address=port)).listening()
    with ExitStack() as stack:
        attach(stack, port)
        jvm.reached(Phase.ATTACHED)
        findings = look("127.0.0.1", port)
        assert "debugger-attached" in wrong(findings)
        assert any("connected with 127.0.0.1" in line for line in findings[0].evidence)


def test_the_port_changes_with_every_debugger(java: Java) -> None:
    """A JVM that was given none takes another one for the next debugger."""
    jvm = java(jdwp(server="y", suspend="n")).listening()
    first = jvm.port
    with ExitStack() as stack:
        attach(stack, first)
        jvm.reached(Phase.ATTACHED)
        (one,) = [
            one for one in examineDebuggers(Asked("127.0.0.1", first)) if "attached" in one.kind
        ]
        assert "another port each time" in one.remedy[0]
    assert jvm.listening().port != first


def test_a_jvm_that_goes_to_its_debugger(java: Java, stack: ExitStack) -> None:
    """As under an IDE: that one listens, and all is well."""
    ide = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    port = ide.getsockname()[1]
    jvm = java(jdwp(server="n", suspend="y", address=f"127.0.0.1:{port}"))
    session = greet(stack.enter_context(ide.accept()[0]))
    jvm.reached(Phase.ATTACHED)
    resume(session)
    jvm.begun()
    findings = examineDebuggers(Asked("127.0.0.1", port))
    assert wrong(findings) == []
    assert f"pid {os.getpid()} " in named("debugger-attached", findings).evidence[-1]


def test_the_debugger_is_gone(java: Java, look: Look) -> None:
    """The JVM goes on, and no debugger gets to it."""
    with ExitStack() as stack:
        ide = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = ide.getsockname()[1]
        jvm = java(jdwp(server="n", suspend="n", address=port))
        greet(stack.enter_context(ide.accept()[0]))
        jvm.reached(Phase.ATTACHED).begun()
    jvm.reached(Phase.LEFT)
    findings = look("127.0.0.1", port)
    assert sorted(wrong(findings)) == ["debugger-left", "nothing-listens"]
    explained = named("debugger-disconnected", findings)
    assert any(f"pid {jvm.pid} " in line for line in explained.evidence)


def test_no_debugger_at_all(java: Java, look: Look) -> None:
    """The JVM ends, and its exit code is among those that are explained."""
    port = freePort()
    jvm = java(jdwp(server="n", suspend="y", address=port))
    assert jvm.ended() == 2
    assert any("connect failed: Connection refused" in line for line in jvm.lines)
    explained = examineDebuggers(Asked("127.0.0.1", port))
    assert any("exit code 2" in line for line in explained[0].remedy)
    assert wrong(look("127.0.0.1", port)) == ["nothing-listens"]


def test_a_server_that_is_no_debugger(java: Java, stack: ExitStack, look: Look) -> None:
    """It waits for the JVM to speak, and the JVM for it."""
    server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    port = server.getsockname()[1]
    jvm = java(jdwp(server="n", suspend="n", address=port))
    stack.enter_context(server.accept()[0])
    found = next(one for one in look("127.0.0.1", port) if one.kind == "debugger-silent")
    assert f"JVM {jvm.pid} has connected" in found.says


def test_a_web_server_has_the_port(java: Java, stack: ExitStack, tmp_path: Path) -> None:
    """A JVM that is told to listen there ends, and an IDE that attaches there hears no JVM."""
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    stack.callback(server.server_close)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stack.callback(server.shutdown)
    port = server.server_address[1]
    jvm = java(jdwp(server="y", suspend="n", address=port))
    assert jvm.ended() == 2
    assert any("bind failed: Address already in use" in line for line in jvm.lines)
    configure(tmp_path, port)
    findings = ofProject(tmp_path)
    assert wrong(findings) == ["debugger-port-taken"]
    assert "bind failed" in named("debugger-port-taken", findings).evidence[2]


@needsIPv6
def test_two_programs_share_a_port(java: Java, stack: ExitStack, look: Look) -> None:
    """A JVM at 127.0.0.1 and somebody else at ::1: which one answers depends on the IDE."""
    jvm = java(jdwp(server="y", suspend="n", address=0)).listening()
    sock = stack.enter_context(socket.socket(socket.AF_INET6))
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind(("::1", jvm.port))
    sock.listen()
    assert "debugger-port-shared" in wrong(look("127.0.0.1", jvm.port))
    staysUntouched(jvm)


def test_told_twice(java: Java, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A JVM does not start that is told of a debugger twice."""
    option = jdwp(server="y", suspend="n", address=0)
    assert java(option, environ={TOOL_OPTIONS: option}).ended() != 0
    (tmp_path / "gradle.properties").write_text(f"org.gradle.jvmargs=-Xmx1g {option}\n")
    monkeypatch.setenv(TOOL_OPTIONS, option)
    assert "jdwp-twice" in wrong(ofProject(tmp_path))


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("server=y,suspend=n,address=0", "address specified without transport"),
        ("server=y,suspend=n", "no transport specified"),
        ("transport=dt_socket,server=true,address=0", "option syntax error"),
        ("transport=dt_socket,server=y,address=65536", "invalid port number"),
        ("transport=dt_socket", "must have a connection address"),
        ("transport=dt_socket,server=y,address=localhost:", "invalid port number"),
    ],
)
def test_an_option_that_is_wrong(java: Java, tmp_path: Path, option: str, says: str) -> None:
    """The JVM refuses it, and so do we, for the same reason."""
    jvm = java(f"-agentlib:jdwp={option}")
    assert jvm.ended() != 0
    assert any(says in line for line in jvm.lines), jvm.lines
    (tmp_path / ".mvn").mkdir()
    (tmp_path / ".mvn" / "jvm.config").write_text(f"-agentlib:jdwp={option}")
    (one,) = ofProject(tmp_path)
    assert one.kind == "jdwp-option-wrong"
    assert says in one.evidence[1]


def test_a_crash(java: Java, tmp_path: Path) -> None:
    """The JVM's own last words are found, and shown."""
    jvm = java("-XX:-CreateCoredumpOnCrash").begun()
    os.kill(jvm.pid, signal.SIGSEGV)
    jvm.said("hs_err_pid")
    jvm.process.wait(PATIENCE)
    found = named("jvm-crashed", ofProject(tmp_path))
    assert "SIGSEGV" in found.says and found.severity is Severity.WARNING
    assert f"its pid was {jvm.pid}" in found.evidence


def test_the_wrong_port(java: Java, tmp_path: Path) -> None:
    """The IDE goes to one, and the JVM waits at another."""
    jvm = java(jdwp(server="y", suspend="n", address=0)).listening()
    configure(tmp_path, freePort())
    found = named("debugger-other-port", ofProject(tmp_path))
    assert f"write {jvm.port} for the port in .vscode/launch.json:3" in found.remedy
    configure(tmp_path, jvm.port)
    assert wrong(ofProject(tmp_path)) == []
    staysUntouched(jvm)


def test_nobody_to_attach_to(tmp_path: Path) -> None:
    """No JVM runs."""
    configure(tmp_path, freePort())
    assert wrong(ofProject(tmp_path)) == ["debugger-absent"]


@needsIPv6
def test_the_other_family(java: Java, tmp_path: Path) -> None:
    """The IDE goes to 127.0.0.1, and the JVM waits at ::1."""
    jvm = java(jdwp(server="y", suspend="n", address="[::1]:0")).listening()
    configure(tmp_path, jvm.port, "127.0.0.1")
    found = named("debugger-elsewhere", ofProject(tmp_path))
    assert found.remedy[0] == "write ::1 for the host in .vscode/launch.json:3"


def test_both_listen(java: Java, tmp_path: Path) -> None:
    """An IDE that listens, and a JVM that does."""
    jvm = java(jdwp(server="y", suspend="n", address=freePort())).listening()
    (tmp_path / ".run").mkdir()
    (tmp_path / ".run" / "Listen.run.xml").write_text(
        '<component name="ProjectRunConfigurationManager">\n'
        '<configuration default="false" name="Listen" type="Remote" factoryName="Remote">\n'
        '<option name="SERVER_MODE" value="true" />\n'
        f'<option name="PORT" value="{jvm.port}" />\n'
        "</configuration></component>"
    )
    assert wrong(ofProject(tmp_path)) == ["debugger-both-listen"]


def test_both_connect(tmp_path: Path) -> None:
    """An IDE that attaches, and a build tool that has the JVM go to it."""
    port = freePort()
    configure(tmp_path, port)
    option = jdwp(server="n", suspend="y", address=port)
    (tmp_path / "gradle.properties").write_text(f"org.gradle.jvmargs={option}\n")
    assert wrong(ofProject(tmp_path)) == ["debugger-both-connect", "debugger-not-listening"]


FIRST = """
import socket
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
print(server.accept()[1][1], flush=True)
"""


def test_a_listener_that_nobody_sees(
    needsRoot: None, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project attaches its Java debugger there, so it may be a JVM's: it is left alone."""
    words = [sys.executable, "-c", FIRST]
    process = stack.enter_context(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))
    stack.callback(process.kill)
    assert process.stdout is not None
    port = int(process.stdout.readline())
    directory = Path(stack.enter_context(TemporaryDirectory()))
    directory.chmod(0o755)  # the other user reads it
    configure(directory, port)
    monkeypatch.chdir(directory)
    findings = asUser(STRANGER, lambda: examine(Asked("127.0.0.1", port)))
    assert [one.kind for one in findings if "debugger" in one.kind] == ["debugger-may-wait"]
    sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
    assert int(process.stdout.readline()) == sock.getsockname()[1]


def test_a_variable_for_every_jvm(
    java: Java, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first JVM has the port; another that is told the same does not start."""
    option = jdwp(server="y", suspend="n", address=freePort())
    java(environ={TOOL_OPTIONS: option}).listening()
    second = java(environ={TOOL_OPTIONS: option})
    assert second.ended() == 2
    assert any("bind failed: Address already in use" in line for line in second.lines)
    monkeypatch.setenv(TOOL_OPTIONS, option)
    assert wrong(ofProject(tmp_path)) == ["jdwp-port-taken"]


def test_a_jvm_that_no_configuration_names(java: Java, tmp_path: Path) -> None:
    """All is well, and it is said that there is another one."""
    first = java(jdwp(server="y", suspend="n", address=0)).listening()
    second = java(jdwp(server="y", suspend="n", address=0)).listening()
    configure(tmp_path, first.port)
    findings = ofProject(tmp_path)
    assert wrong(findings) == []
    says = [one.says for one in findings if one.kind == "debugger-unconfigured"]
    assert any(f"127.0.0.1:{second.port}" in one for one in says)


def test_a_file_that_nobody_can_read(tmp_path: Path) -> None:
    """No JSON, with or without comments."""
    (tmp_path / ".vscode").mkdir()
    (tmp_path / ".vscode" / "launch.json").write_text('{"configurations": [}')
    assert wrong(ofProject(tmp_path)) == ["project-unread"]


def test_a_port_that_is_not_known(tmp_path: Path) -> None:
    """Only the IDE itself knows what its command returns."""
    configure(tmp_path, '"${command:pickPort}"')
    (one,) = [one for one in ofProject(tmp_path) if one.kind == "debugger-port-unknown"]
    assert "${command:pickPort}" in one.says


def test_looking_reads_no_more_than_java_does(java: Java) -> None:
    """What follows the main class is the program's own, whatever it looks like."""
    jvm = java().begun()
    words = Path(f"/proc/{jvm.pid}/cmdline").read_text().rstrip("\0").split("\0")
    assert javaOptions([*words, jdwp(server="y", address=5005)]) == ["-cp"]
    assert jvm.pid not in [one.process.pid for one in lookAtDebuggers(SocketDiag()).jvms]


def configure(directory: Path, port: int | str, host: str = "localhost") -> None:
    """Have VS Code attach to a JVM."""
    (directory / ".vscode").mkdir(exist_ok=True)
    (directory / ".vscode" / "launch.json").write_text(
        '{\n  "version": "0.2.0", // theirs\n'
        '  "configurations": [{"name": "Attach",\n    "type": "java", "request": "attach",'
        f' "hostName": "{host}", "port": {port}, }},],}}'
    )


def ofProject(directory: Path) -> list[Finding]:
    """What is found, without what other programs of this machine are at."""
    machine = ("debugger-everywhere", "debugger-left", "debugger-silent")
    return [
        one
        for one in examineProject(str(directory))
        if one.kind not in machine or str(directory) in str(one)
    ]
