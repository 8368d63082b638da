"""
Answers that are wrong on purpose, each in one way.

L{loopbackd.protocols.httpbin.broken.breakage} says what a breakage is,
L{loopbackd.protocols.httpbin.broken.right} has what they break; then come families of them.
L{loopbackd.protocols.httpbin.broken.breakages} has them all by name.
"""
