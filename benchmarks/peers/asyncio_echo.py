"""An echo server and a greeter on asyncio, or on uvloop: ``asyncio_echo.py PORT echo``."""

import argparse
import asyncio
from typing import cast


class Echo(asyncio.Protocol):
    """Send back what comes; stop reading from a client that does not read."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()


class Hello(asyncio.Protocol):
    """Greet and close, as the article's server does."""

    def __init__(self, greeting: bytes) -> None:
        self.greeting = greeting

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.Transport, transport)  # uvloop's are not asyncio's by class
        stream.write(self.greeting)
        stream.close()


async def serve(port: int, job: str) -> None:
    """Listen on 127.0.0.1 for good."""
    greeting = f"Hello from 127.0.0.1:{port}!".encode()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        Echo if job == "echo" else lambda: Hello(greeting), "127.0.0.1", port
    )
    await server.serve_forever()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("job", choices=["echo", "hello"])
    parser.add_argument("--uvloop", action="store_true", help="run on uvloop's event loop")
    asked = parser.parse_args()
    if asked.uvloop:
        import uvloop

        uvloop.run(serve(asked.port, asked.job))
    else:
        asyncio.run(serve(asked.port, asked.job))


if __name__ == "__main__":
    main()
