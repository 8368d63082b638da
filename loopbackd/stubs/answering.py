"""What a stub answers, made ready: whatever can be found wrong beforehand is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from difflib import get_close_matches
from mimetypes import MimeTypes
from random import Random
from typing import Any, Final

import msgspec
from twisted.logger import Logger

from loopbackd.explaining import shown
from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import FieldPairs, encoded, isField
from loopbackd.http.messages import Answer, ByHand, Request, Response, Wire
from loopbackd.http.writing import hasNoBody
from loopbackd.httpsettings import AnswerSettings, BrokenSettings, DribbleSettings
from loopbackd.stubs.delays import delayOf
from loopbackd.stubs.jsonvalues import checkJSON
from loopbackd.stubs.rendering import RenderError, checkTemplate
from loopbackd.stubs.resources import Resources
from loopbackd.stubs.targets import Target

_FRAMING: Final = frozenset(["content-length", "transfer-encoding", "connection", "trailer"])
_SOURCES: Final = ("text", "json", "file", "template", "template_file")
_PLAIN: Final = "text/plain; charset=utf-8"


_log = Logger()

Make = Callable[[Request, dict[str, Any]], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class PreparedAnswer:
    """
    An answer that can be given.

    @ivar times: how often in a row; L{None} without an end.
    @ivar delay: seconds before it.
    @ivar target: who answers instead.
    @ivar make: makes it; the names are for templates.
    @ivar usesNames: whether it has a use for names.
    """

    times: int | None
    delay: Callable[[Random], float] | None
    target: Target | None
    make: Make
    usesNames: bool = False


def prepare(asked: AnswerSettings, resources: Resources) -> PreparedAnswer:
    """
    Make an answer ready.

    @raise ValueError: something is wrong with it; the message begins with the key.
    """
    delay = delayOf(asked.delay)
    # None is a JSON value as good as any other.
    sources = [
        name
        for name in _SOURCES
        if getattr(asked, name) is not (msgspec.UNSET if name == "json" else None)
    ]
    if len(sources) > 1:
        raise ValueError(f"{' and '.join(sources)} are all given; a body is made of one")
    source = sources[0] if sources else None
    if asked.broken is not None:
        _refuse(asked, "broken", "status", "reason", "headers", "type", "target", *_SOURCES)
        _refuse(asked, "broken", "dribble", "chunked")
        return PreparedAnswer(asked.times, delay, None, _broken(asked.broken, resources))
    fields = _fields(asked)
    _checkLine(asked)
    if asked.target is not None:
        _refuse(asked, "target", "type", "dribble", "chunked", *_SOURCES)
        target = resources.target(asked.target, "target")
        return PreparedAnswer(
            asked.times, delay, target, _forwarded(asked, fields, target, resources)
        )
    status = 200 if asked.status is None else asked.status
    if source is not None and hasNoBody(status):
        raise ValueError(f"status = {status}: it has no body; remove {source}, or take another")
    if b"content-type" in {encoded(name).lower() for name, _ in fields} and asked.type is not None:
        raise ValueError("type and headers.Content-Type are both given; leave one of them out")
    draw = _drawing(asked.dribble, asked.chunked)
    body, type, template = _body(asked, source, resources)
    if asked.type is not None:
        if not isField("Content-Type", asked.type):
            raise ValueError(f"type = {shown(asked.type)}: it cannot stand in a header field")
        type = asked.type
    if type is not None and all(encoded(name).lower() != b"content-type" for name, _ in fields):
        fields = [("Content-Type", type), *fields]
    escape = template is not None and any(word in (type or "") for word in ("html", "xml"))

    async def make(request: Request, names: dict[str, Any]) -> Answer:
        content = body
        if template is not None:
            try:
                content = await resources.render(template, escape, names)
            except RenderError as error:
                more = request.on.lines.more("template")
                if more is not None:
                    _log.warn(
                        "The template of stub {stub}: {why}.{more}",
                        stub=names["stub"],
                        why=str(error),
                        more=more,
                    )
                raise HTTPError(500, f"the template of stub {names['stub']}: {error}") from None
        answer = Response(status, content, fields=[*fields], reason=asked.reason)
        answer.isForeign = True
        draw(request, answer, content)
        return answer

    return PreparedAnswer(asked.times, delay, None, make, template is not None)


def _checkLine(asked: AnswerSettings) -> None:
    """Whether the first line of the answer can be sent."""
    if asked.reason is not None and set(encoded(asked.reason)) & set(b"\r\n\0"):
        raise ValueError(f"reason = {shown(asked.reason)}: it is one line")
    if asked.status is not None and not 200 <= asked.status <= 599:
        raise ValueError(
            f"status = {asked.status}: an answer's is 200 to 599; others are in broken"
        )


def _refuse(asked: AnswerSettings, key: str, *others: str) -> None:
    """Keys that say nothing where another is given."""
    nothing = AnswerSettings()
    for name in others:
        if getattr(asked, name) != getattr(nothing, name):
            raise ValueError(f"{name} has no effect beside {key}; leave one of them out")


def _fields(asked: AnswerSettings) -> FieldPairs:
    pairs: list[tuple[str, str]] = []
    if isinstance(asked.headers, dict):
        for name, values in asked.headers.items():
            for value in (values,) if isinstance(values, str) else values:
                pairs.append((name, value))
    else:
        pairs += asked.headers
    for name, value in pairs:
        if not isField(name, value):
            raise ValueError(f"headers: {shown(name)} = {shown(value)} cannot be a header field")
        if name.lower() in _FRAMING:
            raise ValueError(f"headers: {name} is up to us; broken has answers that lie about it")
    return [*pairs]


def _body(
    asked: AnswerSettings, source: str | None, resources: Resources
) -> tuple[bytes, str | None, str | None]:
    """The body, its type, and the template it is made of instead."""
    if source == "text":
        assert asked.text is not None
        return asked.text.encode(), _PLAIN, None
    if source == "json":
        checkJSON(asked.json, "json")
        return json.dumps(asked.json, ensure_ascii=False).encode(), "application/json", None
    if source == "file":
        assert asked.file is not None
        guessed = _guess(asked.file)
        return resources.file(asked.file, "file"), guessed or "application/octet-stream", None
    if source == "template":
        assert asked.template is not None
        checkTemplate(asked.template, "template")
        return b"", _PLAIN, asked.template
    if source == "template_file":
        assert asked.template_file is not None
        content = resources.file(asked.template_file, "template_file")
        try:
            template = content.decode()
        except UnicodeDecodeError:
            raise ValueError(
                f"template_file = {shown(asked.template_file)}: not UTF-8; save it so"
            ) from None
        checkTemplate(template, f"template_file = {shown(asked.template_file)}")
        name = asked.template_file
        for ending in (".j2", ".jinja", ".jinja2"):
            name = name.removesuffix(ending)
        return b"", _guess(name) or _PLAIN, template
    return b"", None, None


def _guess(name: str) -> str | None:
    type, coding = MimeTypes().guess_type(name)
    if coding is not None:
        return None
    return f"{type}; charset=utf-8" if type is not None and type.startswith("text/") else type


def _drawing(
    dribble: DribbleSettings | None, chunked: bool
) -> Callable[[Request, Response, bytes], None]:
    """Have an answer's body come in another way than all at once."""

    def draw(request: Request, answer: Response, content: bytes) -> None:
        if dribble is not None and content:
            answer.body = _dribbled(request, content, dribble)
        elif chunked:
            answer.body = [content]
        if dribble is not None and not chunked and content:
            answer.length = len(content)

    return draw


async def _dribbled(
    request: Request, content: bytes, dribble: DribbleSettings
) -> AsyncIterator[bytes]:
    count = min(dribble.pieces, len(content))
    pause = dribble.seconds / max(1, count - 1)
    for number in range(count):
        if number:
            await request.on.sleep(pause)
        yield content[len(content) * number // count : len(content) * (number + 1) // count]


def _broken(asked: str | BrokenSettings, resources: Resources) -> Make:
    settings = BrokenSettings(how=asked) if isinstance(asked, str) else asked
    breakage = resources.breakages.get(settings.how)
    if breakage is None:
        near = get_close_matches(settings.how, resources.breakages, 1)
        remedy = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(
            f"broken = {shown(settings.how)}: there is no such fault; {remedy}/broken lists them"
        )
    given = {
        name: value
        for name in ("bytes", "seconds", "count", "seed")
        if (value := getattr(settings, name)) is not None
    }
    try:
        options = breakage.options(given)
    except ValueError as error:
        raise ValueError(f"broken = {shown(settings.how)}: {error}") from None

    async def make(request: Request, names: dict[str, Any]) -> Answer:
        async def script(wire: Wire) -> None:
            await breakage.script(wire, request, options)

        return ByHand(script)

    return make


def _forwarded(
    asked: AnswerSettings, fields: FieldPairs, target: Target, resources: Resources
) -> Make:
    """Ask a target, and change of its answer what is said otherwise here."""
    replaced = {encoded(name).lower() for name, _ in fields}

    async def make(request: Request, names: dict[str, Any]) -> Answer:
        answer = await resources.forwarder(target).forward(request, request.pieces)
        if asked.status is not None:
            answer.status, answer.reason = asked.status, asked.reason
        elif asked.reason is not None:
            answer.reason = asked.reason
        if replaced:
            kept = [one for one in answer.fields if encoded(one[0]).lower() not in replaced]
            answer.fields = [*kept, *fields]
        return answer

    return make
