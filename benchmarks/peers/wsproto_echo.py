"""A WebSocket echo of nothing but wsproto, on Twisted as it comes: ``wsproto_echo.py PORT``."""

import argparse
from typing import cast

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorCore
from twisted.internet.protocol import Factory, Protocol
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate


class Echo(Protocol):
    """Send back every message, whole."""

    def connectionMade(self) -> None:
        self.wire = WSConnection(ConnectionType.SERVER)
        self.parts: list[str | bytes] = []

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.wire.receive_data(data)
        for event in self.wire.events():
            answer = b""
            if isinstance(event, Request):
                answer = self.wire.send(AcceptConnection(extensions=[PerMessageDeflate()]))
            elif isinstance(event, TextMessage | BytesMessage):
                self.parts.append(event.data)
                if event.message_finished:
                    parts, self.parts = self.parts, []
                    whole = type(parts[0])().join(parts)  # type: ignore[arg-type]
                    answer = self.wire.send(type(event)(data=whole))  # type: ignore[arg-type]
            elif isinstance(event, Ping | CloseConnection):
                answer = self.wire.send(event.response())
            self.transport.write(answer)
            if isinstance(event, CloseConnection):
                self.transport.loseConnection()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    asked = parser.parse_args()
    endpoint = serverFromString(  # type: ignore[no-untyped-call]
        reactor, f"tcp:{asked.port}:interface=127.0.0.1"
    )
    endpoint.listen(Factory.forProtocol(Echo))
    cast(IReactorCore, reactor).run()


if __name__ == "__main__":
    main()
