"""What a site has, put in order for readers, and the commands that show it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from urllib.parse import quote

from loopbackd.http.endpoints import Endpoint, Takes
from loopbackd.http.mounts import Mounts

HIDDEN = "page"
"""The group of routes that only serve the page itself."""


_KEPT = "/?&=%:;,+@!$'()*~"
"""What stays as it is in a path; curl would take brackets and braces for patterns."""

TRUST = '--cacert "$(loopbackd ca show --path)"'
"""Has curl trust the authority of this machine."""


@dataclass(frozen=True, slots=True)
class Way:
    """
    How a client reaches this address.

    @ivar base: scheme, host and port, as the client named them.
    @ivar socket: the path of the unix socket it came by.
    """

    base: str
    socket: str | None = None

    def curl(self, *words: str) -> str:
        """A command line for a shell; the last word is a path."""
        *options, path = words
        if self.socket is not None:
            options = ["--unix-socket", self.socket, *options]
        line = shlex.join([*options, self.base + path])
        return f"curl {TRUST} {line}" if self.base.startswith("https:") else f"curl {line}"


@dataclass(frozen=True, slots=True)
class Row:
    """
    A route as a reader sees it.

    @ivar example: its path and query for a first try; L{None} where that takes more than a path.
    """

    path: str
    methods: tuple[str, ...]
    summary: str
    example: str | None
    body: str | None = None
    isJSON: bool = False
    isWebSocket: bool = False

    @property
    def method(self) -> str:
        """That of the example."""
        return "GET" if self.methods[0] == "*" else self.methods[0]

    @property
    def isLink(self) -> bool:
        """Whether a browser can simply go there."""
        return self.example is not None and self.method == "GET" and not self.isWebSocket

    def command(self, way: Way) -> str | None:
        """The example for a shell."""
        if self.example is None or self.isWebSocket:
            return None
        options = []
        if self.method == "HEAD":
            options = ["-I"]
        elif self.method not in ("GET", "POST") or (self.method == "POST" and self.body is None):
            options = ["-X", self.method]
        if self.body is not None:
            options += ["--json" if self.isJSON else "-d", self.body]
        return way.curl(*options, self.example)


@dataclass(slots=True)
class Group:
    """Routes of one kind."""

    name: str
    rows: list[Row] = field(default_factory=list)


@dataclass(slots=True)
class Part:
    """
    The routes of one table.

    @ivar prefix: what their paths begin with; empty at the root.
    """

    title: str
    prefix: str
    groups: list[Group] = field(default_factory=list)


def listed(site: Mounts) -> list[Part]:
    """Everything, in the order of the tables."""
    parts = []
    for prefix, routes in [("", site.root), *site.mounted.items()]:
        byName: dict[str, Group] = {}
        for endpoint in routes.endpoints:
            if endpoint.group != HIDDEN:
                name = endpoint.group or "others"
                byName.setdefault(name, Group(name)).rows.append(_row(prefix, endpoint))
        parts.append(Part(routes.title, prefix, list(byName.values())))
    return parts


def _row(prefix: str, endpoint: Endpoint) -> Row:
    path = prefix + endpoint.template
    example = endpoint.example
    if example is None and "{" not in path:
        example = endpoint.template
    takesBody = endpoint.takes is not Takes.NOTHING and endpoint.methods[0] not in ("*", "GET")
    isJSON = "application/json" in endpoint.consumes
    body = ('{"name": "value"}' if isJSON else "name=value") if takesBody else None
    return Row(
        path,
        endpoint.methods,
        endpoint.summary,
        None if example is None else prefix + quote(example, _KEPT),
        body,
        isJSON,
        endpoint.usual == 101 or 101 in endpoint.answers,
    )


def asText(parts: list[Part], greeting: str, way: Way) -> str:
    """The page for a terminal: what there is, group by group, and a command for each of them."""
    lines = [
        greeting,
        "This is loopbackd: a test service for HTTP clients that answers any other client, too.",
        "",
    ]
    for part in parts:
        if part.prefix:
            lines += [f"{part.title}, under {part.prefix}:", ""]
        for group in part.groups:
            lines += [group.name, *_filled(dict.fromkeys(row.path for row in group.rows))]
            commands = (row.command(way) for row in group.rows)
            first = next((command for command in commands if command), None)
            lines += ["", f"    $ {first}", ""] if first else [""]
    lines += [
        "Each route in a sentence: this page in a browser, or in OpenAPI:",
        "",
        f"    $ {way.curl('/openapi.json')}",
        "",
    ]
    return "\n".join(lines)


def _filled(words: dict[str, None], width: int = 76) -> list[str]:
    lines, line = [], "   "
    for word in words:
        if len(line) + 1 + len(word) > width and line.strip():
            lines.append(line)
            line = "   "
        line += " " + word
    return [*lines, line]
