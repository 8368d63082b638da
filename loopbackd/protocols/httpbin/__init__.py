"""
The HTTP test service whose URLs everyone knows: httpbin's at the root, go-httpbin's under C{/go},
and what neither has.

httpbin's dialect is in this folder, go-httpbin's in L{loopbackd.protocols.httpbin.go}, what neither
has in L{loopbackd.protocols.httpbin.own}, and what is broken on purpose in
L{loopbackd.protocols.httpbin.broken}.  L{loopbackd.protocols.httpbin.dialect} has what all answers
at the root have in common; L{loopbackd.protocols.httpbin.site} puts the tables together.
"""
