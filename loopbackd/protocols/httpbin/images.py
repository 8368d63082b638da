"""A picture in four formats."""

from __future__ import annotations

from typing import Final

from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.formats import sample
from loopbackd.protocols.httpbin.statuses import answerStatus

_FILES: Final = {
    "image/webp": "picture.webp",
    "image/svg+xml": "picture.svg",
    "image/jpeg": "picture.jpeg",
    "image/png": "picture.png",
}

routes = Routes("pictures")


def chooseImage(accept: str | None) -> str | None:
    """
    The media type of the picture that a client gets.

    @param accept: as httpbin reads it: the first of ours that stands in it somewhere.
    @return: L{None} if none does.
    """
    if accept is None:
        return "image/png"
    wanted = accept.lower()
    for type in _FILES:
        if type in wanted:
            return type
    return "image/png" if "image/*" in wanted or "*/*" in wanted else None


def _picture(type: str) -> Response:
    return Response(200, sample(_FILES[type]), type)


@routes.add(
    "/image",
    group="images",
    example="/image",
    produces=list(_FILES),
    answers={406: "the client accepts none of the types there are"},
    reads={"Accept": "the type of the picture"},
)
def image(request: Request) -> Response:
    """A picture of the type that the client accepts."""
    type = chooseImage(request.fields.get("accept"))
    answer = answerStatus(406) if type is None else _picture(type)
    answer.fields.append(("Vary", "Accept"))
    return answer


@routes.add("/image/png", group="images", example="/image/png", produces=["image/png"])
def png(request: Request) -> Response:
    """A PNG (ISO/IEC 15948)."""
    return _picture("image/png")


@routes.add("/image/jpeg", group="images", example="/image/jpeg", produces=["image/jpeg"])
def jpeg(request: Request) -> Response:
    """A JPEG (ISO/IEC 10918)."""
    return _picture("image/jpeg")


@routes.add("/image/webp", group="images", example="/image/webp", produces=["image/webp"])
def webp(request: Request) -> Response:
    """A WebP (RFC 9649)."""
    return _picture("image/webp")


@routes.add("/image/svg", group="images", example="/image/svg", produces=["image/svg+xml"])
def svg(request: Request) -> Response:
    """An SVG."""
    return _picture("image/svg+xml")
