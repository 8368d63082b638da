"""
What can be asked of the TLS towards a target: whom to trust, and what to say.

This is the schema alone; L{loopbackd.tls.targets} says what is wrong with a file or a pin.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Protocol = Annotated[str, msgspec.Meta(pattern=r"^[!-~]{1,255}$")]


class TargetTLSSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    How a target is spoken to where its endpoint begins with C{tls:}.

    @ivar trust: who may have signed its certificate: C{system}, C{own} for the local authority, or
        a PEM file (or a directory of them), relative to the configuration.
    @ivar pin: the SHA-256 of its public key (SubjectPublicKeyInfo) in hexadecimal or base64, with
        or without C{sha256:} before it; then whoever has that key is the target, and neither
        C{trust} nor the name nor the dates of its certificate matter.
    @ivar server_name: the name that is asked for (SNI) and must be in the certificate; empty for
        the host of the target, C{client} for the one that the client asked for, where it did and
        its TLS ends here.
    @ivar alpn: the application protocols to offer, the favourite first; empty for offering none;
        C{client} for those that the client offers where its TLS ends here, which is then given the
        one that the target has chosen.
    @ivar min_version: the oldest version: C{1.2} or C{1.3}.
    @ivar certificate: a PEM file with the certificate to show, and those between it and a root
        behind it, where the target asks for one; relative to the configuration.
    @ivar private_key: a PEM file with its key; empty where that is in C{certificate} as well.
    """

    trust: Annotated[str, msgspec.Meta(min_length=1)] = "system"
    pin: str = ""
    server_name: str = ""
    alpn: Literal["client"] | tuple[Protocol, ...] = "client"
    min_version: Literal["1.2", "1.3"] = "1.2"
    certificate: str = ""
    private_key: str = ""

    @property
    def hasFiles(self) -> bool:
        """Whether there are files to be read again at a reload."""
        return self.trust not in ("system", "own") or bool(self.certificate or self.private_key)
