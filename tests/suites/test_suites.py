"""
The test suites of others, unchanged, against our daemon: httpbin's own, and requests'.

They come from PyPI and run in an environment of their own, a minute or two in all: with CI=true, or
where they are asked for by C{pytest -m suites}.
"""

from __future__ import annotations

import re
import ssl
import subprocess
import tarfile
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
from running import CI, HERE, PATIENCE, Running

pytestmark = [pytest.mark.suites, pytest.mark.timeout(600)]

PLUGINS = Path(__file__).parent / "plugins"

HTTPBIN, REQUESTS = "httpbin==0.10.2", "requests==2.34.2"

NEEDED = [HTTPBIN, f"{REQUESTS.replace('==', '[socks]==')}", "pytest<10", "pytest-mock", "trustme"]

NOT_HTTPBINS = {
    "test_post_chunked": "wants 501 for a chunked body, where a server cannot take one; ours can",
}

NOT_REQUESTS = {
    f"TestTimeout::{name}[timeout{number}]": "connects to 10.255.255.1, which leads elsewhere"
    for name in ("test_connect_timeout", "test_total_timeout_connect")
    for number in (0, 1)
}


class Suites:
    """
    An environment with what the suites need, and their sources.

    @ivar directory: of all that.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._python = str(directory / "venv" / "bin" / "python")

    def prepare(self) -> str | None:
        """Fetch everything; what could not be had, and why."""
        venv.create(self.directory / "venv", with_pip=True)
        fetch = ["download", "--no-deps", "--no-binary", ":all:", "-d", str(self.directory)]
        for words in (["install", *NEEDED], [*fetch, HTTPBIN, REQUESTS]):
            done = self._run("-m", "pip", *words, "-q", "--disable-pip-version-check")
            if done.returncode:
                return f"pip {' '.join(words)}: {done.stdout}"
        for archive in self.directory.glob("*.tar.gz"):
            with tarfile.open(archive) as opened:
                opened.extractall(self.directory, filter="data")
        return None

    def _run(
        self, *words: str, cwd: Path | None = None, environ: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._python, *words],
            cwd=cwd or self.directory,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.directory), **(environ or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=500,
        )

    def run(
        self, source: str, file: str, plugin: str, without: dict[str, str], environ: dict[str, str]
    ) -> dict[str, int]:
        """
        Run a suite; how many of its tests passed, failed and so on.

        @param source: with its version, as its archive is called.
        @param without: names of tests that are left out, and why.
        """
        left = [f"--deselect=tests/{file}::{name}" for name in without]
        done = self._run(
            *("-m", "pytest", "-q", "-p", plugin, "-p", "no:cacheprovider", *left),
            f"tests/{file}",
            cwd=self.directory / source.replace("==", "-"),
            environ={**environ, "PYTHONPATH": str(PLUGINS)},
        )
        summary = done.stdout.splitlines()[-1]
        counts = {word: int(count) for count, word in re.findall(r"(\d+) ([a-z]+)", summary)}
        assert done.returncode == 0, done.stdout
        assert counts.get("deselected") == len(without), "a test that is left out is not there"
        return counts


@pytest.fixture(scope="module")
def suites(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Suites:
    """All that the suites need."""
    if not CI and "suites" not in request.config.option.markexpr:
        pytest.skip("others' suites take minutes and come from PyPI: pytest -m suites")
    found = Suites(tmp_path_factory.mktemp("suites"))
    wrong = found.prepare()
    if wrong is not None:
        (pytest.fail if CI else pytest.skip)(wrong)
    return found


@pytest.fixture
def served(daemon: Callable[..., Running], tmp_path: Path) -> dict[str, str]:
    """A daemon, and where it is, for the plugins."""
    state = tmp_path / "state"
    running = daemon("--listen", HERE, environ={"LOOPBACKD_STATE_DIR": str(state)})
    port = running.port()
    # An authority is made when TLS is first spoken.
    ssl.get_server_certificate(("127.0.0.1", port), timeout=PATIENCE)
    return {
        "LOOPBACKD_URL": f"http://127.0.0.1:{port}",
        "LOOPBACKD_SECURE_URL": f"https://127.0.0.1:{port}",
        "LOOPBACKD_AUTHORITY": str(next(state.rglob("authority.crt"))),
    }


def test_httpbin(suites: Suites, served: dict[str, str]) -> None:
    """What httpbin promises of itself."""
    without = {f"HttpbinTestCase::{name}": why for name, why in NOT_HTTPBINS.items()}
    counts = suites.run(HTTPBIN, "test_httpbin.py", "httpbin_elsewhere", without, served)
    assert counts["passed"] >= 66


def test_requests(suites: Suites, served: dict[str, str]) -> None:
    """What the best-known client expects of httpbin, by HTTP and by HTTPS."""
    counts = suites.run(REQUESTS, "test_requests.py", "requests_elsewhere", NOT_REQUESTS, served)
    assert counts["passed"] >= 333
