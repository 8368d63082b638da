"""Reading order is import order: a module imports only from what stands above it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "loopbackd"

# Whoever reads the package in this order meets nothing that was not explained before.
READING_ORDER = [
    "loopbackd",
    "loopbackd.iloopbackd",
    "loopbackd.explaining",
    "loopbackd.httpsettings",
    "loopbackd.targetsettings",
    "loopbackd.faultsettings",
    "loopbackd.relaysettings",
    "loopbackd.controlsettings",
    "loopbackd.watchsettings",
    "loopbackd.settings",
    "loopbackd.loglines",
    "loopbackd.logs",
    "loopbackd.hostport",
    "loopbackd.connection",
    "loopbackd.connections",
    "loopbackd.table",
    "loopbackd.net",
    "loopbackd.net.deadlines",
    "loopbackd.net.turns",
    "loopbackd.net.linger",
    "loopbackd.net.endpoint",
    "loopbackd.net.firstof",
    "loopbackd.net.interposing",
    "loopbackd.net.closing",
    "loopbackd.net.delivering",
    "loopbackd.net.eager",
    "loopbackd.net.transport",
    "loopbackd.net.ending",
    "loopbackd.net.pipes",
    "loopbackd.net.pump",
    "loopbackd.net.dial",
    "loopbackd.net.port",
    "loopbackd.net.reactor",
    "loopbackd.net.batch",
    "loopbackd.net.alarms",
    "loopbackd.peer",
    "loopbackd.peer.proc",
    "loopbackd.peer.process",
    "loopbackd.peer.unixtable",
    "loopbackd.peer.sockdiag",
    "loopbackd.peer.tcpinfo",
    "loopbackd.peer.netlink",
    "loopbackd.peer.identity",
    "loopbackd.peer.server",
    "loopbackd.peer.networks",
    "loopbackd.debuggers",
    "loopbackd.debuggers.debugger",
    "loopbackd.debuggers.jdwp",
    "loopbackd.debuggers.javascript",
    "loopbackd.debuggers.python",
    "loopbackd.debuggers.ruby",
    "loopbackd.debuggers.native",
    "loopbackd.debuggers.browsers",
    "loopbackd.debuggers.recognising",
    "loopbackd.faults",
    "loopbackd.faults.kind",
    "loopbackd.faults.bandwidth",
    "loopbackd.faults.latency",
    "loopbackd.faults.cut",
    "loopbackd.faults.loss",
    "loopbackd.faults.corrupt",
    "loopbackd.faults.duplicate",
    "loopbackd.faults.limitdata",
    "loopbackd.faults.noop",
    "loopbackd.faults.resetpeer",
    "loopbackd.faults.slicer",
    "loopbackd.faults.slowclose",
    "loopbackd.faults.timeout",
    "loopbackd.faults.slowopen",
    "loopbackd.faults.refuse",
    "loopbackd.faults.blackhole",
    "loopbackd.faults.kinds",
    "loopbackd.faults.describing",
    "loopbackd.faults.stage",
    "loopbackd.faults.link",
    "loopbackd.faults.line",
    "loopbackd.faults.wire",
    "loopbackd.faults.opening",
    "loopbackd.faults.matching",
    "loopbackd.faults.toxic",
    "loopbackd.faults.toxics",
    "loopbackd.faults.profiles",
    "loopbackd.tls",
    "loopbackd.tls.hello",
    "loopbackd.tls.certificates",
    "loopbackd.tls.files",
    "loopbackd.tls.directory",
    "loopbackd.tls.store",
    "loopbackd.rundirectory",
    "loopbackd.tls.trust",
    "loopbackd.tls.contexts",
    "loopbackd.tls.wrong",
    "loopbackd.tls.terminator",
    "loopbackd.tls.handshake",
    "loopbackd.tls.beneath",
    "loopbackd.tls.speaking",
    "loopbackd.tls.end",
    "loopbackd.tls.hearing",
    "loopbackd.tls.records",
    "loopbackd.tls.ahead",
    "loopbackd.tls.layer",
    "loopbackd.tls.facts",
    "loopbackd.tls.factory",
    "loopbackd.tls.targetpolicy",
    "loopbackd.tls.targeterrors",
    "loopbackd.tls.targethandshake",
    "loopbackd.tls.targetlayer",
    "loopbackd.tls.targetendpoint",
    "loopbackd.tls.credentials",
    "loopbackd.tls.targetstrings",
    "loopbackd.tls.targets",
    "loopbackd.http",
    "loopbackd.http.fields",
    "loopbackd.http.errors",
    "loopbackd.http.head",
    "loopbackd.http.messages",
    "loopbackd.http.hosts",
    "loopbackd.http.events",
    "loopbackd.http.browsers",
    "loopbackd.http.guarding",
    "loopbackd.http.pagetoken",
    "loopbackd.http.chunks",
    "loopbackd.http.parsing",
    "loopbackd.http.patience",
    "loopbackd.http.ranges",
    "loopbackd.http.validators",
    "loopbackd.http.negotiation",
    "loopbackd.http.codings",
    "loopbackd.http.endpoints",
    "loopbackd.http.routes",
    "loopbackd.http.mounts",
    "loopbackd.http.openapi",
    "loopbackd.http.documents",
    "loopbackd.http.bodies",
    "loopbackd.http.writing",
    "loopbackd.http.badevents",
    "loopbackd.http.sending",
    "loopbackd.http.holding",
    "loopbackd.http.lifetime",
    "loopbackd.http.receiving",
    "loopbackd.http.serving",
    "loopbackd.http.factory",
    "loopbackd.websocket",
    "loopbackd.websocket.frames",
    "loopbackd.websocket.deflate",
    "loopbackd.websocket.handshake",
    "loopbackd.websocket.quick",
    "loopbackd.websocket.inbound",
    "loopbackd.websocket.outbound",
    "loopbackd.websocket.keepalive",
    "loopbackd.websocket.connection",
    "loopbackd.websocket.sockets",
    "loopbackd.websocket.badframes",
    "loopbackd.websocket.badhandshakes",
    "loopbackd.websocket.conversations",
    "loopbackd.websocket.chat",
    "loopbackd.websocket.opening",
    "loopbackd.stubs",
    "loopbackd.stubs.asked",
    "loopbackd.stubs.wanted",
    "loopbackd.stubs.jsonvalues",
    "loopbackd.stubs.paths",
    "loopbackd.stubs.matching",
    "loopbackd.stubs.delays",
    "loopbackd.stubs.renderer",
    "loopbackd.stubs.rendering",
    "loopbackd.stubs.targets",
    "loopbackd.stubs.reaching",
    "loopbackd.stubs.passing",
    "loopbackd.stubs.forwarding",
    "loopbackd.stubs.resources",
    "loopbackd.stubs.answering",
    "loopbackd.stubs.table",
    "loopbackd.stubs.journal",
    "loopbackd.stubs.har",
    "loopbackd.stubs.curl",
    "loopbackd.stubs.reporting",
    "loopbackd.stubs.site",
    "loopbackd.stubs.building",
    "loopbackd.protocols",
    "loopbackd.protocols.oneshot",
    "loopbackd.protocols.lines",
    "loopbackd.protocols.crossing",
    "loopbackd.protocols.hello",
    "loopbackd.protocols.classic",
    "loopbackd.protocols.detect",
    "loopbackd.protocols.proxyheader",
    "loopbackd.protocols.registry",
    "loopbackd.protocols.http2",
    "loopbackd.protocols.refuse",
    "loopbackd.protocols.talk",
    "loopbackd.protocols.auto",
    "loopbackd.protocols.whois",
    "loopbackd.protocols.tripwire",
    "loopbackd.protocols.sinkhole",
    "loopbackd.protocols.sinkhole.rules",
    "loopbackd.protocols.sinkhole.answers",
    "loopbackd.protocols.sinkhole.asking",
    "loopbackd.protocols.sinkhole.encrypted",
    "loopbackd.protocols.sinkhole.site",
    "loopbackd.protocols.sinkhole.factory",
    "loopbackd.protocols.relay",
    "loopbackd.protocols.relay.machine",
    "loopbackd.protocols.relay.target",
    "loopbackd.protocols.relay.reaching",
    "loopbackd.protocols.relay.client",
    "loopbackd.protocols.relay.ahead",
    "loopbackd.protocols.relay.factory",
    "loopbackd.protocols.httpbin",
    "loopbackd.protocols.httpbin.schemas",
    "loopbackd.protocols.httpbin.listing",
    "loopbackd.protocols.httpbin.page",
    "loopbackd.protocols.httpbin.nesting",
    "loopbackd.protocols.httpbin.dialect",
    "loopbackd.protocols.httpbin.multipart",
    "loopbackd.protocols.httpbin.forms",
    "loopbackd.protocols.httpbin.inspecting",
    "loopbackd.protocols.httpbin.adjusting",
    "loopbackd.protocols.httpbin.legacy",
    "loopbackd.protocols.httpbin.statuses",
    "loopbackd.protocols.httpbin.timing",
    "loopbackd.protocols.httpbin.redirects",
    "loopbackd.protocols.httpbin.cookies",
    "loopbackd.protocols.httpbin.digest",
    "loopbackd.protocols.httpbin.auth",
    "loopbackd.protocols.httpbin.caching",
    "loopbackd.protocols.httpbin.dynamic",
    "loopbackd.protocols.httpbin.streaming",
    "loopbackd.protocols.httpbin.ranges",
    "loopbackd.protocols.httpbin.formats",
    "loopbackd.protocols.httpbin.images",
    "loopbackd.protocols.httpbin.own",
    "loopbackd.protocols.httpbin.own.raw",
    "loopbackd.protocols.httpbin.own.connecting",
    "loopbackd.protocols.httpbin.own.authority",
    "loopbackd.protocols.httpbin.own.compressing",
    "loopbackd.protocols.httpbin.own.crossorigin",
    "loopbackd.protocols.httpbin.own.badredirects",
    "loopbackd.protocols.httpbin.own.interim",
    "loopbackd.protocols.httpbin.own.retrying",
    "loopbackd.protocols.httpbin.own.websockets",
    "loopbackd.protocols.httpbin.own.eventstreams",
    "loopbackd.protocols.httpbin.broken",
    "loopbackd.protocols.httpbin.broken.breakage",
    "loopbackd.protocols.httpbin.broken.right",
    "loopbackd.protocols.httpbin.broken.ends",
    "loopbackd.protocols.httpbin.broken.lines",
    "loopbackd.protocols.httpbin.broken.fields",
    "loopbackd.protocols.httpbin.broken.lengths",
    "loopbackd.protocols.httpbin.broken.chunks",
    "loopbackd.protocols.httpbin.broken.codings",
    "loopbackd.protocols.httpbin.broken.interim",
    "loopbackd.protocols.httpbin.broken.slowness",
    "loopbackd.protocols.httpbin.broken.breakages",
    "loopbackd.protocols.httpbin.broken.breaking",
    "loopbackd.protocols.httpbin.go",
    "loopbackd.protocols.httpbin.go.values",
    "loopbackd.protocols.httpbin.go.dialect",
    "loopbackd.protocols.httpbin.go.bodies",
    "loopbackd.protocols.httpbin.go.inspecting",
    "loopbackd.protocols.httpbin.go.auth",
    "loopbackd.protocols.httpbin.go.statuses",
    "loopbackd.protocols.httpbin.go.redirects",
    "loopbackd.protocols.httpbin.go.contents",
    "loopbackd.protocols.httpbin.go.answers",
    "loopbackd.protocols.httpbin.go.data",
    "loopbackd.protocols.httpbin.go.slow",
    "loopbackd.protocols.httpbin.go.formats",
    "loopbackd.protocols.httpbin.go.table",
    "loopbackd.protocols.httpbin.index",
    "loopbackd.protocols.httpbin.site",
    "loopbackd.protocols.httpbin.factory",
    "loopbackd.doctor",
    "loopbackd.doctor.finding",
    "loopbackd.doctor.asked",
    "loopbackd.doctor.facts",
    "loopbackd.doctor.facts.files",
    "loopbackd.doctor.facts.program",
    "loopbackd.doctor.facts.binding",
    "loopbackd.doctor.facts.sockets",
    "loopbackd.doctor.facts.cgroups",
    "loopbackd.doctor.facts.executable",
    "loopbackd.doctor.facts.forwarders",
    "loopbackd.doctor.facts.socketunits",
    "loopbackd.doctor.facts.units",
    "loopbackd.doctor.facts.holder",
    "loopbackd.doctor.facts.keepers",
    "loopbackd.doctor.facts.names",
    "loopbackd.doctor.facts.attempt",
    "loopbackd.doctor.facts.hostsfile",
    "loopbackd.doctor.facts.nameservice",
    "loopbackd.doctor.facts.proxies",
    "loopbackd.doctor.facts.interface",
    "loopbackd.doctor.facts.packets",
    "loopbackd.doctor.facts.rules",
    "loopbackd.doctor.facts.nftvalues",
    "loopbackd.doctor.facts.nftables",
    "loopbackd.doctor.facts.iptables",
    "loopbackd.doctor.facts.firewall",
    "loopbackd.doctor.facts.ephemeral",
    "loopbackd.doctor.facts.occupancy",
    "loopbackd.doctor.facts.talk",
    "loopbackd.doctor.facts.served",
    "loopbackd.doctor.facts.judged",
    "loopbackd.doctor.facts.answer",
    "loopbackd.doctor.facts.running",
    "loopbackd.doctor.facts.jvms",
    "loopbackd.doctor.facts.debuggers",
    "loopbackd.doctor.facts.debugging",
    "loopbackd.doctor.facts.crashes",
    "loopbackd.doctor.facts.configured",
    "loopbackd.doctor.facts.launches",
    "loopbackd.doctor.facts.runconfigurations",
    "loopbackd.doctor.facts.project",
    "loopbackd.doctor.checks",
    "loopbackd.doctor.checks.listening",
    "loopbackd.doctor.checks.accepting",
    "loopbackd.doctor.checks.units",
    "loopbackd.doctor.checks.activation",
    "loopbackd.doctor.checks.hoststext",
    "loopbackd.doctor.checks.hostsfile",
    "loopbackd.doctor.checks.naming",
    "loopbackd.doctor.checks.proxies",
    "loopbackd.doctor.checks.holding",
    "loopbackd.doctor.checks.taken",
    "loopbackd.doctor.checks.handshake",
    "loopbackd.doctor.checks.certificatewords",
    "loopbackd.doctor.checks.trust",
    "loopbackd.doctor.checks.fitness",
    "loopbackd.doctor.checks.certificate",
    "loopbackd.doctor.checks.answer",
    "loopbackd.doctor.checks.interface",
    "loopbackd.doctor.checks.allowing",
    "loopbackd.doctor.checks.firewall",
    "loopbackd.doctor.checks.ephemeral",
    "loopbackd.doctor.checks.debuggers",
    "loopbackd.doctor.checks.disconnected",
    "loopbackd.doctor.checks.jvmoptions",
    "loopbackd.doctor.checks.projects",
    "loopbackd.doctor.busy",
    "loopbackd.doctor.debugged",
    "loopbackd.doctor.endable",
    "loopbackd.doctor.ending",
    "loopbackd.doctor.freeing",
    "loopbackd.doctor.ways",
    "loopbackd.watching",
    "loopbackd.watching.listeners",
    "loopbackd.watching.programs",
    "loopbackd.watching.counters",
    "loopbackd.watching.pace",
    "loopbackd.watching.connections",
    "loopbackd.watching.looking",
    "loopbackd.watching.scans",
    "loopbackd.watching.events",
    "loopbackd.watching.rules",
    "loopbackd.watching.usual",
    "loopbackd.watching.memory",
    "loopbackd.watching.judging",
    "loopbackd.watching.watch",
    "loopbackd.watching.looks",
    "loopbackd.watching.service",
    "loopbackd.share",
    "loopbackd.gate",
    "loopbackd.systemd",
    "loopbackd.exposed",
    "loopbackd.prepared",
    "loopbackd.live",
    "loopbackd.listener",
    "loopbackd.places",
    "loopbackd.service",
    "loopbackd.control",
    "loopbackd.control.bodies",
    "loopbackd.control.addresses",
    "loopbackd.control.visitors",
    "loopbackd.control.files",
    "loopbackd.control.notes",
    "loopbackd.control.defaults",
    "loopbackd.control.shapes",
    "loopbackd.control.toxics",
    "loopbackd.control.servicesettings",
    "loopbackd.control.proxies",
    "loopbackd.control.toxiproxy",
    "loopbackd.control.services",
    "loopbackd.control.servicetoxics",
    "loopbackd.control.serviceconnections",
    "loopbackd.control.stubbing",
    "loopbackd.control.watch",
    "loopbackd.control.catalogue",
    "loopbackd.control.tokens",
    "loopbackd.control.site",
    "loopbackd.control.socketplace",
    "loopbackd.control.listening",
    "loopbackd.testing",
    "loopbackd.expecting",
    "loopbackd.skeleton",
    "loopbackd.newpackage",
    "loopbackd.options",
    "loopbackd.tap",
    "loopbackd.controlclient",
    "loopbackd.doctor.facts.control",
    "loopbackd.doctor.facts.plugins",
    "loopbackd.doctor.facts.authority",
    "loopbackd.doctor.facts.daemon",
    "loopbackd.doctor.checks.plugins",
    "loopbackd.doctor.checks.authority",
    "loopbackd.doctor.checks.daemon",
    "loopbackd.doctor.speaking",
    "loopbackd.doctor.examination",
    "loopbackd.commands",
    "loopbackd.commands.authority",
    "loopbackd.commands.catalogue",
    "loopbackd.commands.output",
    "loopbackd.commands.asking",
    "loopbackd.commands.findings",
    "loopbackd.commands.doctor",
    "loopbackd.commands.portview",
    "loopbackd.commands.port",
    "loopbackd.commands.hosts",
    "loopbackd.commands.services",
    "loopbackd.commands.toxics",
    "loopbackd.commands.watchview",
    "loopbackd.commands.watch",
    "loopbackd.commands.completion",
    "loopbackd.commands.local",
    "loopbackd.cli",
]


def nameOf(path: Path) -> str:
    """The name of the module in a file."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {nameOf(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(node: ast.AST) -> Iterator[str]:
    """Every name imported at or below a node, except for the type checker alone."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        for child in node.orelse:
            yield from imported(child)
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: imports are absolute"
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from imported(child)


def importedModules(path: Path) -> set[str]:
    """Which modules of loopbackd a file imports."""
    found = set()
    for name in imported(ast.parse(path.read_text())):
        while name and name not in MODULES:
            name = name.rpartition(".")[0]
        found.add(name)
    return found - {""}


def test_every_module_has_its_place() -> None:
    """The order names every module, once, and none that is not there."""
    assert sorted(READING_ORDER) == sorted(MODULES)


def test_a_module_imports_only_from_above() -> None:
    """So there are no cycles."""
    wrong = [
        f"{module} imports {name}"
        for number, module in enumerate(READING_ORDER)
        for name in sorted(importedModules(MODULES[module]) - set(READING_ORDER[:number]))
    ]
    assert wrong == []


def test_names_are_imported_from_where_they_are() -> None:
    """No module passes on what another one has; twistd alone looks for two names in one place."""
    passing = [
        module
        for module, path in MODULES.items()
        if any(
            isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
            for node in ast.parse(path.read_text()).body
        )
    ]
    assert passing == ["loopbackd.tap"]


def test_only_tap_imports_the_reactor() -> None:
    """Everything else is given one."""
    importers = [
        module
        for module, path in MODULES.items()
        if "twisted.internet.reactor" in imported(ast.parse(path.read_text()))
    ]
    assert importers == ["loopbackd.tap"]


def test_the_test_service_is_imported_where_it_is_served() -> None:
    """It takes a tenth of a second and ten megabytes, which no echo needs."""
    said = "import sys, loopbackd.tap; print('loopbackd.protocols.httpbin' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, check=True)
    assert done.stdout == b"False\n"


def test_a_package_is_a_docstring() -> None:
    """Nothing happens in an __init__.py."""
    for path in PACKAGE.rglob("__init__.py"):
        (docstring,) = ast.parse(path.read_text()).body
        assert isinstance(docstring, ast.Expr), path


def test_the_plugin_imports_only_ServiceMaker() -> None:
    """Anything more is paid by every other plugin; a reactor would break `twistd -r`."""
    plugin = PACKAGE.parent / "twisted" / "plugins" / "loopbackd_plugin.py"
    names = list(imported(ast.parse(plugin.read_text())))
    assert names == ["twisted.application.service.ServiceMaker"]


def test_the_plugins_are_no_package_of_ours() -> None:
    """An __init__.py there would hide Twisted's own, or everybody else's plugins."""
    twisted = PACKAGE.parent / "twisted"
    assert not list(twisted.rglob("__init__.py"))
