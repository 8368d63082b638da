"""What is wrong with a request."""

from __future__ import annotations

from loopbackd.http.fields import FieldPairs


class HTTPError(Exception):
    """
    The request cannot be answered as asked; whoever has the route decides how that looks.

    @ivar status: 400 to 599.
    @ivar detail: one sentence for whoever sent the request: what is wrong and what would not be.
    @ivar fields: what the answer must say besides, C{Allow} for one.
    """

    def __init__(self, status: int, detail: str = "", fields: FieldPairs | None = None) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.fields: FieldPairs = fields or []


class KeptOut(HTTPError):
    """
    Whoever asks may not: the connection ends behind the answer, so that nobody takes places of
    others with requests that are refused.
    """
