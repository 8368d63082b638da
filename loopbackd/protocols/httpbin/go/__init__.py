"""
go-httpbin's dialect: the same service as httpbin, with other conventions.

L{loopbackd.protocols.httpbin.go.dialect} has what all its answers have in common,
L{loopbackd.protocols.httpbin.go.table} puts its tables together.

What is not as there, on purpose:

- a seed gives the same bytes each time, but not those of Go's generator;
- absolute redirects and addresses that are shown keep the prefix, so one stays in the dialect;
- the parameters of a digest challenge are quoted, and the user's name is compared;
- C{Last-Modified} ends with C{GMT}, and HEAD has the length that GET would have;
- what browsers read differently than we do is no address for C{/redirect-to};
- fields that frame a message are shown by C{/response-headers}, but not sent;
- methods that no description can name get 405, but for C{/anything} and C{/dump/request}.
"""
