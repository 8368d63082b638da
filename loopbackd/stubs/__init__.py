"""
Answers of the user's own, in front of those the test service has, and what was asked.

Read in this order:

- L{loopbackd.stubs.asked}: a request as stubs and the journal look at it;
- L{loopbackd.stubs.wanted}, L{loopbackd.stubs.jsonvalues}, L{loopbackd.stubs.paths} and
  L{loopbackd.stubs.matching}: whether it is as wanted, and what is not;
- L{loopbackd.stubs.delays}, L{loopbackd.stubs.rendering} with L{loopbackd.stubs.renderer} in a
  process of its own, L{loopbackd.stubs.forwarding} and L{loopbackd.stubs.answering}: what it gets;
- L{loopbackd.stubs.table}: all stubs of a service, their turns and states;
- L{loopbackd.stubs.journal}, L{loopbackd.stubs.har}, L{loopbackd.stubs.curl}: what was asked;
- L{loopbackd.stubs.reporting}: the journal's own addresses;
- L{loopbackd.stubs.site}: all of it around a site.
"""
