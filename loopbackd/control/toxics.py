"""Toxics as they are asked for and told of: in Toxiproxy's words, and in ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from loopbackd.control import shapes
from loopbackd.control.bodies import Members, checkName
from loopbackd.control.defaults import defaultsOf
from loopbackd.control.notes import warnOfUnknown
from loopbackd.explaining import explain
from loopbackd.faults.kinds import NoSuchKind, kindClass
from loopbackd.faults.toxic import Toxic
from loopbackd.faults.toxics import NameTaken, Toxics, check, named
from loopbackd.faultsettings import MatchSettings, ToxicSettings
from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import Request

MOST_TOXICS: Final = 256
"""How many a service may have."""

_ASKED: Final = frozenset(["type", "name", "stream", "toxicity", "attributes", "seed", "match"])
_CHANGED: Final = frozenset(["attributes", "toxicity"])
_IGNORED: Final = frozenset(["name", "type", "stream"])

THEIRS: Final[Mapping[str, frozenset[str]]] = {
    "latency": frozenset(["latency", "jitter"]),
    "bandwidth": frozenset(["rate"]),
    "slow_close": frozenset(["delay"]),
    "timeout": frozenset(["timeout"]),
    "reset_peer": frozenset(["timeout"]),
    "slicer": frozenset(["average_size", "size_variation", "delay"]),
    "limit_data": frozenset(["bytes"]),
}
"""The attributes that Toxiproxy's own toxics have; always told, others where they do something."""


def asProxyToxic(toxic: Toxic) -> shapes.ProxyToxic:
    """A toxic in Toxiproxy's words."""
    attributes = toxic.attributes
    theirs = THEIRS.get(toxic.type)
    if theirs is not None:
        defaults = {name: default for name, _, default in defaultsOf(type(toxic.kind))}
        attributes = {
            name: value
            for name, value in attributes.items()
            if name in theirs or value != defaults.get(name)
        }
    toxicity: int | float = toxic.toxicity
    return shapes.ProxyToxic(
        attributes=attributes,
        name=toxic.name,
        type=toxic.type,
        stream=toxic.stream,
        toxicity=int(toxicity) if toxicity == int(toxicity) else toxicity,
    )


def asToxic(toxic: Toxic) -> shapes.Toxic:
    """A toxic in our words."""
    return shapes.Toxic(
        attributes=toxic.attributes,
        name=toxic.name,
        type=toxic.type,
        stream=toxic.stream,
        toxicity=toxic.toxicity,
        seed=toxic.seed,
        match=_asMatch(toxic.settings.match),
    )


def _asMatch(asked: MatchSettings | None) -> dict[str, Any] | None:
    """What was asked of the connections, and nothing that was not."""
    if asked is None:
        return None
    return {name: one for name, one in msgspec.structs.asdict(asked).items() if one is not None}


def readToxic(request: Request, value: Any, taken: frozenset[str] = frozenset()) -> ToxicSettings:
    """
    What a client of Toxiproxy asks for, looked at in the order that Toxiproxy does.

    @param value: what its body says.
    @param taken: the names that are no longer to be had.
    @raise HTTPError: 400 or 409.
    """
    asked = Members(value, _ASKED)
    type, name, said = asked.text("type", ""), asked.text("name", ""), asked.text("stream", "")
    toxicity, attributes = asked.number("toxicity"), asked.object("attributes")
    stream = said.lower() or "downstream"
    if stream not in ("upstream", "downstream"):
        raise HTTPError(400, "stream was invalid, can be either upstream or downstream")
    try:
        fields = kindClass(type).__struct_fields__
    except NoSuchKind:
        raise HTTPError(400, "invalid toxic type") from None
    except ValueError as error:
        raise HTTPError(400, str(error)) from None
    checkName(name or type)
    if (name or f"{type}_{stream}") in taken:
        raise HTTPError(409, "toxic already exists")
    more = {key: asked.any(key) for key in ("seed", "match") if key in asked}
    settings = {
        **more,
        "type": type,
        "name": name,
        "stream": stream,
        "attributes": _attributes(request, attributes, fields, f"toxic {type}"),
    }
    if toxicity is not None:
        settings["toxicity"] = toxicity
    warnOfUnknown(request, f"toxic {type}", asked.unknown)
    return named(settingsOf(settings))


def _attributes(
    request: Request, given: Mapping[str, Any], fields: tuple[str, ...], what: str
) -> dict[str, Any]:
    """Those that mean something, whatever their letters' case."""
    known = {field.lower(): field for field in fields}
    found = {
        known[name.lower()]: value
        for name, value in given.items()
        if name.lower() in known and value is not None
    }
    warnOfUnknown(request, what, (name for name in given if name.lower() not in known))
    return found


def settingsOf(asked: dict[str, Any]) -> ToxicSettings:
    """
    The settings in plain values.

    @raise HTTPError: 400; something is wrong with them, the message says what.
    """
    try:
        settings = msgspec.convert(asked, ToxicSettings)
        check((settings,))
    except msgspec.ValidationError as error:
        why = explain(str(error), asked, "toxic", ToxicSettings, _kindAt)
        raise HTTPError(400, why) from None
    except ValueError as error:
        raise HTTPError(400, str(error)) from None
    return settings


def _kindAt(kind: Any, key: str) -> Any:
    return MatchSettings if key == "match" else kind


def readChange(request: Request, value: Any, toxic: Toxic) -> tuple[dict[str, Any], float | None]:
    """
    What a client of Toxiproxy wants changed: attributes, and toxicity if it says.

    @raise HTTPError: 400.
    """
    asked = Members(value, _CHANGED)
    warnOfUnknown(request, toxic.name, (n for n in asked.unknown if n.lower() not in _IGNORED))
    fields = type(toxic.kind).__struct_fields__
    given = _attributes(request, asked.object("attributes"), fields, f"toxic {toxic.type}")
    return given, asked.number("toxicity")


def put(toxics: Toxics, settings: ToxicSettings) -> Toxic:
    """
    Put one on.

    @raise HTTPError: 400 or 409.
    """
    if len(toxics) >= MOST_TOXICS:
        raise HTTPError(400, f"there are {MOST_TOXICS} toxics already; remove some")
    try:
        return toxics.add(settings)
    except NameTaken as error:
        raise HTTPError(409, str(error)) from None
    except ValueError as error:
        raise HTTPError(400, str(error)) from None


def change(
    toxics: Toxics, name: str, attributes: dict[str, Any] | None, toxicity: float | None
) -> Toxic:
    """
    Change one that is there.

    @raise HTTPError: 400.
    """
    if toxicity is not None and not 0 <= toxicity <= 1:
        raise HTTPError(400, f"toxicity = {toxicity}: write a number from 0 to 1")
    try:
        return toxics.change(name, attributes, toxicity)
    except (ValueError, msgspec.ValidationError) as error:
        raise HTTPError(400, str(error)) from None


def find(toxics: Toxics, name: str) -> Toxic:
    """
    The toxic of that name.

    @raise HTTPError: 404.
    """
    try:
        return toxics.get(name)
    except KeyError:
        raise HTTPError(404, "toxic not found") from None
