"""
What can be asked of the HTTP test service: C{[service.http]} and its stubs.

A stub is an answer of the user's own: what a request must be like, and what it gets.  This is the
schema alone; L{loopbackd.stubs} says what is wrong with a regular expression or a file.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

_A_DAY = 86400

Moment = Annotated[float, msgspec.Meta(gt=0, le=_A_DAY)]
Wait = Annotated[float, msgspec.Meta(ge=0, le=_A_DAY)]
Size = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
Times = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
Label = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Text(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What a text must be like, where equality is not enough; all that is given must hold.

    @ivar contains: stands somewhere in it.
    @ivar regex: matches all of it.
    @ivar not_regex: does not match all of it.
    """

    contains: str | None = None
    regex: str | None = None
    not_regex: str | None = None


Wanted = str | bool | int | Text | tuple[str, ...]
"""
Of a named value: equal to this text or number, present (true), absent (false), as L{Text} says, or,
as a list, all values of that name in order.
"""


class BodyWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What a body must be like; all that is given must hold.

    @ivar text: this, exactly.
    @ivar contains: stands somewhere in it.
    @ivar regex: matches all of it.
    @ivar json: is this value.
    @ivar json_subset: has at least this: other keys may be there, at every depth.
    @ivar form: the fields of a C{application/x-www-form-urlencoded} body.
    """

    text: str | None = None
    contains: str | None = None
    regex: str | None = None
    json: Any = msgspec.UNSET
    json_subset: Any = msgspec.UNSET
    form: dict[str, Wanted] = {}


class Conditions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What a request must be like; all that is given must hold.

    @ivar method: one or several; any by default.
    @ivar path: with C{{name}} for one segment and C{{name...}} for all that follow.
    @ivar path_regex: matches all of the path, percent-escapes decoded.
    """

    method: str | tuple[str, ...] = ()
    path: str | None = None
    path_regex: str | None = None
    query: dict[str, Wanted] = {}
    headers: dict[str, Wanted] = {}
    cookies: dict[str, Wanted] = {}
    body: BodyWanted | None = None


class DelaySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Seconds by chance, by one of these.

    @ivar uniform: between these two.
    @ivar normal: mean and standard deviation; never below 0.
    @ivar lognormal: median, and sigma of the logarithm: 0.4 is a mild tail, 1.0 a long one.
    """

    uniform: tuple[Wait, Wait] | None = None
    normal: tuple[Wait, Wait] | None = None
    lognormal: tuple[Moment, Wait] | None = None


class DribbleSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body in so many pieces, over so many seconds."""

    pieces: Annotated[int, msgspec.Meta(ge=2, le=100_000)]
    seconds: Wait


class BrokenSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    One of C{/broken}'s faults, and its parameters as they stand there in the query.

    @ivar how: its name.
    """

    how: str
    bytes: float | None = None
    seconds: float | None = None
    count: float | None = None
    seed: float | None = None


class AnswerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What a request gets.

    @ivar status: 200 unless it is said.
    @ivar reason: the words behind the status.
    @ivar headers: a table, where a list is several lines of one name, or a list of pairs.
    @ivar type: C{Content-Type}; guessed from what the body is made of.
    @ivar text: the body; so are C{json}, C{file}, C{template} and C{template_file}, one of them.
    @ivar file: a path relative to the configuration.
    @ivar template: rendered by Jinja2 in its sandbox.
    @ivar delay: seconds before the answer begins.
    @ivar dribble: how the body is drawn out.
    @ivar chunked: send the body in chunks even where its length is known.
    @ivar broken: one of C{/broken}'s faults, or its name, instead of an answer.
    @ivar target: ask this real server, instead.
    @ivar times: how many requests in a row get this answer before the next one has its turn.
    """

    status: int | None = None
    reason: str | None = None
    headers: dict[str, str | tuple[str, ...]] | tuple[tuple[str, str], ...] = {}
    type: str | None = None
    text: str | None = None
    json: Any = msgspec.UNSET
    file: str | None = None
    template: str | None = None
    template_file: str | None = None
    delay: Wait | DelaySettings = 0.0
    dribble: DribbleSettings | None = None
    chunked: bool = False
    broken: str | BrokenSettings | None = None
    target: str | None = None
    times: Times | None = None


class StubSettings(Conditions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A stub.

    @ivar name: what it is called in the log and the journal; unique in its service.
    @ivar priority: smaller is asked first; of the same, what was written first.
    @ivar answer: one, or several that take turns.
    @ivar after: what comes behind the last answer of a sequence, when that has had its C{times}:
        C{repeat} it, C{cycle} to the first, C{not_found}, or C{skip} to what else matches.
    @ivar scenario: whose states C{when_state} and C{then_state} are; each begins as C{started}.
    @ivar when_state: it only matches in this state.
    @ivar then_state: the state from its answer on.
    """

    name: Label | None = None
    priority: Annotated[int, msgspec.Meta(ge=-1_000_000, le=1_000_000)] = 0
    answer: AnswerSettings | tuple[AnswerSettings, ...] = AnswerSettings()
    after: str = "repeat"
    scenario: Label | None = None
    when_state: Label | None = None
    then_state: Label | None = None


class GoSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    go-httpbin's flags, for what is under C{/go}.

    @ivar max_body_size: bytes of a request's body, and of an answer that is made up.
    @ivar max_duration: seconds that an answer may take where the client says how long.
    @ivar drip_duration: seconds, where the client does not say.
    @ivar drip_delay: seconds before the first byte.
    @ivar drip_bytes: how many bytes.
    @ivar event_count: how many events or lines of JSON.
    @ivar event_duration: seconds that events are spread over.
    @ivar event_delay: seconds before the first event.
    @ivar allowed_redirect_domains: where C{/redirect-to} may lead; anywhere if there are none.
    @ivar exclude_headers: fields that are not shown: names with commas between them, C{*} for
        anything.
    @ivar hostname: what C{/hostname} says.
    @ivar version: what C{/version} says; nothing if it is empty.
    @ivar allow_dangerous_responses: whether what the client sent may come back as HTML unescaped.
    """

    max_body_size: Annotated[int, msgspec.Meta(ge=1, le=1 << 40)] = 1 << 20
    max_duration: Wait = 10.0
    drip_duration: Wait = 2.0
    drip_delay: Wait = 2.0
    drip_bytes: Annotated[int, msgspec.Meta(ge=1, le=1 << 40)] = 10
    event_count: Annotated[int, msgspec.Meta(ge=1, le=1 << 40)] = 10
    event_duration: Wait = 5.0
    event_delay: Wait = 0.0
    allowed_redirect_domains: tuple[str, ...] = ()
    exclude_headers: str = ""
    hostname: str = "go-httpbin"
    version: str = ""
    allow_dangerous_responses: bool = False


class HTTPSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    The HTTP test service of one service.

    @ivar max_head: bytes of a request's head, and of its trailers.
    @ivar max_line: bytes of a request line.
    @ivar max_fields: header lines of a request.
    @ivar max_body: bytes of a body that is taken whole; what is streamed has no such bound.
    @ivar max_bodies: bytes of all such bodies that are in memory at one time; one more gets a 503.
    @ivar head_timeout: seconds for a head, from its first byte.
    @ivar body_timeout: seconds for a body; C{min_rate} bytes buy another one.
    @ivar request_timeout: seconds for a head and its body together, however fast they come.
    @ivar send_timeout: the same for a client that takes its answer.
    @ivar idle_timeout: seconds between two requests, and before the first.
    @ivar go: what go-httpbin has flags for.
    @ivar stub: answers of one's own.
    @ivar fallback: who answers what no stub matches: C{builtin}, C{not_found}, or the address of a
        real server.
    @ivar allow_remote_target: real servers may be on other machines.
    @ivar target_timeout: seconds in which a real server must begin to answer, and may fall silent.
    @ivar seed: of all chance in the stubs; without one it differs from run to run.
    @ivar journal: how many requests are kept; 1000 where there are stubs, else 0.
    @ivar journal_bytes: how many bytes they may have in all.
    @ivar journal_body: how many of each body are kept.
    """

    max_head: Annotated[int, msgspec.Meta(ge=256, le=1 << 24)] = 65536
    max_line: Annotated[int, msgspec.Meta(ge=64, le=1 << 24)] = 16384
    max_fields: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 256
    max_body: Size = 16 << 20
    max_bodies: Size = 256 << 20
    head_timeout: Moment = 10.0
    body_timeout: Moment = 20.0
    request_timeout: Moment = 3600.0
    send_timeout: Moment = 20.0
    min_rate: Annotated[float, msgspec.Meta(gt=0, le=1 << 40)] = 500.0
    idle_timeout: Moment = 75.0
    go: GoSettings = GoSettings()
    stub: tuple[StubSettings, ...] = ()
    fallback: str = "builtin"
    allow_remote_target: bool = False
    target_timeout: Moment = 30.0
    seed: int | None = None
    journal: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None = None
    journal_bytes: Size = 16 << 20
    journal_body: Size = 65536

    @property
    def hasFiles(self) -> bool:
        """Whether there are files to be read again at a reload."""
        return any(
            one.file or one.template_file
            for stub in self.stub
            for one in ((stub.answer,) if isinstance(stub.answer, AnswerSettings) else stub.answer)
        )
