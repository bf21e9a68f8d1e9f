"""One Chromium for a module, and for each test a page and a server of its own."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browser import PATIENCE_MILLISECONDS, Watch, open_browser
from tests.support.page_site import PageSite, serving
from tests.support.servers import ServerMissingError


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Open a browser; closed with the module, since its driver keeps an event loop in this thread."""
    try:
        opened = open_browser()
        with opened as browser:
            yield browser
    except ServerMissingError as error:
        pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)


@pytest.fixture
def site() -> Iterator[PageSite]:
    with serving(PageSite()) as site:
        yield site


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    yield context.new_page()
    context.close()


@pytest.fixture
def watch(page: Page, site: PageSite) -> Iterator[Watch]:
    """Watch a page; at the end no script may have failed, and no other host may have been asked."""
    watch = Watch(page)
    yield watch
    assert watch.errors == []
    assert watch.hosts() <= {site.url.removeprefix("http://")}
