"""An echo server and a greeter on Twisted as it comes: ``stock_twisted.py PORT echo``."""

import argparse
from typing import cast

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IConsumer, IPushProducer, IReactorCore
from twisted.internet.protocol import Factory, Protocol


class Echo(Protocol):
    """Send back what comes; stop reading from a client that does not read."""

    def connectionMade(self) -> None:
        assert self.transport is not None
        cast(IConsumer, self.transport).registerProducer(cast(IPushProducer, self.transport), True)

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class Hello(Protocol):
    """Greet and close, as the article's server does."""

    greeting = b""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self.greeting)
        self.transport.loseConnection()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("job", choices=["echo", "hello"])
    asked = parser.parse_args()
    Hello.greeting = f"Hello from 127.0.0.1:{asked.port}!".encode()
    endpoint = serverFromString(  # type: ignore[no-untyped-call]
        reactor, f"tcp:{asked.port}:interface=127.0.0.1"
    )
    endpoint.listen(Factory.forProtocol(Echo if asked.job == "echo" else Hello))
    cast(IReactorCore, reactor).run()


if __name__ == "__main__":
    main()
