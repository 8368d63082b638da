"""Services that are prepared, or cannot be, for tests of what is asked of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loopbackd.prepared import Prepared
from loopbackd.settings import ServiceSettings, SettingsError
from loopbackd.tls.store import AuthorityStore


def prepared(**keys: Any) -> Prepared:
    """One service, prepared."""
    return Prepared(ServiceSettings(**keys), Path("/"), AuthorityStore(Path("/nowhere")))


def refusal(**keys: Any) -> str:
    """Why a service cannot be had; always one line that names it."""
    with pytest.raises(SettingsError) as caught:
        prepared(name="it", **keys)
    message = str(caught.value)
    assert message.startswith("service 'it': ")
    assert len(message.splitlines()) == 1
    return message
