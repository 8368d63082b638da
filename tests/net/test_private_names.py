"""The names of Twisted's that net/ reads and that Twisted does not promise."""

import inspect
import socket

from twisted.internet import _newtls, abstract, tcp, unix


def test_what_the_transports_read_is_there() -> None:
    """A transport still keeps its queue in these two fields, and these flags beside it."""
    source = inspect.getsource(abstract.FileDescriptor)
    for name in ("_tempDataBuffer", "_tempDataLen", "dataBuffer", "_writeDisconnected"):
        assert name in source
    assert tcp._AbortingMixin._aborting is False
    assert abstract.FileDescriptor._writeDisconnected is False
    assert callable(abstract.FileDescriptor._maybePauseProducer)
    assert tcp._SocketCloser._shouldShutdown is True
    assert tcp.Connection.TLS is False


def test_what_a_pump_takes_over_is_asked_for_by_name() -> None:
    """Reactors read and write by these two; the rest of a queue begins at its offset."""
    from twisted.internet import epollreactor, posixbase

    source = inspect.getsource(epollreactor) + inspect.getsource(posixbase)
    assert "selectable.doRead()" in source and "selectable.doWrite()" in source
    write = inspect.getsource(abstract.FileDescriptor.doWrite)
    assert "self.offset" in write and "self.producerPaused" in write
    assert abstract.FileDescriptor._writeDisconnecting is False
    assert abstract.FileDescriptor.bufferSize == 1 << 16


def test_tls_reaches_beneath_by_four_names() -> None:
    """startTLS takes a class and calls nothing of it but what _Beneath offers."""
    from loopbackd.net.eager import _Beneath

    called = set()
    for line in inspect.getsource(_newtls._BypassTLS).splitlines():
        if "self._base." in line:
            called.add(line.split("self._base.")[1].split("(")[0])
    assert called == {name for name in vars(_Beneath) if not name.startswith("__")}
    assert list(inspect.signature(_newtls.startTLS).parameters) == [
        "transport",
        "contextFactory",
        "normal",
        "bypass",
    ]


def test_transports_are_made_with_these_arguments() -> None:
    """Ports call their transport's class as they always did."""
    arguments = list(inspect.signature(tcp.Server.__init__).parameters)
    assert arguments == ["self", "sock", "protocol", "client", "server", "sessionno", "reactor"]
    assert list(inspect.signature(unix.Server.__init__).parameters) == arguments


def test_ports_build_addresses_and_adopt() -> None:
    """The private half of a port's and a connector's interface."""
    for port in (tcp.Port, unix.Port):
        assert callable(port._buildAddr)
        assert callable(port._fromListeningDescriptor)
    assert callable(tcp.Server._fromConnectedSocket)
    assert callable(unix.Server._fromConnectedSocket)
    assert callable(tcp.Connector._makeTransport)
    assert callable(unix.Connector._makeTransport)
    assert "self._bindPath" in inspect.getsource(unix.Port)
    assert "self._sendmsgQueue" in inspect.getsource(unix._SendmsgMixin)


def test_accepting_by_descriptor() -> None:
    """Python's own socket.accept is a shell around _accept."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        descriptor, address = server._accept()
        with socket.socket(fileno=descriptor):
            assert address == client.getsockname()
