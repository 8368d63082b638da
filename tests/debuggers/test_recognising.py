"""Command lines of programs that can be debugged over a port, and of some that only look so."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.debuggers.debugger import TITLES, Debugger
from loopbackd.debuggers.recognising import VARIABLES, debuggersOf, isJava

JDWP = "-agentlib:jdwp=transport=dt_socket,server=y,suspend=n,address="


def only(line: str, environ: Mapping[str, str] | None = None, path: str = "") -> Debugger:
    """The one that is to be found."""
    (found,) = debuggersOf(line.split(" "), environ or {}, path)
    assert found.title == TITLES[found.kind]
    return found


@pytest.mark.parametrize(
    ("line", "kind", "host", "port"),
    [
        (f"java {JDWP}5005 -jar app.jar", "java", "127.0.0.1", 5005),
        (f"/usr/bin/java -cp x {JDWP}*:5005 App", "java", "*", 5005),
        (f"java {JDWP}[::1]:5005 App", "java", "::1", 5005),
        (f"/opt/ide/bin/idea {JDWP}5005", "java", "127.0.0.1", 5005),
        (
            "java -Xdebug -Xrunjdwp:transport=dt_socket,server=y,address=8000 App",
            "java",
            "127.0.0.1",
            8000,
        ),
        ("java -agentlib:jdwp=transport=dt_socket,server=y App", "java", "127.0.0.1", None),
        ("node --inspect a.js", "node", "127.0.0.1", 9229),
        ("/usr/bin/node --inspect-brk=5000 a.js", "node", "127.0.0.1", 5000),
        ("/usr/bin/node --inspect-brk=0.0.0.0:9333 a.js", "node", "0.0.0.0", 9333),
        ("nodejs18 --inspect=9000 a.js", "node", "127.0.0.1", 9000),
        ("node --inspect=0.0.0.0:5000 a.js", "node", "0.0.0.0", 5000),
        ("node --inspect=[::1]:5000 a.js", "node", "::1", 5000),
        ("node --inspect=*:5000 a.js", "node", "*", 5000),
        ("node --inspect=localhost a.js", "node", "localhost", 9229),
        ("node --inspect=0 a.js", "node", "127.0.0.1", None),
        ("node --inspect_brk --inspect-port=77 a.js", "node", "127.0.0.1", 77),
        ("node --inspect=0.0.0.0 --inspect-port=77 a.js", "node", "0.0.0.0", 77),
        ("node --inspect-port 77 --inspect a.js", "node", "127.0.0.1", 77),
        ("node --debug-port=77 --inspect a.js", "node", "127.0.0.1", 77),
        ("node -r x --inspect-wait=:5000", "node", "127.0.0.1", 5000),
        ("node --inspect-brk-node=5000 a.js", "node", "127.0.0.1", 5000),
        ("node -e 1 --inspect=5000", "node", "127.0.0.1", 5000),
        ("node -pe 1 --disable-warning X --inspect=5000", "node", "127.0.0.1", 5000),
        ("node --max-old-space-size=9 --inspect=5000 a.js", "node", "127.0.0.1", 5000),
        ("node --inspect=5000 --inspect-publish-uid=http a.js", "node", "127.0.0.1", 5000),
        ("deno run --inspect=127.0.0.1:5000 a.ts", "node", "127.0.0.1", 5000),
        ("deno run -A --inspect-wait a.ts", "node", "127.0.0.1", 9229),
        ("bun --inspect a.ts", "node", "127.0.0.1", 6499),
        ("bun run --inspect=localhost:4000/prefix a.ts", "node", "localhost", 4000),
        ("bun --inspect-brk=ws://localhost:4000/x a.ts", "node", "localhost", 4000),
        ("electron --inspect=5858 app", "node", "127.0.0.1", 5858),
        ("python3 -m debugpy --listen 5678 a.py", "debugpy", "127.0.0.1", 5678),
        ("python3 -m debugpy --listen localhost:5678 -m x", "debugpy", "localhost", 5678),
        ("python3.11 -X dev -m debugpy --listen 0.0.0.0:5678 a.py", "debugpy", "0.0.0.0", 5678),
        ("python3 -Xdev -um debugpy --listen 5678 a.py", "debugpy", "127.0.0.1", 5678),
        ("python3 -mdebugpy --listen [::1]:5678 a.py", "debugpy", "::1", 5678),
        ("python3 -m debugpy --listen ::1:5678 a.py", "debugpy", "::1", 5678),
        (
            "python3 -m debugpy --configure-qt none --wait-for-client --log-to x --listen 5678 a",
            "debugpy",
            "127.0.0.1",
            5678,
        ),
        ("python3 /v/bin/debugpy --listen 5678 a.py", "debugpy", "127.0.0.1", 5678),
        ("python3 /x/debugpy/__main__.py --listen 5678 a.py", "debugpy", "127.0.0.1", 5678),
        ("python3 /x/debugpy/adapter --port 4711", "debugpy", "127.0.0.1", 4711),
        (
            "python /x/debugpy/adapter --for-server 1 --host :: --port 5678",
            "debugpy",
            "::",
            5678,
        ),
        ("python -m debugpy.adapter --host 0.0.0.0 --port=5", "debugpy", "0.0.0.0", 5),
        ("python /v/bin/debugpy-adapter --port 5", "debugpy", "127.0.0.1", 5),
        ("python3 -m ptvsd --host 0.0.0.0 --port 5678 --wait a.py", "ptvsd", "0.0.0.0", 5678),
        ("python3 -m pydevd --server --port 5678 --file a.py", "pydevd", "*", 5678),
        ("python3 /x/pydevd.py --client h --port 5 --server --file a", "pydevd", "*", 5),
        ("dlv debug --headless --listen=:2345", "delve", "*", 2345),
        ("dlv exec --headless -l 127.0.0.1:2345 ./x", "delve", "127.0.0.1", 2345),
        ("dlv --headless -l:2345 exec ./x", "delve", "*", 2345),
        ("dlv exec ./x --log-output dap --headless=true -l=h:1 -- a", "delve", "h", 1),
        ("dlv exec --headless ./x", "delve", "127.0.0.1", None),
        ("dlv dap -l 127.0.0.1:2345", "delve", "127.0.0.1", 2345),
        ("dlv dap", "delve", "127.0.0.1", None),
        ("gdbserver :2345 ./x", "gdbserver", "*", 2345),
        ("gdbserver localhost:1234 ./a", "gdbserver", "*", 1234),
        ("gdbserver --once :1234 ./a", "gdbserver", "*", 1234),
        ("gdbserver --wrapper env A=:1 -- :1234 ./a", "gdbserver", "*", 1234),
        ("gdbserver --multi [::1]:1234", "gdbserver", "*", 1234),
        ("arm-none-eabi-gdbserver :1234 --attach 9", "gdbserver", "*", 1234),
        ("lldb-server gdbserver localhost:1234 -- ./a :9", "lldb", "localhost", 1234),
        ("lldb-server-14 g --log-file x :1234 ./a", "lldb", "127.0.0.1", 1234),
        ("lldb-server g *:1234", "lldb", "*", 1234),
        ("lldb-server g --attach 9 [::1]:1234", "lldb", "::1", 1234),
        ("lldb-server platform --listen *:1234 --server", "lldb", "*", 1234),
        ("lldb-server p --server --listen=127.0.0.1:1234", "lldb", "127.0.0.1", 1234),
        ("debugserver 0.0.0.0:6666 -a App", "lldb", "0.0.0.0", 6666),
        ("ruby /usr/bin/rdbg --open --port 12345 -- x.rb", "rdbg", "127.0.0.1", 12345),
        ("ruby -W0 /x/rdbg -O -n --host 0.0.0.0 --port=1 x.rb", "rdbg", "0.0.0.0", 1),
        ("rdbg --open=vscode --port 12345 -c -- rails s", "rdbg", "127.0.0.1", 12345),
        ("chromium --remote-debugging-port=9222", "chrome", "127.0.0.1", 9222),
        ("/opt/google/chrome/chrome -remote-debugging-port=9222", "chrome", "127.0.0.1", 9222),
        ("chrome --remote-debugging-port=0", "chrome", "127.0.0.1", None),
        (
            "google-chrome --remote-debugging-address=0.0.0.0 --remote-debugging-port=9222",
            "chrome",
            "0.0.0.0",
            9222,
        ),
        ("electron . --remote-debugging-port=9222", "chrome", "127.0.0.1", 9222),
        ("firefox --remote-debugging-port 9989", "chrome", "127.0.0.1", 9989),
        ("firefox-esr --remote-debugging-port=9989 x", "chrome", "127.0.0.1", 9989),
        ("firefox --remote-debugging-port about:blank", "chrome", "127.0.0.1", 9222),
        ("firefox --headless -start-debugger-server", "chrome", "127.0.0.1", 6000),
    ],
)
def test_who_listens(line: str, kind: str, host: str, port: int | None) -> None:
    """What they say, and what their programs take for granted."""
    found = only(line)
    assert (found.kind, found.host, found.port) == (kind, host, port)
    assert found.isListening and found.option


@pytest.mark.parametrize(
    ("line", "kind", "host", "port"),
    [
        ("java -agentlib:jdwp=transport=dt_socket,address=h:5005 App", "java", "h", 5005),
        ("python -m debugpy --connect localhost:5678 a.py", "debugpy", "localhost", 5678),
        ("python -m ptvsd --client --host h --port 5678 a.py", "ptvsd", "h", 5678),
        ("python /x/pydevd.py --multiprocess --client h --port 5 --file a.py", "pydevd", "h", 5),
        ("dlv dap --client-addr=127.0.0.1:5678", "delve", "127.0.0.1", 5678),
        ("lldb-server g --reverse-connect 127.0.0.1:5678", "lldb", "127.0.0.1", 5678),
    ],
)
def test_who_connects(line: str, kind: str, host: str, port: int) -> None:
    """Some go to their debugger."""
    found = only(line)
    assert (found.kind, found.host, found.port) == (kind, host, port)
    assert not found.isListening


@pytest.mark.parametrize(
    "line",
    [
        "",
        "java -jar app.jar",
        f"java -jar app.jar {JDWP}5005",
        "java -agentlib:jdwp=server=y,address=5005 App",
        "vim node --inspect",
        "vim --inspect",
        "deno run a.ts --inspect",
        "bun a.ts",
        "python3 a.py --listen 5678",
        "python3 a.py -m debugpy --listen 5678",
        "python3 -c debugpy --listen 5678",
        "python3 -m debugpy.server --listen 5678",
        "python3 -m debugpy --listen",
        "python3 -m debugpy --listen 99999 a.py",
        "python3 -m debugpy a.py --listen 5678",
        "python3 -m debugpy --log-to --listen 5678 a.py",
        "python3 /x/debugpy/launcher 4711 -- a.py",
        "python3 /x/debugpy/adapter",
        "python3 -m pydevd --file --port 5 --server",
        "python3 -m",
        "dlv debug --listen=:2345",
        "dlv debug -- --headless --listen=:2345",
        "dlv exec --headless ./x --listen=unix:/x",
        "dlv connect :2345",
        "gdbserver /dev/ttyS0 ./a",
        "gdbserver --multi",
        "gdbserver 2345 ./a",
        "gdbserver --wrapper env",
        "lldb-server v",
        "lldb-server",
        "lldb-server gdbserver 3006",
        "lldb-server platform --server",
        "ruby x.rb --open --port 1",
        "ruby /x/rdbg --port 1 x.rb",
        "ruby /x/rdbg --open x.rb",
        "ruby /x/rdbg --attach --port 1",
        "chromium --type=renderer --remote-debugging-port=9222",
        "chromium --remote-debugging-pipe",
        "chromium --remote-debugging-port 9222",
        "chromium -- --remote-debugging-port=9222",
        "chromedriver --port=9222",
    ],
)
def test_nobody(line: str) -> None:
    """The script's own words, a renderer's inherited ones, what is no address of TCP."""
    assert debuggersOf(line.split(" "), {}) == []
    assert debuggersOf([], {}) == []


@pytest.mark.parametrize(
    ("line", "path", "host", "port"),
    [
        ("node a.js", "", "127.0.0.1", 9229),
        ("node a.js --inspect=1", "", "127.0.0.1", 9229),
        ("node -r --inspect a.js", "", "127.0.0.1", 9229),
        ("node -- --inspect=1", "", "127.0.0.1", 9229),
        ("node --inspect=1 --no-inspect a.js", "", "127.0.0.1", 1),
        ("node --inspect-port=0.0.0.0:5000 a.js", "", "0.0.0.0", 5000),
        ("node inspect -p 7", "", "127.0.0.1", 9229),
        ("my-server: worker", "/usr/bin/node", "127.0.0.1", 9229),
    ],
)
def test_node_is_opened_by_a_signal(line: str, path: str, host: str, port: int) -> None:
    """So any Node may listen, at the port that its options name, and nothing says that it does."""
    found = only(line, path=path)
    assert (found.kind, found.host, found.port, found.option) == ("node", host, port, "")


def test_variables() -> None:
    """They come first, the command line has the last word, and others' are none of theirs."""
    environ = {"NODE_OPTIONS": '--require "./a b.js" --inspect=5000'}
    assert only("node a.js", environ).port == 5000
    assert only("node --inspect=1 a", environ).port == 1
    environ = {"JAVA_TOOL_OPTIONS": f"{JDWP}5005"}
    assert only("java App", environ).port == 5005
    assert only("App", environ, "/opt/jdk/bin/java").port == 5005
    environ = {"_JAVA_OPTIONS": f"-Xmx1g {JDWP}*:5006"}
    assert (only("java App", environ).host, only("java App", environ).port) == ("*", 5006)
    environ = {"RUBY_DEBUG_PORT": "12345", "RUBY_DEBUG_HOST": "0.0.0.0"}
    found = only("puma 6.4 (tcp://127.0.0.1:3000)", environ, "/usr/bin/ruby3.1")
    assert (found.host, found.port, found.option) == ("0.0.0.0", 12345, "RUBY_DEBUG_PORT=12345")
    for name in ("bash", "python3", "deno", "chromium"):
        assert debuggersOf([name], dict.fromkeys(VARIABLES, f"{JDWP}5005 --inspect")) == []


@pytest.mark.parametrize(
    ("line", "takesOne"),
    [
        (f"java {JDWP}5005 App", True),
        ("node --inspect a.js", False),
        ("chromium --remote-debugging-port=9222", False),
        ("firefox --remote-debugging-port=9222", False),
        ("python -m debugpy --listen 5678 a.py", True),
        ("gdbserver :1 ./a", True),
        ("dlv exec --headless -l :1 ./x", True),
        ("dlv exec --headless --accept-multiclient -l :1 ./x", False),
        ("dlv exec --headless --accept-multiclient=false -l :1 ./x", True),
        ("lldb-server g :1", True),
        ("lldb-server p --listen :1", True),
        ("lldb-server p --server --listen :1", False),
        ("rdbg --open --port 1 x.rb", True),
    ],
)
def test_who_takes_one(line: str, takesOne: bool) -> None:
    """Who speaks HTTP takes whoever comes, and so do some others that were told to."""
    assert only(line).takesOne is takesOne


def test_names_of_JVMs() -> None:
    """Those that take options of the environment for sure."""
    assert all(map(isJava, ("java", "javaw", "jsvc", "java21")))
    assert not any(map(isJava, ("javac", "node", "javascript", "")))


WORDS = ["node", "--inspect", "--listen", "-m", "debugpy", "--", "--port", "-l", ":1", "--wrapper",
         "--headless", "dap", "g", "p", "--open", "-Xm", "--file", f"{JDWP}1", "="]  # fmt: skip
NAMES = st.sampled_from(
    ["node", "python", "dlv", "gdbserver", "chrome", "firefox", "ruby", "rdbg", "lldb-server",
     "debugserver", "java", "deno", "bun", "electron"]
)  # fmt: skip


@given(
    NAMES,
    st.lists(st.text(max_size=30) | st.sampled_from(WORDS)),
    st.dictionaries(st.sampled_from(VARIABLES), st.text() | st.sampled_from(WORDS)),
)
def test_any_words(name: str, words: list[str], environ: dict[str, str]) -> None:
    """Whatever a process says of itself gives ports, or none."""
    for found in debuggersOf([name, *words], environ):
        assert found.port is None or 0 < found.port < 65536
        assert found.title
    debuggersOf(words, environ, name)
