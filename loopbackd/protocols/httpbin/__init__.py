"""
The HTTP test service whose URLs everyone knows: httpbin's at the root, go-httpbin's under C{/go},
and what neither has.

L{loopbackd.protocols.httpbin.dialect} has what all answers at the root have in common;
L{loopbackd.protocols.httpbin.site} puts the tables together.
"""
