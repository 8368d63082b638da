"""
WebSockets (RFC 6455, 7692): what an application talks on, and what is beneath.

Read in this order:

- L{loopbackd.websocket.handshake}, L{loopbackd.websocket.opening}: from a request to a connection;
- L{loopbackd.websocket.frames}, L{loopbackd.websocket.deflate}, L{loopbackd.websocket.inbound},
  L{loopbackd.websocket.quick}: frames, without I/O;
- L{loopbackd.websocket.keepalive}, L{loopbackd.websocket.connection}: the Protocol;
- L{loopbackd.websocket.sockets}: the same for coroutines;
- L{loopbackd.websocket.conversations}, L{loopbackd.websocket.chat}: what is talked here;
- L{loopbackd.websocket.badframes}, L{loopbackd.websocket.badhandshakes}: wrong on purpose.
"""
