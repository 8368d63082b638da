"""Routes that show what a request was."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from loopbackd.http.endpoints import Takes
from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.dialect import (
    JSON,
    METHODS,
    answerTexts,
    basics,
    flattened,
    jsonText,
    origin,
    readPairs,
    shownFields,
)
from loopbackd.protocols.httpbin.forms import (
    MULTIPART,
    OCTETS,
    URLENCODED,
    Form,
    parseForm,
    parseJSON,
    shownBytes,
)
from loopbackd.protocols.httpbin.schemas import Anything, Asked, Headers, Origin, Sent, UserAgent

CONSUMES: Final = (JSON, URLENCODED, MULTIPART, "*/*")
UNREADABLE: Final = {400: "the body is not what its Content-Type says", 413: "it is too long"}

routes = Routes("requests, as they came")


@routes.add("/get", group="methods", example="/get?name=value", returns=Asked)
def get(request: Request) -> Response:
    """The request's query, header fields and origin."""
    return answerTexts(basics(request))


def shownBody(request: Request) -> dict[str, Any]:
    """
    What a request brought: C{data}, C{files}, C{form}, C{json}.

    @raise HTTPError: it is not what its type says.
    """
    body = request.body
    try:
        form = parseForm(request.fields.get("content-type"), body, readPairs)
    except HTTPError:
        if "content-encoding" not in request.fields:
            raise
        # What is compressed is shown as it came, as httpbin does: the form is in there somewhere.
        form = Form()
    if form.isForm:
        files = [(name, shownBytes(one.content, one.type or OCTETS)) for name, one in form.files]
        fields = flattened(form.fields)
        return {"data": "", "files": flattened(files), "form": fields, "json": None}
    return {"data": shownBytes(body), "files": {}, "form": {}, "json": parseJSON(body)}


def answerFull(request: Request, **more: Any) -> Response:
    """An answer with all of a request, and more."""
    shown = {**basics(request), **shownBody(request), **more}
    try:
        text = jsonText(shown, isTheirs=shown["json"] is not None)
    except RecursionError:
        # It could be read, but nested so deeply it cannot be written.
        text = jsonText({**shown, "json": None})
    return Response(200, text, JSON)


_whole = partial(
    routes.add,
    takes=Takes.WHOLE,
    answers=UNREADABLE,
    consumes=CONSUMES,
)


@_whole("/post", methods=["POST"], group="methods", example="/post", returns=Sent)
@_whole("/put", methods=["PUT"], group="methods", example="/put", returns=Sent)
@_whole("/patch", methods=["PATCH"], group="methods", example="/patch", returns=Sent)
@_whole("/delete", methods=["DELETE"], group="methods", example="/delete", returns=Sent)
def full(request: Request) -> Response:
    """All of the request: query, header fields, and its body as data, form, files or JSON."""
    return answerFull(request)


@_whole(
    "/anything", methods=METHODS, group="anything", example="/anything?name=value", returns=Anything
)
def anything(request: Request) -> Response:
    """All of the request, whatever its method."""
    return answerFull(request, method=request.method)


@_whole(
    "/anything/{more...}",
    methods=METHODS,
    group="anything",
    example="/anything/at/all",
    returns=Anything,
)
def anythingBelow(request: Request, more: str) -> Response:
    """All of the request, whatever its method and path."""
    return answerFull(request, method=request.method)


@routes.add("/headers", group="inspection", example="/headers", returns=Headers)
def headers(request: Request) -> Response:
    """The request's header fields."""
    return answerTexts({"headers": shownFields(request)})


@routes.add("/ip", group="inspection", example="/ip", returns=Origin)
def ip(request: Request) -> Response:
    """The address the request came from."""
    return answerTexts({"origin": origin(request)})


@routes.add("/user-agent", group="inspection", example="/user-agent", returns=UserAgent)
def userAgent(request: Request) -> Response:
    """What the client calls itself."""
    return answerTexts({"user-agent": request.fields.get("user-agent")})
