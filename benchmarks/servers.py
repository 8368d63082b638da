"""The servers that are compared: how each is started."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from starting import BUILD, HERE, Server

BIN = Path(sys.executable).parent
TWISTD = str(BIN / "twistd")
TWISTD_LOOPBACKD = [
    *(TWISTD, "-n", "--pidfile=", "--logger=loopbackd.logs.observer"),
    *("loopbackd", "--control", "off"),
]


def peer(script: str, *options: str) -> Callable[[int, str], list[str]]:
    """The command of a Python peer in ``peers/``."""
    return lambda port, job: [
        sys.executable,
        str(HERE / "peers" / script),
        str(port),
        job,
        *options,
    ]


def loopbackdCommand(port: int, job: str) -> list[str]:
    """``twistd`` with loopbackd, speaking the job's protocol on the port."""
    return [
        *TWISTD_LOOPBACKD,
        "--listen",
        f"tcp:{port}:interface=127.0.0.1",
        "--protocol",
        job,
        "--no-twin",
    ]


def portforwardCommand(port: int, job: str) -> list[str]:
    """``twistd`` with the relay that comes with Twisted; it never gets to connect to its target."""
    listen = f"tcp:{port}:interface=127.0.0.1"
    return [TWISTD, "-n", "--pidfile=", "portforward", "-p", listen, "-h", "127.0.0.1", "-d", "9"]


def socatCommand(port: int, job: str) -> list[str]:
    """``socat`` with a process per connection: a pipe for echo, a file to send for hello."""
    listen = f"TCP-LISTEN:{port},reuseaddr,fork,nodelay,bind=127.0.0.1"
    if job == "echo":
        return ["socat", listen, "PIPE"]
    return ["socat", "-U", listen, "OPEN:greeting,rdonly"]


def greetingFile(directory: Path, port: int) -> None:
    """What socat sends."""
    (directory / "greeting").write_text(f"Hello from 127.0.0.1:{port}!")


def loopbackdTLSFiles(directory: Path, port: int) -> None:
    """The test service under TLS from the first byte."""
    (directory / "tls.toml").write_text(
        f'[[service]]\nname = "https"\nendpoint = "tcp:{port}:interface=127.0.0.1"\n'
        'protocol = "http"\ntwin = false\n[service.tls]\n'
    )


def nginxFiles(directory: Path, port: int) -> None:
    """One worker, which has a certificate of the same kind, from the same sort of authority."""
    environ = {**os.environ, "LOOPBACKD_STATE_DIR": str(directory)}
    for words in (["create"], ["issue", "localhost"]):
        command = [str(BIN / "loopbackd"), "ca", *words]
        subprocess.run(command, cwd=directory, env=environ, check=True, capture_output=True)
    places = "".join(
        f"{kind}_temp_path {kind}; "
        for kind in ("proxy", "fastcgi", "uwsgi", "scgi", "client_body")
    )
    user = "user root; " if os.geteuid() == 0 else ""
    (directory / "nginx.conf").write_text(
        f"daemon off; {user}worker_processes 1; pid nginx.pid; error_log stderr;\n"
        "events { worker_connections 1024; }\n"
        f"http {{ access_log off; {places}\n"
        f"server {{ listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.2 TLSv1.3;\n"
        "ssl_certificate localhost.crt; ssl_certificate_key localhost.key;\n"
        f'location /get {{ default_type application/json; return 200 "{"x" * 160}"; }} }} }}\n'
    )


def gunicornCommand(port: int, job: str) -> list[str]:
    """httpbin as its readers run it: gunicorn with two workers, with threads for keep-alive."""
    bind = f"127.0.0.1:{port}"
    words = ["-w", "2", "-k", "gthread", "--threads", "4", "--log-level", "warning"]
    return [str(BIN / "gunicorn"), *words, "-b", bind, "httpbin:app"]


def lacksModule(*names: str) -> Callable[[], str | None]:
    """What to say when one of these Python modules is not installed."""

    def lacks() -> str | None:
        missing = [name for name in names if not importlib.util.find_spec(name)]
        return f"{missing[0]} is not installed" if missing else None

    return lacks


def lacksProgram(name: str) -> Callable[[], str | None]:
    """What to say when a program is not on the path."""
    return lambda: None if shutil.which(name) else f"{name} is not installed"


LOOPBACKD = Server("loopbackd", loopbackdCommand, lacksModule("loopbackd"))
EPOLL = Server(
    "C, one epoll loop",
    lambda port, job: [str(BUILD / "epoll"), str(port), job],
    lacksProgram("cc"),
)
UVLOOP = Server("uvloop", peer("asyncio_echo.py", "--uvloop"), lacksModule("uvloop"))
ASYNCIO = Server("asyncio", peer("asyncio_echo.py"))
STOCK = Server("stock Twisted", peer("stock_twisted.py"))
BLOCKING = Server("blocking loop, listen(5)", peer("blocking_hello.py"))
SOCAT = Server(
    "socat, fork", socatCommand, lacksProgram("socat"), processesStay=False, files=greetingFile
)
PORTFORWARD = Server("twistd portforward", portforwardCommand)

HTTPBIN = Server(
    "httpbin, gunicorn, 2 workers",
    gunicornCommand,
    lacksModule("httpbin", "gunicorn"),
    isPinned=False,
)
TWISTED_WEB = Server("twisted.web, fixed body", peer("twisted_web.py"))
AIOHTTP = Server("aiohttp", peer("aiohttp_get.py"), lacksModule("aiohttp"))
UVICORN = Server(
    "uvicorn, httptools, uvloop", peer("uvicorn_get.py"), lacksModule("uvicorn", "uvloop")
)
AIOHTTP_DUMPS = Server(
    "aiohttp, json.dumps", peer("aiohttp_get.py", "--dumps"), lacksModule("aiohttp")
)
UVICORN_DUMPS = Server(
    "uvicorn, json.dumps", peer("uvicorn_get.py", "--dumps"), lacksModule("uvicorn", "uvloop")
)

LOOPBACKD_SOCKET = Server(
    "loopbackd", lambda port, job: loopbackdCommand(port, "http"), lacksModule("loopbackd")
)
WSPROTO = Server(
    "bare wsproto on Twisted",
    lambda port, job: [sys.executable, str(HERE / "peers" / "wsproto_echo.py"), str(port)],
    lacksModule("wsproto"),
)
LOOPBACKD_TLS = Server(
    "loopbackd",
    lambda port, job: [*TWISTD_LOOPBACKD, "--config", "tls.toml"],
    lacksModule("loopbackd"),
    files=loopbackdTLSFiles,
)
NGINX = Server(
    "nginx, 1 worker",
    lambda port, job: ["nginx", "-p", ".", "-c", "nginx.conf", "-e", "stderr"],
    lacksProgram("nginx"),
    files=nginxFiles,
)
