"""
go-httpbin's dialect: the same service as httpbin, with other conventions.

L{loopbackd.protocols.httpbin.go.dialect} has what all its answers have in common,
L{loopbackd.protocols.httpbin.go.table} puts its tables together.
"""
