"""What every test gets: a reactor that is left clean, and real programs to test with."""

from __future__ import annotations

import gc
import importlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from hypothesis import HealthCheck, settings
from running import CI, LOGGED, Running, launch
from twisted.internet import reactor, task
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

pytest_plugins = ["javas", "peering"]

settings.register_profile(
    "default", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("default")


def _descriptors() -> dict[str, str]:
    found = {}
    for number in os.listdir("/proc/self/fd"):
        try:
            found[number] = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
    return found


class LoggedFailures(list[Any]):
    """The failures logged during a test; those it expects it takes away with L{flush}."""

    def flush(self, kind: type[BaseException]) -> list[Any]:
        """The failures of that kind; they no longer count against the test."""
        taken = [failure for failure in self if failure.check(kind)]
        self[:] = [failure for failure in self if not failure.check(kind)]
        return taken


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """A shell has what it runs in the background ignore Ctrl-C; what the tests run must not."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _started() -> None:
    """Let the reactor open what it keeps for good before any test looks at the descriptors."""
    pytest_twisted.blockon(task.deferLater(reactor, 0, lambda: None))


@pytest.fixture(autouse=True)
def _ownState(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test makes, or uses, the authority of whoever runs the tests, or the daemon's socket."""
    monkeypatch.setenv("LOOPBACKD_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("LOOPBACKD_RUNTIME_DIR", str(tmp_path / "run"))


@pytest.fixture(autouse=True)
def loggedFailures() -> Iterator[LoggedFailures]:
    """Fail a test that leaves a logged failure, an open descriptor or a delayed call behind."""
    failures = LoggedFailures()

    def observe(event: dict[str, Any]) -> None:
        if event.get("log_failure") is not None:
            failures.append(event["log_failure"])

    before = _descriptors()
    globalLogPublisher.addObserver(observe)
    try:
        yield failures
        pending, opened = _leftovers(before)
        deadline = reactor.seconds() + 3
        while (pending or opened) and reactor.seconds() < deadline:
            gc.collect()
            pytest_twisted.blockon(task.deferLater(reactor, 0.01, lambda: None))
            pending, opened = _leftovers(before)
    finally:
        globalLogPublisher.removeObserver(observe)
    assert not failures, "logged: " + "\n".join(f.getTraceback() for f in failures)
    assert not pending, f"left delayed calls behind: {pending}"
    assert not opened, f"left descriptors open: {opened}"


def _leftovers(before: dict[str, str]) -> tuple[list[Any], dict[str, str]]:
    opened = {
        number: what
        for number, what in _descriptors().items()
        # Twisted and loopbackd keep a spare descriptor; hypothesis keeps its database.
        if number not in before and what != os.devnull and "/.hypothesis/" not in what
    }
    return [call for call in reactor.getDelayedCalls() if call.active()], opened


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Close at the end whatever a test opened."""
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def missing() -> Callable[[str], Any]:
    """What to call, with a word about it, where something that the test needs is not there."""

    def tell(what: str) -> Any:
        if CI:
            pytest.fail(what)
        pytest.skip(what)

    return tell


@pytest.fixture
def program(missing: Callable[[str], Any]) -> Callable[..., str]:
    """
    The path of a real program, first of the environment that runs the tests.

    A missing one skips the test with its name in the summary, and fails it where CI=true.
    """

    def find(*names: str) -> str:
        where = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        for name in names:
            path = shutil.which(name, path=where)
            if path is not None:
                return path
        return missing(f"{' or '.join(names)} is not installed")

    return find


@pytest.fixture
def module(missing: Callable[[str], Any]) -> Callable[[str], Any]:
    """A module that the test needs; a missing one skips it, and fails it where CI=true."""

    def find(name: str) -> Any:
        try:
            return importlib.import_module(name)
        except ImportError:
            return missing(f"{name} is not installed")

    return find


@pytest.fixture
def chromium(
    tmp_path: Path, program: Callable[..., str], missing: Callable[[str], Any]
) -> Callable[..., Any]:
    """Open Chromium with a new profile; the parameters are those of a browser's context."""
    path = program("chromium", "chromium-browser")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed: pip install 'loopbackd[browser]'")

    @contextmanager
    def open(**options: Any) -> Iterator[Any]:
        with sync_playwright() as driver:
            context = driver.chromium.launch_persistent_context(
                tempfile.mkdtemp(prefix="profile-", dir=tmp_path), executable_path=path, **options
            )
            try:
                yield context
            finally:
                context.close()

    return open


@pytest.fixture
def needsRoot(missing: Callable[[str], Any]) -> None:
    """The test acts as another user."""
    if os.geteuid() != 0:
        missing("not run as root: cannot act as another user")


class Logged(list[str]):
    """
    The lines logged in a namespace and below it; what has a failure is in L{LoggedFailures}.

    @ivar events: the same as events.
    """

    def __init__(self, namespace: str) -> None:
        super().__init__()
        self.events: list[LogEvent] = []
        self._within = f"{namespace}."

    def __call__(self, event: LogEvent) -> None:
        """Observe the log."""
        within = f"{event.get('log_namespace')}.".startswith(self._within)
        if within and event.get("log_failure") is None:
            self.events.append(event)
            self.append(formatEvent(event))


@pytest.fixture
def logged() -> Iterator[Callable[[str], Logged]]:
    """Collect what is logged in a namespace, from the call to the end of the test."""
    started: list[Logged] = []

    def collect(namespace: str) -> Logged:
        started.append(Logged(namespace))
        globalLogPublisher.addObserver(started[-1])
        return started[-1]

    yield collect
    for lines in started:
        globalLogPublisher.removeObserver(lines)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Call L{launch}; what still runs at the end of the test is killed."""
    started: list[Running] = []

    def begin(words: Sequence[str], **others: Any) -> Running:
        started.append(launch(tmp_path, words, **others))
        return started[-1]

    try:
        yield begin
    finally:
        for running in started:
            running.process.kill()
            running.process.wait()


@pytest.fixture
def daemon(start: Callable[..., Running]) -> Callable[..., Running]:
    """Start C{twistd -n} with our log and these options of loopbackd's."""

    def begin(*options: str, **others: Any) -> Running:
        return start(["twistd", *LOGGED, "loopbackd", *options], **others)

    return begin
