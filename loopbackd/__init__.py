"""
loopbackd is the other end of every local connection.

The nouns:

- a **service** is a named *endpoint* (a Twisted endpoint string) with a *protocol*;
- a **connection** is one accepted stream and the facts about it;
- its **peer** is who is at the other end: an address and, on this machine, uid, pid and command;
- a **relay** is the protocol that connects each client with a **target**, a real server;
- **upstream** is what clients send, **downstream** what they get; each is a **link** once it has a
  **toxic**, which is one fault on it;
- the **control** is the HTTP API that changes all this while the daemon runs.

The path of a byte::

     endpoint string        tcp:62893:interface=127.0.0.1
          | listen
     net/  transport        writes at once when it can, counts what passes
          | accept
     gate                   who is there; may they come in; is there room
          |
     faults                 the wire with its toxics, where there are any
          |
     tls                    ends TLS, where there is any; each direction ends by itself
          |
     protocol               auto | hello | echo | ... | relay -> target | the user's own

Without toxics and TLS there is nothing between the transport and the protocol: what the gate let
in, it leaves alone.
"""
