"""The description of the control API, checked by itself and against a running daemon."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_twisted
from controlled import running
from openapi_spec_validator import validate
from running import HERE, Running, service
from test_contract import checked

from loopbackd.control import shapes
from loopbackd.control.toxiproxy import VERSION


@pytest_twisted.ensureDeferred
async def test_it_is_valid_and_has_all_routes() -> None:
    """OpenAPI 3.1, with each path and method once, and bodies described."""
    async with running() as api:
        document = await api.get("/openapi.json")
        validate(document)
        assert document["openapi"].startswith("3.1")
        paths = document["paths"]
        for endpoint in api.control.site.routes.endpoints:
            for method in endpoint.methods:
                assert method.lower() in paths[endpoint.template], endpoint
                operation = paths[endpoint.template][method.lower()]
                assert operation["summary"]
                if endpoint.accepts is not None:
                    content = operation["requestBody"]["content"]
                    assert content["application/json"]["schema"]
        schemas = document["components"]["schemas"]
        assert {"Proxy", "ProxyToxic", "Service", "Toxic"} <= schemas.keys()


@pytest_twisted.ensureDeferred
async def test_answers_are_as_described() -> None:
    """Each converts to the struct that its description is made of."""
    async with running() as api:
        upstream = "127.0.0.1:1"
        made = await api.post("/proxies", {"name": "p", "upstream": upstream}, 201)
        assert msgspec.convert(made, shapes.Proxy).upstream == upstream
        for path, kind in [
            ("/version", shapes.Version),
            ("/services", shapes.Services),
            ("/services/p/toxics", shapes.Toxics),
            ("/services/p/connections", shapes.Connections),
            ("/toxics", shapes.ToxicKinds),
            ("/profiles", shapes.ProfileKinds),
        ]:
            msgspec.convert(await api.get(path), kind)
        assert (await api.get("/version"))["version"] == VERSION


@pytest.mark.load
@pytest.mark.timeout(600)
def test_schemathesis(
    tmp_path: Path, missing: Callable[[str], Any], daemon: Callable[..., Running]
) -> None:
    """Whatever Schemathesis can think of is answered as described, and logs no failure."""
    if find_spec("schemathesis") is None:
        missing("schemathesis is not installed: pip install 'loopbackd[contract]'")
    seconds = 45 if os.environ.get("CI") == "true" else 20
    config = tmp_path / "it.toml"
    config.write_text(
        "drain = 0\n"
        + service("echo", HERE, "echo", "twin = false")
        + service("web", HERE, "http", "twin = false")
    )
    running = daemon("--config", str(config), "--control", HERE)
    port = int(running.says(r"control: on 127\.0\.0\.1:(\d+)")[1])
    checked(tmp_path, ("127.0.0.1", port), seconds)
    running.stop()
