"""How much there may be, and what is assumed: go-httpbin's flags."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GoLimits:
    """
    The settings of the table; go-httpbin's own where nothing is said.

    @ivar max_body_size: bytes of a request's body, and of an answer that is made up.
    @ivar max_duration: seconds that an answer may take where the client says how long.
    @ivar drip_duration: seconds, where the client does not say.
    @ivar drip_delay: seconds before the first byte.
    @ivar drip_bytes: how many bytes.
    @ivar event_count: how many events or lines of JSON.
    @ivar event_duration: seconds that events are spread over.
    @ivar event_delay: seconds before the first event.
    @ivar allowed_redirect_domains: where C{/redirect-to} may lead; anywhere if there are none.
    @ivar exclude_headers: fields of requests that are not shown: names with commas between them,
        C{*} for anything.
    @ivar hostname: what C{/hostname} says.
    @ivar version: what C{/version} says; nothing if it is empty.
    @ivar allow_dangerous_responses: whether what the client sent may come back as HTML unescaped.
    """

    max_body_size: int = 1 << 20
    max_duration: float = 10.0
    drip_duration: float = 2.0
    drip_delay: float = 2.0
    drip_bytes: int = 10
    event_count: int = 10
    event_duration: float = 5.0
    event_delay: float = 0.0
    allowed_redirect_domains: tuple[str, ...] = ()
    exclude_headers: str = ""
    hostname: str = "go-httpbin"
    version: str = ""
    allow_dangerous_responses: bool = False

    def __post_init__(self) -> None:
        """Refuse what would leave a route without any answer."""
        for name, least in (("max_body_size", 1), ("drip_bytes", 1), ("event_count", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} = {getattr(self, name)}: it must be {least} or more")
        for name in ("max_duration", "drip_duration", "drip_delay", "event_duration"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} = {getattr(self, name)}: it cannot be negative")

    def excluded(self) -> re.Pattern[str] | None:
        """What matches the names of fields that are not shown; L{None} if all are."""
        names = [name.strip() for name in self.exclude_headers.split(",")]
        patterns = [re.escape(name).replace(r"\*", ".*") for name in names if name]
        return re.compile("|".join(patterns), re.I) if patterns else None
