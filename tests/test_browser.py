"""The index page in a real browser, against the real daemon."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from running import HERE, Running

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

Daemon = Callable[..., Running]

CONTRAST = """
() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = channels(color).map((c) => {
      c /= 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if ((channels(color)[3] ?? 1) > 0) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const poor = [];
  for (const element of document.body.querySelectorAll("*")) {
    const hasText = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!hasText || !element.checkVisibility() || element.disabled) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) poor.push(`${element.outerHTML.slice(0, 80)}: ${contrast.toFixed(2)}`);
  }
  return poor;
}
"""
"""Whatever text has less contrast with what is behind it than 4.5 (WCAG 2.2, 1.4.3)."""


class Seen:
    """
    A page, and what happened on it that should not have.

    @ivar complaints: what the browser's console says.
    @ivar asked: the address of every request.
    """

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.asked: list[str] = []
        page.set_default_timeout(15_000)
        page.on("console", lambda said: self.complaints.append(f"{said.text} {said.location}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("websocket", lambda socket: self.asked.append(socket.url))

    def shows(self, selector: str, text: str) -> None:
        """Wait until an element has that text."""
        found = self.page.locator(selector).filter(has_text=text)
        found.first.wait_for(state="visible")


@pytest.fixture
def visited(chromium: Callable[..., Any], daemon: Daemon) -> Iterator[Callable[..., Any]]:
    """Open the index page; the parameters are those of a browser's context."""
    # Not auto, which greets a client that on a busy machine has its first word after 0.1 s.
    running = daemon("--listen", HERE, "--protocol", "http")
    host, port = running.address("http")

    @contextmanager
    def open(**options: Any) -> Iterator[Seen]:
        base = f"http://{host}:{port}"
        with chromium(args=FLAGS, **options) as context:
            seen = Seen(context.new_page())
            seen.page.goto(f"{base}/")
            yield seen
            assert seen.complaints == []
            assert {url.partition("://")[2].partition("/")[0] for url in seen.asked} == {
                f"{host}:{port}"
            }

    yield open
    running.stop()


def test_form(visited: Callable[..., Any]) -> None:
    """A request is sent as the form says, and its answer shown; by keyboard alone, too."""
    with visited() as seen:
        page = seen.page
        page.select_option("#try-method", "POST")
        page.fill("#try-path", "/post?a=1")
        page.fill("#try-headers", "Content-Type: text/plain\nX-Mine: yes")
        page.fill("#try-body", "<b>words</b>")
        page.press("#try-path", "Enter")
        seen.shows("#answer-status", "200 OK")
        seen.shows("#answer-fields", "content-type: application/json")
        seen.shows("#answer-body", '"data": "<b>words</b>"')
        seen.shows("#answer-body", '"X-Mine": "yes"')


def test_wrongForm(visited: Callable[..., Any]) -> None:
    """What cannot be sent is said, and nothing leaves for elsewhere."""
    with visited() as seen:
        page = seen.page
        for path, fields in [("//elsewhere.test/", ""), ("/get", "no colon")]:
            page.fill("#try-path", path)
            page.fill("#try-headers", fields)
            page.click("#try button.main")
            seen.shows("#answer-status.bad", "slash" if not fields else "no colon")


def test_pick(visited: Callable[..., Any]) -> None:
    """A click at a route tries it."""
    with visited() as seen:
        seen.page.click(".pick[data-path='/get?name=value']")
        seen.shows("#answer-body", '"name": "value"')


def test_image(visited: Callable[..., Any]) -> None:
    """An image is shown as one."""
    with visited() as seen:
        seen.page.fill("#try-path", "/image/png")
        seen.page.click("#try button.main")
        seen.page.locator("#answer-image img").wait_for(state="visible")
        seen.asked = [url for url in seen.asked if not url.startswith("blob:")]


def test_binary(visited: Callable[..., Any]) -> None:
    """Bytes that are no text are shown in hexadecimal."""
    with visited() as seen:
        seen.page.fill("#try-path", "/bytes/20?seed=1")
        seen.page.click("#try button.main")
        seen.shows("#answer-body", "000010  ")


def test_stop(visited: Callable[..., Any]) -> None:
    """An answer that takes its time is shown as it comes, and can be stopped."""
    with visited() as seen:
        seen.page.fill("#try-path", "/delay/10")
        seen.page.click("#try button.main")
        seen.page.click("#try-stop")
        seen.shows("#answer-status.bad", "stopped")


def test_find(visited: Callable[..., Any]) -> None:
    """The list shows what one looks for, and says so if there is none."""
    with visited() as seen:
        page = seen.page
        page.fill("#filter", "USER-agent")
        rows = page.locator(".routes li:visible")
        assert "/user-agent" in rows.first.inner_text()
        assert rows.count() < 5
        page.fill("#filter", "no such thing")
        seen.shows("#nothing", "No route")


def test_console(visited: Callable[..., Any]) -> None:
    """The WebSocket console shows what was sent, what came back, and the code of the end."""
    with visited() as seen:
        page = seen.page
        page.click("#ws-connect")
        seen.shows("#ws-state", "open")
        page.fill("#ws-text", "over and out")
        page.press("#ws-text", "Enter")
        seen.shows("#ws-log .sent", "over and out")
        seen.shows("#ws-log .got", "over and out")
        page.fill("#ws-code", "4321")
        page.click("#ws-close")
        seen.shows("#ws-log div", "closed, code 4321")


def test_withoutScript(visited: Callable[..., Any]) -> None:
    """Without JavaScript everything can be read, links lead to answers, and the form is sent."""
    with visited(java_script_enabled=False) as seen:
        page = seen.page
        seen.shows("h1", "Hello from 127.0.0.1:")
        seen.shows(".note", "Without JavaScript")
        assert page.locator(".routes li:visible").count() == page.locator(".routes li").count()
        assert page.locator(".pick:visible, #ws-open:visible, #filter:visible").count() == 0
        page.fill("#try-body", "some words")
        page.click("#try button.main")
        assert page.url.endswith("/anything")
        assert "some words" in page.content()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(visited: Callable[..., Any], scheme: str) -> None:
    """All text can be read in the light and in the dark."""
    with visited(color_scheme=scheme) as seen:
        seen.page.click("#try button.main")
        seen.shows("#answer-status", "200")
        assert seen.page.evaluate(CONTRAST) == []


def test_phone(visited: Callable[..., Any]) -> None:
    """On a narrow screen nothing has to be pushed sideways."""
    with visited(viewport={"width": 360, "height": 700}) as seen:
        seen.page.click("#try button.main")
        seen.shows("#answer-body", "headers")
        assert seen.page.evaluate("document.documentElement.scrollWidth") == 360
