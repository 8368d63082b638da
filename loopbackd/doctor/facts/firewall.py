"""Reading whatever firewall there is."""

from __future__ import annotations

import os
import shutil
from typing import Final

from loopbackd.doctor.facts.iptables import iptables
from loopbackd.doctor.facts.nftables import nftables
from loopbackd.doctor.facts.rules import Rules

_PROGRAMS: Final = ("nft", "iptables", "ufw", "firewall-cmd")


def firewall(host: str, port: int) -> Rules:
    """The rules that concern a port of this machine, or why they cannot be read."""
    programs = frozenset(one for one in _PROGRAMS if shutil.which(one))
    if os.geteuid() != 0:
        return Rules((), programs, "only root may read the firewall's rules")
    return Rules((*nftables(host, port), *iptables(host, port)), programs)
