"""A TLS layer towards a target, in memory; the target is pyOpenSSL or our own TLS layer."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from loopbackd.tls.certificates import BACKDATED, Credential, makeLeaf
from loopbackd.tls.contexts import Policy, serverContext
from loopbackd.tls.end import End, TLSEnd
from loopbackd.tls.layer import TLSLayer
from loopbackd.tls.store import wallClock
from loopbackd.tls.targetendpoint import TargetEndpoint
from loopbackd.tls.targetpolicy import TargetPolicy, targetContext
from loopbackd.tls.terminator import Terminator
from tls.cases import Beneath, Inside
from tls.ends import storeIn

NAME = "app.test"
TARGET = f"tls:{NAME}:443"
SECONDS = 10.0


class Memory:
    """An endpoint that leads to a transport in memory."""

    def __init__(self, beneath: Beneath) -> None:
        self.beneath = beneath
        self.layer: Any = None

    def connect(self, factory: Any) -> Deferred[Any]:
        factory.doStart()
        self.layer = factory.buildProtocol(None)
        self.layer.makeConnection(self.beneath)
        return succeed(self.layer)


class TargetCase:
    """
    An endpoint's one connection, and a target to be had by L{hello}, L{shake} and L{pump}.

    @ivar result: what came of it: the protocol or a failure.
    """

    def __init__(
        self,
        tmp_path: Path,
        inside: Any = None,
        *,
        name: str = NAME,
        shown: Credential | None = None,
        serves: Policy | None = None,
        **asked: Any,
    ) -> None:
        self.store = storeIn(tmp_path)
        root = self.store.root()
        self.clock = Clock()
        self.inside = Inside() if inside is None else inside
        self.beneath = Beneath()
        words = {"authorities": (root.certificate,), **asked}
        policy = TargetPolicy(name, **words)
        self.plain = Memory(self.beneath)
        endpoint = TargetEndpoint(
            self.plain,
            End(self.clock, SECONDS),
            lambda: targetContext(policy),
            policy,
            TARGET,
        )
        self.server = serverEnd(shown or leaf(root), serves)
        self.result: Any = None
        self.connecting = endpoint.connect(Giving(self.inside))
        self.connecting.addBoth(self._note)

    def _note(self, result: Any) -> None:
        self.result = result

    @property
    def layer(self) -> Any:
        return self.plain.layer

    @property
    def error(self) -> Any:
        """Why there is no TLS."""
        assert isinstance(self.result, Failure), self.result
        return self.result.value

    def pump(self) -> None:
        """Carry bytes both ways until there are none."""
        moved = True
        while moved:
            moved = False
            if self.beneath.value():
                self.server.bio_write(self.beneath.value())
                self.beneath.clear()
                moved = True
            with suppress(SSL.WantReadError):
                self.layer.dataReceived(self.server.bio_read(1 << 20))
                moved = True

    def shake(self) -> TargetCase:
        """Do the handshake."""
        for _ in range(4):
            self.pump()
            with suppress(SSL.WantReadError, SSL.Error):
                self.server.do_handshake()
        self.pump()
        return self

    def hear(self) -> bytes:
        """What the target got."""
        self.pump()
        try:
            return self.server.recv(1 << 20)
        except SSL.WantReadError:
            return b""


class Giving(Factory):
    """Gives a protocol away; counts its starts."""

    noisy = False

    def __init__(self, inside: Any) -> None:
        self.inside = inside

    def buildProtocol(self, addr: Any) -> Any:
        if isinstance(self.inside, Exception):
            raise self.inside
        return self.inside


def leaf(root: Credential, *names: str, **others: Any) -> Credential:
    """A certificate for the target."""
    return makeLeaf(root, names or (NAME,), wallClock() - BACKDATED, **others)


def serverEnd(credential: Credential, policy: Policy | None = None) -> SSL.Connection:
    """OpenSSL's end of a connection, as a server."""
    tls = SSL.Connection(serverContext(credential, policy or Policy()), None)
    tls.set_accept_state()
    return tls


class Joined:
    """
    Two layers of ours, one at each end, and the bytes between them.

    @ivar near: the protocol on our side, which connected; C{far}: the target's.
    """

    def __init__(self, tmp_path: Path, near: Any = None, far: Any = None, **serves: Any) -> None:
        store = storeIn(tmp_path)
        self.clock = Clock()
        self.near, self.far = near or Inside(), far or Inside()
        end = TLSEnd(Terminator(store, Policy(**serves)), self.clock)
        self.farLayer = TLSLayer(end, lambda _: self.far)
        self.farBeneath, self.nearBeneath = Beneath(), Beneath()
        self.farLayer.makeConnection(self.farBeneath)
        policy = TargetPolicy(NAME, authorities=(store.root().certificate,))
        self.plain = Memory(self.nearBeneath)
        context = targetContext(policy)
        endpoint = TargetEndpoint(
            self.plain, End(self.clock, SECONDS), lambda: context, policy, TARGET
        )
        self.connected = endpoint.connect(Giving(self.near))

    @property
    def nearLayer(self) -> Any:
        return self.plain.layer

    def carry(self, size: int) -> bool:
        """So many bytes of each side to the other; false if there are none."""
        moved = False
        for beneath, other in (
            (self.nearBeneath, self.farLayer),
            (self.farBeneath, self.nearLayer),
        ):
            data = beneath.value()
            if data:
                beneath.clear()
                beneath.io.write(data[size:])
                other.dataReceived(data[:size])
                moved = True
        return moved

    def settle(self, size: int = 1 << 20) -> Joined:
        """Carry until nothing is left."""
        while self.carry(size):
            pass
        return self
