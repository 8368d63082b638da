"""
Which programs can be debugged over a port, and where, by their command lines and variables.

One module for each family of languages, all pure; L{loopbackd.debuggers.recognising} asks them.
"""
