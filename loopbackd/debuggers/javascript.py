"""
Node's inspector, and what Deno, Bun and Electron have of it.

Node's rules are those of nodejs.org/api/cli.html, measured with Node 20; the others' those of their
documentation.  Node opens its inspector for a signal, too (SIGUSR1: C{node inspect -p PID}, VS
Code), at the port that its options name, and its command line does not say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from loopbackd.debuggers.debugger import LOOPBACK, Debugger, splitAddress, splitOptions

NODE_OPTIONS: Final = "NODE_OPTIONS"

_PORT: Final = 9229
_BUNS_PORT: Final = 6499
_NODE: Final = re.compile(r"(node|nodejs)[0-9.]*\Z")
_OTHERS: Final = re.compile(r"(deno|bun|electron)[0-9.]*\Z")
_INSPECT: Final = re.compile(r"--inspect(?:[-_](?:brk|wait|brk[-_]node))?\Z")
_INSPECT_PORT: Final = re.compile(r"--(?:inspect|debug)[-_]port\Z")
# Of --inspect=localhost:4000/prefix, and of an address that is written as a URL.
_AROUND: Final = re.compile(r"\A(?:ws://)?(?P<address>[^/]*)")
_DENOS: Final = frozenset({"bench", "eval", "repl", "run", "serve", "task", "test"})
_BUNS: Final = frozenset({"run", "test"})
# Those of node --help that take the next word.
_VALUED: Final = frozenset(
    {
        "-C", "-e", "-p", "-pe", "-r", "--allow-fs-read", "--allow-fs-write",
        "--build-snapshot-config", "--conditions", "--cpu-prof-dir", "--cpu-prof-interval",
        "--cpu-prof-name", "--debug-port", "--diagnostic-dir", "--disable-proto",
        "--disable-warning", "--dns-result-order", "--env-file", "--env-file-if-exists", "--eval",
        "--experimental-config-file", "--experimental-default-type", "--experimental-loader",
        "--experimental-policy", "--experimental-sea-config", "--heap-prof-dir",
        "--heap-prof-interval", "--heap-prof-name", "--heapsnapshot-near-heap-limit",
        "--heapsnapshot-signal", "--icu-data-dir", "--import", "--input-type", "--inspect-port",
        "--inspect-publish-uid", "--loader", "--localstorage-file", "--max-http-header-size",
        "--network-family-autoselection-attempt-timeout", "--openssl-config",
        "--policy-integrity", "--print", "--redirect-warnings", "--report-dir",
        "--report-directory", "--report-filename", "--report-signal", "--require",
        "--secure-heap", "--secure-heap-min", "--snapshot-blob", "--test-concurrency",
        "--test-name-pattern", "--test-reporter", "--test-reporter-destination", "--test-shard",
        "--test-skip-pattern", "--test-timeout", "--title", "--tls-cipher-list", "--tls-keylog",
        "--trace-event-categories", "--trace-event-file-pattern", "--trace-require-module",
        "--unhandled-rejections", "--v8-pool-size", "--watch-kill-signal", "--watch-path",
    }
)  # fmt: skip


def isJavaScript(name: str) -> bool:
    """Whether an executable of that name runs JavaScript."""
    return bool(_NODE.match(name) or _OTHERS.match(name))


def javaScript(name: str, words: Sequence[str], environ: Mapping[str, str]) -> Iterator[Debugger]:
    """What is to be known of the inspector; of Node in any case, since it can be opened."""
    isNode = _NODE.match(name) is not None
    own = words
    if words and ((name == "deno" and words[0] in _DENOS) or (name == "bun" and words[0] in _BUNS)):
        own = words[1:]
    # The last one counts, and the variable comes first.
    before = nodeOptions(environ.get(NODE_OPTIONS, "")) if isNode else []
    told = [*splitOptions(before, _VALUED)[0], *splitOptions(own, _VALUED)[0]]
    host, port = LOOPBACK, _BUNS_PORT if name.startswith("bun") else _PORT
    option = ""
    for key, value in told:
        isSwitch = _INSPECT.match(key) is not None
        if value and (isSwitch or _INSPECT_PORT.match(key)):
            host, port = _address(value, host, port)
        if isSwitch:
            option = f"{key}={value}" if value else key
        elif key in ("--no-inspect", "--no_inspect"):
            option = ""
    if option or isNode:
        yield Debugger("node", host, port or None, option, takesOne=False)


def _address(value: str, host: str, port: int) -> tuple[str, int]:
    """The address after an option: what its value does not name stays as it was."""
    match = _AROUND.match(value)
    text = "" if match is None else match["address"]
    named, port = splitAddress(text) or (text.strip("[]"), port)
    return named or host, port


def nodeOptions(text: str) -> list[str]:
    """The words of C{NODE_OPTIONS}: blanks divide them, double quotes keep blanks."""
    words = re.findall(r'(?:[^ "]|"(?:\\.|[^"\\])*(?:"|\\?\Z))+', text, re.DOTALL)
    quoted = re.compile(r'"((?:\\(?:.|\Z)|[^"\\])*)(?:"|\Z)', re.DOTALL)
    return [
        quoted.sub(lambda match: re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL), word)
        for word in words
    ]
