"""What the rules of nftables compare, and with what (libnftables-json(5))."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any, Final

from loopbackd.doctor.facts.rules import NEVER, UNKNOWN, Condition, Flags, Pattern

Sets = dict[str, Any]
"""The elements of named sets and maps of a table."""

_MOST: Final = 1 << 32
_PORTS: Final = frozenset({"sport", "dport"})
_ADDRESSES: Final = frozenset({"saddr", "daddr"})
_HEADERS: Final = {"ip": "ipv4", "ip6": "ipv6"}
_META: Final = {
    "iifname": "iif",
    "iif": "iif",
    "oifname": "oif",
    "oif": "oif",
    "iiftype": "iiftype",
    "oiftype": "oiftype",
    "l4proto": "protocol",
    "nfproto": "family",
    "protocol": "ethertype",
    "skuid": "uid",
}
_OTHERS: Final = frozenset(
    {"udp", "udplite", "icmp", "icmpv6", "igmp", "sctp", "dccp", "ah", "esp", "comp", "arp"}
)


def condition(left: Any, right: Any, op: str, sets: Sets) -> Condition:
    """
    What a C{match} asks.

    @raise ValueError: and others: it is written in another way than is known.
    """
    if isinstance(left, dict) and "&" in left:
        return _masked(left["&"], right, op)
    if op in ("<", "<=", ">", ">=") and isinstance(right, int):
        low, high = {
            "<": (0, right),
            "<=": (0, right + 1),
            ">": (right + 1, _MOST),
            ">=": (right, _MOST),
        }[op]
        return conditionOfKey(left, ((range(low, high),),))
    if op not in ("==", "!=", "in"):
        return UNKNOWN
    elements = setOf(right, sets)
    return conditionOfKey(left, listed(elements), op == "!=")


def conditionOfKey(
    left: Any, patterns: tuple[tuple[Pattern, ...], ...], isNot: bool = False
) -> Condition:
    """What a rule asks of a value, or of several at once."""
    parts = left["concat"] if isinstance(left, dict) and "concat" in left else [left]
    names = [_name(one) for one in parts]
    if "other" in names:
        # A packet of TCP has no such field, so that nothing is true of it.
        return NEVER
    if not all(names):
        return UNKNOWN
    found = Condition(tuple(names), patterns, isNot)
    return _ofHeader(parts, found)


def setOf(right: Any, sets: Sets) -> list[Any]:
    """The elements of a set, named or not; of a single value, itself."""
    if isinstance(right, str) and right.startswith("@"):
        right = sets.get(right[1:], [None])
    if isinstance(right, dict) and "set" in right:
        right = right["set"]
    return right if isinstance(right, list) else [right]


def listed(elements: list[Any]) -> tuple[tuple[Pattern, ...], ...]:
    """The elements of a set, each as patterns for the parts of the key."""
    return tuple(_element(one) for one in elements)


def _element(one: Any) -> tuple[Pattern, ...]:
    if isinstance(one, dict) and "elem" in one:
        one = one["elem"]["val"]
    parts = one["concat"] if isinstance(one, dict) and "concat" in one else [one]
    return tuple(_pattern(part) for part in parts)


def _pattern(value: Any) -> Pattern:
    if isinstance(value, dict) and "range" in value:
        low, high = value["range"]
        if isinstance(low, int) and isinstance(high, int):
            return range(low, high + 1)
        return None
    if isinstance(value, dict) and "prefix" in value:
        return ip_network(f"{value['prefix']['addr']}/{value['prefix']['len']}", strict=False)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return value


def _name(left: Any) -> str:
    """Of the fact that is asked for; C{other} for one that TCP does not have."""
    if not isinstance(left, dict):
        return ""
    payload, meta = left.get("payload") or {}, left.get("meta") or {}
    ct, fib = left.get("ct") or {}, left.get("fib") or {}
    protocol, what = payload.get("protocol"), payload.get("field")
    if protocol in _OTHERS:
        return "other"
    if protocol in ("tcp", "th") and what in _PORTS:
        return str(what)
    if protocol in _HEADERS:
        return str(what) if what in _ADDRESSES else _isProtocol(what)
    if fib.get("result") == "type":
        return {"saddr": "stype", "daddr": "dtype"}.get("".join(fib.get("flags", [])), "")
    if ct.get("key") in ("state", "direction"):
        return str(ct["key"])
    return _META.get(str(meta.get("key")), "")


def _isProtocol(what: Any) -> str:
    return "protocol" if what in ("protocol", "nexthdr") else ""


def _ofHeader(parts: list[Any], found: Condition) -> Condition:
    """The fields of one version's header are asked of its packets alone."""
    for part in parts:
        payload = part.get("payload") or {}
        header = _HEADERS.get(str(payload.get("protocol")))
        if header is not None and not found.isNot:
            names = (*found.names, "family")
            return Condition(names, tuple((*one, header) for one in found.patterns))
    return found


def _masked(sides: list[Any], right: Any, op: str) -> Condition:
    """Flags of TCP, of which some must be set, and some not."""
    field, mask = sides
    payload = field.get("payload") or {}
    if (payload.get("protocol"), payload.get("field")) != ("tcp", "flags") or op not in (
        "==",
        "!=",
    ):
        return UNKNOWN
    wanted = frozenset() if right == 0 else _flags(right)
    return Condition(("flags",), ((Flags(_flags(mask), wanted),),), op == "!=")


def _flags(value: Any) -> frozenset[str]:
    if isinstance(value, dict) and "|" in value:
        value = value["|"]
    words = [value] if isinstance(value, str) else value
    found: frozenset[str] = frozenset()
    for one in words:
        found |= frozenset({one}) if isinstance(one, str) else _flags(one)
    return found
