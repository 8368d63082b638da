"""
A description of routes that other programs read (OpenAPI 3.1), made of the table alone.

What no table says is written here: how the stack itself refuses a request.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import msgspec

from loopbackd.http.endpoints import Endpoint, Parameter, Takes, patternOf
from loopbackd.http.errors import HTTPError
from loopbackd.http.events import EVENT_STREAM
from loopbackd.http.messages import reasonFor
from loopbackd.http.mounts import Mounts
from loopbackd.http.routes import Routes

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
"""Those that a path can have in this version of OpenAPI; others are left out."""

_ANY: Final = ("get", "put", "post", "delete", "patch", "trace")
"""What is written of a route that takes any method: all but those every path has."""

_WITHOUT_CONTENT: Final = frozenset(["get", "head", "options", "trace"])
"""Methods whose bodies have no defined meaning (RFC 9110 section 9.3)."""

_PLAIN: Final = "text/plain"

UNRULY: Final = "unruly"
"""The tag of operations that a program which checks answers should leave out."""

SLOW: Final = "slow"
"""The tag of operations that take the time which a client asks for."""

_ABOUT: Final = """\
Made of the table of routes that answers the requests.

Paths that take GET take HEAD as well, and all take OPTIONS, which names the methods. Another method
gets 405 with Allow. Whatever the path, a request that cannot be read gets 400, one that takes too
long 408, a target that is too long 414, an expectation other than 100-continue 417, too many or too
long header fields 431, a transfer coding other than chunked 501, a version other than 1.x 505; the
connection is closed after these.

The tag `unruly` is on operations from which a program that checks answers should keep away;
`x-unruly` says why."""

_MARKS: Final = (
    {"name": UNRULY, "description": "Answers that are broken on purpose, or without end."},
    {"name": SLOW, "description": "Answers that take the time which is asked for."},
)


def describe(
    site: Mounts | Routes, *, title: str, version: str, servers: Sequence[str] = ("/",)
) -> dict[str, Any]:
    """
    The document for a site.

    @param version: of what is served, not of OpenAPI.
    @param servers: addresses that the paths are below.
    """
    mounted = site.mounted if isinstance(site, Mounts) else {}
    root = site.root if isinstance(site, Mounts) else site
    written = _Written([root, *mounted.values()])
    for prefix, routes in [("", root), *mounted.items()]:
        for endpoint in routes.endpoints:
            written.add(prefix, routes, endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version,
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": url} for url in servers],
        "tags": [*({"name": name} for name in written.tags), *_MARKS],
        "paths": written.paths,
        "components": {"responses": written.refusals, "schemas": written.schemas.components},
    }


class _Schemas:
    """
    JSON Schema for types.

    @ivar components: what the schemas refer to.
    """

    def __init__(self, types: Iterable[Any]) -> None:
        unique: list[Any] = []
        for one in types:
            if one not in unique:
                unique.append(one)
        found, self.components = msgspec.json.schema_components(
            unique, ref_template="#/components/schemas/{name}"
        )
        self._known = list(zip(unique, found, strict=True))

    def of(self, type: Any) -> dict[str, Any]:
        """That of one of the types."""
        return next(dict(schema) for known, schema in self._known if known == type)


class _Written:
    """
    A document on its way.

    @ivar paths: by path, the operations by method.
    @ivar tags: in the order of the table.
    @ivar refusals: how the stack itself answers, by the names the operations use.
    """

    def __init__(self, tables: list[Routes]) -> None:
        endpoints = [endpoint for routes in tables for endpoint in routes.endpoints]
        self.schemas = _Schemas(
            [one.type for each in endpoints for one in each.variables + each.options]
            + [each.returns for each in endpoints if each.returns is not None]
            + [each.accepts for each in endpoints if each.accepts is not None]
        )
        self.paths: dict[str, dict[str, Any]] = {}
        self.tags: list[str] = []
        self.refusals: dict[str, Any] = {}
        self._identifiers: set[str] = set()
        self._shapes: dict[str, str] = {}

    def add(self, prefix: str, routes: Routes, endpoint: Endpoint) -> None:
        """Write an endpoint down, once for each of its methods."""
        path = prefix + re.sub(r"\{(\w+)\.\.\.\}", r"{\1}", endpoint.template)
        shape = re.sub(r"\{\w+\}", "{}", path)
        place = self.paths.setdefault(self._shapes.setdefault(shape, path), {})
        tag = f"{prefix} {endpoint.group}".strip() or "other"
        if tag not in self.tags:
            self.tags.append(tag)
        for method in _ANY if "*" in endpoint.methods else map(str.lower, endpoint.methods):
            if method not in METHODS:
                continue
            if method in place:
                # Paths that differ in their variables alone are one in OpenAPI.
                before = place[method]
                before["description"] = f"{before.get('description', '')}\n\n{endpoint.summary}"
            else:
                names = re.findall(r"\{(\w+)\}", self._shapes[shape])
                place[method] = self._operation(tag, prefix, routes, endpoint, method, names)

    def _operation(
        self,
        tag: str,
        prefix: str,
        routes: Routes,
        endpoint: Endpoint,
        method: str,
        names: list[str],
    ) -> dict[str, Any]:
        operation: dict[str, Any] = {
            "operationId": self._identifier(f"{method} {prefix}{endpoint.template}"),
            "summary": endpoint.summary,
            "tags": [tag],
            "responses": self._responses(prefix, routes, endpoint, method),
        }
        more = _more(endpoint)
        if more:
            operation["description"] = more
        if endpoint.unruly:
            operation["tags"].append(UNRULY)
            operation["x-unruly"] = endpoint.unruly
        if endpoint.slow:
            operation["tags"].append(SLOW)
        parameters = self._parameters(endpoint, names)
        if parameters:
            operation["parameters"] = parameters
        if endpoint.takes is not Takes.NOTHING and method not in _WITHOUT_CONTENT:
            content = {type: self._accepted(type, endpoint) for type in endpoint.consumes}
            operation["requestBody"] = {"content": content}
        return operation

    def _identifier(self, text: str) -> str:
        wanted = found = re.sub(r"\W+", "_", text).strip("_")
        number = 1
        while found in self._identifiers:
            number += 1
            found = f"{wanted}_{number}"
        self._identifiers.add(found)
        return found

    def _parameters(self, endpoint: Endpoint, names: list[str]) -> list[dict[str, Any]]:
        shown = _examples(endpoint)
        written = []
        for one, name in zip(endpoint.variables, names, strict=True):
            entry = self._parameter(one, "path", shown)
            entry |= {"name": name, "required": True}
            if f"{{{one.name}...}}" in endpoint.template:
                entry["description"] = "All that follows in the path, further slashes included."
            elif one.type is str:
                entry["schema"]["minLength"] = 1
            written.append(entry)
        written += [self._parameter(one, "query", shown) for one in endpoint.options]
        written += [
            {"name": name, "in": "header", "description": what, "schema": {"type": "string"}}
            for name, what in endpoint.reads.items()
        ]
        return written

    def _parameter(self, one: Parameter, place: str, shown: dict[str, str]) -> dict[str, Any]:
        schema = self.schemas.of(one.type)
        entry: dict[str, Any] = {"name": one.name, "in": place, "schema": schema}
        if one.required:
            entry["required"] = True
        elif one.default is not None:
            schema["default"] = msgspec.to_builtins(one.default)
        description = schema.pop("description", None)
        if description is not None:
            entry["description"] = description
        if one.name in shown:
            with suppress(HTTPError):
                entry["example"] = msgspec.to_builtins(one.convert(shown[one.name]))
        return entry

    def _responses(
        self, prefix: str, routes: Routes, endpoint: Endpoint, method: str
    ) -> dict[str, Any]:
        usual = endpoint.usual
        written: dict[int, Any] = {
            status: {"description": what} for status, what in endpoint.answers.items()
        }
        described = endpoint.answers.get(usual) or reasonFor(usual) or "What was asked for."
        written[usual] = {"description": described}
        if usual >= 200 and usual not in (204, 304) and method != "head":
            written[usual]["content"] = {
                type.partition(";")[0]: self._content(type, endpoint) for type in endpoint.produces
            }
        for status, what in _refusals(routes, endpoint).items():
            if 0 in written:
                # The client can ask for that status as well, and what comes then is another thing.
                written.setdefault(status, {"description": what})
            elif status not in written:
                written[status] = {"$ref": self._refusal(prefix, routes, status, what)}
        return {
            str(status) if status else "default": written[status]
            for status in sorted(written, key=lambda one: one or 600)
        }

    def _content(self, type: str, endpoint: Endpoint) -> dict[str, Any]:
        if endpoint.returns is not None and _isJSON(type):
            return {"schema": self.schemas.of(endpoint.returns)}
        return _body(type)

    def _accepted(self, type: str, endpoint: Endpoint) -> dict[str, Any]:
        if endpoint.accepts is not None and _isJSON(type):
            return {"schema": self.schemas.of(endpoint.accepts)}
        return _body(type)

    def _refusal(self, prefix: str, routes: Routes, status: int, what: str) -> str:
        name = re.sub(r"\W", "", f"{prefix}{reasonFor(status)}")
        types = dict.fromkeys([routes.errorType.partition(";")[0], _PLAIN])
        self.refusals[name] = {
            "description": what,
            "content": {type: _body(type) for type in types},
        }
        return f"#/components/responses/{name}"


def _refusals(routes: Routes, endpoint: Endpoint) -> dict[int, str]:
    """What the stack can answer instead of the handler."""
    found = {
        400: "The request cannot be read, or something in it does not fit; the body says what."
    }
    if any(one.type is not str for one in endpoint.variables):
        found.setdefault(
            routes.unfitWord, "Something in the path does not fit; the body says what."
        )
    if endpoint.takes in (Takes.WHOLE, Takes.EXACT):
        found[413] = "The body is too long."
    return found


def _examples(endpoint: Endpoint) -> dict[str, str]:
    """What the variables of the path and the names of the query are in the example."""
    if endpoint.example is None:
        return {}
    path, _, query = endpoint.example.partition("?")
    shown = dict(parse_qsl(query))
    match = patternOf(endpoint.template).fullmatch(path)
    if match is not None:
        names = (one.name for one in endpoint.variables)
        shown |= zip(names, map(unquote, match.groups()), strict=True)
    return shown


def _more(endpoint: Endpoint) -> str:
    """What the documentation says behind its first paragraph, as it is read outside Python."""
    said = (inspect.getdoc(endpoint.handler) or "").partition("\n\n")[2]
    said = re.split(r"^@", said, maxsplit=1, flags=re.M)[0]
    return re.sub(r"\b[CL]\{([^{}]*)\}", r"`\1`", said).strip()


def _isJSON(type: str) -> bool:
    return re.match(r"application/(\w+\+)?json\b", type) is not None


def _body(type: str) -> dict[str, Any]:
    """What can be said of a body of that type: a form has names, text is text, events are not."""
    if type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return {"schema": {"type": "object", "additionalProperties": {"type": "string"}}}
    isText = type.startswith("text/") and type != EVENT_STREAM
    return {"schema": {"type": "string"}} if isText else {}
