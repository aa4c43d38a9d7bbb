"""A real browser: found on the machine or a skip that says what brings it; every complaint of a page is kept.

A page is watched for console errors, uncaught exceptions, violations of its Content-Security-Policy, failed
requests and requests that leave the loopback address.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

SCREENSHOTS = Path(__file__).parents[3] / "screenshots"
PICTURES = bool(os.environ.get("TIDEGATE_SCREENSHOTS"))
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic", "--no-first-run",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
HEARS_VIOLATIONS = """document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`violates its policy: ${event.violatedDirective} ${event.blockedURI}`));"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with a fresh profile. Skips the test, with the reason, when the machine has none."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine; on Debian: sudo apt-get install chromium")
    expect.set_options(timeout=30_000)  # a slow machine is not a failure
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def watched(browser: Browser, complaints: list[str], **settings: Any) -> Iterator[BrowserContext]:
    """A context of its own (`viewport`, `color_scheme`, ...) whose pages add what is wrong to `complaints`."""
    context = browser.new_context(**settings)
    context.set_default_timeout(30_000)
    if settings.get("java_script_enabled", True):
        context.add_init_script(HEARS_VIOLATIONS)
    context.on("page", lambda page: _watch(page, complaints))
    try:
        yield context
    finally:
        context.close()


def _watch(page: Page, complaints: list[str]) -> None:
    def foreign(url: str) -> bool:
        return urlsplit(url).hostname not in ("127.0.0.1", None)

    page.on("console", lambda m: complaints.append(f"{page.url}: {m.text}") if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    page.on("request", lambda r: complaints.append(f"{page.url} asks {r.url}") if foreign(r.url) else None)
    page.on("response", lambda r: complaints.append(f"{r.url}: {r.status}") if r.status >= 400 else None)


def picture(page: Page, name: str) -> None:
    """Write `screenshots/NAME.png` of the whole page, for people to look at, when TIDEGATE_SCREENSHOTS is set."""
    if not PICTURES:
        return
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def no_wider_than_its_window(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))
