"""
Faults on request: toxics, and the wire they are on.

A toxic is one fault on one direction of a connection (a link). What it does is a pure function of
what comes and when; the L{Link} alone holds bytes, keeps the time and gives back what it holds.
"""
