"""
Cross-origin resource sharing, right and wrong (Fetch standard, section 3.2).

Everything else here lets pages of any origin read; these answers say for themselves who may.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal

from msgspec import Meta

from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import FieldPairs, isField
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.dialect import HTML, Bare, basics, textsAsJSON

_ORIGIN: Final = "Access-Control-Allow-Origin"
_CREDENTIALS: Final = ("Access-Control-Allow-Credentials", "true")
_ECHOED: Final = "{origin}"


@dataclass(frozen=True, slots=True)
class Policy:
    """
    Who may read an answer.

    @ivar does: what it says, in one sentence.
    @ivar browser: what a browser makes of it.
    @ivar fields: of the answer and of the preflight's; C{{origin}} is the page's.
    @ivar preflight: the status of the answer to a preflight.
    @ivar methods: what a preflight allows; nothing, where that is wrong.
    @ivar isPlain: a preflight says nothing of methods and fields.
    """

    does: str
    browser: str
    fields: FieldPairs
    preflight: int = 204
    methods: str = "GET, POST, PUT, PATCH, DELETE"
    isPlain: bool = False


POLICIES: Final = {
    "allow-all": Policy(
        "Pages of all origins may read, without credentials.",
        "reads; refuses where credentials are to be included",
        [(_ORIGIN, "*")],
    ),
    "origin": Policy(
        "The origin of the page may read, without credentials.",
        "reads; refuses where credentials are to be included",
        [(_ORIGIN, _ECHOED)],
    ),
    "credentials": Policy(
        "The origin of the page may read, with credentials.",
        "reads, with cookies if asked to",
        [(_ORIGIN, _ECHOED), _CREDENTIALS],
    ),
    "none": Policy("Nothing is said.", "refuses", [], isPlain=True),
    "wrong-origin": Policy(
        "Another origin may read.",
        "refuses",
        [(_ORIGIN, "https://elsewhere.invalid")],
    ),
    "null": Policy(
        "The origin null may read.",
        "refuses, except in sandboxed frames and the like, which anybody can make",
        [(_ORIGIN, "null"), _CREDENTIALS],
    ),
    "wildcard-with-credentials": Policy(
        "Pages of all origins may read, and credentials are allowed, which cannot be both.",
        "refuses where credentials are to be included",
        [(_ORIGIN, "*"), _CREDENTIALS],
    ),
    "two-origins": Policy(
        "Two lines say who may read, the second of them the page's origin.",
        "refuses: there must be one",
        [(_ORIGIN, "https://elsewhere.invalid"), (_ORIGIN, _ECHOED)],
    ),
    "origin-list": Policy(
        "One line names two origins, the second of them the page's.",
        "refuses: a list is no origin",
        [(_ORIGIN, f"https://elsewhere.invalid, {_ECHOED}")],
    ),
    "origin-with-slash": Policy(
        "The origin of the page, with a slash behind it.",
        "refuses: that is not the origin",
        [(_ORIGIN, f"{_ECHOED}/")],
    ),
    "preflight-fails": Policy(
        "The preflight is answered with 403; the answer itself may be read.",
        "refuses what needs a preflight, and reads the rest",
        [(_ORIGIN, _ECHOED)],
        preflight=403,
    ),
    "preflight-redirects": Policy(
        "The preflight is redirected; the answer itself may be read.",
        "refuses what needs a preflight, and reads the rest",
        [(_ORIGIN, _ECHOED)],
        preflight=307,
    ),
    "no-methods": Policy(
        "The preflight allows no other methods than GET, HEAD and POST.",
        "refuses PUT, PATCH and DELETE",
        [(_ORIGIN, _ECHOED)],
        methods="",
    ),
    "no-headers": Policy(
        "The preflight allows all methods and no other header fields than the harmless ones.",
        "refuses requests with fields like X-Anything",
        [(_ORIGIN, _ECHOED)],
        isPlain=True,
    ),
    "exposed": Policy(
        "Any page may read, the field X-Exposed as well, but not X-Hidden.",
        "reads; scripts see the one field and not the other",
        [
            (_ORIGIN, "*"),
            ("Access-Control-Expose-Headers", "X-Exposed"),
            ("X-Exposed", "seen"),
            ("X-Hidden", "not seen"),
        ],
    ),
}

if TYPE_CHECKING:
    Name = str
else:
    Name = Literal[tuple(POLICIES)]

MaxAge = Annotated[int, Meta(ge=-1, le=86400)]

routes = Routes("cross-origin sharing")


def fieldsOf(policy: Policy, origin: str | None) -> FieldPairs:
    """What is said to a page of that origin; to none, where it would have to be named, nothing."""
    found: FieldPairs = []
    for name, value in policy.fields:
        text = value if isinstance(value, str) else value.decode("latin-1")
        if _ECHOED not in text:
            found.append((name, text))
        elif origin is not None:
            found.append((name, text.replace(_ECHOED, origin)))
    if any(_ECHOED in str(value) for _, value in policy.fields):
        found.append(("Vary", "Origin"))
    return found


@routes.add(
    "/cors/{policy}",
    methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
    group="cross-origin",
    example="/cors/credentials",
    reads={"Origin": "the origin of the page that asks"},
)
def shared(request: Request, policy: Name) -> Response:
    """An answer with that policy of who may read it; /cors lists the policies."""
    fields = fieldsOf(POLICIES[policy], request.fields.get("origin"))
    return Bare(200, textsAsJSON(basics(request)), "application/json", fields)


@routes.add(
    "/cors/{policy}",
    methods=["OPTIONS"],
    group="cross-origin",
    example="/cors/credentials",
    usual=204,
    answers={307: "the policy has preflights redirected", 403: "the policy has preflights fail"},
    reads={
        "Origin": "the origin of the page that asks",
        "Access-Control-Request-Headers": "is allowed, unless the policy is no-headers or none",
    },
    produces=[HTML],
)
def preflight(request: Request, policy: Name, *, max_age: MaxAge = 0) -> Response:
    """The answer to a preflight under that policy, for so many seconds."""
    one = POLICIES[policy]
    fields = fieldsOf(one, request.fields.get("origin"))
    if one.preflight == 403:
        return Bare(403, b"", HTML, fields)
    if one.preflight == 307:
        return Bare(307, b"", HTML, [*fields, ("Location", "/cors/allow-all")])
    if one.methods and policy != "none":
        fields.append(("Access-Control-Allow-Methods", one.methods))
    asked = request.fields.get("access-control-request-headers")
    if asked is not None and not one.isPlain:
        if not isField("Access-Control-Allow-Headers", asked):
            raise HTTPError(400, "Access-Control-Request-Headers has what no field can have")
        fields.append(("Access-Control-Allow-Headers", asked))
    if policy != "none":
        fields.append(("Access-Control-Max-Age", str(max_age)))
    return Bare(204, b"", None, fields)


@routes.add("/cors", group="cross-origin", example="/cors")
def listed(request: Request) -> Response:
    """The policies, and what a browser makes of each."""
    found = [
        {"name": name, "does": one.does, "browser": one.browser} for name, one in POLICIES.items()
    ]
    return Response(200, textsAsJSON({"policies": found}), "application/json")
