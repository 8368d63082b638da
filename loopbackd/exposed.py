"""
Services that other machines can reach, and what they must have for that.

Nothing here asks for a password, so they are shut until the operator says who may come
(C{allow_addresses}, looked at before a byte is read) or what is spoken cannot be read and
changed on the way (TLS from the first byte).
"""

from __future__ import annotations

from loopbackd.net.endpoint import split
from loopbackd.peer.networks import Networks
from loopbackd.settings import ServiceSettings, SettingsError

_LIST = 'allow_addresses = ["192.0.2.0/24"]'
_OPTION = "--allow-address 192.0.2.0/24"
_TLS = "a tls table ([service.tls]) on a protocol other than auto"


def networksOf(settings: ServiceSettings) -> Networks | None:
    """
    The networks that may connect; L{None} for all of them.

    @raise SettingsError: one is none, or the service has no addresses to look at.
    """
    asked = settings.allow_addresses
    if not asked:
        return None
    where = f"service {settings.name!r}: allow_addresses"
    if settings.endpoint.startswith(("unix:", "stdio:")):
        raise SettingsError(
            f"{where}: who comes to {settings.endpoint!r} has no address; remove it (allow_uids"
            " says who may come to a unix socket)"
        )
    try:
        return Networks(asked)
    except ValueError as error:
        raise SettingsError(f"{where}: {error}") from None


def speaksOnlyTLS(settings: ServiceSettings) -> bool:
    """Whether nothing is heard or said without TLS; C{auto} answers those who do without, too."""
    if split(settings.endpoint)[0][1] == "ssl":
        return True
    return settings.tls is not None and settings.protocol != "auto"


def whyNot(settings: ServiceSettings, where: str, hasAddresses: bool = True) -> str:
    """
    Why a service may not listen where other machines can reach it, and what to do; else nothing.

    @param where: in words.
    @param hasAddresses: whether it would be seen from which machine somebody comes.
    """
    start = f"service {settings.name!r}: endpoint {settings.endpoint!r} listens on {where}"
    if not settings.allow_remote:
        isIPv6 = settings.endpoint.startswith("tcp6:")
        loopback = r"interface=\:\:1 (with its colons escaped)" if isIPv6 else "interface=127.0.0.1"
        return (
            f"{start}, which other machines can reach, and nothing here asks for a password; add"
            f" {loopback}, or if you mean it allow_remote = true with {_LIST} (--allow-remote"
            f" {_OPTION}), or with {_TLS}"
        )
    if speaksOnlyTLS(settings):
        return ""
    if not hasAddresses:
        return (
            f"{start}, and from which machine somebody comes cannot be seen there, so that"
            f" allow_remote = true needs {_TLS}"
        )
    if settings.allow_addresses:
        return ""
    isBoth = settings.tls is not None
    but = "; its tls table is not enough, since auto also answers without TLS" if isBoth else ""
    return (
        f"{start}, and allow_remote = true alone lets every machine speak to it in the"
        f" clear{but}: say who may come with {_LIST} ({_OPTION}), or have TLS from the first byte:"
        f" {_TLS}"
    )
