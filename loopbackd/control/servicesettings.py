"""The settings of services, as clients ask for them and are told of them: plain values."""

from __future__ import annotations

from typing import Any

import msgspec

from loopbackd.control.bodies import checkName
from loopbackd.control.defaults import defaultsOf
from loopbackd.control.files import namedBy, refuseFiles
from loopbackd.control.toxics import MOST_TOXICS
from loopbackd.controlsettings import ControlSettings
from loopbackd.exposed import speaksOnlyTLS
from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import Request
from loopbackd.prepared import protocolsOf
from loopbackd.settings import ServiceSettings, SettingsError, convert


def asked(settings: msgspec.Struct) -> dict[str, Any]:
    """What was asked, where it is not the default, in plain values."""
    found = {}
    for name, encoded, default in defaultsOf(type(settings)):
        value = getattr(settings, name)
        if value is not msgspec.UNSET and value != default:
            found[encoded] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return asked(value)
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return msgspec.to_builtins(value)


def settingsFrom(
    request: Request,
    given: dict[str, Any],
    name: str,
    control: ControlSettings,
    before: ServiceSettings | None = None,
) -> ServiceSettings:
    """
    The settings of a service, as if they stood in a configuration.

    @param given: what the client says of it.
    @param name: what it will be called.
    @param control: whether it may listen where other machines can reach it, and which of them may
        come if nothing is said of that.
    @param before: what it is now.
    @raise HTTPError: 400; something is wrong with them, or not for clients to ask for.
    """
    # Names that are not for a file are checked elsewhere.
    plain = {**given, "name": "it"}
    try:
        (found,) = convert({"service": [plain]}, "the body").service
    except SettingsError as error:
        why = str(error).replace("service 'it': ", "").replace("service it: ", "")
        raise HTTPError(400, why) from None
    if found.allow_remote and not control.allow_remote:
        raise HTTPError(
            400,
            "allow_remote = true: the operator has not allowed that; let allow_remote = true"
            " stand in [control]",
        )
    for protocol in protocolsOf(found):
        if ":" in protocol:
            raise HTTPError(
                400,
                f"protocol = {protocol[:100]!r}: code is not loaded at the word of a client;"
                " write it into the configuration, or name one that is installed",
            )
    for toxic in found.toxic:
        checkName(toxic.name)
    if len(found.toxic) > MOST_TOXICS:
        raise HTTPError(400, f"toxic: {MOST_TOXICS} are the most")
    refuseFiles(request, namedBy(found), namedBy(before) if before else ())
    networks = found.allow_addresses
    if found.allow_remote and not networks and not speaksOnlyTLS(found):
        networks = control.allow_addresses
    return msgspec.structs.replace(found, name=name, allow_addresses=networks)
