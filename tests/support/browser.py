"""The distribution's Chromium without a window, for tests of the Replication page."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, expect, sync_playwright

from sandbox.install import find_chromium
from tests.support.servers import ServerMissingError

SCREENSHOTS = Path(
    os.environ.get("TREMPY_SCREENSHOTS") or Path(__file__).parents[2] / "build" / "screenshots"
)
PATIENCE_MILLISECONDS = 20_000


def chromium_path() -> str:
    """Return the path of Chromium."""
    path = find_chromium()
    if path is None:
        raise ServerMissingError(
            "no Chromium: run `make servers` or `sudo apt-get install chromium`, "
            "or name the program in TREMPY_TEST_CHROMIUM"
        )
    return path


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Run Chromium while the block runs."""
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path())
        yield browser
        browser.close()


class Watch:
    """What a page did beside what is seen: requests to other hosts, and errors of its scripts."""

    def __init__(self, page: Page):
        self.requests: list[str] = []
        self.errors: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._note)

    def _note(self, message: object) -> None:
        text = str(getattr(message, "text", message))
        if getattr(message, "type", "") == "error" and "Failed to load resource" not in text:
            self.errors.append(text)

    def hosts(self) -> set[str]:
        """Return the hosts that were asked."""
        return {urlsplit(url).netloc for url in self.requests}


def keep_screenshot(page: Page, name: str) -> Path:
    """Keep what the page looks like among the artefacts of the run."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    path = SCREENSHOTS / f"{name}.png"
    page.screenshot(path=path)
    return path


def is_scrolled_sideways(page: Page) -> bool:
    """Tell whether the page is wider than its window."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))
