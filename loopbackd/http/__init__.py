"""
The one HTTP/1.1 stack of the daemon (RFC 9110, 9112).

Read in this order:

- L{loopbackd.http.fields}, L{loopbackd.http.errors}: header fields, in the order and case they
  came, and what can be wrong with a request;
- L{loopbackd.http.head}, L{loopbackd.http.chunks}, L{loopbackd.http.parsing}: from bytes to
  requests, without I/O, refusing what could be read in two ways;
- L{loopbackd.http.messages}: a request as a handler has it, and the kinds of answer;
- L{loopbackd.http.endpoints}, L{loopbackd.http.routes}, L{loopbackd.http.mounts}: typed handlers
  by method and path; L{loopbackd.http.openapi} describes them to other programs;
- L{loopbackd.http.writing}, L{loopbackd.http.sending}: from answers to bytes;
- L{loopbackd.http.holding}: answers that go out together;
- L{loopbackd.http.lifetime}, L{loopbackd.http.receiving}, L{loopbackd.http.serving}: the Protocol
  that joins them: how a connection begins and ends, what comes on it, what goes;
- L{loopbackd.http.events}, L{loopbackd.http.badevents}: server-sent events, right and wrong.

WebSockets have a room of their own, L{loopbackd.websocket}.
"""
