"""Tests for L{loopbackd.doctor.facts.hostsfile}."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.doctor.facts import files, hostsfile
from loopbackd.doctor.facts.hostsfile import Entry, HostsFile, isHere, lines, parseHosts, readHosts
from loopbackd.loglines import escape

LINES = st.lists(
    st.sampled_from(
        [
            b"127.0.0.1 localhost",
            b"::1 localhost ip6-localhost",
            b"0.0.0.0\tads.example # not here",
            b"# a comment",
            b"",
            b"127.1 short",
            b"10.0.0.1",
            b"\xff\xfe",
            b"fe80::1%lo zoned",
            b"127.0.0.1 a\0b",
        ]
    )
    | st.binary(max_size=40)
)


def test_lines_as_the_C_library_reads_them() -> None:
    """Addresses, names in lower case, comments; and where each stands."""
    found = parseHosts(
        b"# hosts\n127.0.0.1\tlocalhost  LOCALHOST.localdomain # b.test\n\n  ::1 localhost\n"
    )
    assert found.entries == (
        Entry(2, "127.0.0.1", ("localhost", "localhost.localdomain")),
        Entry(4, "::1", ("localhost",)),
    )
    assert (found.bad, found.returns, found.hasMark, found.notUTF8) == ((), 0, False, ())
    assert [one.line for one in found.entriesOf("LocalHost")] == [2, 4]
    assert found.entriesOf("b.test") == []
    assert found.entriesOf("localhost.") == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"127.1 a", "it does not begin with an address, but with 127.1"),
        (b"010.0.0.1 a", "it does not begin with an address, but with 010.0.0.1"),
        (b"a.test 127.0.0.1", "it does not begin with an address, but with a.test"),
        (b"10.0.0.1", "an address, and no name"),
        (b"fe80::1%lo0 localhost", "an address with a zone is not taken here"),
        (b"127.0.0.1 a\0b", "it has bytes that are zero"),
        (b"\x1b[2J x", "it does not begin with an address, but with \\x1b[2J"),
    ],
)
def test_lines_that_lead_nowhere(line: bytes, why: str) -> None:
    """Each is kept with the reason, safe to show."""
    (one,) = parseHosts(b"127.0.0.1 localhost\n" + line + b"\n").bad
    assert (one.line, one.why) == (2, why)
    assert str(one).isprintable()


def test_marks_and_line_ends() -> None:
    """A byte order mark spoils the first line; carriage returns are counted and spoil nothing."""
    marked = parseHosts(b"\xef\xbb\xbf127.0.0.1 localhost\r\n127.0.0.1 a.test\r\n")
    assert marked.hasMark and not marked.isUTF16
    assert [one.names for one in marked.entries] == [("a.test",)]
    assert marked.returns == 2
    assert "byte order mark" in marked.bad[0].why
    wide = parseHosts("127.0.0.1 localhost\n".encode("utf-16"))
    assert wide.isUTF16 and not wide.entries


def test_bytes_that_are_not_utf8() -> None:
    """Their lines are named, and lead where they lead."""
    found = parseHosts(b"127.0.0.1 a.test # caf\xe9\n127.0.0.1 caf\xe9.test\n# \xc3\xa9\n")
    assert found.notUTF8 == (1, 2)
    assert found.entriesOf("a.test") == [found.entries[0]]
    assert found.entries[1].names == ("caf\\xe9.test",)


@given(LINES, st.sampled_from([b"\n", b"\r\n"]), st.sampled_from([b"", b"\xef\xbb\xbf"]))
def test_any_text(parts: list[bytes], end: bytes, mark: bytes) -> None:
    """Every line is an entry, a bad one, or empty; and all that is shown is printable."""
    data = mark + end.join(parts)
    found = parseHosts(data)
    numbers = [one.line for one in found.entries] + [one.line for one in found.bad]
    assert len(numbers) == len(set(numbers))
    written = [n for n, raw in enumerate(data.split(b"\n"), 1) if raw.split(b"#")[0].split()]
    assert sorted(numbers) == written
    for shown in (*map(str, found.entries), *map(str, found.bad)):
        assert escape(shown) == shown and len(shown) < 400


def test_reading(tmp_path: Path) -> None:
    """With who owns it and who may what; what the system refuses is said, not raised."""
    path = tmp_path / "hosts"
    path.write_bytes(b"127.0.0.1 localhost\n")
    path.chmod(0o664)
    found = readHosts(str(path))
    assert (found.missing, found.mode, found.uid) == ("", 0o664, os.getuid())
    assert found.entriesOf("localhost")
    assert readHosts(str(tmp_path / "none")) == HostsFile(
        str(tmp_path / "none"), "No such file or directory"
    )
    assert readHosts("a\0b").missing
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert readHosts(str(pipe)).missing == "it is no regular file"
    assert readHosts(str(tmp_path)).missing


def test_a_large_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at up to the end of a line, and known how much more there is."""
    line = b"0.0.0.0 ads.example\n"
    path = tmp_path / "hosts"
    monkeypatch.setattr(hostsfile, "MOST", 3 * len(line) + 5)
    path.write_bytes(3 * line)
    whole = readHosts(str(path))
    assert not whole.isCut and len(whole.entries) == 3
    assert whole.lacksIt == f"{path} does not have it"
    path.write_bytes(4 * line)
    found = readHosts(str(path))
    assert found.isCut and (found.size, found.seen) == (4 * len(line), 3 * len(line))
    assert len(found.entries) == 3 and found.bad == ()
    assert found.lacksIt == f"{path} does not have it in its first {3 * len(line)} bytes"
    path.write_bytes(b"x" * 1000)
    one = readHosts(str(path))
    assert one.isCut and (one.size, one.seen, one.bad) == (1000, 0, ())


def test_what_only_looks_regular(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the kernel's that has nothing yet (/proc/kmsg) is not waited for."""

    class Waiting(BytesIO):
        def read(self, size: int | None = -1) -> Any:
            return None

    (tmp_path / "kmsg").touch()
    monkeypatch.setattr(files, "open", lambda *_, **__: Waiting(), raising=False)
    assert readHosts(str(tmp_path / "kmsg")).seen == 0


def test_helpers() -> None:
    """What is on this machine, and long lists cut short."""
    assert [isHere(one) for one in ("127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1")] == [
        True
    ] * 5
    assert not isHere("10.0.0.1") and not isHere("fe80::1")
    entries = [Entry(n, "10.0.0.1", ("x" * 300,)) for n in range(7)]
    shown = list(lines(entries, 2))
    assert len(shown) == 3 and shown[-1] == "and 5 more lines"
    assert all(len(one) < 100 for one in shown)
