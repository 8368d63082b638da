"""Tests for L{loopbackd.doctor.checks.hostsfile}: made facts, and made situations."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE, Popen

import pytest
from asuser import STRANGER, asUser
from mounted import mounted

from loopbackd.doctor.checks.hostsfile import checkHosts
from loopbackd.doctor.facts.hostsfile import HOSTS, HostsFile, parseHosts, readHosts
from loopbackd.doctor.facts.names import Resolved, resolve
from loopbackd.doctor.facts.nameservice import SWITCH, Switch, parseSwitch, readSwitch
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.net.endpoint import hasIPv6

DEBIAN = b"""\
127.0.0.1\tlocalhost
127.0.1.1\tbox.example.org\tbox

# The following lines are desirable for IPv6 capable hosts
::1     localhost ip6-localhost ip6-loopback
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
"""
DOCKER = b"""\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
172.17.0.2\tbox
172.18.0.5\tbox
"""
FEDORA = b"""\
127.0.0.1   localhost localhost.localdomain localhost4 localhost4.localdomain4
::1         localhost localhost.localdomain localhost6 localhost6.localdomain6
"""
BOTH = Resolved("localhost", ("::1", "127.0.0.1"))
V4 = Resolved("localhost", ("127.0.0.1",))
NOBODY = Resolved("localhost", error="Name or service not known")


def made(data: bytes, mode: int = 0o644, uid: int = 0, gid: int = 0) -> HostsFile:
    """A file of that text, with those permissions."""
    return HostsFile(**{**vars(parseHosts(data)), "mode": mode, "uid": uid, "gid": gid})


def found(
    file: HostsFile | bytes,
    localhost: Resolved | None = BOTH,
    switch: Switch | None = Switch(),  # noqa: B008
) -> dict[str, Severity]:
    """What is wrong, and how much."""
    file = made(file) if isinstance(file, bytes) else file
    return {
        one.kind: one.severity
        for one in checkHosts(file, switch, localhost, True, "box")
        if one.severity is not Severity.NOTE
    }


@pytest.mark.parametrize("data", [DEBIAN, DOCKER, FEDORA, b"127.0.0.1 localhost\n127.0.0.1 box\n"])
def test_healthy_files(data: bytes) -> None:
    """Debian's, Docker's, Fedora's, and the least there can be."""
    assert found(data) == {}
    assert found(data, None, None) == {}


def test_notes() -> None:
    """What is good to know and not wrong."""
    file = made(b"127.0.0.1 localhost\n0.0.0.0 ads.example\n127.0.0.1 app.test\n")
    kinds = {one.kind: one for one in checkHosts(file, Switch(), V4, True, "box")}
    assert list(kinds) == ["hosts-localhost-v4-only", "hosts-led-here"]
    assert kinds["hosts-led-here"].evidence[:2] == (
        "line 2: ads.example → 0.0.0.0",
        "line 3: app.test → 127.0.0.1",
    )
    many = made(b"127.0.0.1 localhost\n" + b"".join(b"0.0.0.0 a%d.example\n" % n for n in range(9)))
    (led,) = [
        one for one in checkHosts(many, Switch(), V4, False, "box") if one.kind == "hosts-led-here"
    ]
    assert "9 names" in led.says and "and 4 more" in led.evidence


@pytest.mark.parametrize(
    ("data", "localhost", "kinds"),
    [
        (b"10.0.0.1 localhost\n", V4, {"hosts-localhost-elsewhere": Severity.WARNING}),
        (b"10.0.0.1 localhost\n", NOBODY, {"hosts-localhost-elsewhere": Severity.PROBLEM}),
        (b"10.0.0.1 localhost\n", None, {"hosts-localhost-elsewhere": Severity.PROBLEM}),
        (b"0.0.0.0 localhost\n", V4, {"hosts-localhost-elsewhere": Severity.WARNING}),
        (DEBIAN, Resolved("localhost", ("10.0.0.1",)), {"localhost-elsewhere": Severity.PROBLEM}),
        (b"", NOBODY, {"hosts-localhost-missing": Severity.PROBLEM}),
        (b"", None, {"hosts-localhost-missing": Severity.PROBLEM}),
        (b"", V4, {}),
        (
            b"::1 localhost\n",
            Resolved("localhost", ("::1",)),
            {"hosts-localhost-missing": Severity.WARNING},
        ),
        (DEBIAN + b"10.0.0.1 a\n10.0.0.2 a\n", BOTH, {"hosts-duplicate": Severity.WARNING}),
        (DEBIAN + b"127.0.0.1 a\n10.0.0.2 a\n", BOTH, {"hosts-duplicate": Severity.WARNING}),
        (DEBIAN + b"127.0.0.1 a\n0.0.0.0 a\n127.0.0.1 a\n", BOTH, {}),
        (DEBIAN.replace(b"\n", b"\r\n"), BOTH, {"hosts-crlf": Severity.WARNING}),
        (b"\xef\xbb\xbf" + DEBIAN + DEBIAN, BOTH, {"hosts-mark": Severity.WARNING}),
        (DEBIAN.decode().encode("utf-16"), BOTH, {"hosts-utf16": Severity.PROBLEM}),
        (DEBIAN + b"nonsense\n", BOTH, {"hosts-unreadable-lines": Severity.WARNING}),
        (DEBIAN + b"# caf\xe9\n", BOTH, {"hosts-not-utf8": Severity.WARNING}),
    ],
)
def test_faults(data: bytes, localhost: Resolved | None, kinds: dict[str, Severity]) -> None:
    """Each is found, and weighed by whether anybody suffers from it."""
    assert found(data, localhost) == kinds


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        ("hosts: files mdns4_minimal [NOTFOUND=return] dns", []),
        ("hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns", []),
        ("hosts: dns files", ["hosts-asked-late"]),
        ("hosts: dns", ["hosts-not-asked"]),
    ],
)
def test_who_is_asked(line: str, kinds: list[str]) -> None:
    """A file that is not asked, or not first, leads nobody."""
    assert list(found(DEBIAN, switch=parseSwitch(line))) == kinds


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "kinds"),
    [
        (0o644, 0, 0, []),
        (0o755, 0, 0, []),
        (0o664, 0, 0, []),
        (0o644, 65534, 65534, []),
        (0o640, 0, 0, ["hosts-unreadable"]),
        (0o646, 0, 0, ["hosts-writable"]),
        (0o664, 0, 20, ["hosts-writable"]),
        (0o644, 1000, 0, ["hosts-writable"]),
    ],
)
def test_permissions(mode: int, uid: int, gid: int, kinds: list[str]) -> None:
    """Everybody must read it, and root alone write it; of a copy that does not matter."""
    file = made(DEBIAN, mode, uid, gid)
    assert list(found(file)) == kinds
    assert found(file, None, None) == {}


# Made for real.


def look() -> list[Finding]:
    """What is found here and now."""
    where = (readHosts(), readSwitch(), resolve("localhost"), hasIPv6(), socket.gethostname())
    return list(checkHosts(*where))


def wrong(findings: list[Finding]) -> dict[str, Severity]:
    """What of it is wrong."""
    return {one.kind: one.severity for one in findings if one.severity is not Severity.NOTE}


def test_this_machine_is_healthy() -> None:
    """Also for somebody else."""
    assert wrong(look()) == {}


@pytest.mark.usefixtures("needsRoot")
def test_this_machine_is_healthy_for_others() -> None:
    """Nobody needs root to look."""
    assert wrong(asUser(STRANGER, look)) == {}


@pytest.mark.usefixtures("needsRoot")
@pytest.mark.parametrize("data", [DEBIAN, DOCKER, FEDORA])
def test_healthy_files_in_place(tmp_path: Path, data: bytes) -> None:
    """The same with what getaddrinfo(3) says of them."""
    data = data.replace(b"box", socket.gethostname().encode())
    assert wrong(mounted(tmp_path, {HOSTS: data}, look)) == {}


@pytest.mark.usefixtures("needsRoot")
@pytest.mark.parametrize(
    ("data", "kinds"),
    [
        (b"192.0.2.7 localhost\n", {"hosts-localhost-elsewhere": Severity.PROBLEM}),
        (
            b"127.0.0.1 localhost\n192.0.2.7 localhost\n",
            {"hosts-localhost-elsewhere": Severity.PROBLEM},
        ),
        (b"127.0.0.1 box\n", {"hosts-localhost-missing": Severity.PROBLEM}),
        (b"::1 localhost\n", {"hosts-localhost-missing": Severity.WARNING}),
        (DEBIAN.replace(b"\n", b"\r\n"), {"hosts-crlf": Severity.WARNING}),
        (
            b"\xef\xbb\xbf127.0.0.1 localhost\n",
            {"hosts-mark": Severity.WARNING, "hosts-localhost-missing": Severity.PROBLEM},
        ),
        (DEBIAN.decode().encode("utf-16"), {"hosts-utf16": Severity.PROBLEM}),
        (
            DEBIAN + b"192.0.2.1 a.test\n192.0.2.2 a.test\n",
            {"hosts-duplicate": Severity.WARNING},
        ),
        (DEBIAN + b"127.1 a.test\n", {"hosts-unreadable-lines": Severity.WARNING}),
    ],
)
def test_a_file_in_the_place_of_the_systems(
    tmp_path: Path, data: bytes, kinds: dict[str, Severity]
) -> None:
    """getaddrinfo(3) answers wrongly, and is quoted."""
    nobodyElse = {HOSTS: data, SWITCH: b"hosts: files\n"}
    assert wrong(mounted(tmp_path, nobodyElse, look)) == kinds
    if "hosts-localhost-elsewhere" in kinds:
        (one,) = [
            one for one in mounted(tmp_path, nobodyElse, look) if one.kind.endswith("elsewhere")
        ]
        assert any(
            "getaddrinfo: localhost: " in line and "192.0.2.7" in line for line in one.evidence
        )


@pytest.mark.usefixtures("needsRoot")
def test_the_C_library_reads_it_as_we_do(tmp_path: Path) -> None:
    """Whatever the text, the addresses of a name are those of its lines."""
    data = (
        b"\xef\xbb\xbf127.0.0.1 marked.test\r\n127.0.0.2\tA.Test b.test\r\n"
        b" 127.0.0.3 c.test # d.test\n127.1 e.test\n010.0.0.1 f.test\nfe80::1%lo g.test\n"
        b"127.0.0.4 h\x00.test\n127.0.0.5 i.test.\n127.0.0.6\x0bj.test\n127.0.0.7 k.test"
    )
    names = [f"{letter}.test" for letter in "abcdefghijk"] + ["marked.test", "i.test."]
    nobodyElse = {HOSTS: data, SWITCH: b"hosts: files\n"}
    said = mounted(tmp_path, nobodyElse, lambda: [resolve(name).addresses for name in names])
    file = parseHosts(data)
    assert said == [tuple(one.address for one in file.entriesOf(name)) for name in names]


@pytest.mark.usefixtures("needsRoot")
def test_a_file_that_others_cannot_read(tmp_path: Path) -> None:
    """Root sees it in the mode; who may not read it sees that, too, and has no localhost."""
    tmp_path.chmod(0o755)
    files = {HOSTS: DEBIAN, SWITCH: b"hosts: files\n"}
    assert wrong(mounted(tmp_path, files, look, mode=0o600)) == {
        "hosts-unreadable": Severity.PROBLEM
    }
    stranger = mounted(tmp_path, files, lambda: asUser(STRANGER, look), mode=0o600)
    assert wrong(stranger) == {
        "hosts-unreadable": Severity.PROBLEM,
        "hosts-localhost-missing": Severity.PROBLEM,
    }


@pytest.mark.usefixtures("needsRoot")
def test_a_file_that_others_can_write(tmp_path: Path) -> None:
    """By its mode, or because it is theirs."""
    nobodyElse = {HOSTS: DEBIAN, SWITCH: b"hosts: files\n"}
    for mode, owner in ((0o666, 0), (0o644, STRANGER)):
        findings = mounted(tmp_path, nobodyElse, look, mode=mode, owner=owner)
        assert wrong(findings) == {"hosts-writable": Severity.WARNING}


NAME_SERVER = """
import socket, struct
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
print("ready", flush=True)
while True:
    asked, who = server.recvfrom(512)
    end = asked.index(0, 12) + 5
    isA = asked[end - 4 : end - 2] == b"\\0\\1"
    found = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\1\\0\\4" + socket.inet_aton("192.0.2.9")
    head = asked[:2] + struct.pack("!HHHHH", 0x8180, 1, int(isA), 0, 0)
    server.sendto(head + asked[12:end] + found * isA, who)
"""


def withNameServer() -> Iterator[None]:
    """A server of names in this network namespace, that leads all of them to 192.0.2.9."""
    with Popen([sys.executable, "-c", NAME_SERVER], stdout=PIPE) as server:
        assert server.stdout is not None and server.stdout.readline() == b"ready\n"
        try:
            yield
        finally:
            server.kill()


@pytest.mark.usefixtures("needsRoot")
def test_a_name_server_that_knows_localhost(tmp_path: Path, program: Callable[..., str]) -> None:
    """It is asked before the file, which is right."""
    program("ip")

    def lookThere() -> list[Finding]:
        for _ in withNameServer():
            return look()
        raise AssertionError

    files = {
        HOSTS: DEBIAN,
        SWITCH: b"hosts: dns files\n",
        "/etc/resolv.conf": b"nameserver 127.0.0.1\n",
    }
    assert wrong(mounted(tmp_path, files, lookThere, ownNetwork=True)) == {
        "hosts-asked-late": Severity.WARNING,
        "localhost-elsewhere": Severity.PROBLEM,
    }
