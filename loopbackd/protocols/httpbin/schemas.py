"""What the JSON of httpbin's answers has in it, for the description of the routes."""

from __future__ import annotations

from typing import Any, TypedDict

Words = dict[str, str | list[str]]
"""By name one value, or all of them."""


class Asked(TypedDict):
    """A request without its body."""

    args: Words
    headers: dict[str, str]
    origin: str
    url: str


class Sent(Asked):
    """A request with its body, read as what its type says."""

    data: str
    files: Words
    form: Words
    json: Any


class Anything(Sent):
    """The same, and its method."""

    method: str


class Headers(TypedDict):
    """The header fields alone."""

    headers: dict[str, str]


class Origin(TypedDict):
    """The address alone."""

    origin: str


UserAgent = TypedDict("UserAgent", {"user-agent": str | None})


class UUID(TypedDict):
    """A random one."""

    uuid: str


class Cookies(TypedDict):
    """Those that were sent."""

    cookies: Words


class User(TypedDict):
    """Who was let in."""

    authenticated: bool
    user: str
