"""Headless Chromium, with and without JavaScript. It reaches this machine only."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from examples.shop.server import COOKIE
from examples.shop.visits import visitor_id
from tests.cluster.waiting import until

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
_NO_JAVASCRIPT = {"profile.managed_default_content_settings.javascript": 2}
_PATIENCE_S = 20.0


class Browser:
    """One window."""

    def __init__(self, driver: Chrome, javascript: bool) -> None:
        self.driver, self.javascript = driver, javascript

    def anew(self, width: int = 1280, height: int = 900, *, dark: bool = False) -> None:
        """As somebody who was never here, at a window of this size."""
        self.driver.get("about:blank")
        self._tell("Network.clearBrowserCookies")
        self._tell("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._tell("Emulation.setEmulatedMedia", features=[theme])
        self.driver.get_log("browser")

    def open(self, url: str) -> None:
        """Go there."""
        self.driver.get(url)

    def one(self, selector: str) -> WebElement:
        """The first element there is."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        """All elements there are."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def follow(self, selector: str) -> None:
        """Click what leads to another page, and wait until all of that is there."""
        before = self.one("html").id
        self.one(selector).click()
        self.until(
            lambda: self.one("html").id != before and self.ask("document.readyState") == "complete",
            f"another page, after {selector}",
        )

    def until(self, holds: Callable[[], object], what: str) -> None:
        """Wait for something on the page; between two pages there is nothing."""

        def now() -> bool:
            try:
                return bool(holds())
            except WebDriverException:
                return False

        until(now, what, _PATIENCE_S)

    def ask(self, expression: str) -> object:
        """What an expression of JavaScript says; the tests may ask even where pages may not."""
        return self.driver.execute_script(f"return {expression}")

    def complaints(self) -> list[str]:
        """What stands in the console since the last time."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]

    @property
    def visitor(self) -> str:
        """Whom the shop's events name."""
        cookie = self.driver.get_cookie(COOKIE)
        assert cookie is not None
        return visitor_id(cookie["value"])

    @property
    def path(self) -> str:
        """Of the page."""
        return "/" + self.driver.current_url.split("/", 3)[3]

    def _tell(self, method: str, **parameters: object) -> None:
        self.driver.execute_cdp_cmd(method, parameters)


@contextmanager
def browser(javascript: bool) -> Iterator[Browser]:
    """A new one with a profile of its own.

    Without Chromium the test fails: one that does not run proves nothing.
    """
    chromium = _program("SEGMILL_TEST_CHROMIUM", "chromium", "chromium-browser", "google-chrome")
    driver_program = _program("SEGMILL_TEST_CHROMEDRIVER", "chromedriver")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ChromeOptions()
        options.binary_location = chromium
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        if not javascript:
            options.add_experimental_option("prefs", _NO_JAVASCRIPT)
        driver = Chrome(options, Service(driver_program))
        try:
            yield Browser(driver, javascript)
        finally:
            driver.quit()


def _program(variable: str, *names: str) -> str:
    found = os.environ.get(variable) or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.fail(f"no {names[0]} on the PATH, nor in {variable} (Debian: apt install chromium chromium-driver)")
    return found
