"""Routes that show what a request was."""

from __future__ import annotations

from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.dialect import answerTexts, basics, origin, shownFields

routes = Routes("requests, as they came")


@routes.add("/get", group="methods", example="/get?name=value")
def get(request: Request) -> Response:
    """The request's query, header fields and origin."""
    return answerTexts(basics(request))


@routes.add("/headers", group="inspection", example="/headers")
def headers(request: Request) -> Response:
    """The request's header fields."""
    return answerTexts({"headers": shownFields(request)})


@routes.add("/ip", group="inspection", example="/ip")
def ip(request: Request) -> Response:
    """The address the request came from."""
    return answerTexts({"origin": origin(request)})


@routes.add("/user-agent", group="inspection", example="/user-agent")
def userAgent(request: Request) -> Response:
    """What the client calls itself."""
    return answerTexts({"user-agent": request.fields.get("user-agent")})
