"""The whole daemon, looked at by those who look for a living: sslscan and sslyze."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running import Running, service

from tls.ends import storeIn

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def port(daemon: Callable[..., Running], tmp_path: Path) -> int:
    """Of a daemon as it is without a configuration, but patient with slow beginners."""
    storeIn(tmp_path).root()
    (tmp_path / "it.toml").write_text(service("it", protocol="auto", more=_PATIENT))
    state = {"LOOPBACKD_STATE_DIR": str(tmp_path / "state")}
    return daemon("--config", str(tmp_path / "it.toml"), environ=state).port("it")


_PATIENT = "twin = false\n[service.options]\ngreeting_delay = 5\n"


def test_sslscan(port: int, program: Callable[..., str]) -> None:
    """TLS 1.2 and 1.3 alone, nothing weak, no compression, no renegotiation, no Heartbleed."""
    words = [program("sslscan"), "--no-colour", "--show-times", f"127.0.0.1:{port}"]
    said = subprocess.run(words, capture_output=True, text=True, timeout=150, check=True).stdout
    enabled = dict(re.findall(r"^(SSLv\d|TLSv1\.\d)\s+(enabled|disabled)$", said, re.M))
    assert enabled == {
        "SSLv2": "disabled",
        "SSLv3": "disabled",
        "TLSv1.0": "disabled",
        "TLSv1.1": "disabled",
        "TLSv1.2": "enabled",
        "TLSv1.3": "enabled",
    }
    assert "Session renegotiation not supported" in said
    accepted = re.findall(r"^(?:Preferred|Accepted)\s+TLSv1\.[23]\s+\d+ bits\s+(\S+)", said, re.M)
    assert accepted and all(re.match(r"(TLS_|ECDHE-ECDSA-)", one) for one in accepted), accepted


def test_sslyze(port: int, tmp_path: Path, missing: Callable[[str], Any]) -> None:
    """No deviation from Mozilla's intermediate profile."""
    try:
        import sslyze  # noqa: F401
    except ImportError:
        missing("sslyze is not installed")
    report = tmp_path / "report.json"
    words = [
        sys.executable,
        "-m",
        "sslyze",
        "--mozilla_config=intermediate",
        f"--json_out={report}",
    ]
    words.append(f"--certinfo_ca_file={storeIn(tmp_path).publicPath}")
    ran = subprocess.run([*words, f"127.0.0.1:{port}"], capture_output=True, text=True, timeout=150)
    said = ran.stdout + ran.stderr
    assert "OK - Compliant" in said, said
    assert ran.returncode == 0, said
    (server,) = json.loads(report.read_text())["server_scan_results"]
    results = server["scan_result"]
    assert not results["session_renegotiation"]["result"][
        "is_vulnerable_to_client_renegotiation_dos"
    ]
    assert not results["tls_compression"]["result"]["supports_compression"]
