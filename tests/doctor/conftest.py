"""The doctor, asked by whoever runs the tests and by somebody who may see less."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from asuser import STRANGER, asUser

from loopbackd.doctor.asked import Asked
from loopbackd.doctor.examination import examine
from loopbackd.doctor.finding import Finding


@pytest.fixture(params=["as who runs this", "as another user"])
def look(request: pytest.FixtureRequest) -> Callable[[str, int], list[Finding]]:
    """Examines an address, as somebody who may see all and as somebody who may not."""
    if request.param == "as who runs this":
        return lambda host, port: examine(Asked(host, port))
    request.getfixturevalue("needsRoot")
    return lambda host, port: asUser(STRANGER, lambda: examine(Asked(host, port)))
