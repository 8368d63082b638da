"""Tests for L{loopbackd.websocket.frames}."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection

from loopbackd.websocket.frames import BINARY, FINAL, closeFrame, frame, mayBeSent


def heard(data: bytes) -> list[object]:
    """What a client makes of it."""
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(data)
    return list(client.events())


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70000])
def test_every_length_is_written_in_the_fewest_bytes(size: int) -> None:
    """A client that insists on it hears the payload."""
    assert heard(frame(FINAL | BINARY, b"x" * size)) == [
        BytesMessage(data=b"x" * size, frame_finished=True, message_finished=True)
    ]


def test_close_without_a_code() -> None:
    """Is heard as 1005."""
    (event,) = heard(closeFrame(None))
    assert isinstance(event, CloseConnection)
    assert event.code == 1005


@given(st.integers(-5, 70000), st.text(max_size=200))
def test_what_is_refused_and_what_arrives(code: int, reason: str) -> None:
    """A close frame arrives as it was meant, or is not made."""
    try:
        data = closeFrame(code, reason)
    except ValueError:
        assert not mayBeSent(code) or len(reason.encode()) > 123
        return
    (event,) = heard(data)
    assert isinstance(event, CloseConnection)
    # wsproto does not know that one, which is in IANA's registry.
    if code != 1014:
        assert (int(event.code), event.reason) == (code, reason)


def test_a_reason_needs_a_code() -> None:
    """There is no place for it without."""
    with pytest.raises(ValueError, match="without a code"):
        closeFrame(None, "why")
