"""Which names get which answer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import translate
from typing import Annotated, Any, Final, Literal

import msgspec

from loopbackd.explaining import explain

Kind = Literal["page", "204", "close", "reset"]

_NAME: Final = re.compile(r"[a-z0-9*._:\[\]-]{1,253}")
_NO_BODY: Final = (204, 205, 304)

Status = Annotated[int, msgspec.Meta(ge=200, le=599)]


class RuleSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    One rule, as it is written.

    @ivar host: a name, or several; C{*} is any number of characters, dots too.
    @ivar answer: what these get.
    @ivar status: of the page; by default that of all.
    """

    host: str | list[str]
    answer: Kind
    status: Status | None = None


class SinkSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    All of it.

    @ivar answer: what names get that no rule is about.
    @ivar status: of the page.
    @ivar rules: the first that fits decides.
    @ivar patience: seconds until a client must have said what it wants.
    """

    answer: Kind = "page"
    status: Status = 200
    rules: list[RuleSettings] = []
    patience: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 10.0


@dataclass(frozen=True, slots=True)
class Decision:
    """
    What somebody gets.

    @ivar status: of the page.
    @ivar rule: the pattern that decided; empty where none did.
    """

    answer: Kind
    status: int
    rule: str = ""

    def gets(self, what: str) -> str:
        """What somebody gets by this, for a log."""
        return f"{what} (rule {self.rule})" if self.rule else what


class Rules:
    """
    The rules, to be asked.

    @raise ValueError: one can never decide, or makes no sense.
    """

    def __init__(self, settings: SinkSettings) -> None:
        self._default = Decision(settings.answer, _checked("status", settings.status))
        self._rules: list[tuple[re.Pattern[str], Decision]] = []
        for number, rule in enumerate(settings.rules, 1):
            self._enter(f"rules: {number}", rule, settings.status)

    def _enter(self, where: str, rule: RuleSettings, status: int) -> None:
        hosts = [rule.host] if isinstance(rule.host, str) else rule.host
        if not hosts:
            raise ValueError(f"{where}: host is empty; name at least one")
        if rule.status is not None:
            if rule.answer != "page":
                raise ValueError(f"{where}: status is for the page, not for {rule.answer!r}")
            status = _checked(f"{where}: status", rule.status)
        for host in hosts:
            pattern = host.lower().rstrip(".")
            if not _NAME.fullmatch(pattern):
                raise ValueError(
                    f"{where}: host = {host!r}: write a name like *.ads.example, with no port; one"
                    " that is not ASCII in its xn-- form"
                )
            # Where an earlier pattern takes this one's text, a star of it has this one's stars, and
            # so takes whatever they stand for.
            earlier = self.decide(pattern)
            if earlier.rule:
                raise ValueError(
                    f"{where}: host = {host!r} never decides, for {earlier.rule!r} comes before it;"
                    " put it first, or remove it"
                )
            found = re.compile(translate(pattern.replace("[", "[[]")))
            self._rules.append((found, Decision(rule.answer, status, pattern)))

    def decide(self, host: str) -> Decision:
        """
        What a name gets.

        @param host: in any case, perhaps with a final dot, with no port.
        """
        name = host.lower().rstrip(".")
        for pattern, decision in self._rules:
            if pattern.match(name):
                return decision
        return self._default


def _checked(name: str, status: int) -> int:
    if status in _NO_BODY:
        raise ValueError(f'{name} = {status}: a page cannot have that; write answer = "204"')
    return status


def sinkSettings(asked: dict[str, Any]) -> SinkSettings:
    """
    Understand the options.

    @raise ValueError: an option is unknown, of another type or out of its bounds; names it.
    """
    asked = _withText(asked)
    try:
        return msgspec.convert(asked, SinkSettings)
    except msgspec.ValidationError as error:
        why = explain(str(error), asked, "options", SinkSettings, _kindAt)
        raise ValueError(why) from None


def _withText(asked: dict[str, Any]) -> dict[str, Any]:
    """The same; an answer that is the number 204 is meant, too."""
    rules = asked.get("rules")
    if isinstance(rules, Iterable) and not isinstance(rules, str | dict):
        rules = [_withText(one) if isinstance(one, dict) else one for one in rules]
        asked = {**asked, "rules": rules}
    if asked.get("answer") == 204:
        asked = {**asked, "answer": "204"}
    return asked


def _kindAt(kind: Any, key: str) -> Any:
    return RuleSettings if key == "rules" else kind
