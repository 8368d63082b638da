"""
The protocol that connects each client with a target and passes on what the two say.

L{machine} knows what follows from what, L{client} does it, and L{reaching} finds the way to a
L{target}.
"""
