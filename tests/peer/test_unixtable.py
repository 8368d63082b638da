"""The lines of C{/proc/net/unix}."""

from hypothesis import given
from hypothesis import strategies as st

from loopbackd.peer.unixtable import UnixRow, parseUnixTable

TABLE = b"""\
Num       RefCount Protocol Flags    Type St Inode Path
00000000b75459c1: 00000003 00000000 00000000 0001 03  1059
00000000aaaaaaaa: 00000002 00000000 00010000 0001 01 22222 /run/with space.sock
00000000bbbbbbbb: 00000002 00000000 00000000 0001 01     7 relative.sock
00000000cccccccc: 00000003 00000000 00000000 0001 03 33333 /run/accepted.sock
00000000dddddddd: 00000002 00000000 00010000 0001 01 44444 @abstract
"""


def test_rows():
    """Sockets with a path are read, whatever the path; those without are left out."""
    assert parseUnixTable(TABLE) == [
        UnixRow(b"/run/with space.sock", 22222, True, False),
        UnixRow(b"relative.sock", 7, False, False),
        UnixRow(b"/run/accepted.sock", 33333, False, True),
        UnixRow(b"@abstract", 44444, True, False),
    ]


@given(st.binary())
def test_anyBytesAreRead(table):
    """Lines of any other shape are skipped."""
    assert isinstance(parseUnixTable(table), list)
