"""Units and containers, by the path of a control group."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from asuser import inChild
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.doctor.facts.cgroups import Belonging, belongingOf, groupIn, groupWith, rootIn
from loopbackd.doctor.facts.sockets import sockets
from loopbackd.peer.netlink import SocketDiag

ID = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("group", "wanted"),
    [
        ("/", Belonging()),
        ("/init.scope", Belonging()),
        ("/system.slice/nginx.service", Belonging("nginx.service")),
        ("/system.slice/cups.socket", Belonging("cups.socket")),
        # No unit's name, and no word for a command that somebody is told to run.
        ("/user.slice/user@1000.service/x; reboot #.service", Belonging()),
        ("/user.slice/user@1000.service/--root=.service", Belonging()),
        ("/user.slice/user-1000.slice/session-2.scope", Belonging("session-2.scope")),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-code-1.scope",
            Belonging("app-code-1.scope", True),
        ),
        (f"/system.slice/docker-{ID}.scope", Belonging(container="docker 0123456789ab")),
        (f"/docker/{ID}", Belonging(container="docker 0123456789ab")),
        (
            f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope",
            Belonging(container="podman 0123456789ab"),
        ),
        (
            f"/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope",
            Belonging(container="containerd 0123456789ab"),
        ),
        (f"/kubepods/besteffort/pod1/{ID}", Belonging(container="kubernetes 0123456789ab")),
        ("/lxc.payload.web", Belonging(container="lxc web")),
    ],
)
def test_paths(group: str, wanted: Belonging) -> None:
    """As systemd, Docker, Podman and Kubernetes write them."""
    assert belongingOf(group) == wanted


@given(st.text())
def test_any_path(group: str) -> None:
    """Nobody knows what is in a path."""
    belongingOf(group)


def test_both_versions() -> None:
    """The one that says more counts."""
    assert groupIn("0::/system.slice/a.service\n") == "/system.slice/a.service"
    assert groupIn("3:cpu:/x\n1:name=systemd:/system.slice/a.service\n0::/\n") == (
        "/system.slice/a.service"
    )
    assert groupIn("1:name=systemd:/a.service\n") == "/a.service"
    assert groupIn("") == ""


def test_a_group_by_its_inode(tmp_path: Path) -> None:
    """As a socket names it."""
    (tmp_path / "system.slice" / "a.service").mkdir(parents=True)
    inode = os.stat(tmp_path / "system.slice" / "a.service").st_ino
    assert groupWith(inode, str(tmp_path)) == "/system.slice/a.service"
    assert groupWith(1, str(tmp_path)) == ""


@pytest.mark.parametrize(
    ("mounts", "wanted"),
    [
        ("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", "/sys/fs/cgroup"),
        (
            "cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0\n"
            "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n",
            "/sys/fs/cgroup/unified",
        ),
        ("cgroup2 /a\\040b cgroup2 rw 0 0\n", "/a b"),
        ("cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\nnonsense\n", ""),
    ],
)
def test_where_version_2_is(mounts: str, wanted: str) -> None:
    """The other hierarchies have the same inodes, and other groups."""
    assert rootIn(mounts) == wanted


def test_the_group_of_a_real_socket(missing: Callable[[str], object], needsRoot: None) -> None:
    """The kernel tells in which group a socket was made, and the path of that is found."""
    with open("/proc/self/mounts") as file:
        root = rootIn(file.read())
    if not root or not os.access(f"{root}/cgroup.procs", os.W_OK):
        missing("no cgroups of version 2 that could be written to")
    group = Path(root) / f"loopbackd-{os.getpid()}" / "sound.service"
    group.mkdir(parents=True)
    try:

        def listening() -> int:
            (group / "cgroup.procs").write_text(str(os.getpid()))
            with socket.create_server(("127.0.0.1", 0)) as server:
                (row,) = sockets(SocketDiag(), server.getsockname()[1]).listeners
                return row.cgroup

        path = groupWith(inChild(lambda: None, listening))
        assert path.endswith(f"/loopbackd-{os.getpid()}/sound.service")
        assert belongingOf(path) == Belonging("sound.service")
    finally:
        group.rmdir()
        group.parent.rmdir()
