"""How the peers write their JSON: as loopbackd does, or as most people would."""

import json
import sys
from collections.abc import Callable
from typing import Any

import msgspec

_encoder = msgspec.json.Encoder(order="sorted")


def _msgspec(value: Any) -> bytes:
    return msgspec.json.format(_encoder.encode(value), indent=2) + b"\n"


def _dumps(value: Any) -> bytes:
    return json.dumps(value, indent=2, sort_keys=True).encode("ascii") + b"\n"


shown: Callable[[Any], bytes] = _dumps if "--dumps" in sys.argv else _msgspec
"""Keys sorted, two spaces an indent, a line feed at the end."""
