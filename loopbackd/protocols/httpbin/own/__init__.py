"""
What this test service has and its peers do not.

Each module is one table of routes, which L{loopbackd.protocols.httpbin.site} finds at the root.
"""
