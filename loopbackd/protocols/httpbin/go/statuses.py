"""Answers with a chosen status, or with one by chance."""

from __future__ import annotations

from typing import Final

from loopbackd.http.fields import FieldPairs
from loopbackd.http.messages import ByHand, Request, Response, Wire
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.go import values
from loopbackd.protocols.httpbin.go.auth import BASIC
from loopbackd.protocols.httpbin.go.dialect import BAD, HTML, JSON, MANY, TEXT, Setting, jsonText
from loopbackd.protocols.httpbin.statuses import choose

_REDIRECTS: Final = (301, 302, 303, 305, 307)
_PICTURES: Final = ("jpeg", "png", "svg", "webp")
_ACCEPTED: Final = ("image/webp", "image/svg+xml", "image/jpeg", "image/png", "image/")

_FIELDS: Final[dict[int, FieldPairs]] = {
    401: [("WWW-Authenticate", BASIC)],
    402: [("X-More-Info", "https://www.rfc-editor.org/rfc/rfc9110#section-15.5.3")],
    407: [("Proxy-Authenticate", BASIC)],
    418: [("X-More-Info", "http://tools.ietf.org/html/rfc2324")],
}


def answerStatus(setting: Setting, request: Request, status: int) -> Response | ByHand:
    """
    The answer with a status; empty for most.

    One below 200 comes before an answer (RFC 9110 section 15.2), which is 200 then; but nothing
    comes after 101, except what the client asked to switch to, which was nothing.
    """
    if status == 101:
        return ByHand(_switch, 101)
    if status < 200:
        request.on.interim(status, [])
        return Response(200, b"", TEXT)
    fields: FieldPairs = [*_FIELDS.get(status, ())]
    if status in _REDIRECTS:
        fields.append(("Location", setting.place("/redirect/1")))
    elif status in (300, 308):
        fields.append(("Location", setting.place("/image/jpeg")))
    match status:
        case 300:
            return Response(status, _choices(setting), HTML, fields)
        case 308:
            place = setting.place("/image/jpeg")
            page = f'<!doctype html>\n<title>Moved</title>\n<a href="{place}">{place}</a>\n'
            return Response(status, page.encode(), HTML, fields)
        case 402:
            return Response(status, b"First the money, then the answer!", TEXT, fields)
        case 406:
            message = "Client did not request a supported media type"
            body = jsonText({"message": message, "accept": _ACCEPTED})
            return Response(status, body, JSON, fields)
        case 418:
            return Response(status, b"I'm a teapot!", TEXT, fields)
    return Response(status, b"", TEXT, fields)


async def _switch(wire: Wire) -> None:
    wire.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: close\r\n\r\n")


def _choices(setting: Setting) -> bytes:
    places = [setting.place(f"/image/{kind}") for kind in _PICTURES]
    links = "".join(f'<li><a href="{place}">{place}</a>\n' for place in places)
    return f"<!doctype html>\n<title>Multiple Choices</title>\n<ul>\n{links}</ul>\n".encode()


def addStatuses(routes: Routes, setting: Setting) -> None:
    """Give a table routes whose status is the client's choice, or chance's."""

    @routes.add(
        "/status/{codes}",
        methods=MANY,
        group="status",
        example="/status/418",
        usual=0,
        answers=BAD,
        produces=[TEXT, HTML, JSON],
    )
    def status(request: Request, codes: str) -> Response | ByHand:
        """An answer with that status; of several (200,500 or 200:0.9,500:0.1) one at random."""
        if "," not in codes:
            return answerStatus(setting, request, values.status(codes))
        chosen = choose(values.weighted(codes), setting.rng.random())
        return answerStatus(setting, request, chosen)

    @routes.add(
        "/unstable",
        methods=MANY,
        group="status",
        example="/unstable?failure_rate=0.25",
        answers={**BAD, 500: "it failed, as it was asked to now and then"},
        produces=[TEXT],
    )
    def unstable(
        request: Request,
        *,
        failure_rate: values.Number | None = None,
        seed: values.Integer | None = None,
    ) -> Response:
        """Fails with 500 at a rate from 0 to 1; always or never the same with the same seed."""
        chance = values.seeded(seed) if seed else setting.rng
        rate = values.fraction(failure_rate, "failure rate") if failure_rate else 0.5
        return Response(500 if chance.random() < rate else 200, b"", TEXT)
