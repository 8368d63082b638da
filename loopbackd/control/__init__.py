"""
The control API: services, toxics and stubs, listed and changed while the daemon runs.

Toxiproxy's routes (C{/proxies}, C{/reset}, C{/populate}) for its clients, and our own beside them.
"""
