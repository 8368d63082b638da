"""
Faults on request: toxics, and the wire they are on.

A toxic is one fault on one direction of a connection (a link). What its L{kind} does is a pure
function of what comes and when; the L{link} alone holds bytes, keeps the time and gives back what
it holds. A L{toxic} belongs to a service, which has all of its L{toxics}.
"""
