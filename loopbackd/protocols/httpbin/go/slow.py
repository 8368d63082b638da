"""Answers that come late, slowly or line by line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Final

from loopbackd.http.endpoints import Takes
from loopbackd.http.errors import HTTPError
from loopbackd.http.events import EVENT_STREAM, encodeEvent
from loopbackd.http.fields import FieldPairs
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.go import values
from loopbackd.protocols.httpbin.go.dialect import (
    BAD,
    JSON,
    MANY,
    TEXT,
    Setting,
    jsonLine,
    listed,
    origin,
    url,
)
from loopbackd.protocols.httpbin.go.inspecting import answerFull
from loopbackd.protocols.httpbin.timing import jittered, paced

EVENTS: Final = f"{EVENT_STREAM}; charset=utf-8"
LINES: Final = "application/x-ndjson"

_MOST_LINES: Final = 100
_SHORTEST: Final = 1e-9
_SAMPLE_TIME: Final = 1_700_000_000.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """
    When a number of things are sent.

    @ivar delay: seconds before the first.
    @ivar duration: seconds from the first to the last.
    """

    count: int
    delay: float
    duration: float

    @property
    def pause(self) -> float:
        """Seconds between two."""
        return self.duration / (self.count - 1) if self.count > 1 else self.duration

    def timings(self, total: float) -> str:
        """The value of C{Server-Timing}, where all took so many seconds."""
        return values.serverTimings(
            ("total_duration", total, "total request duration"),
            ("initial_delay", self.delay, "initial delay"),
            ("write_duration", self.duration, "duration of writes after initial delay"),
            ("pause_per_write", self.pause, "computed pause between writes"),
        )


def _checked(setting: Setting, count: int, delay: float, duration: float) -> Schedule:
    longest = setting.limits.max_duration
    if delay + duration > longest:
        shown = (values.shownDuration(seconds) for seconds in (duration, delay, longest))
        raise HTTPError(400, "too much time: {} + {} is more than {}".format(*shown))
    return Schedule(count, delay, duration)


def addSlow(routes: Routes, setting: Setting) -> None:
    """Give a table routes that are late or slow."""
    limits = setting.limits
    longest = limits.max_duration

    @routes.add(
        "/delay/{duration}",
        methods=MANY,
        takes=Takes.PIECES,
        group="dynamic data",
        example="/delay/1.5s",
        answers=BAD,
        slow=True,
        produces=[JSON],
    )
    async def delay(request: Request, duration: values.Duration) -> Response:
        """All of the request, after a while."""
        seconds = values.duration(duration, "duration", 0, longest)
        if seconds:
            await request.on.sleep(seconds)
        answer = await answerFull(setting, request)
        timing = values.serverTimings(("initial_delay", seconds, "initial delay"))
        answer.fields.append(("Server-Timing", timing))
        return answer

    @routes.add(
        "/drip",
        methods=MANY,
        group="dynamic data",
        example="/drip?numbytes=5&duration=2s&delay=0",
        usual=0,
        answers=BAD,
        slow=True,
        produces=[TEXT],
    )
    async def drip(
        request: Request,
        *,
        duration: values.Duration | None = None,
        delay: values.Duration | None = None,
        numbytes: values.Integer | None = None,
        code: values.Integer | None = None,
    ) -> Response:
        """So many asterisks, one at a time over a duration, after a delay, with a status."""
        spread = limits.drip_duration
        if duration:
            spread = values.duration(duration, "duration", 0, longest)
        late = values.duration(delay, "delay", 0, longest) if delay else limits.drip_delay
        size = limits.drip_bytes
        if numbytes:
            size = values.integerIn(numbytes, "numbytes", 1, limits.max_body_size)
        status = values.status(code) if code else 200
        if status == 101:
            raise HTTPError(400, "invalid status code: 101 has no body that could drip")
        schedule = _checked(setting, size, late, spread)
        if late:
            await request.on.sleep(late)
        if status < 200:
            request.on.interim(status, [])
            status = 200
        fields: FieldPairs = [("Server-Timing", schedule.timings(late + spread))]
        body = paced(request, size, 1, schedule.pause, lambda start, end: b"*" * (end - start))
        return Response(status, body, TEXT, fields, length=size)

    @routes.add(
        "/stream/{n}",
        methods=MANY,
        group="dynamic data",
        example="/stream/3",
        answers=BAD,
        produces=[TEXT],
    )
    def stream(request: Request, n: values.Integer) -> Response:
        """The request n times, 1 to 100, each a line of JSON with its number."""
        count = min(max(1, values.integer(n, "count")), _MOST_LINES)
        shown = _line(setting, request)

        def lines() -> Iterator[bytes]:
            for number in range(count):
                yield jsonLine({"id": number, **shown})

        return Response(200, lines(), TEXT)


def _line(setting: Setting, request: Request) -> dict[str, Any]:
    return {
        "args": listed(request.query),
        "headers": setting.shownFields(request),
        "origin": origin(request),
        "url": url(request),
    }


def event(number: int, seconds: float) -> bytes:
    """One event (HTML standard, section 9.2)."""
    shown = {"id": number, "timestamp": int(seconds * 1000)}
    return encodeEvent(jsonLine(shown).decode().rstrip("\n"), event="ping")


def addStreams(routes: Routes, setting: Setting) -> None:
    """Give a table routes that go on for a while, with something new now and then."""
    limits = setting.limits
    longest = limits.max_duration
    mostEvents = max(1, limits.max_body_size // len(event(999, _SAMPLE_TIME)))

    @routes.add(
        "/sse",
        methods=MANY,
        group="dynamic data",
        example="/sse?count=3&duration=2s",
        answers=BAD,
        slow=True,
        produces=[EVENT_STREAM],
    )
    async def sse(
        request: Request,
        *,
        count: values.Integer | None = None,
        duration: values.Duration | None = None,
        delay: values.Duration | None = None,
        jitter: values.Number | None = None,
    ) -> Response:
        """So many server-sent events over a duration, after a delay, more or less regular."""
        number, spread, late = limits.event_count, limits.event_duration, limits.event_delay
        if count:
            number = values.integerIn(count, "count", 1, mostEvents)
        if duration:
            spread = values.duration(duration, "duration", _SHORTEST, longest)
        if delay:
            late = values.duration(delay, "delay", 0, longest)
        uneven = values.fraction(jitter, "jitter") if jitter else 0.0
        schedule = _checked(setting, number, late, spread)
        began = request.on.seconds()
        if late:
            await request.on.sleep(late)

        async def events() -> AsyncIterator[bytes]:
            numbers = jittered(request, number, schedule.pause, uneven, setting.rng)
            async for one in numbers:
                yield event(one, request.on.seconds())

        def timing() -> FieldPairs:
            return [("Server-Timing", schedule.timings(request.on.seconds() - began))]

        fields: FieldPairs = [("Trailer", "Server-Timing"), ("Cache-Control", "no-cache")]
        return Response(200, events(), EVENTS, fields, trailers=timing)

    @routes.add(
        "/jsonl",
        methods=MANY,
        group="dynamic data",
        example="/jsonl?count=3&duration=2s",
        answers=BAD,
        slow=True,
        produces=[LINES],
    )
    async def jsonl(
        request: Request,
        *,
        count: values.Integer | None = None,
        duration: values.Duration | None = None,
        delay: values.Duration | None = None,
        jitter: values.Number | None = None,
    ) -> Response:
        """The request so many times over a duration, each a line of JSON with its number."""
        shown = _line(setting, request)
        size = len(jsonLine({"id": 999, **shown}))
        number = values.integer(count, "count") if count else limits.event_count
        number = min(max(1, number), max(1, limits.max_body_size // size))
        spread = values.duration(duration, "duration", 0, longest) if duration else 0.0
        late = values.duration(delay, "delay", 0, longest) if delay else 0.0
        uneven = values.fraction(jitter, "jitter") if jitter else 0.0
        schedule = _checked(setting, number, late, spread)
        if late:
            await request.on.sleep(late)

        async def lines() -> AsyncIterator[bytes]:
            async for one in jittered(request, number, schedule.pause, uneven, setting.rng):
                yield jsonLine({"id": one, **shown})

        return Response(200, lines(), LINES)
