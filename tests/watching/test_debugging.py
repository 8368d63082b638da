"""Command lines of programs that can be debugged, and names of browsers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.watching.debugging import debuggersOf, isBrowser

JDWP = "-agentlib:jdwp=transport=dt_socket,server=y,suspend=n,address="


@pytest.mark.parametrize(
    ("line", "ports"),
    [
        (f"java {JDWP}5005 -jar app.jar", [5005]),
        (f"/usr/bin/java -cp x {JDWP}*:5005 App", [5005]),
        (f"java {JDWP}[::1]:5005 App", [5005]),
        ("java -Xrunjdwp:transport=dt_socket,server=y,address=8000 App", [8000]),
        ("java -agentlib:jdwp=transport=dt_socket,server=n,address=127.0.0.1:5005 App", []),
        ("java -agentlib:jdwp=transport=dt_socket,server=y App", []),
        ("java -jar app.jar", []),
        ("node --inspect app.js", [9229]),
        ("/usr/bin/node --inspect-brk=0.0.0.0:9333 app.js", [9333]),
        ("node app.js", [9229]),
        ("nodejs18 --inspect=9000 app.js", [9000]),
        ("vim node --inspect", []),
        ("python3 -m debugpy --listen 5678 app.py", [5678]),
        ("python3 -m debugpy --listen 0.0.0.0:5678 app.py", [5678]),
        ("python3 /x/debugpy/adapter --port 4711", [4711]),
        ("python3 app.py --listen 5678", []),
        ("dlv debug --headless --listen=:2345", [2345]),
        ("dlv exec -l 127.0.0.1:2345 ./x", [2345]),
        ("gdbserver :2345 ./x", [2345]),
        ("gdbserver localhost:2345 ./x", [2345]),
        ("ruby /usr/bin/rdbg --open --port 12345 -- x.rb", [12345]),
        ("/usr/lib/chromium/chromium --remote-debugging-port=9222", [9222]),
        ("python3 -m debugpy --listen 99999 app.py", []),
        ("python3 -m debugpy --listen", []),
        ("", []),
    ],
)
def test_commandLines(line, ports):
    """The port that whoever started it asked for, where the command line says so."""
    assert [one.port for one in debuggersOf(line.split(" ") if line else [])] == ports


@given(st.lists(st.text(max_size=30) | st.sampled_from(["node", JDWP, "--listen", "debugpy"])))
def test_anyCommandLine(words):
    """Whatever a process says of itself gives ports, or none."""
    assert all(0 < one.port < 65536 for one in debuggersOf(words))


def test_browsers():
    """By the name of the executable."""
    assert all(map(isBrowser, ("firefox", "chromium", "chrome", "firefox-esr", "Chromium")))
    assert not any(map(isBrowser, ("", "curl", "chromedriver", "firefoxy")))
