"""
The one HTTP/1.1 stack of the daemon (RFC 9110, 9112).

Read in this order:

- L{loopbackd.http.fields}: header fields, in the order and case they came;
- L{loopbackd.http.messages}: a request, and the kinds of answer;
- L{loopbackd.http.head}, L{loopbackd.http.chunks}, L{loopbackd.http.parsing}: from bytes to
  requests, without I/O, refusing what could be read in two ways;
- L{loopbackd.http.writing}: from answers to bytes;
- L{loopbackd.http.routes}: typed handlers by method and path;
- L{loopbackd.http.serving}: the Protocol that joins them.
"""
