"""What can be asked of the control API: C{[control]}."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

OFF: Final = "off"
AUTO: Final = "auto"
DEFAULT_CONTROL: Final = "tcp:8474:interface=127.0.0.1"

_NAME: Final = r"^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\Z"


class ControlSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    The control API.

    @ivar endpoint: a Twisted server endpoint string of this machine's, or C{off}.
    @ivar twin: also claim the same port on C{[::1]} where the endpoint is on C{127.0.0.1}.
    @ivar socket: the path of a Unix socket that it is asked on as well, C{auto} for one in the
        runtime directory (see L{loopbackd.rundirectory.runDirectories}), or C{off}.
    @ivar names: hosts by which it is asked besides C{localhost} and the addresses of this machine:
        those of a hosts file, or of a container's.
    @ivar uids: the uids or user names that may use it besides root and the daemon's own.
    @ivar allow_remote: services that are added through it may listen where other machines can
        reach them; the API itself never does.
    @ivar allow_addresses: the machines that may connect to those, where the service itself neither
        says which nor speaks TLS from the first byte.
    @ivar max_body: bytes of a request's body.
    @ivar max_head: bytes of a request's head.
    @ivar timeout: seconds until a request begins, also behind another, then for all of it, and then
        to take its answer, each.
    @ivar max_connections: how many may be open at once; of those that were let in to nothing, the
        oldest then makes room.
    @ivar max_services: how many services may be added through it.
    """

    endpoint: Annotated[str, msgspec.Meta(min_length=1)] = DEFAULT_CONTROL
    twin: bool = True
    socket: Annotated[str, msgspec.Meta(min_length=1)] = AUTO
    names: tuple[Annotated[str, msgspec.Meta(pattern=_NAME, max_length=253)], ...] = ()
    uids: tuple[Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)] | str, ...] = ()
    allow_remote: bool = False
    allow_addresses: tuple[Annotated[str, msgspec.Meta(min_length=1)], ...] = ()
    max_body: Annotated[int, msgspec.Meta(ge=1024, le=1 << 26)] = 1 << 20
    max_head: Annotated[int, msgspec.Meta(ge=1024, le=1 << 20)] = 16384
    timeout: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 10.0
    max_connections: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 256
    max_services: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 1000

    @property
    def isOn(self) -> bool:
        """Whether there is one."""
        return self.endpoint != OFF
