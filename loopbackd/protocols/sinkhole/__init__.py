"""
Answers for names that are led to this machine (by the hosts file, say), and who asked for them.

C{rules} and C{answers} are pure; C{asking} is what is known of one who asks; C{encrypted} and
C{site} hear TLS and HTTP; C{factory} puts them behind L{loopbackd.protocols.auto}.
"""
