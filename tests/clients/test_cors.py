"""What Chromium makes of C{/cors/{policy}}, as a page of another origin."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from corspolicies import BROWSER
from programs import Program, Served

SCRIPT = """
const where = POLICIES_AT;
const can = async (policy, options) => {
  try { return (await (await fetch(where + policy, options)).json()).url !== undefined; }
  catch { return false; }
};
const run = async () => {
  const found = {};
  for (const policy of POLICIES) found[policy] = [
    await can(policy, {}),
    await can(policy, {credentials: "include"}),
    await can(policy, {method: "PUT", headers: {"X-Mine": "1"}}),
  ];
  const exposed = await fetch(where + "exposed");
  found.fields = [exposed.headers.get("X-Exposed"), exposed.headers.get("X-Hidden")];
  document.querySelector("pre").textContent = JSON.stringify(found);
};
run();
"""


@contextmanager
def elsewhere(page: bytes) -> Iterator[str]:
    """The address of a page of another origin; ours are sandboxed where a client writes them."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://localhost:{server.server_port}/"
        finally:
            server.shutdown()
            serving.join()


def test_chromium(
    program: Program, ran: Callable[..., Any], served: Served, tmp_path: Path
) -> None:
    """It reads and sends what the table says, and sees no field that was not exposed."""
    chromium = program("chromium", "chromium-browser", "google-chrome")
    at = f"http://127.0.0.1:{served.port}/cors/"
    script = SCRIPT.replace("POLICIES_AT", json.dumps(at))
    script = script.replace("POLICIES", json.dumps(list(BROWSER)))
    page = f"<!doctype html><title>page</title><pre></pre><script>{script}</script>"
    words = (
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--virtual-time-budget=60000", f"--user-data-dir={tmp_path}/profile", "--dump-dom"),
    )
    with elsewhere(page.encode()) as address:
        done = ran(chromium, *words, address)
    shown = re.search(rb"<pre>(.*?)</pre>", done.stdout, re.S)
    assert shown is not None and shown[1], done.stdout
    found = json.loads(shown[1])
    assert found.pop("fields") == ["seen", None]
    assert {policy: tuple(can) for policy, can in found.items()} == BROWSER
