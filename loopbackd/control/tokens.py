"""Where pages of our own get the token that they must show."""

from __future__ import annotations

from loopbackd.control import shapes
from loopbackd.control.toxiproxy import reply
from loopbackd.http.browsers import isOwnPage
from loopbackd.http.errors import KeptOut
from loopbackd.http.messages import Request, Response
from loopbackd.http.pagetoken import FIELD, SUBPROTOCOL, PageToken
from loopbackd.http.routes import Routes


def tokenRoutes(token: PageToken) -> Routes:
    """The route for the token."""
    routes = Routes("token")

    @routes.add(
        "/token",
        group="token",
        returns=shapes.Token,
        answers={403: "It is no page of this origin that asks."},
        reads={"Sec-Fetch-Site": "what the browser says of the page that asks"},
    )
    def told(request: Request) -> Response:
        """
        What a page of ours must show where it changes something or opens a stream.

        As a field of the request; for a WebSocket, which can have none, as the second of the two
        subprotocols. An event stream is read with C{fetch}, for C{EventSource} sends no field.
        It is another one each time the daemon starts. Programs need none.
        """
        if not isOwnPage(request):
            raise KeptOut(403, "the token is for pages of this origin; programs need none")
        shown = [SUBPROTOCOL, token.subprotocol]
        return reply(shapes.Token(token=token.value, field=FIELD, subprotocols=shown))

    return routes
