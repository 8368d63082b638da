"""The index as a page for browsers."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from importlib.resources import files
from string import Template

from loopbackd.protocols.httpbin.listing import Group, Part, Row, Way


@cache
def template() -> Template:
    """The page without what depends on the table and on the client; read once, as its files are."""
    return Template((files(__package__) / "static" / "index.html").read_text("utf-8"))


def asPage(page: Template, parts: list[Part], where: str, way: Way) -> str:
    """
    The page.

    @param page: what L{template} read.
    @param where: the address that was reached.
    """
    rows = [row for part in parts for group in part.groups for row in group.rows]
    sockets = [row.example or row.path for row in rows if row.isWebSocket]
    sockets = [path for path in sockets if "{" not in path] or ["/websocket/echo"]
    bare = re.sub(r"^\w+://", "", way.base)
    return page.substitute(
        where=escape(where),
        secure=escape(Way(f"https://{bare}", way.socket).curl("/get")),
        count=len(rows),
        first=escape(way.curl("/get")),
        navigation="".join(map(_navigation, parts)),
        routes="".join(_part(part, way) for part in parts),
        paths="".join(
            f"<option>{escape(path)}\n"
            for path in dict.fromkeys(row.example for row in rows if row.isLink and row.example)
        ),
        socket=escape(sockets[0].partition("?")[0]),
        sockets="".join(f"<option>{escape(path)}\n" for path in sockets),
    )


def policy(host: str) -> str:
    """
    The content security policy of the page (W3C CSP 3).

    @param host: what the client calls us. WebSockets are named because not every browser takes
        C{'self'} to mean them.
    """
    connect = "'self'"
    if re.fullmatch(r"[\w.\-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?", host, re.A):
        connect += f" ws://{host} wss://{host}"
    return (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' blob:; "
        f"connect-src {connect}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def _anchor(part: Part, group: Group) -> str:
    return re.sub(r"\W+", "-", f"{part.prefix} {group.name}").strip("-").lower()


def _navigation(part: Part) -> str:
    title = part.prefix or "At the root"
    links = "".join(
        f'<li><a href="#{_anchor(part, group)}">{escape(group.name)}</a> '
        f"<small>{len(group.rows)}</small>\n"
        for group in part.groups
    )
    return f"<p>{escape(title)}</p>\n<ul>\n{links}</ul>\n"


def _part(part: Part, way: Way) -> str:
    under = f" <small>under <code>{escape(part.prefix)}</code></small>" if part.prefix else ""
    groups = "".join(_group(part, group, way) for group in part.groups)
    return f"<section>\n<h2>{escape(part.title)}{under}</h2>\n{groups}</section>\n"


def _group(part: Part, group: Group, way: Way) -> str:
    anchor = _anchor(part, group)
    rows = "".join(_route(row, way) for row in group.rows)
    return f'<h3 id="{anchor}">{escape(group.name)}</h3>\n<ul class="routes">\n{rows}</ul>\n'


def _route(row: Row, way: Way) -> str:
    if row.isWebSocket:
        methods = "WS"
    else:
        methods = "any" if len(row.methods) > 4 else " ".join(row.methods).replace("*", "any")
    path = escape(row.path).replace("/", "/<wbr>")
    path = re.sub(r"(\{[^{}]*\})", r"<var>\1</var>", path)
    command = row.command(way)
    example = ""
    if command is not None:
        example = f'<code class="command">{escape(command)}</code>'
    if row.isLink:
        example += f'<a class="open" href="{escape(row.example or "")}">open</a>'
    attributes = f'data-path="{escape(row.example or row.path)}"'
    if row.isWebSocket:
        attributes += " data-socket"
    else:
        attributes += f' data-method="{escape(row.method)}" data-body="{escape(row.body or "")}"'
        if row.body is not None:
            kind = "application/json" if row.isJSON else "application/x-www-form-urlencoded"
            attributes += f' data-type="{kind}"'
    return (
        f'<li><div class="what"><span class="method">{escape(methods)}</span>'
        f"<code>{path}</code><span>{escape(row.summary)}</span></div>"
        f'<div class="how">{example}'
        f'<button type="button" class="pick" {attributes} hidden>try'
        f'<span class="aside"> {escape(row.path)}</span></button></div>\n'
    )
