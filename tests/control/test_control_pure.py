"""Bodies and addresses as Toxiproxy reads them; what needs no connection."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.control.addresses import AddressError, endpointFor, resolved, splitListen
from loopbackd.control.bodies import Members, checkName, firstValue
from loopbackd.hostport import joined
from loopbackd.http.errors import HTTPError
from loopbackd.loglines import escape
from loopbackd.net.endpoint import parse

KNOWN = frozenset(["name", "enabled"])

anyJSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # Half a surrogate pair is none of these; Python's own JSON writes it all the same.
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abN\u20ac"), inner),
    max_leaves=10,
)


@given(anyJSON, st.sampled_from([b"", b" ", b"}", b"[1", b"null", b"\n{}"]))
def test_one_value_is_read_and_what_follows_is_not(value: Any, after: bytes) -> None:
    """Whatever it is; a number alone could go on behind itself."""
    body = json.dumps([value]).encode()
    assert firstValue(b" \n" + body + after) == [value]


@given(st.binary(max_size=200) | anyJSON.map(lambda value: json.dumps(value).encode()[:-1]))
def test_whatever_comes_is_a_value_or_a_400(body: bytes) -> None:
    """Nothing else is raised, and the message is one line."""
    try:
        firstValue(body)
    except HTTPError as error:
        assert error.status == 400
        assert error.detail.startswith("bad request body: ")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "EOF"),
        (b" \n", "EOF"),
        (b"{", "unexpected EOF"),
        (b'{"a', "unexpected EOF"),
        (b'{"a": tru', "invalid character 't'"),
        (b"NaN", "NaN is no JSON"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b"[" * 100_000, "nested too deeply"),
        (b"1" * 10_000, "Exceeds the limit"),
    ],
)
def test_what_is_wrong_is_said(body: bytes, said: str) -> None:
    """In Toxiproxy's words where clients know them."""
    with pytest.raises(HTTPError) as caught:
        firstValue(body)
    assert said in caught.value.detail


def test_half_a_surrogate_pair_is_no_text() -> None:
    """It would not come back out."""
    assert firstValue(b'{"\\ud800": ["\\udfff"]}') == {"\ufffd": ["\ufffd"]}


def test_members() -> None:
    """In any case, the last one; null says nothing."""
    members = Members({"NAME": "a", "name": None, "Name": "b", "Other": 1}, KNOWN)
    assert members.text("name", "") == "b"
    assert members.truth("enabled", True) is True and "enabled" not in members
    assert members.unknown == ["Other"]
    assert "name" not in Members(None, KNOWN)


@pytest.mark.parametrize("value", [5, 1.5, True, [], {}])
def test_members_of_another_type(value: Any) -> None:
    """The member is named."""
    with pytest.raises(HTTPError, match="name is no string"):
        Members({"name": value}, KNOWN).text("name", "")
    if value is not True:
        with pytest.raises(HTTPError, match="enabled is no bool"):
            Members({"enabled": value}, KNOWN).truth("enabled", False)


@given(st.text())
def test_a_name_stays_on_its_line(name: str) -> None:
    """Or is refused."""
    try:
        assert escape(checkName(name)) == name
    except HTTPError as error:
        assert error.status == 400


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [
        ("", "127.0.0.1", 0),
        (":80", "127.0.0.1", 80),
        ("localhost:0", "localhost", 0),
        ("127.0.0.1:", "127.0.0.1", 0),
        ("127.0.0.1:65535", "127.0.0.1", 65535),
        ("[::1]:80", "::1", 80),
    ],
)
def test_addresses(listen: str, host: str, port: int) -> None:
    """Host and port."""
    assert splitListen(listen) == (host, port)


@pytest.mark.parametrize(
    ("listen", "said"),
    [
        ("x", "address x: missing port in address"),
        ("[::1]", "address [::1]: missing port in address"),
        ("[::1", "address [::1: missing ']' in address"),
        ("::1:80", "address ::1:80: too many colons in address"),
        ("127.0.0.1:99999", "address 99999: invalid port"),
        ("127.0.0.1:" + "9" * 5000, "invalid port"),
        ("127.0.0.1:http", "lookup tcp/http: unknown port"),
        ("127.0.0.1:\u0663", "unknown port"),
        ("example.com:80", "lookup example.com: no such host"),
    ],
)
def test_what_is_no_address(listen: str, said: str) -> None:
    """In Toxiproxy's words."""
    with pytest.raises(AddressError) as caught:
        resolved(splitListen(listen)[0])
    assert said in str(caught.value)


@given(st.text(max_size=40) | st.from_regex(r"[\[\]:0-9a-z.%]{0,30}", fullmatch=True))
def test_whatever_is_written_is_an_endpoint_or_an_error(listen: str) -> None:
    """An endpoint has the host and the port, and nothing else comes of it."""
    try:
        host, port = splitListen(listen)
        where = resolved(host)
    except AddressError:
        return
    endpoint = parse(endpointFor(where, port))
    assert (endpoint.host, endpoint.port) == (where, port)
    assert splitListen(joined(where, port)) == (where, port)
