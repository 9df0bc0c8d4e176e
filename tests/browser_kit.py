"""A headless Chromium that opens report pages from files, and what it has to say about them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--disable-dev-shm-usage",
)  # fmt: skip


@contextmanager
def chromium(width: int = 1280, height: int = 1000, scale: float = 1) -> Iterator[webdriver.Chrome]:
    """Debian's Chromium with a window of CSS pixels. Its profile is new, and gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        # Selenium looks for drivers by itself, and in the network, unless it is told where there is one.
        driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver", env=dict(os.environ)))
        try:
            metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            yield driver
        finally:
            driver.quit()


def open_page(driver: webdriver.Chrome, page: Path, fragment: str = "") -> float:
    """Show a page; after how many milliseconds it had been drawn."""
    driver.get("about:blank")
    driver.get(f"{page.as_uri()}{fragment}")
    wait = (
        "const wait = (done) => document.documentElement.dataset.drawn ? done(document.documentElement.dataset.drawn)"
    )
    return float(driver.execute_async_script(f"{wait} : setTimeout(wait, 10, done); wait(arguments[0])"))


def complaints(driver: webdriver.Chrome) -> list[str]:
    """What the console has of warnings and errors since it was asked last."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")]


def requests(driver: webdriver.Chrome) -> list[str]:
    """Addresses that were asked for, besides files and data."""
    log = [entry["message"] for entry in driver.get_log("performance")]
    return [one for one in log if '"Network.requestWillBeSent"' in one and '"url":"http' in one]
