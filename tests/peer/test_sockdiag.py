"""Questions to bytes and bytes to rows, without a kernel."""

import contextlib
import errno
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.peer.sockdiag import (
    ADDRESSES,
    DiagError,
    Reply,
    SocketRow,
    TCPState,
    dumpRequest,
    exactRequest,
    parseReply,
    parseTable,
)


def message(body, kind=20, flags=0, sequence=7, length=None):
    """Frame a netlink message the way the kernel does."""
    size = 16 + len(body) if length is None else length
    return struct.pack("=IHHII", size, kind, flags, sequence, 0) + body + bytes(-len(body) % 4)


def row(
    family=socket.AF_INET,
    state=1,
    local="127.0.0.1",
    remote="127.0.0.1",
    attributes=b"",
    interface=0,
):
    """Make one C{inet_diag_msg} from port 4000 to port 80, uid 1000, inode 99."""
    return (
        struct.pack("=BBBB", family, state, 3, 0)
        + struct.pack(">HH", 4000, 80)
        + socket.inet_pton(family, local).ljust(16, b"\0")
        + socket.inet_pton(family, remote).ljust(16, b"\0")
        + struct.pack("=I", interface)
        + bytes(8)
        + struct.pack("=IIIII", 1500, 11, 22, 1000, 99)
        + attributes
    )


def test_exactRequestIsWhatTheKernelReads():
    """The question is 72 bytes: addresses in network order, no cookie, no dump."""
    asked = exactRequest(socket.AF_INET, ("127.0.0.1", 0x1234), ("127.0.0.2", 0x5678), 9)
    assert struct.unpack_from("=IHHII", asked) == (72, 20, 1, 9, 0)
    assert len(asked) == 72
    assert asked[16:18] == bytes([socket.AF_INET, socket.IPPROTO_TCP])
    assert asked[24:28] == b"\x12\x34\x56\x78"
    assert asked[28:32] == b"\x7f\0\0\x01"
    assert asked[44:48] == b"\x7f\0\0\x02"
    assert asked[-8:] == b"\xff" * 8


def test_dumpRequestSelectsStatesAndPort():
    """The states become a bit mask, and the port is passed on for the kernel to filter."""
    asked = dumpRequest(socket.AF_INET6, [TCPState.LISTEN, TCPState.ESTABLISHED], 9, 0x1234)
    assert struct.unpack_from("=IHHII", asked) == (72, 20, 0x301, 9, 0)
    assert struct.unpack_from("=I", asked, 20) == (1 << 10 | 1 << 1,)
    assert asked[24:28] == b"\x12\x34\0\0"


@pytest.mark.parametrize(
    "family, host, port, complaint",
    [
        (socket.AF_INET, "localhost", 80, "'localhost' is not an address"),
        (socket.AF_INET, "::1", 80, "'::1' is not an address"),
        (socket.AF_INET, "127.0.0.1\0", 80, "is not an address"),
        (socket.AF_INET, "127.0.0.1", 65536, "port 65536"),
        (socket.AF_INET, "127.0.0.1", -1, "port -1"),
    ],
)
def test_badAddressIsNamed(family, host, port, complaint):
    """What cannot be asked is a ValueError that names the wrong word."""
    with pytest.raises(ValueError, match=complaint):
        exactRequest(family, (host, port), ("127.0.0.1", 1), 1)


def test_rowIsRead():
    """A row comes out with its units: seconds, ports as numbers, hosts as text."""
    assert parseReply(message(row()), 7) == Reply(
        [
            SocketRow(
                TCPState.ESTABLISHED,
                ("127.0.0.1", 4000),
                ("127.0.0.1", 80),
                1000,
                99,
                1.5,
                received=11,
                unsent=22,
            )
        ],
        True,
    )


def test_mappedHostIsUnmapped():
    """A v4-mapped address reads as the IPv4 address it is, also in an IPv6 socket's row."""
    body = row(socket.AF_INET6, local="::ffff:127.0.0.1", remote="::1")
    (found,), _ = parseReply(message(body), 7)
    assert (found.local[0], found.remote[0]) == ("127.0.0.1", "::1")


def test_interfaceIsRead():
    """A socket that is bound to an interface says to which."""
    (found,), _ = parseReply(message(row(interface=3)), 7)
    assert found.interface == 3


@pytest.mark.parametrize("flag", [0, 1])
def test_v6onlyIsRead(flag):
    """A listening IPv6 socket says whether it leaves IPv4 alone."""
    other = struct.pack("=HHB3x", 5, 8, 0)
    wanted = struct.pack("=HHB3x", 5, 11, flag)
    body = row(socket.AF_INET6, TCPState.LISTEN, "::", "::", other + wanted)
    (found,), _ = parseReply(message(body), 7)
    assert found.v6only is bool(flag)


def test_cgroupIsRead():
    """A listener says in which control group it was made."""
    wanted = struct.pack("=HHQ", 12, 21, 4242)
    (found,), _ = parseReply(message(row(state=TCPState.LISTEN, attributes=wanted)), 7)
    assert found.cgroup == 4242


def test_dumpEndsWithDone():
    """Rows of a dump go on until the kernel says DONE."""
    part = message(row(), flags=2)
    assert not parseReply(part + part, 7).finished
    rows, finished = parseReply(part + message(bytes(4), kind=3, flags=2), 7)
    assert (len(rows), finished) == (1, True)


def test_staleAnswersAreLeftOut():
    """An answer to another question is neither a row nor the end, not even when it is an error."""
    stale = message(row(), sequence=6) + message(struct.pack("=i", -2), kind=2, sequence=6)
    assert parseReply(stale, 7) == Reply([], False)


def test_errorCarriesTheErrno():
    """The kernel's refusal is a DiagError with its number."""
    with pytest.raises(DiagError) as caught:
        parseReply(message(struct.pack("=i", -errno.ENOENT), kind=2), 7)
    assert caught.value.errno == errno.ENOENT


@pytest.mark.parametrize(
    "data, complaint",
    [
        (b"\0" * 15, "15 bytes of a header"),
        (message(row(), length=15), "message of 15 bytes"),
        (message(row(), length=5000), "message of 5000 bytes"),
        (message(row()[:-1]), "row of 71 bytes"),
        (message(row(state=99)), "unknown state 99"),
        (message(b"\x07" + row()[1:]), "unknown family 7"),
        (message(b"", kind=2), "error of 0 bytes"),
        (message(b"", kind=55), "unknown type 55"),
        (
            message(row(socket.AF_INET6, 10, "::", "::", struct.pack("=HH", 0, 11))),
            "attribute of 0 bytes",
        ),
    ],
)
def test_malformedAnswerIsNamed(data, complaint):
    """Bytes the kernel would not send are refused, saying what was wrong."""
    with pytest.raises(ValueError, match=complaint):
        parseReply(data, 7)


@given(st.binary(max_size=300))
def test_anyBytesAreReadOrRefused(data):
    """No bytes at all make the reader fail in another way."""
    with contextlib.suppress(ValueError, DiagError):
        assert isinstance(parseReply(data, 7), Reply)


@given(st.data())
def test_damagedAnswersAreReadOrRefused(data):
    """Neither does a real answer that was damaged or cut anywhere."""
    attributes = struct.pack("=HHB3x", 5, 11, 1)
    whole = message(row(socket.AF_INET6, 10, "::", "::1", attributes), flags=2) * 2
    damaged = bytearray(whole + message(bytes(4), kind=3))
    for _ in range(data.draw(st.integers(0, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ValueError, DiagError):
        parseReply(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]), 7)


@given(
    st.lists(st.tuples(st.sampled_from([1, 6, 10]), st.integers(0, 3), st.booleans()), max_size=6)
)
def test_tableIsWhatRepliesSay(sockets):
    """Row by row the same as C{parseReply}, a row that was there before being the very same."""
    data = b"".join(
        message(row(state=state, local=f"127.0.0.{host}"), flags=2, sequence=7 if mine else 8)
        for state, host, mine in sockets
    )
    end = message(struct.pack("=i", 0), kind=3, flags=2)
    found, again = {}, {}
    assert parseTable(data + end, 7, {}, found)
    assert not parseTable(data, 7, found, again)
    rows = parseReply(data, 7).rows
    assert set(found.values()) == set(rows)
    assert found == again
    assert all(found[key] is again[key] for key in found)
    assert len({key[ADDRESSES] for key in found}) == len({one.local for one in rows})


def test_tableSaysWhatIsWrong():
    """Errors and nonsense are told as by C{parseReply}."""
    with pytest.raises(DiagError):
        parseTable(message(struct.pack("=i", -errno.EPERM), kind=2), 7, {}, {})
    for data in (b"x", message(b"short", flags=2), message(row(), flags=2, length=500)):
        with pytest.raises(ValueError):
            parseTable(data, 7, {}, {})


@given(st.binary(max_size=300))
def test_tableOfAnyBytes(data):
    """Whatever the kernel says gives rows, or a ValueError or an OSError."""
    with contextlib.suppress(ValueError, OSError):
        parseTable(data, 7, {}, {})
