"""Reading whatever firewall there is: in bounded time, and as root alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from loopbackd.doctor.facts.files import textOf
from loopbackd.doctor.facts.iptables import parseSaved
from loopbackd.doctor.facts.nftables import parseRuleset, worded
from loopbackd.doctor.facts.program import Said, said, whereIs
from loopbackd.doctor.facts.rules import Chain, Rules

_LEGACY: Final = {4: "/proc/net/ip_tables_names", 6: "/proc/net/ip6_tables_names"}
_UFW: Final = "/etc/ufw/ufw.conf"
_NFT: Final = ("nft", "-j", "list", "ruleset")
_TERSE: Final = ("nft", "-j", "-t", "list", "ruleset")
_WORDS: Final = ("nft", "-a", "-t", "list", "ruleset")
_UFW_STATUS: Final = ("ufw", "status")
_FIREWALLD: Final = ("firewall-cmd", "--state")
_NOTHING: Final = Said()
_BESIDE: Final = frozenset({_TERSE, _WORDS, _UFW_STATUS, _FIREWALLD})
"""What may fail without a word about it: others say the same, or they are not in use."""

_PROGRAMS: Final = ("nft", "iptables")


def firewall(host: str) -> Rules:
    """
    The rules for packets of that IP address's version, or why they cannot be read.

    Never raises; takes about as long as the slowest program, at most two seconds.
    """
    if os.geteuid() != 0:
        return Rules((), _asFarAsSeen(), "only root may read the firewall's rules")
    version = 6 if ":" in host else 4
    saves = _saves(version)
    answers = _ask([_NFT, _TERSE, _WORDS, _UFW_STATUS, _FIREWALLD, *((name,) for name in saves)])
    failed = [
        f"{' '.join(command)}: {one.failed}"
        for command, one in answers.items()
        if one.failed and command not in _BESIDE
    ]
    chains: list[Chain] = []
    instead: set[str] = set()
    for name, program in saves.items():
        found = parseSaved(answers[(name,)].text, program) if (name,) in answers else []
        chains += found
        if "legacy" not in name:
            tables = {one.table for one in found if _isWhole(answers[(name,)].text, one.table)}
            instead |= {f"{'ip6' if version == 6 else 'ip'} {table}" for table in tables}
    try:
        ofNft = _ofNft(answers, version)
    except ValueError as error:
        ofNft = []
        failed.append(f"nft: {error}")
    chains += [one for one in ofNft if one.table not in instead]
    inUse = {one.program.partition("-")[0] for one in chains} | _managers(answers)
    if failed:
        inUse |= _installed()
    return Rules(tuple(chains), frozenset(inUse), failed=tuple(failed))


def sourceTo(host: str, port: int) -> str:
    """The address that a connection to there comes from; the other end's where none is known."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((host, port))
            return str(sock.getsockname()[0]).partition("%")[0]
        except OSError:
            return host.partition("%")[0]


def _ask(commands: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], Said]:
    """What each of those that are installed says, all at once."""
    there = [one for one in dict.fromkeys(commands) if whereIs(one[0])]
    with ThreadPoolExecutor(max(1, len(there))) as pool:
        return dict(zip(there, pool.map(said, there), strict=True))


def _saves(version: int) -> dict[str, str]:
    """What prints the rules of iptables, each with what changes them."""
    name = "ip6tables" if version == 6 else "iptables"
    isLegacy = "legacy" in os.path.basename(os.path.realpath(whereIs(name) or name))
    found = {}
    if textOf(_LEGACY[version]).strip():
        # Without the names in that file there is nothing, and asking would load modules.
        found[f"{name}-legacy-save"] = name if isLegacy else f"{name}-legacy"
    if whereIs(f"{name}-nft-save"):
        found[f"{name}-nft-save"] = f"{name}-nft" if isLegacy else name
    elif not isLegacy:
        found[f"{name}-save"] = name
    return found


def _isWhole(text: str, table: str) -> bool:
    """Whether iptables understands all of a table, where nftables has it, too."""
    return f"`{table}'" not in "".join(one for one in text.splitlines() if one.startswith("#"))


def _ofNft(answers: Mapping[tuple[str, ...], Said], version: int) -> list[Chain]:
    whole, terse = answers.get(_NFT, _NOTHING), answers.get(_TERSE, _NOTHING)
    hasElements = not whole.failed
    # Sets of a hundred thousand addresses take nft its time; rules do not.
    said = whole if hasElements else terse
    if said.failed or not said.text:
        return []
    words = answers.get(_WORDS, _NOTHING).text
    return worded(parseRuleset(said.text, version, hasElements), words)


def _managers(answers: Mapping[tuple[str, ...], Said]) -> set[str]:
    """Those that write the rules for their users."""
    found = set()
    if _UFW_STATUS in answers and "Status: active" in answers[_UFW_STATUS].text:
        found.add("ufw")
    if _FIREWALLD in answers and answers[_FIREWALLD].text.strip() == "running":
        found.add("firewalld")
    return found


def _installed() -> set[str]:
    return {one for one in _PROGRAMS if whereIs(one)}


def _asFarAsSeen() -> frozenset[str]:
    """What there is, as far as everybody may know."""
    found = _installed() | _managers(_ask([_FIREWALLD]))
    if any(line.strip().lower() == "enabled=yes" for line in textOf(_UFW).splitlines()):
        found.add("ufw")
    return frozenset(found)
